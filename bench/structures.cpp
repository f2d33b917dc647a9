// chash and vector-clock: the data structures alone.
#include <array>

#include "cluster/ds/chash.hpp"
#include "cluster/ds/vector_clock.hpp"
#include "harness.hpp"

namespace cluster::bench {
namespace {

constexpr std::uint32_t kWeight = 160;  // points of a node

CHash::Node member(int index) {
  return {take(NodeId::parse("node-" + std::to_string(index)), "an id"), {"127.0.0.1", 7022}};
}

std::vector<CHash::Insertion> members(int count) {
  std::vector<CHash::Insertion> all;
  for (int i = 0; i < count; ++i) all.push_back({member(i), kWeight});
  return all;
}

WallTime at(std::int64_t micros) { return wall_from_micros(micros); }

/// Entries `first` and on; every `step`th is ahead by one.
VectorClock clock_of(int first, int count, int step) {
  VectorClock clock;
  for (int i = first; i < first + count; ++i)
    clock.update(take(NodeId::parse("actor-" + std::to_string(i)), "an id"), i % step == 0 ? 11 : 10, at(i));
  return clock;
}

}  // namespace

void chash(Context& context) {
  std::array<std::string, 4096> keys;
  for (std::size_t i = 0; i < keys.size(); ++i) keys[i] = "user-" + std::to_string(i * 7919);
  struct Policy {
    const char* name;
    HashPolicy policy;
  };
  context.each_run([&] {
    for (const auto& [name, policy] :
         {Policy{"sha256", HashPolicy::sha256}, Policy{"xxh3", HashPolicy::xxh3}})
      for (const int count : {10, 100, 1000}) {
        const auto metric = [&, policy_name = name](const char* what) {
          return std::string(what) + " " + policy_name + ", " + std::to_string(count) + " nodes";
        };
        const auto all = members(count);
        const CHash empty({.policy = policy});
        CHash ring = empty;
        const std::int64_t builds = context.amount(1000 / count);
        context.record(metric("build"), "us", nanoseconds_each(builds, [&] {
                                                CHash made = empty;
                                                take(made.insert_all(all), "insert");
                                                ring = made;
                                              }) / 1e3);
        const std::int64_t inserts = context.amount(2000 / count, 2);
        int next = count;
        context.record(metric("insert"), "us", nanoseconds_each(inserts, [&] {
                                                 CHash edited = ring;
                                                 take(edited.insert(member(next++), kWeight), "insert");
                                                 keep(&edited);
                                               }) / 1e3);
        std::size_t key = 0;
        context.record(metric("find"), "ns", nanoseconds_each(context.amount(1'000'000), [&] {
                         keep(ring.find(keys[key++ % keys.size()]));
                       }));
      }
  });
}

void vector_clock(Context& context) {
  context.each_run([&] {
    for (const int count : {3, 10, 100, 1000}) {
      const auto suffix = " " + std::to_string(count) + " entries";
      const std::int64_t times = context.amount(3'000'000 / count);
      const VectorClock ahead = clock_of(0, count, 1);
      const VectorClock behind = clock_of(0, count, 2);
      context.record("descends" + suffix, "ns", nanoseconds_each(times, [&] {
                       const bool answer = ahead.descends(behind);
                       keep(&answer);
                     }));
      // Of clocks with the same entries, half of them ahead here and half there; a copy is part of it.
      const VectorClock other = clock_of(0, count, 3);
      context.record("copy and merge" + suffix, "ns", nanoseconds_each(times / 4 + 1, [&] {
                       VectorClock merged = behind;
                       merged.merge(other);
                       keep(&merged);
                     }));
      const VectorClock strange = clock_of(count / 2, count, 2);  // half of its entries are new
      context.record("copy and merge new" + suffix, "ns", nanoseconds_each(times / 4 + 1, [&] {
                       VectorClock merged = behind;
                       merged.merge(strange);
                       keep(&merged);
                     }));
      VectorClock counting = behind;
      const auto id = behind.entries()[static_cast<std::size_t>(count / 2)].id;
      context.record("increment" + suffix, "ns", nanoseconds_each(times, [&] {
                       counting.increment(id, at(1));
                       keep(&counting);
                     }));
    }
  });
}

}  // namespace cluster::bench
