#include "cluster/wire/frame.hpp"
#include "cluster/wire/reassembler.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include "cluster/base/rng.hpp"

using namespace cluster;
using namespace cluster::wire;

namespace {

Bytes fragment(std::uint32_t stream, std::optional<std::uint32_t> whole, ByteView data) {
  Bytes body(4);
  store_be(body.data(), stream);
  if (whole) {
    body.resize(8);
    store_be(body.data() + 4, *whole);
  }
  body.insert(body.end(), data.begin(), data.end());
  return body;
}

}  // namespace

TEST_CASE("frame: a header reads back as it was written, both sides of each limit") {
  Bytes bytes(kFrameHeaderBytes);
  for (const std::uint32_t length : {0u, 1u, 65'535u, 65'536u}) {
    const FrameHeader header{length, FrameKind::goodbye, Lane::bulk, kFlagFragment | kFlagFragmentLast};
    write_header(bytes.data(), header);
    CHECK(read_header(bytes.data()).value() == header);
  }
  struct Row {
    const char* what;
    std::size_t at;
    std::uint8_t value;
  };
  for (const auto& row :
       {Row{"length over the limit", 1, 2}, Row{"huge length", 0, 0xff}, Row{"unknown kind", 4, 5},
        Row{"unknown lane", 5, 3}, Row{"unknown flag", 7, 16}, Row{"unknown high flag", 6, 1}}) {
    CAPTURE(row.what);
    write_header(bytes.data(), FrameHeader{});
    bytes[row.at] = row.value;
    const auto header = read_header(bytes.data());
    REQUIRE_FALSE(header);
    CHECK(header.error().code() == Errc::corrupt);
  }
}

TEST_CASE("frame: messages come off the front in order, and a body that lies about lengths is corrupt") {
  const Bytes body{0, 0, 0, 1, 'a', 0, 0, 0, 0, 0, 0, 0, 2, 'b', 'c'};
  ByteView rest = body;
  CHECK(as_text(*take_message(rest).value()) == "a");
  CHECK(as_text(*take_message(rest).value()).empty());
  CHECK(as_text(*take_message(rest).value()) == "bc");
  CHECK_FALSE(take_message(rest).value().has_value());
  for (std::size_t size = 1; size < body.size(); ++size) {
    ByteView prefix = ByteView(body).first(size);
    bool failed = false;
    while (!prefix.empty() && !failed) failed = !take_message(prefix);
    CHECK(failed == (size != 5 && size != 9));  // those two end between messages
  }
}

TEST_CASE("reassembler: fragments of several messages, interleaved at will, give each message whole") {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    struct Sender {
      Bytes message;
      std::size_t sent = 0;
      bool begun = false;
    };
    std::vector<Sender> senders(1 + rng.below(Reassembler::kStreamsMax));
    for (auto& sender : senders) {
      sender.message.resize(rng.below(5000));
      for (auto& byte : sender.message) byte = static_cast<std::uint8_t>(rng.next());
    }
    Reassembler reassembler(1 << 20);
    for (std::size_t done = 0; done < senders.size();) {
      const auto stream = static_cast<std::uint32_t>(rng.below(senders.size()));
      Sender& sender = senders[stream];
      if (sender.begun && sender.sent == sender.message.size()) continue;
      const std::size_t count = std::min<std::size_t>(rng.below(2000), sender.message.size() - sender.sent);
      const bool last = sender.sent + count == sender.message.size();
      std::uint16_t flags = kFlagFragment;
      std::optional<std::uint32_t> whole;
      if (!sender.begun) {
        flags |= kFlagFragmentFirst;
        whole = static_cast<std::uint32_t>(sender.message.size());
      }
      if (last) flags |= kFlagFragmentLast;
      const auto made = reassembler.add(
          flags, fragment(stream, whole, ByteView(sender.message).subspan(sender.sent, count)));
      REQUIRE(made);
      sender.begun = true;
      sender.sent += count;
      CHECK(made.value().has_value() == last);
      if (last) {
        CHECK(std::ranges::equal(made.value()->view(), sender.message));
        ++done;
        if (sender.message.empty()) sender.sent = 0;
        if (sender.sent == 0) senders[stream].begun = true;
      }
    }
  }
}

TEST_CASE("reassembler: what a peer announces is bounded, and takes no memory before it comes") {
  constexpr std::uint16_t kFirst = kFlagFragment | kFlagFragmentFirst;
  Reassembler reassembler(1000);
  const auto over_one = reassembler.add(kFirst, fragment(1, 1001, {}));
  REQUIRE_FALSE(over_one);
  CHECK(over_one.error().code() == Errc::too_large);
  CHECK(reassembler.add(kFirst, fragment(1, 1000, {})));
  CHECK(reassembler.add(kFirst, fragment(2, 600, {})));
  const auto over_all = reassembler.add(kFirst, fragment(3, 401, {}));
  REQUIRE_FALSE(over_all);
  CHECK(over_all.error().code() == Errc::too_large);
  CHECK(reassembler.add(kFirst, fragment(3, 400, {})));
  CHECK_FALSE(reassembler.add(kFirst, fragment(4, 0xffffffff, {})));

  Reassembler many(1000);
  for (std::uint32_t stream = 0; stream < Reassembler::kStreamsMax; ++stream)
    CHECK(many.add(kFlagFragment | kFlagFragmentFirst, fragment(stream, 1, {})));
  CHECK_FALSE(many.add(kFlagFragment | kFlagFragmentFirst, fragment(99, 1, {})));
}

