#pragma once
#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <variant>
#include <vector>

#include "cluster/base/endpoint.hpp"
#include "cluster/base/node_id.hpp"
#include "cluster/base/rng.hpp"
#include "cluster/base/time.hpp"
#include "cluster/ds/vector_clock.hpp"
#include "cluster/wire/value.hpp"

/// Messages for the tests of the codec, and random ones.
namespace samples {

using namespace cluster;

enum class Colour : std::uint8_t { red = 1, green = 2, blue = 200 };

struct Point {
  std::int32_t x = 0;
  double y = 0;
  friend bool operator==(const Point&, const Point&) = default;
};
struct Nothing {
  friend bool operator==(const Nothing&, const Nothing&) = default;
};
struct Tree {
  std::string name;
  std::vector<Tree> children;
  friend bool operator==(const Tree&, const Tree&) = default;
};
struct Pair {
  static constexpr bool wire_positional = true;
  std::string left;
  std::int64_t right = 0;
  friend bool operator==(const Pair&, const Pair&) = default;
};

/// A field of every type that has a codec.
struct Everything {
  bool flag = false;
  std::int8_t i8 = 0;
  std::int16_t i16 = 0;
  std::int32_t i32 = 0;
  std::int64_t i64 = 0;
  std::uint8_t u8 = 0;
  std::uint16_t u16 = 0;
  std::uint32_t u32 = 0;
  std::uint64_t u64 = 0;
  float f32 = 0;
  double f64 = 0;
  Colour colour = Colour::red;
  std::string text;
  Bytes bytes;
  std::array<std::uint8_t, 4> digest{};
  std::vector<std::int64_t> numbers;
  std::vector<bool> flags;
  std::array<double, 2> two{};
  std::optional<Point> maybe;
  std::map<std::string, Point> points;
  std::map<std::uint32_t, std::string> by_number;
  std::set<std::string> set;
  std::pair<std::string, std::uint8_t> pair;
  std::tuple<bool, std::string, double> tuple;
  std::variant<std::monostate, Point, Pair> one_of;
  std::monostate unit;
  Nothing nothing;
  Tree tree;
  std::vector<Pair> pairs;
  std::chrono::milliseconds wait{0};
  WallTime wall{};
  NodeId node = "n";
  std::optional<NodeId> nobody;
  Boot boot;
  Endpoint endpoint;
  VectorClock clock;
  wire::Value value;
  friend bool operator==(const Everything&, const Everything&) = default;
};

inline std::string random_text(Rng& rng, std::size_t size_max = 40) {
  std::string text(rng.below(size_max + 1), ' ');
  for (auto& c : text) c = static_cast<char>(rng.below(256));
  return text;
}
inline Bytes random_bytes(Rng& rng, std::size_t size_max = 300) {
  Bytes bytes(rng.below(size_max + 1));
  for (auto& b : bytes) b = static_cast<std::uint8_t>(rng.below(256));
  return bytes;
}
/// Every magnitude is as likely as another, both signs too.
template <class I>
I random_integer(Rng& rng) {
  const auto bits = rng.next() >> rng.below(64);
  return static_cast<I>(rng.chance(0.5) ? bits : ~bits);
}
inline double random_real(Rng& rng) { return (rng.uniform() - 0.5) * 1e6; }

inline wire::Value random_value(Rng& rng, std::size_t depth = 0) {
  switch (rng.below(depth < 4 ? 10 : 7)) {
    case 0:
      return {};
    case 1:
      return rng.chance(0.5);
    case 2:
      return random_integer<std::int64_t>(rng);
    case 3:
      return random_integer<std::uint64_t>(rng);
    case 4:
      return random_real(rng);
    case 5:
      return random_text(rng);
    case 6:
      return random_bytes(rng, 40);
    case 7:
    case 8: {
      auto array = wire::Value::array({});
      for (auto n = rng.below(6); n != 0; --n) array.push(random_value(rng, depth + 1));
      return array;
    }
    default: {
      auto map = wire::Value::map({});
      for (auto n = rng.below(6); n != 0; --n) map.set(random_text(rng, 6), random_value(rng, depth + 1));
      return map;
    }
  }
}

inline Tree random_tree(Rng& rng, std::size_t depth = 0) {
  Tree tree{random_text(rng, 8), {}};
  if (depth < 3)
    for (auto n = rng.below(3); n != 0; --n) tree.children.push_back(random_tree(rng, depth + 1));
  return tree;
}

inline Everything random_everything(Rng& rng) {
  Everything e;
  e.flag = rng.chance(0.5);
  e.i8 = random_integer<std::int8_t>(rng);
  e.i16 = random_integer<std::int16_t>(rng);
  e.i32 = random_integer<std::int32_t>(rng);
  e.i64 = random_integer<std::int64_t>(rng);
  e.u8 = random_integer<std::uint8_t>(rng);
  e.u16 = random_integer<std::uint16_t>(rng);
  e.u32 = random_integer<std::uint32_t>(rng);
  e.u64 = random_integer<std::uint64_t>(rng);
  e.f32 = static_cast<float>(random_real(rng));
  e.f64 = random_real(rng);
  e.colour = rng.chance(0.5) ? Colour::blue : Colour::green;
  e.text = random_text(rng, 300);
  e.bytes = random_bytes(rng);
  for (auto& b : e.digest) b = static_cast<std::uint8_t>(rng.below(256));
  e.numbers.resize(rng.below(20));
  for (auto& n : e.numbers) n = random_integer<std::int64_t>(rng);
  for (auto n = rng.below(20); n != 0; --n) e.flags.push_back(rng.chance(0.5));
  e.two = {random_real(rng), random_real(rng)};
  if (rng.chance(0.5)) e.maybe = Point{random_integer<std::int32_t>(rng), random_real(rng)};
  for (auto n = rng.below(20); n != 0; --n)
    e.points[random_text(rng)] = {random_integer<std::int32_t>(rng), 1};
  for (auto n = rng.below(20); n != 0; --n)
    e.by_number[random_integer<std::uint32_t>(rng)] = random_text(rng);
  for (auto n = rng.below(20); n != 0; --n) e.set.insert(random_text(rng));
  e.pair = {random_text(rng), random_integer<std::uint8_t>(rng)};
  e.tuple = {rng.chance(0.5), random_text(rng), random_real(rng)};
  if (rng.chance(0.3)) e.one_of = Point{1, 2};
  if (rng.chance(0.3)) e.one_of = Pair{random_text(rng), random_integer<std::int64_t>(rng)};
  e.tree = random_tree(rng);
  for (auto n = rng.below(4); n != 0; --n)
    e.pairs.push_back({random_text(rng), random_integer<std::int64_t>(rng)});
  e.wait = std::chrono::milliseconds(random_integer<std::int64_t>(rng));
  e.wall = wall_from_micros(random_integer<std::int64_t>(rng));
  e.node = NodeId("node-" + std::to_string(rng.below(1000)));
  if (rng.chance(0.5)) e.nobody = e.node;
  e.boot = {random_integer<std::uint64_t>(rng), rng.next()};
  e.endpoint = {"127.0.0." + std::to_string(rng.below(256)), random_integer<std::uint16_t>(rng)};
  for (auto n = rng.below(5); n != 0; --n)
    e.clock.increment(NodeId("actor-" + std::to_string(rng.below(9))),
                      wall_from_micros(static_cast<std::int64_t>(n)));
  e.value = random_value(rng);
  return e;
}

}  // namespace samples
