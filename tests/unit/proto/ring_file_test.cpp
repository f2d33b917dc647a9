#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "cluster/base/rng.hpp"
#include "cluster/proto/gossip.hpp"
#include "cluster/proto/ring_file.hpp"
#include "cluster/wire/codec.hpp"
#include "cluster/wire/codec_types.hpp"

using namespace cluster;
using namespace cluster::proto;

namespace {

const WallTime kNow = wall_from_micros(1'700'000'000'000'000);

std::string any_name(Rng& rng) {
  std::string name;
  for (auto left = rng.between(1, 12); left > 0; --left) name += static_cast<char>('a' + rng.below(26));
  return name;
}

/// A state with members, tombstones, moved members, and edits of other nodes.
RingState any_state(Rng& rng, const NodeId& self) {
  RingState state({self, {5, rng.next()}, {"localhost", 7022}, 128}, kNow);
  RingState other({"other", {7, 1}, {"localhost", 7023}, 3}, kNow);
  auto wall = kNow;
  for (auto edits = rng.between(0, 30); edits > 0; --edits) {
    wall += std::chrono::milliseconds(rng.between(0, 50));
    auto& editor = rng.below(2) == 0 ? state : other;
    const NodeId id(any_name(rng));
    const auto port = static_cast<std::uint16_t>(rng.between(1, 65535));
    REQUIRE(editor.insert(id, {any_name(rng), port}, static_cast<std::uint32_t>(rng.between(1, 99)), wall));
    if (rng.below(3) == 0) editor.remove(id, wall);
    if (rng.below(3) == 0) static_cast<void>(editor.update(id, Endpoint{"elsewhere", port}, 5, wall));
  }
  for (const auto& delta : other.deltas_since({})) static_cast<void>(state.merge(delta, wall));
  return state;
}

SavedRing any_ring(Rng& rng) {
  const NodeId self("self-" + any_name(rng));
  const auto state = any_state(rng, self);
  SavedRing saved{self, state.boot().number, rng.below(2) == 0 ? any_name(rng) : "", state.image(), {}};
  for (auto left = rng.between(0, 8); left > 0; --left)
    saved.departed.push_back({any_name(rng), *state.find(self)});
  return saved;
}

}  // namespace

TEST_CASE("ring file: what was saved is read again, whatever it was") {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    const auto saved = any_ring(rng);
    const auto read = decode_ring_file(encode_ring_file(saved));
    REQUIRE_MESSAGE(read, read.error().message());
    CHECK(*read == saved);
    const RingState again(read->state, {saved.self, {6, 1}, {"localhost", 7022}, 128}, kNow);
    CHECK(again.members() ==
          RingState(saved.state, {saved.self, {6, 1}, {"localhost", 7022}, 128}, kNow).members());
  }
}

TEST_CASE("ring file: each truncation is told from a whole file") {
  Rng rng(1);
  const auto file = encode_ring_file(any_ring(rng));
  for (std::size_t length = 0; length < file.size(); ++length) {
    CAPTURE(length);
    const auto read = decode_ring_file(ByteView(file).first(length));
    REQUIRE_FALSE(read);
    REQUIRE(read.error().code() == Errc::corrupt);
    const auto& text = read.error().message();
    REQUIRE((length == 0 ? text == "is empty" : text.find("cut off") != std::string::npos));
  }
}

TEST_CASE("ring file: each flipped bit is noticed") {
  Rng rng(2);
  const auto file = encode_ring_file(any_ring(rng));
  for (std::size_t bit = 0; bit < file.size() * 8; ++bit) {
    CAPTURE(bit);
    auto flipped = file;
    flipped[bit / 8] ^= static_cast<std::uint8_t>(1u << bit % 8);
    const auto read = decode_ring_file(flipped);
    REQUIRE_FALSE(read);
    const bool in_format = bit / 8 >= 8 && bit / 8 < 12;
    REQUIRE(read.error().code() == (in_format ? Errc::incompatible : Errc::corrupt));
  }
}

