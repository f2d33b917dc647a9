#include "cluster/sim/planted_bugs.hpp"

#include <algorithm>
#include <array>
#include <map>

namespace cluster::sim {
namespace {

using namespace proto;

constexpr auto kTick = std::chrono::microseconds(1);

RingDelta* delta_in(GossipMessage& message) {
  if (auto* update = std::get_if<RingUpdate>(&message)) return &update->delta;
  if (auto* answer = std::get_if<MeetAnswer>(&message)) return &answer->state;
  if (auto* notice = std::get_if<LeaveNotice>(&message)) return &notice->edits;
  return nullptr;
}

/// Takes claims out of a message. False: nothing worth sending is left.
template <class Condition>
bool without_claims(Packet::Message& message, const Condition& condition) {
  auto* detector = std::get_if<DetectorMessage>(&message);
  if (detector == nullptr) return true;
  auto& claims = std::visit([](auto& m) -> SwimClaims& { return m.claims; }, *detector);
  return std::erase_if(claims, condition) == 0 || !claims.empty() ||
         !std::holds_alternative<SwimGossip>(*detector);
}

/// Of two weights the one that arrives last is kept, not the greater.
class LastArrivalWins : public PlantedBug {
 public:
  [[nodiscard]] bool changes_what_arrives() const override { return true; }
  void on_merge(const RingState& held, GossipMessage& message) override {
    auto* delta = delta_in(message);
    if (delta == nullptr) return;
    for (auto& theirs : delta->members) {
      const auto* ours = held.find(theirs.id);
      if (ours != nullptr && ours->weight.born == theirs.weight.born && ours->weight > theirs.weight)
        theirs.weight.changed_at = ours->weight.changed_at + kTick;
    }
  }
};

/// A removal is forgotten as soon as somebody speaks of the member.
class ForgottenTombstones : public PlantedBug {
 public:
  [[nodiscard]] bool changes_what_arrives() const override { return true; }
  void on_merge(const RingState& held, GossipMessage& message) override {
    auto* delta = delta_in(message);
    if (delta == nullptr) return;
    for (auto& theirs : delta->members) {
      const auto* ours = held.find(theirs.id);
      if (ours == nullptr || !ours->presence.removed || theirs.presence.removed) continue;
      theirs.presence.born = theirs.weight.born = theirs.endpoint.born =
          std::max(theirs.presence.born, ours->presence.born + kTick);
    }
  }
};

/// No anti-entropy: what the pushes missed is never found.
class NoDigests : public PlantedBug {
 public:
  bool on_send(std::size_t, Packet::Message& message) override {
    const auto* gossip = std::get_if<GossipMessage>(&message);
    return gossip == nullptr ||
           (!std::holds_alternative<RingDigest>(*gossip) && !std::holds_alternative<RingClockPart>(*gossip) &&
            !std::holds_alternative<RingClockOutline>(*gossip));
  }
};

/// A suspect never objects.
class NoObjections : public PlantedBug {
 public:
  explicit NoObjections(RingCluster& cluster) : cluster_(cluster) {}
  bool on_send(std::size_t from, Packet::Message& message) override {
    return without_claims(message, [&](const SwimClaim& claim) {
      return claim.id == cluster_.id(from) && claim.state == MemberState::alive && claim.incarnation > 0;
    });
  }

 private:
  RingCluster& cluster_;
};

/// Nobody tells others of an unreachable member, and suspicions stay with who has them.
class SilentDetectors : public PlantedBug {
 public:
  bool on_send(std::size_t, Packet::Message& message) override {
    return without_claims(message, [](const SwimClaim& claim) { return claim.state != MemberState::alive; });
  }
};

/// A crash takes what was written in the last ten seconds: nobody called fsync.
class LostWrites : public PlantedBug {
 public:
  explicit LostWrites(RingCluster& cluster) : cluster_(cluster) {}
  void on_second() override {
    if (++seconds_ % 10 != 0) return;
    for (std::size_t place = 0; place < cluster_.size(); ++place)
      if (cluster_.running(place))
        written_.insert_or_assign(place, encode_ring_file(cluster_.at(place).saved()));
  }
  void on_restart(std::size_t place) override {
    if (const auto written = written_.find(place); written != written_.end())
      cluster_.replace_disk(place, written->second);
  }

 private:
  RingCluster& cluster_;
  std::map<std::size_t, Bytes> written_{};
  int seconds_ = 0;
};

/// A restart trusts its clock, which may have been set back, instead of the boot on its disk.
class ForgottenBoot : public PlantedBug {
 public:
  explicit ForgottenBoot(RingCluster& cluster) : cluster_(cluster) {}
  void on_restart(std::size_t place) override { cluster_.forget_boot(place); }

 private:
  RingCluster& cluster_;
};

/// A node believes whoever says that it has the cookie.
class UncheckedProofs : public PlantedBug {
 public:
  explicit UncheckedProofs(RingCluster& cluster) { cluster.links().ignore_proofs(); }
};

/// What is no news any more is passed on all the same.
class EndlessEcho : public PlantedBug {
 public:
  explicit EndlessEcho(RingCluster& cluster) : cluster_(cluster) {}
  [[nodiscard]] bool changes_what_arrives() const override { return true; }
  bool on_receive(std::size_t to, Packet::Message& message) override {
    const auto* gossip = std::get_if<GossipMessage>(&message);
    if (gossip == nullptr || !std::holds_alternative<RingUpdate>(*gossip)) return true;
    std::size_t other = to;
    while (other == to) other = static_cast<std::size_t>(rng_.below(cluster_.size()));
    cluster_.send(to, cluster_.id(other), message);
    return true;
  }

 private:
  RingCluster& cluster_;
  Rng rng_{1};
};

constexpr std::array kBugs{
    PlantedBugName{"merge", "of two weights the one that arrives last is kept", 5},
    PlantedBugName{"tombstone", "a removal is forgotten when somebody speaks of the member", 20},
    PlantedBugName{"digest", "no anti-entropy: what the pushes missed is never found", 5},
    PlantedBugName{"fsync", "a crash takes what was written in the last ten seconds", 25},
    PlantedBugName{"refute", "a suspect never objects", 5},
    PlantedBugName{"spread", "nobody tells others of whom it suspects", 5},
    PlantedBugName{"clock", "a restart trusts its clock instead of the boot on its disk", 40},
    PlantedBugName{"proof", "nobody checks whether the others have the cookie", 20},
    PlantedBugName{"echo", "what is no news any more is passed on all the same", 5},
};

}  // namespace

std::span<const PlantedBugName> planted_bugs() noexcept { return kBugs; }

std::unique_ptr<PlantedBug> plant(std::string_view name, RingCluster& cluster) {
  if (name == "merge") return std::make_unique<LastArrivalWins>();
  if (name == "tombstone") return std::make_unique<ForgottenTombstones>();
  if (name == "digest") return std::make_unique<NoDigests>();
  if (name == "fsync") return std::make_unique<LostWrites>(cluster);
  if (name == "refute") return std::make_unique<NoObjections>(cluster);
  if (name == "spread") return std::make_unique<SilentDetectors>();
  if (name == "clock") return std::make_unique<ForgottenBoot>(cluster);
  if (name == "proof") return std::make_unique<UncheckedProofs>(cluster);
  if (name == "echo") return std::make_unique<EndlessEcho>(cluster);
  return nullptr;
}

}  // namespace cluster::sim
