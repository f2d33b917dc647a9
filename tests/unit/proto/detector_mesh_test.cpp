// What a ring of detectors promises, over seeds.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <string>

#include "detector_mesh.hpp"

using namespace cluster;
using namespace cluster::proto;

namespace {

constexpr std::uint64_t kSeeds = 20;

}  // namespace

TEST_CASE("detector: a quiet ring finds nothing, and costs a node the same whatever its size") {
  std::array<std::uint64_t, 2> bytes{};
  for (std::size_t i = 0; i < 2; ++i) {
    DetectorMesh mesh(i == 0 ? 3 : 100, 1);
    mesh.run_for(30s);
    const auto before = mesh.bytes_sent(0);
    mesh.run_for(100s);
    bytes[i] = mesh.bytes_sent(0) - before;
    CHECK(mesh.all_alive());
    CHECK(mesh.count_changes(MemberState::suspect) == 0);
    CHECK(mesh.at(0).health() == 0);
  }
  CAPTURE(bytes[0]);
  CHECK(bytes[0] < 100 * 100);  // a ping out and an ack back, twice a second
  CHECK(bytes[1] < bytes[0] + bytes[0] / 10);
}

TEST_CASE("detector: all know of a killed process within 6 s, and of none before 3.5 s") {
  for (const std::size_t size : {2, 3, 5, 20})
    for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
      CAPTURE(size);
      CAPTURE(seed);
      DetectorMesh mesh(size, seed);
      mesh.run_for(10s);
      mesh.kill(1);
      mesh.run_for(3'500ms);
      CHECK(mesh.count_changes(MemberState::unreachable) == 0);
      mesh.run_for(2'500ms);
      CHECK(mesh.all_hold(1, MemberState::unreachable));
      CHECK(mesh.count_changes(MemberState::unreachable) == size - 1);
    }
}

TEST_CASE("detector: all know of a silent host within 10 s") {
  for (const std::size_t size : {2, 3, 5, 64})
    for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
      CAPTURE(size);
      CAPTURE(seed);
      DetectorMesh mesh(size, seed);
      mesh.run_for(10s);
      mesh.silence(1);
      mesh.run_for(10s);
      CHECK(mesh.all_hold(1, MemberState::unreachable));
    }
}

TEST_CASE("detector: where few links are kept, all are known to all, and a silent host is found as soon") {
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    CAPTURE(seed);
    DetectorMesh mesh(40, seed, {.mesh_max = 8});
    CHECK(mesh.run_until(30s, [&] { return mesh.all_alive(); }));
    mesh.run_for(30s);
    CHECK(mesh.count_changes(MemberState::suspect) == 0);
    mesh.silence(1);
    mesh.run_for(12s);
    CHECK(mesh.all_hold(1, MemberState::unreachable));
    CHECK(mesh.count_changes(MemberState::unreachable) == mesh.size() - 1);
  }
}

TEST_CASE("detector: who comes to a ring of few links learns of all the others by asking") {
  DetectorMesh mesh(40, 1, {.mesh_max = 8});
  mesh.run_for(60s);
  mesh.start(0);  // a new process, that knows the members and none of their states
  const LinkPlan plan(40, 8);
  for (std::size_t i = 1; i < mesh.size(); ++i)
    if (plan.keeps(DetectorMesh::id_of(0), DetectorMesh::id_of(i))) mesh.link(0, i), mesh.link(i, 0);
  CHECK(mesh.run_until(10s, [&] { return mesh.all_alive(); }));
}

TEST_CASE("detector: where few links are kept, who missed that a stopped member is back learns it soon") {
  int missed = 0;
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    CAPTURE(seed);
    DetectorMesh mesh(40, seed, {.mesh_max = 8});
    const LinkPlan plan(mesh.size(), 8);
    const auto keeps = [&](std::size_t i, std::size_t j) {
      return plan.keeps(DetectorMesh::id_of(i), DetectorMesh::id_of(j));
    };
    REQUIRE(mesh.run_until(30s, [&] { return mesh.all_alive(); }));
    mesh.stop(1);
    mesh.run_for(10s);
    std::size_t deaf = 2;
    while (keeps(1, deaf)) ++deaf;
    mesh.carries = [deaf](std::size_t, std::size_t to) { return to != deaf; };
    mesh.start(1);
    for (std::size_t i = 0; i < mesh.size(); ++i)
      if (keeps(1, i)) mesh.link(1, i), mesh.link(i, 1);
    mesh.run_for(3s);
    if (mesh.at(deaf).state_of(DetectorMesh::id_of(1)) == MemberState::stopped) ++missed;
    mesh.carries = [](std::size_t, std::size_t) { return true; };
    CHECK(mesh.run_until(15s, [&] { return mesh.all_alive(); }));
  }
  CHECK(missed == kSeeds);
}

