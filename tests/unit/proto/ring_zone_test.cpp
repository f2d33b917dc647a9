// In which zone a member is: stated by itself alone, kept by everybody else.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "cluster/base/rng.hpp"
#include "cluster/crypto/sha256.hpp"
#include "cluster/proto/gossip.hpp"
#include "cluster/proto/kv_placement.hpp"
#include "cluster/proto/ring_file.hpp"
#include "cluster/wire/codec.hpp"
#include "cluster/wire/codec_types.hpp"
#include "ring_support.hpp"

using namespace cluster;
using namespace cluster::proto;
using namespace cluster::proto::testing;

namespace {

Self in_zone(const NodeId& id, std::string zone, std::uint64_t boot = 1) {
  return {.id = id, .boot = {boot, boot}, .endpoint = kPlace, .zone = std::move(zone)};
}

std::string zone_at(const RingState& state, const NodeId& id) { return state.find(id)->endpoint.zone; }

/// Nodes that restart in another zone, their disks kept, while others edit them, and now and then hear of
/// each other. Keeps all that was ever said.
struct ZoneHistory {
  explicit ZoneHistory(std::uint64_t seed) : rng(seed) {
    for (const char* id : {"a", "b", "c", "d"}) {
      zones.push_back(any_zone());
      replicas.emplace_back(in_zone(id, zones.back()), wall);
    }
    for (int step = 0; step < 60; ++step) {
      wall += std::chrono::microseconds(rng.between(-300'000, 500'000));
      const auto place = static_cast<std::size_t>(rng.below(4));
      auto& replica = replicas[place];
      const auto other = replicas[static_cast<std::size_t>(rng.below(4))].self();
      switch (rng.below(7)) {
        case 0:
          zones[place] = any_zone();
          replica = RingState(replica.image(), in_zone(replica.self(), zones[place], ++boots), wall);
          break;
        case 1:
          static_cast<void>(replica.insert(other, kPlace, 8, wall));
          break;
        case 2:
          if (other != replica.self()) replica.remove(other, wall);
          break;
        case 3:
          static_cast<void>(
              replica.update(other, Endpoint{"h", static_cast<std::uint16_t>(rng.between(1, 5))}, {}, wall));
          break;
        default:
          merge_all(replica, replicas[static_cast<std::size_t>(rng.below(4))], wall);
      }
      for (auto& delta : replica.deltas_since({})) deltas.push_back(std::move(delta));
    }
  }
  std::string any_zone() {
    const auto n = rng.below(4);
    return n == 0 ? std::string() : "zone " + std::to_string(n);
  }

  Rng rng;
  WallTime wall = kStart;
  std::uint64_t boots = 1;
  std::vector<RingState> replicas{};
  std::vector<std::string> zones{};
  std::vector<RingDelta> deltas{};
};

// As it was before members had zones.
struct ZonelessEndpoint {
  static constexpr bool wire_positional = true;
  WallTime born{};
  Boot boot{};
  WallTime changed_at{};
  NodeId editor{};
  std::uint64_t count = 0;
  Endpoint value{};
  WallTime replaced_at{};
};
struct ZonelessMember {
  static constexpr bool wire_positional = true;
  NodeId id{};
  Presence presence{};
  WeightRegister weight{};
  ZonelessEndpoint endpoint{};
};
struct ZonelessDelta {
  std::vector<CountRange> ranges{};
  std::vector<ZonelessMember> members{};
};
struct ZonelessState {
  std::uint64_t issued = 0;
  WallTime latest{};
  std::vector<ZonelessMember> members{};
  std::vector<ClockEntry> clock{};
};
struct ZonelessRing {
  NodeId self{};
  std::uint64_t boot = 0;
  std::string ring{};
  ZonelessState state{};
};

/// What a node without zones passes on of `delta`.
RingDelta passed_on(const RingDelta& delta) {
  const auto old = wire::decode<ZonelessDelta>(wire::encode(delta));
  REQUIRE_MESSAGE(old, old.error().message());
  const auto passed = wire::decode<RingDelta>(wire::encode(*old));
  REQUIRE_MESSAGE(passed, passed.error().message());
  return *passed;
}

Bytes zoneless_file(const SavedRing& saved) {
  ZonelessRing old{saved.self, saved.boot, saved.ring, {saved.state.issued, saved.state.latest, {}, {}}};
  old.state.clock = saved.state.clock;
  for (const auto& [id, presence, weight, e] : saved.state.members)
    old.state.members.push_back(
        {id, presence, weight, {e.born, e.boot, e.changed_at, e.editor, e.count, e.value, e.replaced_at}});
  auto file = encode_ring_file(saved);
  file.resize(kRingFileHeaderBytes);
  wire::encode_to(file, old);
  store_be<std::uint64_t>(file.data() + 12, file.size() - kRingFileHeaderBytes);
  Bytes covered(file.begin(), file.begin() + 20);
  covered.insert(covered.end(), file.begin() + kRingFileHeaderBytes, file.end());
  std::ranges::copy(crypto::sha256(covered), file.begin() + 20);
  return file;
}

}  // namespace

