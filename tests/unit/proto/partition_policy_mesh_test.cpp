// What the two sides of a cut decide, each by what its own failure detectors find, over seeds.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "cluster/proto/partition_policy.hpp"
#include "detector_mesh.hpp"

using namespace cluster;
using namespace cluster::proto;

namespace {

using Kind = PartitionPolicyConfig::Kind;
constexpr std::uint64_t kPolicySeeds = 20;
constexpr Duration kStableAfter = 5s;
/// A node that hears nobody any more doubts itself first (Lifeguard), and so takes longest to find the others
/// silent.
constexpr Duration kDetection = 60s;

/// A policy beside each detector of a ring. Member `i` is the i-th oldest.
class PolicyMesh {
 public:
  PolicyMesh(std::size_t size, std::uint64_t seed, PartitionPolicyConfig config) : mesh_(size, seed) {
    for (std::size_t i = 0; i < size; ++i) policies_.emplace_back(config, DetectorMesh::id_of(i));
  }
  [[nodiscard]] DetectorMesh& mesh() { return mesh_; }

  void run_for(Duration span) {
    for (const auto end = mesh_.now() + span; mesh_.now() < end;) {
      mesh_.run_for(50ms);
      for (std::size_t i = 0; i < mesh_.size(); ++i) {
        const auto actions = policies_[i].on_members(mesh_.now(), members(i));
        for (const auto& action : actions) changes_ += std::holds_alternative<QuorumChanged>(action) ? 1 : 0;
      }
    }
  }
  [[nodiscard]] bool has_quorum(std::size_t i) const { return policies_[i].quorum().found; }
  [[nodiscard]] std::size_t count_with_quorum() const {
    return static_cast<std::size_t>(
        std::ranges::count_if(policies_, [](const auto& policy) { return policy.quorum().found; }));
  }
  [[nodiscard]] std::size_t changes() const { return changes_; }

 private:
  std::vector<PolicyMember> members(std::size_t at) {
    std::vector<PolicyMember> all;
    for (std::size_t i = 0; i < mesh_.size(); ++i)
      all.push_back({.id = DetectorMesh::id_of(i), .boot = {i + 1, 1}, .state = MemberState::alive});
    for (const auto& held : mesh_.at(at).members()) {
      const auto member = std::ranges::find(all, held.id, &PolicyMember::id);
      member->state = held.state;
      member->since = held.since;
    }
    return all;
  }

  DetectorMesh mesh_;
  std::vector<PartitionPolicy> policies_{};
  std::size_t changes_ = 0;
};

}  // namespace

TEST_CASE(
    "policy: of the two sides of any cut at most one goes on once it is known, each side of one mind, and "
    "healed all go on") {
  for (const auto kind : {Kind::keep_majority, Kind::static_quorum, Kind::keep_oldest})
    for (std::uint64_t seed = 0; seed < kPolicySeeds; ++seed) {
      CAPTURE(name(kind));
      CAPTURE(seed);
      Rng rng(seed);
      const auto size = static_cast<std::size_t>(2 + rng.below(8));
      std::vector<bool> west(size);
      for (std::size_t i = 0; i < size; ++i) west[i] = rng.below(2) == 0;
      west[static_cast<std::size_t>(rng.below(size))] = true;
      west[static_cast<std::size_t>(std::ranges::find(west, true) - west.begin() + 1) % size] = false;

      PolicyMesh ring(size, seed, {.kind = kind, .quorum = size / 2 + 1, .stable_after = kStableAfter});
      ring.run_for(10s);
      CHECK(ring.count_with_quorum() == size);
      const auto before = ring.changes();
      ring.mesh().carries = [&west](std::size_t from, std::size_t to) { return west[from] == west[to]; };
      ring.run_for(kDetection + kStableAfter);

      std::size_t with[2] = {0, 0};
      for (std::size_t i = 0; i < size; ++i) with[west[i] ? 1 : 0] += ring.has_quorum(i) ? 1 : 0;
      const auto wests = static_cast<std::size_t>(std::ranges::count(west, true));
      CHECK((with[1] == 0 || with[1] == wests));
      CHECK((with[0] == 0 || with[0] == size - wests));
      CHECK((with[0] == 0 || with[1] == 0));
      if (kind == Kind::keep_majority) CHECK(with[0] + with[1] > 0);
      CHECK(ring.changes() - before == size - ring.count_with_quorum());  // nobody changed its mind twice

      ring.mesh().carries = [](std::size_t, std::size_t) { return true; };
      CHECK(ring.mesh().run_until(60s, [&] { return ring.mesh().all_alive(); }));
      ring.run_for(kStableAfter + 100ms);
      CHECK(ring.count_with_quorum() == size);
    }
}
