#include "outbox.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <string>

#include "cluster/base/rng.hpp"

using namespace cluster;
using namespace cluster::net;

namespace {

constexpr std::size_t kNoBound = std::size_t{1} << 40;

/// Unpacks frames as a receiver would.
struct Receiver {
  wire::Reassembler reassembler{1 << 30};
  std::vector<Bytes> messages;

  void take(OutFrame& frame) {
    const auto front = frame.front().subspan(wire::kFrameHeaderBytes);
    Bytes bytes(front.begin(), front.end());
    bytes.insert(bytes.end(), frame.slice.begin(), frame.slice.end());
    REQUIRE(bytes.size() == frame.body_bytes());
    REQUIRE(bytes.size() <= wire::kFrameBodyBytesMax);
    ByteView body = bytes;
    std::size_t whole = 0;
    if (frame.flags != 0) {
      auto made = reassembler.add(frame.flags, body);
      REQUIRE(made);
      if (made.value()) {
        const ByteView message = made.value()->view();
        messages.emplace_back(message.begin(), message.end());
        ++whole;
      }
    } else {
      for (;;) {
        const auto message = wire::take_message(body);
        REQUIRE(message);
        if (!message.value()) break;
        messages.emplace_back(message.value()->begin(), message.value()->end());
        ++whole;
      }
    }
    CHECK(frame.messages == whole);
  }
};

/// What an Outbox should do, without frames: one list per lane and pair. Messages begin with their pair.
struct Oracle {
  struct Item {
    std::uint64_t ticket;
    Bytes message;
  };
  std::map<std::pair<std::size_t, std::uint64_t>, std::deque<Item>> queues;

  std::deque<Item>& queue(Lane lane, std::uint64_t pair) {
    return queues[{static_cast<std::size_t>(lane), pair}];
  }
  bool cancel(Ticket ticket) {
    for (auto& [key, items] : queues)
      for (auto i = items.begin(); i != items.end(); ++i)
        if (i->ticket == ticket.value) {
          items.erase(i);
          return true;
        }
    return false;
  }
  /// The message must be the next of its pair.
  void take(Lane lane, const Bytes& message) {
    auto& items = queue(lane, message[0]);
    REQUIRE(!items.empty());
    CHECK(message == items.front().message);
    items.pop_front();
  }
  [[nodiscard]] std::size_t messages() const {
    std::size_t sum = 0;
    for (const auto& [key, items] : queues) sum += items.size();
    return sum;
  }
  [[nodiscard]] std::size_t bytes() const {
    std::size_t sum = 0;
    for (const auto& [key, items] : queues)
      for (const auto& item : items) sum += item.message.size() + Outbox::kMessageOverheadBytes;
    return sum;
  }
};

Bytes message_of(std::uint64_t pair, std::size_t size) {
  Bytes message(std::max<std::size_t>(size, 1));
  message[0] = static_cast<std::uint8_t>(pair);
  return message;
}

}  // namespace

