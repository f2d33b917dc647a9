#include <doctest/doctest.h>

#include <optional>
#include <utility>

#include "cluster/proto/kv.hpp"
#include "on_memory.hpp"

using namespace cluster;
using namespace cluster::proto;

namespace {

/// Counts how often values are read.
class CountedStorage final : public cluster::testing::OnMemory<> {
 public:
  Result<KvRecord> read(const KvKey& key) const override {
    ++reads;
    return memory.read(key);
  }
  mutable int reads = 0;
};

/// A node alone in its ring, on a disk that is quick.
struct GreatNode {
  explicit GreatNode(KvConfig config) : kv(std::move(config), storage, Rng(1)) {
    CHash ring;
    REQUIRE(ring.insert({.id = NodeId("foo")}, 8));
    look(kv.on_start(now, wall));
    look(kv.on_ring(now, "ring", {1, 1}, ring));
    run_for(1s);
    REQUIRE(kv.settled());
  }
  void look(const KvActions& actions) {
    for (const auto& action : actions) {
      if (const auto* found = std::get_if<KvReply>(&action)) reply = *found;
      if (const auto* sync = std::get_if<KvSync>(&action)) look(kv.on_synced(now, sync->ticket, {}));
    }
  }
  void run_for(Duration time) {
    for (const auto end = now + time; now < end; now += 10ms, wall += 10ms) look(kv.on_time(now, wall));
  }
  Result<KvAnswer> ask(KvRequest request) {
    reply.reset();
    look(kv.on_request(now, wall, ++asked, std::move(request)));
    REQUIRE(reply);
    return reply->answer;
  }

  CountedStorage storage;
  Kv kv;
  Instant now{};
  WallTime wall{std::chrono::hours(480'000)};
  std::uint64_t asked = 0;
  std::optional<KvReply> reply;
};

const KvKey kGreatKey{"default", "key"};

}  // namespace

TEST_CASE("kv: great values are read to be given to somebody, and for nothing else") {
  GreatNode foo({.self = NodeId("foo"),
                 .boot = {1, 1},
                 .bucket = {.resolve = KvResolve::last},
                 .large_bytes = 10'000,
                 .tombstone_age = 1s});
  const auto& reads = foo.storage.reads;
  const auto put = [&](std::size_t bytes, std::uint64_t ttl_ms = 0) {
    return foo.ask({.verb = KvVerb::put, .key = kGreatKey, .value = Bytes(bytes, 1), .ttl_ms = ttl_ms});
  };
  REQUIRE(put(50'000));
  REQUIRE(put(60'000));  // in the place of the first
  CHECK(reads == 0);
  CHECK(foo.ask({.key = kGreatKey})->values.front().size() == 60'000);
  CHECK(reads == 1);  // once its size was told, and there was room for it
  REQUIRE(foo.ask({.verb = KvVerb::del, .key = kGreatKey}));
  CHECK(foo.ask({.key = kGreatKey})->values.empty());
  CHECK(reads == 1);
  REQUIRE(put(70'000, 500));
  CHECK(foo.storage.memory.bytes() == 70'000);
  foo.run_for(60s);
  CHECK(foo.storage.memory.bytes() == 0);
  CHECK(foo.storage.memory.size() == 0);
  CHECK(reads == 1);
}

TEST_CASE("kv: siblings of a great value stay whole when another is written beside it") {
  GreatNode foo({.self = NodeId("foo"), .boot = {1, 1}});
  REQUIRE(foo.ask({.verb = KvVerb::put, .key = kGreatKey, .value = Bytes(50'000, 1)}));
  REQUIRE(foo.ask({.verb = KvVerb::put, .key = kGreatKey, .value = Bytes(3, 2)}));
  const auto both = foo.ask({.key = kGreatKey});
  REQUIRE(both->values.size() == 2);
  CHECK(both->values[0] == Bytes(50'000, 1));
  CHECK(both->values[1] == Bytes(3, 2));
  REQUIRE(
      foo.ask({.verb = KvVerb::put, .key = kGreatKey, .value = Bytes(5000, 3), .context = both->context}));
  CHECK(foo.ask({.key = kGreatKey})->values == std::vector<Bytes>{Bytes(5000, 3)});
}
