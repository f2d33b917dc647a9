// Reads of great values, which are sent for one at a time.
#include <doctest/doctest.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "actions.hpp"
#include "cluster/proto/kv.hpp"

using namespace cluster;
using namespace cluster::proto;

TEST_CASE(
    "kv reads: of diverged great values that wait for each other's room the oldest goes on, then the "
    "others") {
  constexpr WallTime kWallBegin{std::chrono::hours(480'000)};
  constexpr std::size_t kBytes = 1'000'000;
  KvMemory storage;
  Kv kv({.self = "a", .boot = {1, 1}, .ring_rest = {}, .operation_bytes_max = 4 * kBytes + 1'000}, storage,
        Rng(1));
  CHash ring;
  for (const auto* id : {"a", "b", "c", "d"}) REQUIRE(ring.insert({.id = id}, 16));
  static_cast<void>(kv.on_start({}, kWallBegin));
  static_cast<void>(kv.on_ring({}, "ring", {1, 1}, ring));

  // Each replica holds a value that the others have not seen.
  const auto held_by = [](const NodeId& id) {
    const auto number = static_cast<std::uint64_t>(id.str().front());
    KvRecord record;
    record.put({}, {{number, number}, 1}, {.data = Bytes(kBytes, 1)});
    return record;
  };
  Instant now{};
  std::vector<std::pair<NodeId, KvRead>> sent_for;
  std::map<std::uint64_t, std::size_t> values;  // by request
  const std::function<void(const KvActions&)> heed = [&](const KvActions& actions) {
    for (const auto& reply : cluster::testing::all_of<KvReply>(actions)) {
      CHECK(reply.answer);
      if (reply.answer) values[reply.id] = reply.answer->values.size();
    }
    for (const auto& [to, write] : cluster::testing::sent<KvWrite, KvSend>(actions))
      heed(kv.on_message(now, kWallBegin, to, KvWriteReply{write.id, KvStatus::ok, true}));
    for (const auto& [to, read] : cluster::testing::sent<KvRead, KvSend>(actions)) {
      if (read.whole) {
        sent_for.emplace_back(to, read);
        continue;
      }
      const auto record = held_by(to);
      heed(kv.on_message(now, kWallBegin, to,
                         KvReadReply{.id = read.id,
                                     .status = KvStatus::large,
                                     .ready = true,
                                     .record = {},
                                     .hash = fingerprint(read.key, record),
                                     .bytes = bytes_of(record)}));
    }
  };
  std::uint64_t asked = 0;
  for (int i = 0; asked < 2; ++i) {
    const KvKey key{"default", "key " + std::to_string(i)};
    if (!kv.replicas(key).has("a")) heed(kv.on_request(now, kWallBegin, ++asked, {.key = key}));
  }
  CHECK(sent_for.size() == 2);  // there is room for one value of each
  for (; values.size() < asked && now < Instant{} + KvConfig{}.request_timeout; now += 10ms) {
    for (const auto& [to, read] : std::exchange(sent_for, {}))
      heed(kv.on_message(now, kWallBegin, to,
                         KvReadReply{.id = read.id, .ready = true, .record = held_by(to)}));
    heed(kv.on_time(now, kWallBegin));
  }
  CHECK(values[1] == 3);
  CHECK(values[2] == 3);
}