TEST_CASE("reassembler: a message that is announced takes no more memory than has come, or a megabyte") {
  constexpr std::size_t kWhole = std::size_t{1} << 30;
  Reassembler reassembler(kWhole);
  const Bytes piece(kFrameBodyBytesMax - kFragmentPrefixBytesMax);
  std::size_t sent = 0;
  for (std::uint16_t flags = kFlagFragment | kFlagFragmentFirst; sent < (16u << 20); flags = kFlagFragment) {
    const auto front =
        fragment(1, flags == kFlagFragment ? std::nullopt : std::optional<std::uint32_t>(kWhole), {});
    const auto next =
        reassembler.expect(flags, fragment(1, std::uint32_t{kWhole}, {}), front.size() + piece.size());
    REQUIRE(next);
    CHECK(next->at == sent);
    CHECK(next->bytes == piece.size());
    CHECK(reassembler.place(*next).size() == piece.size());
    CHECK_FALSE(reassembler.accept(*next));
    sent += piece.size();
    CHECK(reassembler.memory() <= std::max(Reassembler::kFirstBytes, 2 * sent));
  }
}

TEST_CASE("reassembler: a withdrawn message is forgotten, and its room and stream are free again") {
  constexpr std::uint16_t kFirst = kFlagFragment | kFlagFragmentFirst;
  constexpr std::uint16_t kWithdrawn = kFlagFragment | kFlagFragmentWithdrawn;
  Reassembler r(1000);
  for (int i = 0; i < 100; ++i) {
    REQUIRE(r.add(kFirst, fragment(1, 1000, Bytes(10))));
    REQUIRE(r.add(kFirst, fragment(2, 1000, Bytes(10))));
    auto gone = r.add(kWithdrawn, fragment(1, {}, {}));
    REQUIRE(gone);
    CHECK_FALSE(gone.value());
    CHECK_FALSE(r.add(kFlagFragment, fragment(1, {}, Bytes(10))));
    REQUIRE(r.add(kFlagFragment | kFlagFragmentLast, fragment(2, {}, Bytes(990))));
  }
  REQUIRE(r.add(kFirst, fragment(1, 1000, Bytes(10))));
  CHECK_FALSE(r.add(kWithdrawn, fragment(1, {}, Bytes(1))));
  CHECK_FALSE(r.add(kWithdrawn | kFlagFragmentLast, fragment(1, {}, Bytes(990))));
  CHECK_FALSE(r.add(kWithdrawn, fragment(7, {}, {})));
}

TEST_CASE("reassembler: the age of messages counts from their last fragments") {
  constexpr std::uint16_t kFirst = kFlagFragment | kFlagFragmentFirst;
  Reassembler r(1000);
  CHECK(r.grow_old() == 0);
  REQUIRE(r.add(kFirst, fragment(1, 100, Bytes(10))));
  REQUIRE(r.add(kFirst, fragment(2, 100, Bytes(10))));
  CHECK(r.announced() == 200);
  CHECK(r.grow_old() == 1);
  REQUIRE(r.add(kFlagFragment, fragment(1, {}, Bytes(10))));
  CHECK(r.grow_old() == 2);  // the other one
  REQUIRE(r.add(kFlagFragment | kFlagFragmentLast, fragment(2, {}, Bytes(90))));
  CHECK(r.grow_old() == 2);
  CHECK(r.brought() == 120);
  CHECK(r.announced() == 100);
}

TEST_CASE("reassembler: fragments that do not add up are corrupt") {
  const Bytes data(10, 'x');
  const auto code = [](const auto& result) { return result ? Errc::internal : result.error().code(); };
  Reassembler r(1000);
  CHECK(code(r.add(kFlagFragment, fragment(1, {}, data))) == Errc::corrupt);
  CHECK(code(r.add(kFlagFragment, Bytes(3))) == Errc::corrupt);
  CHECK(code(r.add(kFlagFragment | kFlagFragmentFirst, Bytes(7))) == Errc::corrupt);
  REQUIRE(r.add(kFlagFragment | kFlagFragmentFirst, fragment(1, 15, data)));
  CHECK(code(r.add(kFlagFragment | kFlagFragmentFirst, fragment(1, 15, data))) == Errc::corrupt);
  CHECK(code(r.add(kFlagFragment, fragment(1, {}, data))) == Errc::corrupt);
  CHECK(code(r.add(kFlagFragment | kFlagFragmentLast, fragment(1, {}, Bytes(4)))) == Errc::corrupt);
}
