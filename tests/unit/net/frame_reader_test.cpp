#include "frame_reader.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <vector>

#include "cluster/base/rng.hpp"
#include "frame_writer.hpp"

using namespace cluster;
using namespace cluster::net;

namespace {

/// Two connected stream sockets that do not block.
struct SocketPair {
  std::array<int, 2> ends{-1, -1};
  SocketPair() {
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends.data()) == 0);
    for (const int end : ends) {
      const int room = 1 << 20;
      ::setsockopt(end, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    }
  }
  ~SocketPair() {
    for (const int end : ends) ::close(end);
  }
  SocketPair(const SocketPair&) = delete;
  SocketPair& operator=(const SocketPair&) = delete;
};

struct Collector final : FrameSink {
  std::map<std::uint8_t, std::vector<Bytes>> by_pair;  // messages begin with their pair
  std::size_t messages = 0;
  std::size_t others = 0;
  std::size_t stop_after = ~std::size_t{0};

  void take(ByteView message) {
    by_pair[message[0]].emplace_back(message.begin(), message.end());
    ++messages;
  }
  void on_frame(const wire::FrameHeader& header, ByteView body) override {
    if (header.kind != wire::FrameKind::messages) {
      ++others;
      return;
    }
    for (;;) {
      const auto message = wire::take_message(body);
      REQUIRE(message);
      if (!message.value()) return;
      take(*message.value());
    }
  }
  void on_large(wire::Lane, Buffer&& message) override { take(message.view()); }
  [[nodiscard]] bool listening() const noexcept override { return messages < stop_after; }
};

Bytes key() { return Bytes(32, 7); }

/// All that a writer sends of an outbox, as one stream.
struct Stream {
  BufferPool pool;
  QueueRoom room{std::size_t{1} << 30};
  NetLimits limits;
  Outbox outbox{pool, room, limits};
  FrameWriter writer;
  std::map<std::uint8_t, std::vector<Bytes>> sent;
  std::size_t messages = 0;
  std::size_t pings = 0;

  explicit Stream(wire::Protection level) : writer(level, key(), pool) {
    limits.queue_bytes_max = std::size_t{1} << 30;
  }
  void push(std::uint8_t pair, std::size_t size, Rng& rng) {
    Bytes message(std::max<std::size_t>(size, 1));
    for (auto& byte : message) byte = static_cast<std::uint8_t>(rng.next());
    message[0] = pair;
    sent[pair].push_back(message);
    ++messages;
    REQUIRE(outbox.push(Lane::normal, pair, std::move(message)));
  }
  Bytes bytes(Rng& rng) {
    SocketPair sockets;
    Bytes all, piece(1 << 20);
    const auto drain = [&] {
      for (ssize_t got = 0; (got = ::recv(sockets.ends[1], piece.data(), piece.size(), 0)) > 0;)
        all.insert(all.end(), piece.begin(), piece.begin() + got);
    };
    for (;;) {
      if (rng.chance(0.1) && writer.push_own(wire::FrameKind::ping, Bytes(8))) ++pings;
      if (!writer.refill(&outbox)) break;
      while (writer.write(sockets.ends[0]) == FrameWriter::Wrote::blocked) drain();
      drain();
    }
    return all;
  }
};

/// Gives a reader the stream in pieces, and sees to it that it reads no more at a time than it may.
FrameReader::Got feed(FrameReader& reader, ByteView stream, Collector& sink, Rng& rng) {
  SocketPair sockets;
  Bytes scratch(FrameReader::kScratchBytes);
  while (!stream.empty() && sink.listening()) {
    const std::size_t most = rng.chance(0.2) ? 30 : rng.chance(0.5) ? 70'000 : 700'000;
    const ssize_t wrote =
        ::send(sockets.ends[0], stream.data(), std::min(stream.size(), 1 + rng.below(most)), 0);
    if (wrote > 0) stream = stream.subspan(static_cast<std::size_t>(wrote));
    if (wrote > 0 && rng.chance(0.3)) continue;
    const std::size_t bytes_max = rng.chance(0.5) ? 100'000 : 1 << 20;
    const std::uint64_t before = reader.bytes_read();
    const auto got = reader.read(sockets.ends[1], bytes_max, scratch, sink);
    REQUIRE(reader.bytes_read() - before <= bytes_max + wire::kFrameBytesMax);
    if (got != FrameReader::Got::some) return got;
  }
  ::shutdown(sockets.ends[0], SHUT_WR);
  for (;;) {
    const auto got = reader.read(sockets.ends[1], 1 << 20, scratch, sink);
    if (got != FrameReader::Got::some || !sink.listening()) return got;
  }
}

