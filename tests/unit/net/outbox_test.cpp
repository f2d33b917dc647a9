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

/// Unpacks frames as a receiver would.
struct Receiver {
  wire::Reassembler reassembler{1 << 30};
  std::vector<Bytes> messages;

  void take(const OutFrame& frame) {
    ByteView body = ByteView(frame.bytes).subspan(wire::kFrameHeaderBytes);
    REQUIRE(body.size() <= wire::kFrameBodyBytesMax);
    std::size_t whole = 0;
    if (frame.flags != 0) {
      auto made = reassembler.add(frame.flags, body);
      REQUIRE(made);
      if (made.value()) {
        messages.push_back(std::move(*made.value()));
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

/// What an Outbox should do, without frames: one list per lane.
struct Oracle {
  struct Item {
    std::uint64_t ticket;
    Bytes message;
  };
  std::array<std::deque<Item>, wire::kLanes> lanes;

  bool cancel(Ticket ticket) {
    for (auto& lane : lanes)
      for (auto i = lane.begin(); i != lane.end(); ++i)
        if (i->ticket == ticket.value) {
          lane.erase(i);
          return true;
        }
    return false;
  }
  [[nodiscard]] std::size_t bytes() const {
    std::size_t sum = 0;
    for (const auto& lane : lanes)
      for (const auto& item : lane) sum += item.message.size() + Outbox::kMessageOverheadBytes;
    return sum;
  }
};

}  // namespace

TEST_CASE("outbox: pushes, cancels, frames and breaks at random lose, repeat and reorder nothing") {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    BufferPool pool;
    NetLimits limits;
    limits.queue_bytes_max = 2'000'000;
    limits.control_queue_bytes_max = 300'000;
    Outbox outbox(pool, limits);
    Oracle oracle;
    Receiver receiver;
    std::vector<Ticket> given;
    std::array<std::uint64_t, wire::kLanes> begun{};  // tickets of large messages that are partly out

    for (int step = 0; step < 400; ++step) {
      const auto what = rng.below(10);
      if (what < 6) {
        const auto lane = static_cast<Lane>(rng.below(wire::kLanes));
        Bytes message(rng.chance(0.1) ? rng.below(200'000) : rng.below(3000));
        for (auto& byte : message) byte = static_cast<std::uint8_t>(rng.next());
        const auto ticket =
            rng.chance(0.5) ? outbox.push(lane, ByteView(message)) : outbox.push(lane, Bytes(message));
        if (!ticket) {
          CHECK(ticket.error().code() == Errc::overloaded);
          continue;
        }
        if (!given.empty()) CHECK(ticket.value() > given.back());
        given.push_back(ticket.value());
        oracle.lanes[static_cast<std::size_t>(lane)].push_back({ticket.value().value, std::move(message)});
      } else if (what < 8 && !given.empty()) {
        const Ticket ticket = given[rng.below(given.size())];
        const bool partly_out = std::find(begun.begin(), begun.end(), ticket.value) != begun.end();
        CHECK(outbox.cancel(ticket) == (!partly_out && oracle.cancel(ticket)));
        CHECK(outbox.contains(ticket) == partly_out);
      } else if (what == 8) {
        OutFrame frame;
        const bool popped = outbox.pop_frame(frame);
        const auto lane =
            std::find_if(oracle.lanes.begin(), oracle.lanes.end(), [](const auto& l) { return !l.empty(); });
        REQUIRE(popped == (lane != oracle.lanes.end()));
        if (!popped) continue;
        CHECK(frame.lane == static_cast<Lane>(lane - oracle.lanes.begin()));
        receiver.take(frame);
        for (const auto& message : receiver.messages) {
          REQUIRE(!lane->empty());
          CHECK(message == lane->front().message);
          lane->pop_front();
        }
        if (frame.flags != 0)
          begun[static_cast<std::size_t>(frame.lane)] = frame.messages == 0 ? lane->front().ticket : 0;
        receiver.messages.clear();
      } else if (rng.chance(0.3)) {
        outbox.on_link_down();
        receiver = {};
        begun = {};
      }
      CHECK(outbox.bytes() == oracle.bytes());
    }
    const auto left = outbox.clear();
    std::size_t expected = 0;
    for (const auto& lane : oracle.lanes) expected += lane.size();
    CHECK(left.size() == expected);
    CHECK(outbox.empty());
    CHECK(outbox.bytes() == 0);
  }
}

TEST_CASE("outbox: control has room of its own, and an empty queue takes a message over the bound") {
  BufferPool pool;
  NetLimits limits;
  limits.queue_bytes_max = 1000;
  limits.control_queue_bytes_max = 1000;
  Outbox outbox(pool, limits);
  CHECK(outbox.push(Lane::bulk, Bytes(5000)));
  CHECK(outbox.push(Lane::normal, Bytes(1)).error().code() == Errc::overloaded);
  CHECK(outbox.push(Lane::control, Bytes(968)));
  CHECK(outbox.push(Lane::control, Bytes(0)).error().code() == Errc::overloaded);
}

TEST_CASE("outbox: both sides of a frame's size") {
  BufferPool pool;
  NetLimits limits;
  Outbox outbox(pool, limits);
  OutFrame frame;
  REQUIRE(outbox.push(Lane::normal, Bytes(wire::kWholeMessageBytesMax)));
  REQUIRE(outbox.push(Lane::normal, Bytes(0)));
  REQUIRE(outbox.pop_frame(frame));
  CHECK(frame.bytes.size() == wire::kFrameHeaderBytes + wire::kFrameBodyBytesMax);
  CHECK(frame.flags == 0);
  CHECK(frame.messages == 1);  // the empty one did not fit any more
  REQUIRE(outbox.pop_frame(frame));
  CHECK(frame.messages == 1);
  REQUIRE(outbox.push(Lane::normal, Bytes(wire::kWholeMessageBytesMax + 1)));
  REQUIRE(outbox.pop_frame(frame));
  CHECK(frame.flags == (wire::kFlagFragment | wire::kFlagFragmentFirst));
  REQUIRE(outbox.pop_frame(frame));
  CHECK(frame.flags == (wire::kFlagFragment | wire::kFlagFragmentLast));
  CHECK_FALSE(outbox.pop_frame(frame));
}