TEST_CASE("ring zones: all orders and groupings of merging give one state, and each node's own zone") {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    CAPTURE(seed);
    ZoneHistory history(seed);
    auto deltas = history.deltas;
    const auto observer = [] { return RingState(in_zone("observer", "far away"), kStart); };
    auto in_order = observer();
    for (const auto& delta : deltas) static_cast<void>(in_order.merge(delta, history.wall));
    history.rng.shuffle(deltas);
    auto shuffled = observer();
    for (const auto& delta : deltas) static_cast<void>(shuffled.merge(delta, history.wall));
    CHECK(shuffled.hash({}) == in_order.hash({}));
    std::array<RingState, 2> groups{observer(), observer()};
    for (const auto& delta : deltas)
      static_cast<void>(groups[static_cast<std::size_t>(history.rng.below(2))].merge(delta, history.wall));
    merge_all(groups[0], groups[1], history.wall);
    CHECK(groups[0].hash({}) == in_order.hash({}));

    for (int round = 0; round < 3; ++round)
      for (const auto& from : history.replicas)
        for (auto& to : history.replicas) merge_all(to, from, history.wall);
    for (const auto& replica : history.replicas) {
      CHECK(replica.hash({}) == history.replicas[0].hash({}));
      for (std::size_t place = 0; place < 4; ++place) {
        const auto& id = history.replicas[place].self();
        if (replica.present(id)) CHECK(zone_at(replica, id) == history.zones[place]);
      }
      CHECK(edition_of(replica, history.wall).edition ==
            edition_of(history.replicas[0], history.wall).edition);
    }
  }
}

TEST_CASE("ring zones: who updates, removes or inserts a member keeps its zone; the member states its own") {
  RingState a(in_zone("a", "north"), kStart), b(in_zone("b", "south"), kStart);
  merge_all(b, a, kStart);
  REQUIRE(b.update("a", Endpoint{"elsewhere", 1}, 7, kStart + 1s));
  CHECK(zone_at(b, "a") == "north");
  merge_all(a, b, kStart + 1s);
  CHECK(zone_at(a, "a") == "north");
  CHECK(a.find("a")->endpoint.value == Endpoint{"elsewhere", 1});
  CHECK(a.hash({}) == b.hash({}));
  b.remove("a", kStart + 2s);
  REQUIRE(b.insert("a", kPlace, 8, kStart + 3s));
  CHECK(zone_at(b, "a") == "north");

  REQUIRE(b.insert("c", kPlace, 8, kStart + 3s));  // before it runs
  CHECK(zone_at(b, "c").empty());
  RingState c(in_zone("c", "west"), kStart + 4s);
  merge_all(c, b, kStart + 4s);
  CHECK(zone_at(c, "c") == "west");
  merge_all(b, c, kStart + 4s);
  CHECK(zone_at(b, "c") == "west");
}

TEST_CASE(
    "ring zones: a restart in the same zone leaves the edition, another zone and each return make one") {
  RingState a(in_zone("a", "north"), kStart), b(in_zone("b", "south"), kStart);
  merge_all(b, a, kStart);
  std::vector<KvEdition> seen{edition_of(b, kStart).edition};
  auto wall = kStart;
  std::uint64_t boot = 1;
  const auto restart = [&](const char* zone) {
    wall += 1s;
    a = RingState(a.image(), in_zone("a", zone, ++boot), wall);
    merge_all(b, a, wall);
    CHECK(zone_at(b, "a") == zone);
    CHECK(b.find("a")->endpoint.boot.number == boot);
    return edition_of(b, wall).edition;
  };
  CHECK(restart("north") == seen.back());
  for (const char* zone : {"south", "north", "", "north"}) {
    const auto edition = restart(zone);
    CHECK(edition.time > seen.back().time);
    for (const auto& earlier : seen) CHECK(edition.hash != earlier.hash);
    CHECK(restart(zone) == edition);
    seen.push_back(edition);
  }
  wall += 1s;  // the disk lost
  a = RingState(in_zone("a", "east", ++boot), wall);
  merge_all(b, a, wall);
  CHECK(zone_at(b, "a") == "east");
  CHECK(edition_of(b, wall).edition.time > seen.back().time);
}