std::size_t size_of_message(Rng& rng) {
  if (rng.chance(0.5)) return rng.below(2000);
  return rng.chance(0.7) ? 60'000 + rng.below(400'000) : rng.below(3'000'000);
}

}  // namespace

TEST_CASE("frame writer: takes about as many bytes at a time, whether they come in many frames or in few") {
  for (const std::size_t size : {std::size_t{100}, wire::kWholeMessageBytesMax, std::size_t{1} << 20}) {
    CAPTURE(size);
    Rng rng(size);
    Stream stream(wire::Protection::sign);
    for (std::size_t bytes = 0; bytes < 3 * FrameWriter::kTakenBytes; bytes += size)
      stream.push(1, size, rng);
    SocketPair sockets;
    REQUIRE(stream.writer.refill(&stream.outbox));
    static_cast<void>(stream.writer.write(sockets.ends[0]));
    CHECK(stream.writer.bytes_out >= FrameWriter::kTakenBytes * 9 / 10);
    CHECK(stream.writer.bytes_out <= FrameWriter::kTakenBytes + wire::kFrameBytesMax);
  }
}

TEST_CASE("frame reader: what a writer sent arrives, in order per pair, however the stream is cut") {
  for (const auto level : {wire::Protection::sign, wire::Protection::seal})
    for (std::uint64_t seed = 1; seed <= 25; ++seed) {
      CAPTURE(name(level));
      CAPTURE(seed);
      Rng rng(seed);
      Stream stream(level);
      for (std::uint64_t i = rng.below(30); i > 0; --i)
        stream.push(static_cast<std::uint8_t>(rng.below(5)), size_of_message(rng), rng);
      const Bytes bytes = stream.bytes(rng);
      FrameReader reader(level, key(), stream.limits.message_bytes_max);
      Collector sink;
      CHECK(feed(reader, bytes, sink, rng) == FrameReader::Got::ended);
      CHECK(sink.messages == stream.messages);
      CHECK(sink.by_pair == stream.sent);
      CHECK(sink.others == stream.pings);
      CHECK_FALSE(reader.incomplete());
      CHECK(reader.bytes_read() == bytes.size());
    }
}

TEST_CASE("frame reader: from an altered byte on nothing is handed on, and the messages before it are") {
  for (const auto level : {wire::Protection::sign, wire::Protection::seal})
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
      CAPTURE(name(level));
      CAPTURE(seed);
      Rng rng(seed);
      Stream stream(level);
      for (int i = 0; i < 4; ++i)
        stream.push(static_cast<std::uint8_t>(rng.below(3)), 40'000 + rng.below(300'000), rng);
      Bytes bytes = stream.bytes(rng);
      const std::size_t at = rng.below(bytes.size());
      bytes[at] ^= static_cast<std::uint8_t>(1u << rng.below(8));
      FrameReader reader(level, key(), stream.limits.message_bytes_max);
      Collector sink;
      const auto got = feed(reader, bytes, sink, rng);
      // An altered length may promise bytes that never come.
      CHECK((got == FrameReader::Got::corrupt || (got == FrameReader::Got::ended && reader.incomplete())));
      CHECK(sink.messages < stream.messages);
      for (const auto& [pair, messages] : sink.by_pair) {
        REQUIRE(messages.size() <= stream.sent[pair].size());
        CHECK(std::equal(messages.begin(), messages.end(), stream.sent[pair].begin()));
      }
    }
}

TEST_CASE(
    "frame reader: a stream that ends early hands on what was complete, and says that a frame was not") {
  for (const auto level : {wire::Protection::sign, wire::Protection::seal})
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
      CAPTURE(name(level));
      CAPTURE(seed);
      Rng rng(seed);
      Stream stream(level);
      stream.push(1, 10, rng);
      stream.push(2, 500'000, rng);
      const Bytes bytes = stream.bytes(rng);
      FrameReader reader(level, key(), stream.limits.message_bytes_max);
      Collector sink;
      CHECK(feed(reader, ByteView(bytes).first(bytes.size() - 1), sink, rng) == FrameReader::Got::ended);
      CHECK(reader.incomplete());
      CHECK(sink.messages + sink.others == stream.messages + stream.pings - 1);
    }
}

TEST_CASE("frame reader: a sink that has enough is left alone") {
  for (const auto level : {wire::Protection::sign, wire::Protection::seal}) {
    Rng rng(3);
    Stream stream(level);
    for (int i = 0; i < 5; ++i) stream.push(1, 300'000, rng);
    const Bytes bytes = stream.bytes(rng);
    FrameReader reader(level, key(), stream.limits.message_bytes_max);
    Collector sink;
    sink.stop_after = 2;
    CHECK(feed(reader, bytes, sink, rng) == FrameReader::Got::some);
    CHECK(sink.messages == 2);
  }
}
