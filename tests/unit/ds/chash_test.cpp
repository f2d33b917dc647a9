#include "cluster/ds/chash.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <limits>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>

#include "cluster/base/bytes.hpp"

using namespace cluster;

namespace {

CHash::Node node(const char* id, std::uint16_t port = 7022) { return {id, {"localhost", port}}; }

std::vector<std::string> id_texts(const std::vector<CHash::Node>& nodes) {
  std::vector<std::string> result;
  for (const auto& n : nodes) result.push_back(n.id.str());
  return result;
}

template <class T>
std::string code(const Result<T>& result) {
  return result ? "ok" : std::string(name(result.error().code()));
}

CHash ring_of(std::initializer_list<const char*> names, std::uint32_t weight = 16) {
  CHash ring;
  for (const char* n : names) CHECK(ring.insert(node(n), weight).value());
  return ring;
}

}  // namespace

TEST_CASE("chash: the three points of node foo, in base64 order") {
  CHash ring({.rfactor = 3, .pfactor = 2});
  CHECK(ring.insert(node("foo")).value());
  std::vector<std::string> keys;
  for (const auto& point : ring.points()) keys.push_back(position_text(HashPolicy::sha256, point.position));
  CHECK(keys == std::vector<std::string>{"avmox6bKHfmLdzmObwjwIrh2WC6XM471ods56FWbDo0=",
                                         "kL2YfHLEuxHGaEz4nOxWYyPSiFlGBsFMzoYDXXxuXK0=",
                                         "kzMt7C+SJZbxNQmrL3vhpfJ+a0RgPiGlRhrxwS57RWI="});
  CHECK(ring.size() == 3);
  CHECK(ring.weight("foo") == 3);
}

TEST_CASE("chash: defaults are 128 points a node and 2 neighbours") {
  CHash ring;
  CHECK(ring.insert(node("a")).value());
  CHECK(ring.weight("a") == 128);
  CHECK(ring.config().pfactor == 2);
}

TEST_CASE("chash: an empty ring answers everything") {
  CHash ring;
  CHECK(ring.find("key") == nullptr);
  CHECK(ring.get("a") == nullptr);
  CHECK_FALSE(ring.contains("a"));
  CHECK_FALSE(ring.contains(""));
  CHECK(ring.next("a")->empty());
  CHECK(ring.prev("a", 5)->empty());
  CHECK(ring.range_next("key")->empty());
  CHECK(ring.range_prev("key", 3)->empty());
  CHECK(ring.nodes().empty());
  CHECK(ring.points().empty());
  CHECK(ring.weights().empty());
  CHECK_FALSE(ring.remove("a"));
  CHECK(ring == CHash({.rfactor = 1, .pfactor = 0}));
}

TEST_CASE("chash: an id is inserted once; update changes it, and inserts one that is absent") {
  CHash ring = ring_of({"a"}, 4);
  CHECK_FALSE(ring.insert(node("a", 1), 9).value());
  CHECK(ring.get("a")->endpoint.port == 7022);
  CHECK(ring.update(node("a", 1), 9).has_value());
  CHECK(ring.get("a")->endpoint.port == 1);
  CHECK(ring.weight("a") == 9);
  CHECK(ring.update(node("b"), 2).has_value());
  CHECK(ring.size() == 11);
  CHECK(ring.remove("a"));
  CHECK_FALSE(ring.remove("a"));
  CHECK(ring.size() == 2);
}

TEST_CASE("chash: the key of a point finds the point after it, not that one") {
  const CHash ring = ring_of({"a", "b", "c"}, 3);
  const auto points = ring.points();
  for (const auto& id : {"a", "b", "c"})
    for (std::uint32_t i = 1; i <= 3; ++i) {
      const auto position = chash_point(HashPolicy::sha256, id, i);
      std::size_t own = 0;
      while (points[own].position != position) ++own;
      CHECK(*ring.find(std::string(id) + "_" + std::to_string(i)) == points[(own + 1) % points.size()].node);
    }
}