TEST_CASE("ring file: files of others, of other versions, and too long ones are named as what they are") {
  Rng rng(3);
  const auto saved = any_ring(rng);
  const auto file = encode_ring_file(saved);
  const auto text_of = [](const Bytes& bytes) { return decode_ring_file(bytes).error().message(); };
  CHECK(text_of({'h', 'e', 'l', 'l', 'o'}) == "is no ring file");
  CHECK(text_of(Bytes(10'000, 0)) == "is no ring file");
  auto changed = file;
  changed[11] = 2;
  CHECK(text_of(changed) == "has format 2, of a newer version; this one reads format 1");
  changed[11] = 0;
  CHECK(text_of(changed) == "has format 0, of an older version; this one reads format 1");
  changed = file;
  changed.push_back(0);
  CHECK(text_of(changed).find("is too long") == 0);
}

TEST_CASE("ring file: content out of bounds is refused although its checksum is right") {
  Rng rng(4);
  const auto good = any_ring(rng);
  const auto refused = [&](auto change) {
    auto saved = good;
    change(saved);
    const auto read = decode_ring_file(encode_ring_file(saved));
    return read ? "accepted" : read.error().message();
  };
  CHECK(refused([](SavedRing& s) { s.boot = kCountMax + 1; }) == "holds a boot out of bounds");
  CHECK(refused([](SavedRing& s) { s.boot = kCountMax; }) == "accepted");
  CHECK(refused([](SavedRing& s) { s.ring = "a\nb"; }) == "names no ring");
  CHECK(refused([](SavedRing& s) { s.state.issued = kCountMax + 1; }) ==
        "holds a count or time out of bounds");
  CHECK(refused([](SavedRing& s) { s.state.latest = kTimeMax + std::chrono::microseconds(1); }) ==
        "holds a count or time out of bounds");
  CHECK(refused([](SavedRing& s) { s.state.members.push_back(s.state.members.front()); }) ==
        "is out of order");
  CHECK(refused([](SavedRing& s) { s.weight = s.state.members.front().weight; }) == "accepted");
  CHECK(refused([](SavedRing& s) {
          s.weight = s.state.members.front().weight;
          s.weight->count = 0;
        }) == "holds a weight out of bounds");
  CHECK(refused([](SavedRing& s) {
          s.weight = s.state.members.front().weight;
          s.weight->value = 0;
        }) == "holds a weight out of bounds");
  CHECK(refused([](SavedRing& s) { s.state.clock = {{"b", 1}, {"a", 1}}; }) == "is out of order");
  CHECK(refused([](SavedRing& s) {
          s.state.members.front().weight.value = 65'536;
        }).find("holds what it must not") == 0);
  CHECK(refused([](SavedRing& s) {
          std::erase_if(s.state.members, [&](const RingMember& member) { return member.id == s.self; });
        }).find("does not hold its own node") == 0);
  CHECK(refused([](SavedRing& s) {
          s.departed.assign(SavedRing::kDepartedMax + 1, {"ring", s.state.members.front()});
        }) == "holds too many rings that were left");
}

TEST_CASE("gossip: a restart with what was saved goes on in its ring, and forgets no edit and no removal") {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    const GossipConfig config{.self = {"a", {5, 1}, {"localhost", 7022}, 3}, .ring = "ring"};
    Gossip before(config, Rng(seed), {Instant{}, kNow});
    std::uint64_t command = 0;
    for (auto edits = rng.between(1, 20); edits > 0; --edits) {
      const NodeId id(any_name(rng));
      static_cast<void>(before.on_command({Instant{}, kNow}, ++command,
                                          InsertCommand{.members = {{.id = id, .endpoint = {"h", 1}}}}));
      if (rng.below(2) == 0)
        static_cast<void>(before.on_command({Instant{}, kNow}, ++command, RemoveCommand{.ids = {id}}));
    }
    auto again = config;
    again.self.boot = {6, 2};
    again.ring = "";
    Gossip after(again, Rng(seed), {Instant{}, kNow + 1s},
                 *decode_ring_file(encode_ring_file(before.saved())));
    CHECK(after.ring() == "ring");
    auto members = before.state().members();
    std::ranges::find(members, NodeId("a"), &MemberView::id)->boot = {6, 2};
    CHECK(after.state().members() == members);
    CHECK(after.state().record_count() == before.state().record_count());
    CHECK(after.state().issued() > before.state().issued());
    CHECK(after.state().find("a")->endpoint.boot == Boot{6, 2});
    std::size_t dialled = 0;
    for (const auto& action : after.on_start({Instant{}, kNow + 1s}))
      dialled += std::holds_alternative<Connect>(action) ? 1 : 0;
    CHECK(dialled == after.state().present_count() - 1);
  }
}

TEST_CASE("gossip: who left a ring or was removed from it is not back in it by a restart") {
  GossipConfig config{.self = {"a", {5, 1}, {"localhost", 7022}, 3}, .ring = "ring"};
  const Moment at{Instant{}, kNow};
  Gossip before(config, Rng(1), at);
  static_cast<void>(before.on_command(at, 1, LeaveCommand{.force = true}));
  REQUIRE(before.ring().empty());
  Gossip after(config, Rng(1), at, before.saved());
  CHECK(after.ring().empty());
  CHECK(after.has_departed("ring"));
  config.ring = "another";
  CHECK(Gossip(config, Rng(1), at, before.saved()).ring() == "another");
  static_cast<void>(after.on_command(at, 1, JoinCommand{"ring"}));
  CHECK(Gossip(config, Rng(1), at, after.saved()).ring() == "ring");
}