TEST_CASE(
    "outbox: pushes, cancels, frames and breaks at random lose and repeat nothing, and keep pairs in order") {
  for (std::uint64_t seed = 1; seed <= 80; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    BufferPool pool;
    QueueRoom room(kNoBound);
    NetLimits limits;
    limits.queue_bytes_max = 2'000'000;
    limits.control_queue_bytes_max = 300'000;
    limits.message_bytes_max = 400'000;  // so that streams wait for room
    Outbox outbox(pool, room, limits);
    Oracle oracle;
    Receiver receiver;
    std::vector<Ticket> given;
    const std::uint64_t pairs = 1 + rng.below(12);

    for (int step = 0; step < 600; ++step) {
      const auto what = rng.below(11);
      if (what < 5) {
        const auto lane = static_cast<Lane>(rng.below(wire::kLanes));
        const std::uint64_t pair = rng.below(pairs);
        Bytes message = message_of(pair, rng.chance(0.2) ? rng.below(400'000) : rng.below(3000));
        for (std::size_t i = 1; i < message.size(); ++i) message[i] = static_cast<std::uint8_t>(rng.next());
        const auto ticket = rng.chance(0.5) ? outbox.push(lane, pair, ByteView(message))
                                            : outbox.push(lane, pair, Bytes(message));
        if (!ticket) {
          CHECK(ticket.error().code() == Errc::overloaded);
          continue;
        }
        if (!given.empty()) CHECK(ticket.value() > given.back());
        given.push_back(ticket.value());
        oracle.queue(lane, pair).push_back({ticket.value().value, std::move(message)});
      } else if (what < 6 && !given.empty()) {
        const Ticket ticket = given[rng.below(given.size())];
        const bool here = outbox.contains(ticket);
        CHECK(outbox.cancel(ticket) == here);
        CHECK(oracle.cancel(ticket) == here);
        CHECK_FALSE(outbox.contains(ticket));
      } else if (what < 10) {
        OutFrame frame;
        if (!outbox.pop_frame(frame)) {
          CHECK(oracle.messages() == 0);
          continue;
        }
        receiver.take(frame);
        for (const auto& message : receiver.messages) oracle.take(frame.lane, message);
        receiver.messages.clear();
      } else if (rng.chance(0.3)) {
        outbox.on_link_down();
        receiver = {};
      }
      CHECK(outbox.bytes() == oracle.bytes());
      CHECK(outbox.messages() == oracle.messages());
      CHECK(room.taken() + 2 * QueueRoom::kOwnBytes >= outbox.bytes());
      if (!rng.chance(0.2)) continue;
      outbox.settle();
      CHECK(room.taken() <= outbox.bytes());
    }
    if (seed % 2 == 0) {  // all that is left goes out
      for (OutFrame frame; outbox.pop_frame(frame);) {
        receiver.take(frame);
        for (const auto& message : receiver.messages) oracle.take(frame.lane, message);
        receiver.messages.clear();
      }
      CHECK(oracle.messages() == 0);
    }
    CHECK(outbox.clear().size() == oracle.messages());
    CHECK(outbox.empty());
    CHECK(outbox.bytes() == 0);
    CHECK(room.taken() == 0);
  }
}

TEST_CASE(
    "outbox: control has room of its own, and one message over the bound leaves the room to the others") {
  BufferPool pool;
  QueueRoom room(kNoBound);
  NetLimits limits;
  limits.queue_bytes_max = 1000;
  limits.control_queue_bytes_max = 1000;
  Outbox outbox(pool, room, limits);
  const auto huge = outbox.push(Lane::bulk, 1, Bytes(5000));
  REQUIRE(huge);
  CHECK(outbox.push(Lane::bulk, 2, Bytes(5000)).error().code() == Errc::overloaded);
  CHECK(outbox.push(Lane::normal, 3, Bytes(968)));
  CHECK(outbox.push(Lane::normal, 3, Bytes(0)).error().code() == Errc::overloaded);
  CHECK(outbox.push(Lane::control, 0, Bytes(968)));
  CHECK(outbox.push(Lane::control, 0, Bytes(0)).error().code() == Errc::overloaded);
  CHECK(outbox.bytes() == 5000 + 968 + 968 + 3 * Outbox::kMessageOverheadBytes);
  CHECK(outbox.cancel(huge.value()));
  CHECK(outbox.push(Lane::bulk, 2, Bytes(5000)));
}

TEST_CASE(
    "outbox: queues that nobody empties stay within the bound of all, short ones and control find room") {
  BufferPool pool;
  NetLimits limits;
  limits.queue_bytes_max = 2 << 20;
  limits.message_bytes_max = 4 << 20;
  constexpr std::size_t kAll = 16 << 20;
  constexpr std::size_t kPeers = 60;
  constexpr std::size_t kBytes = 10'000;
  QueueRoom room(kAll);
  std::deque<Outbox> peers;
  std::size_t own = 0;
  const auto queued = [&] {
    std::size_t bytes = 0;
    for (const Outbox& peer : peers) bytes += peer.bytes();
    return bytes;
  };
  for (std::size_t i = 0; i < kPeers; ++i) {
    Outbox& peer = peers.emplace_back(pool, room, limits);
    while (peer.push(Lane::normal, 0, Bytes(kBytes))) {
    }
    const std::size_t share =
        std::min(kAll / (i + 1) / QueueRoom::kShareOf, limits.queue_bytes_max - QueueRoom::kOwnBytes);
    CHECK(peer.bytes() + kBytes + QueueRoom::kStepBytes > QueueRoom::kOwnBytes + share);
    CHECK(peer.push(Lane::control, 0, Bytes(kBytes)));
    own += QueueRoom::kOwnBytes;
  }
  CHECK(peers.front().bytes() + 2 * kBytes > limits.queue_bytes_max);
  CHECK(queued() > kAll);
  CHECK(queued() < 2 * kAll + own);

  OutFrame frame;
  Outbox& reader = peers.back();
  const auto large = reader.push(Lane::bulk, 1, Bytes(limits.message_bytes_max));
  REQUIRE_FALSE(large);
  CHECK(large.error().code() == Errc::overloaded);
  while (reader.pop_frame(frame)) {
  }
  CHECK_FALSE(reader.push(Lane::normal, 0, Bytes(QueueRoom::kOwnBytes / 2)));  // not written yet
  reader.settle();
  CHECK(reader.push(Lane::normal, 0, Bytes(QueueRoom::kOwnBytes / 2)));
  for (Outbox& peer : peers) CHECK_FALSE(peer.clear().empty());
  CHECK(room.taken() == 0);
  CHECK(reader.push(Lane::normal, 0, Bytes(limits.message_bytes_max)));  // the only one again
}

TEST_CASE("outbox: both sides of a frame's size") {
  BufferPool pool;
  QueueRoom room(kNoBound);
  NetLimits limits;
  Outbox outbox(pool, room, limits);
  OutFrame frame;
  REQUIRE(outbox.push(Lane::normal, 0, Bytes(wire::kWholeMessageBytesMax)));
  REQUIRE(outbox.push(Lane::normal, 0, Bytes(0)));
  REQUIRE(outbox.pop_frame(frame));
  CHECK(frame.body_bytes() == wire::kFrameBodyBytesMax);
  CHECK(frame.flags == 0);
  CHECK(frame.messages == 1);  // the empty one did not fit any more
  REQUIRE(outbox.pop_frame(frame));
  CHECK(frame.messages == 1);
  REQUIRE(outbox.push(Lane::normal, 0, Bytes(wire::kWholeMessageBytesMax + 1)));
  REQUIRE(outbox.pop_frame(frame));
  CHECK(frame.flags == (wire::kFlagFragment | wire::kFlagFragmentFirst));
  REQUIRE(outbox.pop_frame(frame));
  CHECK(frame.flags == (wire::kFlagFragment | wire::kFlagFragmentLast));
  CHECK_FALSE(outbox.pop_frame(frame));
}

TEST_CASE("outbox: small messages share a batch to its last byte, and a longer one has a frame of its own") {
  BufferPool pool;
  QueueRoom room(kNoBound);
  NetLimits limits;
  Outbox outbox(pool, room, limits);
  constexpr std::size_t kOne = 1020;
  constexpr std::size_t kEach = OutLane::kBatchBytes / (wire::kMessagePrefixBytes + kOne);
  static_assert(kEach * (wire::kMessagePrefixBytes + kOne) == OutLane::kBatchBytes);
  for (std::size_t i = 0; i < 2 * kEach + 1; ++i) REQUIRE(outbox.push(Lane::normal, 0, Bytes(kOne)));
  REQUIRE(outbox.push(Lane::normal, 0, Bytes(OutLane::kBatchBytes)));
  REQUIRE(outbox.push(Lane::normal, 0, Bytes(1)));
  std::vector<std::size_t> messages;
  for (OutFrame frame; outbox.pop_frame(frame);) messages.push_back(frame.messages);
  CHECK(messages == std::vector<std::size_t>{kEach, kEach, 1, 1, 1});
}

TEST_CASE("outbox: a large message is not copied into its frames") {
  BufferPool pool;
  QueueRoom room(kNoBound);
  NetLimits limits;
  Outbox outbox(pool, room, limits);
  Bytes message(1 << 20);
  const auto* const begin = message.data();
  const auto* const end = begin + message.size();
  REQUIRE(outbox.push(Lane::normal, 0, std::move(message)));
  std::size_t bytes = 0;
  for (OutFrame frame; outbox.pop_frame(frame);) {
    CHECK(frame.slice.data() == begin + bytes);
    bytes += frame.slice.size();
    CHECK(frame.slice.data() + frame.slice.size() <= end);
  }
  CHECK(bytes == (1 << 20));
}

TEST_CASE("outbox: large messages of different pairs take turns, and small ones of others go between") {
  BufferPool pool;
  QueueRoom room(kNoBound);
  NetLimits limits;
  limits.queue_bytes_max = std::size_t{1} << 30;
  Outbox outbox(pool, room, limits);
  constexpr std::size_t kFragments = 100;
  constexpr std::size_t kLong = kFragments * wire::kFrameBodyBytesMax - 4096;
  REQUIRE(outbox.push(Lane::normal, 1, message_of(1, kLong)));
  REQUIRE(outbox.push(Lane::normal, 1, message_of(1, 10)));  // behind the long one of its pair
  REQUIRE(outbox.push(Lane::normal, 2, message_of(2, kLong / 10)));
  REQUIRE(outbox.push(Lane::normal, 3, message_of(3, 10)));

  Receiver receiver;
  std::vector<std::uint8_t> order;
  std::vector<std::size_t> frames;
  std::size_t count = 0;
  for (OutFrame frame; outbox.pop_frame(frame);) {
    ++count;
    receiver.take(frame);
    for (const auto& message : receiver.messages) {
      order.push_back(message[0]);
      frames.push_back(count);
    }
    receiver.messages.clear();
    if (count == 30) REQUIRE(outbox.push(Lane::normal, 4, message_of(4, 10)));
  }
  CHECK(order == std::vector<std::uint8_t>{3, 2, 4, 1, 1});
  REQUIRE(frames.size() == 5);
  CHECK(frames[0] <= 2);                        // at most a fragment waited for
  CHECK(frames[1] <= 2 * kFragments / 10 + 3);  // its own, as many of the long one, and the small message
  CHECK(frames[2] <= 32);
}

TEST_CASE("outbox: a message that is partly out is taken back, and the receiver told to forget it") {
  BufferPool pool;
  QueueRoom room(kNoBound);
  NetLimits limits;
  Outbox outbox(pool, room, limits);
  Receiver receiver;
  const auto large = outbox.push(Lane::normal, 1, message_of(1, 1 << 20));
  REQUIRE(large);
  REQUIRE(outbox.push(Lane::normal, 1, message_of(1, 5)));
  OutFrame frame;
  for (int i = 0; i < 3; ++i) {
    REQUIRE(outbox.pop_frame(frame));
    receiver.take(frame);
  }
  CHECK(outbox.contains(large.value()));
  CHECK(outbox.cancel(large.value()));
  CHECK_FALSE(outbox.cancel(large.value()));
  CHECK(outbox.messages() == 1);
  REQUIRE(outbox.pop_frame(frame));
  CHECK(frame.flags == (wire::kFlagFragment | wire::kFlagFragmentWithdrawn));
  CHECK(frame.slice.empty());
  receiver.take(frame);
  REQUIRE(outbox.pop_frame(frame));
  receiver.take(frame);
  REQUIRE(receiver.messages.size() == 1);
  CHECK(receiver.messages[0].size() == 5);
  CHECK_FALSE(outbox.pop_frame(frame));
}

TEST_CASE("outbox: urgent lanes go first, and the others get a share") {
  BufferPool pool;
  QueueRoom room(kNoBound);
  NetLimits limits;
  limits.control_queue_bytes_max = limits.queue_bytes_max = std::size_t{1} << 30;
  Outbox outbox(pool, room, limits);
  const auto fill = [&](Lane lane) {
    for (int i = 0; i < 400; ++i) REQUIRE(outbox.push(lane, 0, Bytes(wire::kWholeMessageBytesMax)));
  };
  fill(Lane::bulk);
  fill(Lane::normal);
  fill(Lane::control);
  std::array<int, wire::kLanes> taken{};
  OutFrame frame;
  for (int i = 0; i < 340; ++i) {
    REQUIRE(outbox.pop_frame(frame));
    ++taken[static_cast<std::size_t>(frame.lane)];
    if (i == 0) CHECK(frame.lane == Lane::control);
  }
  const int share = 340 / static_cast<int>(Outbox::kPassedOverMax + 2);
  CHECK(taken[0] > 340 * 3 / 4);
  CHECK(taken[1] >= share - 1);
  CHECK(taken[2] >= share - 1);
}