TEST_CASE("chash: bounds of the weight, both sides of each") {
  CHash ring;
  CHECK(code(ring.insert(node("a"), 0)) == "invalid_argument");
  CHECK(ring.insert(node("a"), 0).error().message() == "weight must be 1..65535, not 0");
  CHECK(code(ring.insert(node("a"), 65'536)) == "invalid_argument");
  CHECK(code(ring.update(node("a"), 0)) == "invalid_argument");
  CHECK(code(ring.update(node("a"), 65'536)) == "invalid_argument");
  CHECK(ring.empty());
  CHECK(code(ring.insert(node("a"), 1)) == "ok");
  CHECK(code(ring.insert(node("b"), 65'535)) == "ok");
  CHECK(ring.size() == 65'536);
}

TEST_CASE("chash: bounds of the config; the constructor throws, the setters return an error") {
  CHECK_THROWS_AS(CHash({.rfactor = 0}), std::invalid_argument);
  CHECK_THROWS_AS(CHash({.rfactor = 65'536}), std::invalid_argument);
  CHECK_THROWS_AS(CHash({.pfactor = 65'536}), std::invalid_argument);
  CHash ring({.rfactor = 65'535, .pfactor = 65'535});
  CHECK(code(ring.set_rfactor(0)) == "invalid_argument");
  CHECK(code(ring.set_rfactor(65'536)) == "invalid_argument");
  CHECK(code(ring.set_pfactor(65'536)) == "invalid_argument");
  CHECK(code(ring.set_rfactor(1)) == "ok");
  CHECK(code(ring.set_pfactor(0)) == "ok");
  CHECK(ring.insert(node("a")).value());
  CHECK(ring.weight("a") == 1);
  CHECK(code(CHash::from_points({.rfactor = 0}, {})) == "invalid_argument");
}

TEST_CASE("chash: a negative range is an error, 0 gives none, a huge one gives all") {
  const CHash ring = ring_of({"a", "b", "c", "d"});
  constexpr auto kMin = std::numeric_limits<std::int64_t>::min();
  constexpr auto kMax = std::numeric_limits<std::int64_t>::max();
  for (const std::int64_t range : {std::int64_t{-1}, kMin}) {
    CHECK(code(ring.next("a", range)) == "invalid_argument");
    CHECK(code(ring.prev("a", range)) == "invalid_argument");
    CHECK(code(ring.range_next("k", range)) == "invalid_argument");
    CHECK(code(ring.range_prev("k", range)) == "invalid_argument");
  }
  CHECK(ring.next("a", 0)->empty());
  CHECK(ring.range_prev("k", 0)->empty());
  CHECK(ring.next("a", kMax)->size() == 3);
  CHECK(ring.range_next("k", kMax)->size() == 4);
  CHECK(ring.next("a")->size() == 2);
  CHECK(ring.range_next("k")->size() == 3);
  CHECK(ring.next("nobody", 3)->empty());
}

TEST_CASE(
    "chash: nodes without an id or with an unusable host are refused, those without an endpoint are not") {
  CHash ring;
  CHECK(code(ring.insert({})) == "invalid_argument");
  CHECK(code(ring.insert({"a", {"two words", 1}})) == "invalid_argument");
  CHECK(code(ring.insert({"a", {std::string(256, 'h'), 1}})) == "invalid_argument");
  CHECK(code(ring.update({"a", {"new\nline", 1}})) == "invalid_argument");
  CHECK(code(ring.insert({"a"})) == "ok");
  CHECK(ring.find("k")->endpoint == Endpoint{});
}

TEST_CASE("chash: more points than a ring may have are refused before they are made, and nothing changes") {
  CHash ring = ring_of({"a"}, 1);
  std::vector<CHash::Insertion> many;
  for (std::size_t i = 0; i <= CHash::kPointsMax / CHash::kWeightMax; ++i)
    many.push_back({{NodeId("n" + std::to_string(i))}, 1});
  many.front().weight = 0;
  CHECK(code(ring.insert_all(many)) == "invalid_argument");
  CHECK(ring.size() == 1);
  many.front().weight = 2;
  CHECK(ring.insert_all(many).value() == many.size());
  CHECK(ring.insert_all(many).value() == 0);
}

TEST_CASE("chash: more nodes than a ring may have are refused") {
  CHash ring;
  std::vector<CHash::Insertion> many;
  for (std::size_t i = 0; i < CHash::kNodesMax; ++i) many.push_back({{NodeId(std::to_string(i))}, 1});
  CHECK(ring.insert_all(many).value() == CHash::kNodesMax);
  const auto over = ring.insert(node("one more"), 1);
  REQUIRE_FALSE(over.has_value());
  CHECK(over.error().message() == "a ring has at most 65535 nodes");
  CHash other = ring_of({"one more"}, 1);
  CHECK(code(other.merge(ring)) == "too_large");
  CHECK(other.node_count() == 1);
}

TEST_CASE("chash: names that trip other languages are names like others") {
  CHash ring;
  for (const char* id : {"__proto__", "constructor", "toString", "", " ", "_1", "a_1", "a"}) {
    if (*id != '\0') CHECK(ring.insert(node(id), 5).value());
  }
  CHECK(ring.node_count() == 7);
  CHECK(ring.contains("__proto__"));
  CHECK(ring.get("__proto__")->id == "__proto__");
  CHECK(ring.next("__proto__", 6)->size() == 6);
  CHECK(ring.remove("__proto__"));
  CHECK_FALSE(ring.contains("__proto__"));
}

TEST_CASE("chash: nodes() lists ids that are array indices first, by number") {
  const CHash ring = ring_of({"b", "10", "9", "007", "4294967294", "4294967295", "-1", "0", "1.0"}, 2);
  auto listed = id_texts(ring.nodes());
  REQUIRE(listed.size() == 9);
  CHECK(std::vector(listed.begin(), listed.begin() + 4) ==
        std::vector<std::string>{"0", "9", "10", "4294967294"});
}

TEST_CASE("chash: merge keeps its own nodes, intersect takes the other's") {
  CHash a({.rfactor = 3});
  CHash b({.rfactor = 5});
  CHECK(a.insert(node("x", 1)).value());
  CHECK(b.insert(node("x", 2)).value());
  CHECK(b.insert(node("y", 2)).value());
  CHash both = a;
  CHECK(both.merge(b).has_value());
  CHECK(both.weight("x") == 5);
  CHECK(both.get("x")->endpoint.port == 1);
  std::set<std::uint16_t> ports;
  for (const auto& point : both.points())
    if (point.node.id == "x") ports.insert(point.node.endpoint.port);
  CHECK(ports == std::set<std::uint16_t>{1, 2});
  CHECK(a.intersect(b).has_value());
  CHECK(a.weight("x") == 3);
  CHECK(a.get("x")->endpoint.port == 2);
  CHECK(a.config().rfactor == 3);
}

TEST_CASE("chash: a copy keeps its state while the original changes, and pointers into it stay good") {
  CHash ring = ring_of({"a", "b"});
  const CHash before = ring;
  const CHash::Node* const owner = before.find("key");
  const auto expected = *owner;
  CHECK(ring.remove("a"));
  CHECK(ring.remove("b"));
  CHECK(ring.empty());
  CHECK(*owner == expected);
  CHECK(before.node_count() == 2);
  CHash moved = std::move(ring);
  CHECK(ring.find("key") == nullptr);  // NOLINT: moving copies
  CHECK(moved.empty());
}

TEST_CASE("chash: readers of a snapshot are not disturbed by edits on another thread") {
  CHash ring = ring_of({"a", "b", "c"}, 64);
  const CHash snapshot = ring;
  const auto expected = snapshot.find("key")->id;
  std::atomic<bool> stop = false;
  std::atomic<int> wrong = 0;
  std::vector<std::thread> readers;
  for (int i = 0; i < 2; ++i)
    readers.emplace_back([&stop, &wrong, &expected, copy = snapshot] {
      while (!stop)
        if (copy.find("key")->id != expected || copy.node_count() != 3) ++wrong;
    });
  for (int i = 0; i < 50; ++i) {
    CHECK(ring.update(node("d", static_cast<std::uint16_t>(i + 1)), 64).has_value());
    CHECK(ring.remove("d"));
  }
  stop = true;
  for (auto& reader : readers) reader.join();
  CHECK(wrong == 0);
  CHECK(ring == snapshot);
}

TEST_CASE("chash: a ring read back from its points is equal; a repeated key is refused") {
  const CHash ring = ring_of({"a", "b", "c"}, 7);
  auto points = ring.points();
  std::swap(points.front(), points.back());
  CHECK(CHash::from_points({}, points).value() == ring);
  points.push_back(points.front());
  CHECK(code(CHash::from_points({}, points)) == "invalid_argument");
  points.pop_back();
  points.front().node.endpoint.port = 1;
  CHECK_FALSE(CHash::from_points({}, points).value() == ring);
  points.front().node.id = NodeId();
  CHECK(code(CHash::from_points({}, points)) == "invalid_argument");
}

TEST_CASE("chash: points with one first word are still told apart, few of them and many") {
  // Positions that no hash gives. Many of them must not make a search slow, so they take another way.
  for (const std::size_t count : {3u, 63u, 64u, 1'000u}) {
    CAPTURE(count);
    std::vector<CHash::Point> points(count);
    for (std::size_t i = 0; i < count; ++i) {
      points[i].position = {{1u << 20, 0, 0, 2 * i}};
      points[i].node = {NodeId("n" + std::to_string(i))};
    }
    points.push_back({{{5}}, {"before"}});
    points.push_back({{{~std::uint64_t{0}, 1}}, {"last"}});
    const CHash ring = CHash::from_points({}, points).value();
    for (std::size_t i = 0; i < count; ++i) {
      const auto next = i + 1 == count ? "last" : "n" + std::to_string(i + 1);
      CHECK(ring.owner_at({{1u << 20, 0, 0, 2 * i}})->id.str() == next);      // strictly after a point
      CHECK(ring.owner_at({{1u << 20, 0, 0, 2 * i + 1}})->id.str() == next);  // between two points
    }
    CHECK(ring.owner_at({{1u << 20}})->id == "n1");
    CHECK(ring.owner_at({{(1u << 20) - 1, ~0ull}})->id == "n0");
    CHECK(ring.owner_at({{~std::uint64_t{0}}})->id == "last");
    CHECK(ring.owner_at({{~std::uint64_t{0}, 1}})->id == "before");
    CHECK(ring.owner_at({{4}})->id == "before");
    CHECK(ring.owner_at({{5}})->id == "n0");
  }
}

TEST_CASE("chash: rings of two policies are never equal, and neither merge nor intersect") {
  CHash secure = ring_of({"a"});
  CHash fast({.policy = HashPolicy::xxh3});
  CHECK_FALSE(CHash() == fast);
  CHECK(fast.insert(node("a"), 16).value());
  CHECK_FALSE(secure == fast);
  CHECK(fast.find("key")->id == "a");
  CHECK(fast.weight("a") == 16);
  const CHash before = secure;
  CHECK(code(secure.merge(fast)) == "invalid_argument");
  CHECK(secure.merge(fast).error().message() ==
        "a ring of policy 'sha256' cannot be merged with one of policy 'xxh3': their positions have nothing "
        "to do "
        "with each other");
  CHECK(code(fast.intersect(secure)) == "invalid_argument");
  CHECK(secure == before);
  CHECK(code(CHash::from_points({.policy = HashPolicy::xxh3}, secure.points())) == "invalid_argument");
  CHECK(CHash::from_points({.policy = HashPolicy::xxh3}, fast.points()).value() == fast);
}

TEST_CASE("chash: an edit that is published while others read gives each reader an old ring or a new one") {
  // The owner publishes copies; readers take them, keep them over later edits, and drop them in any order.
  std::mutex published_mutex;
  CHash published = ring_of({"a", "b", "c"}, 32);
  std::atomic<bool> stop = false;
  std::atomic<int> wrong = 0;
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i)
    readers.emplace_back([&] {
      while (!stop) {
        const CHash mine = [&] {
          const std::lock_guard lock(published_mutex);
          return published;
        }();
        const auto nodes = mine.node_count();
        const auto* const owner = mine.find("key");
        const auto holders = mine.replicas("key", 4);
        if (nodes < 3 || nodes > 4 || holders.size() != nodes || holders.front() != owner) ++wrong;
        if (mine.balance().shares.size() != nodes || !mine.contains("a")) ++wrong;
      }
    });
  CHash own = published;
  for (int i = 0; i < 60; ++i) {
    if (i % 2 == 0)
      CHECK(own.insert(node("d"), 32).value());
    else
      CHECK(own.remove("d"));
    const std::lock_guard lock(published_mutex);
    published = own;
  }
  stop = true;
  for (auto& reader : readers) reader.join();
  CHECK(wrong == 0);
}