TEST_CASE("detector: a pause of 3 s loses nobody, whether the process reads or looks at its clock first") {
  for (const bool timers_first : {false, true})
    for (const std::size_t size : {2, 3, 5, 20})
      for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
        CAPTURE(timers_first);
        CAPTURE(size);
        CAPTURE(seed);
        DetectorMesh mesh(size, seed);
        mesh.run_for(10s);
        mesh.pause(1, 3s, timers_first);
        mesh.run_for(15s);
        CHECK(mesh.count_changes(MemberState::unreachable) == 0);
        CHECK(mesh.all_alive());
      }
}

TEST_CASE("detector: a long pause makes a member unreachable, and its end brings it back to all") {
  for (const std::size_t size : {2, 5, 20})
    for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
      CAPTURE(size);
      CAPTURE(seed);
      DetectorMesh mesh(size, seed);
      mesh.run_for(10s);
      mesh.pause(1, 60s, true);
      mesh.run_for(59s);
      CHECK(mesh.all_hold(1, MemberState::unreachable));
      mesh.run_for(6s);
      CHECK(mesh.all_alive());
      CHECK(mesh.count_changes(MemberState::unreachable) == size - 1);  // it accused nobody
    }
}

TEST_CASE("detector: a member that one other cannot reach is not suspected as long as others can") {
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    CAPTURE(seed);
    DetectorMesh mesh(5, seed);
    mesh.carries = [](std::size_t from, std::size_t to) { return !(from + to == 1); };  // 0 and 1
    mesh.run_for(60s);
    CHECK(mesh.count_changes(MemberState::suspect) == 0);
    CHECK(mesh.at(0).counters().indirect_probes > 0);
  }
}

TEST_CASE("detector: both sides of a partition mark the other, and are whole again soon after it heals") {
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    CAPTURE(seed);
    DetectorMesh mesh(9, seed);
    mesh.run_for(5s);
    mesh.carries = [](std::size_t from, std::size_t to) { return (from < 4) == (to < 4); };
    mesh.run_for(30s);
    for (std::size_t i = 0; i < mesh.size(); ++i)
      for (std::size_t j = 0; j < mesh.size(); ++j)
        if (i != j)
          CHECK(mesh.at(i).state_of(DetectorMesh::id_of(j)) ==
                ((i < 4) == (j < 4) ? MemberState::alive : MemberState::unreachable));
    mesh.carries = [](std::size_t, std::size_t) { return true; };
    CHECK(mesh.run_until(20s, [&] { return mesh.all_alive(); }));
    mesh.run_for(30s);
    CHECK(mesh.all_alive());
  }
}

TEST_CASE(
    "detector: 20 % loss makes nobody unreachable for good, and a killed process is still found by all") {
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    CAPTURE(seed);
    DetectorMesh mesh(10, seed);
    Rng loss(seed);
    mesh.carries = [&](std::size_t, std::size_t) { return !loss.chance(0.2); };
    mesh.run_for(60s);
    mesh.kill(3);
    CHECK(mesh.run_until(20s, [&] { return mesh.all_hold(3, MemberState::unreachable); }));
    mesh.carries = [](std::size_t, std::size_t) { return true; };
    CHECK(mesh.run_until(20s, [&] {
      for (std::size_t i = 0; i < mesh.size(); ++i)
        if (i != 3 && !mesh.all_hold(i, MemberState::alive)) return false;
      return true;
    }));
  }
}

TEST_CASE("detector: a goodbye is known at once to who heard it, and soon to who did not") {
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    CAPTURE(seed);
    DetectorMesh mesh(20, seed);
    mesh.run_for(5s);
    mesh.silence(4);
    static_cast<void>(mesh.at(0).on_peer_down(mesh.now(), DetectorMesh::id_of(4), PeerEnd::goodbye));
    CHECK(mesh.at(0).state_of(DetectorMesh::id_of(4)) == MemberState::stopped);
    CHECK(mesh.run_until(4s, [&] { return mesh.all_hold(4, MemberState::stopped); }));
    mesh.run_for(30s);
    CHECK(mesh.all_hold(4, MemberState::stopped));
    mesh.start(4);  // and its next process is welcome
    mesh.link_all(4);
    CHECK(mesh.run_until(2s, [&] { return mesh.all_alive(); }));
    mesh.run_for(30s);
    CHECK(mesh.all_alive());
  }
}

TEST_CASE("detector: no message is longer than its bound, however much there is to say") {
  DetectorMesh mesh(60, 7);
  mesh.run_for(5s);
  for (std::size_t i = 0; i < 30; ++i) mesh.kill(i);
  mesh.run_for(30s);
  for (std::size_t i = 0; i < 30; ++i) CHECK(mesh.all_hold(i, MemberState::unreachable));
  CHECK(mesh.claims_max() <= kSwimClaimsMax);
}