TEST_CASE("ring zones: the hash ring spreads copies over them, made anew or brought up to date") {
  RingState state(in_zone("a", "1"), kStart);
  for (const auto& [id, zone] : {std::pair("b", "1"), {"c", "2"}, {"d", "2"}, {"e", "3"}, {"f", "3"}})
    merge_all(state, RingState(in_zone(id, zone), kStart), kStart);
  const CHashConfig config{.rfactor = 32, .pfactor = 2};
  const auto ring = state.chash(config);
  const auto span_all = [](const CHash& of) {
    for (int i = 0; i < 500; ++i) {
      std::vector<std::string> zones;
      for (const auto* node : of.replicas("key " + std::to_string(i), 3)) zones.push_back(node->zone);
      std::ranges::sort(zones);
      if (zones != std::vector<std::string>{"1", "2", "3"}) return false;
    }
    return true;
  };
  CHECK(span_all(ring));
  merge_all(state, RingState(in_zone("f", "2", 2), kStart + 1s), kStart + 1s);
  CHECK(state.chash(ring) == state.chash(config));
  CHECK(state.chash(ring).get("f")->zone == "2");
  CHECK(span_all(state.chash(ring)));
}

TEST_CASE("ring zones: a ring file of before there were any is read, and its node states its zone then") {
  RingState before({.id = "a", .boot = {5, 1}, .endpoint = kPlace}, kStart);
  REQUIRE(before.insert("b", kPlace, 8, kStart));
  const SavedRing saved{"a", 5, "ring", before.image(), {}};
  const auto read = decode_ring_file(zoneless_file(saved));
  REQUIRE_MESSAGE(read, read.error().message());
  CHECK(*read == saved);
  const RingState after(read->state, in_zone("a", "north", 6), kStart + 1s);
  CHECK(zone_at(after, "a") == "north");
  CHECK(zone_at(after, "b").empty());
  const SavedRing again{"a", 6, "ring", after.image(), {}};
  CHECK(*decode_ring_file(encode_ring_file(again)) == again);
}

TEST_CASE("ring zones: what a node without them passes on takes no zone away, and makes nobody a duplicate") {
  const RingState a(in_zone("a", "north"), kStart);
  const RingState b(in_zone("b", "south"), kStart);
  for (const bool passed_first : {false, true}) {
    CAPTURE(passed_first);
    RingState state = b;
    for (const bool passed : {passed_first, !passed_first})
      for (const auto* from : {&a, &b})
        for (const auto& delta : from->deltas_since({})) {
          const auto report = state.merge(passed ? passed_on(delta) : delta, kStart);
          CHECK(report.duplicate_editors.empty());
          CHECK(!report.is_contested);
        }
    CHECK(zone_at(state, "a") == "north");
    CHECK(zone_at(state, "b") == "south");
    // Another edit under the same dot is still what it is.
    auto twin = passed_on(state.statement("a"));
    twin.members.at(0).endpoint.value.port ^= 1;
    CHECK(state.merge(twin, kStart).duplicate_editors == std::vector<NodeId>{"a"});
  }
}

TEST_CASE("ring zones: a ring without any has the hash that nodes of before there were any give it") {
  const RingState state({.id = "a", .boot = {5, 7}, .endpoint = kPlace, .weight = 8}, kStart);
  CHECK(hex(state.hash({})) == "5894bdcabc8db0d9b99d726c210c00eda02a5b17bc8cc1c21941ce1f7ca8cadb");
  CHECK(RingState(in_zone("a", ""), kStart).hash({}) != RingState(in_zone("a", "x"), kStart).hash({}));
}

TEST_CASE("ring zones: a clock that was ahead when a node stated its zone is not that of others' edits") {
  const auto ahead = kStart + 1h;
  const RingState started(in_zone("a", "north"), ahead);
  const RingState joined(started, false, kStart);
  for (const auto* a : {&started, &joined}) {
    RingState b(in_zone("b", "south"), kStart);
    merge_all(b, *a, kStart);
    REQUIRE(b.update("b", {}, 7, kStart + 1s));
    CHECK(b.find("b")->weight.changed_at == kStart + 1s);
  }
  CHECK(joined.find("a")->endpoint.zone_since == kStart);
  // Yet no zone has the time of the one before.
  const RingState restarted(started.image(), in_zone("a", "east", 2), kStart);
  CHECK(restarted.find("a")->endpoint.zone_since > ahead);
}
