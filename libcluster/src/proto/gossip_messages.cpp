#include "cluster/proto/gossip_messages.hpp"

#include <algorithm>

namespace cluster::proto {
namespace {

constexpr std::size_t kReasonBytesMax = 1024;

Result<void> check_horizon(WallTime horizon) {
  if (horizon <= kTimeMax) return {};
  return Error(Errc::bad_message, "a time out of bounds");
}

struct GossipChecker {
  Result<void> operator()(const RingDigest& m) const {
    if (auto ok = check_ring_id(m.ring); !ok) return ok;
    return check_horizon(m.horizon);
  }

  Result<void> operator()(const RingClockPart& m) const {
    if (auto ok = check_ring_id(m.ring); !ok) return ok;
    if (auto ok = check_horizon(m.horizon); !ok) return ok;
    if (m.entries.size() > RingClockPart::kEntriesMax)
      return Error(Errc::too_large, "a clock part of " + std::to_string(m.entries.size()) + " entries");
    if (m.after.size() > NodeId::kBytesMax || m.through.size() > NodeId::kBytesMax)
      return Error(Errc::bad_message, "a bound that is no node id");
    for (const auto& entry : m.entries)
      if (entry.editor.empty() || entry.count > kCountMax)
        return Error(Errc::bad_message, "a clock entry out of bounds");
    const auto unordered = [](const ClockEntry& a, const ClockEntry& b) { return !(a.editor < b.editor); };
    if (std::ranges::adjacent_find(m.entries, unordered) != m.entries.end())
      return Error(Errc::bad_message, "clock entries out of order");
    return {};
  }

  Result<void> operator()(const RingClockOutline& m) const {
    if (auto ok = check_ring_id(m.ring); !ok) return ok;
    if (auto ok = check_horizon(m.horizon); !ok) return ok;
    if (m.parts.empty() || m.parts.size() > RingClockOutline::kPartsMax)
      return Error(Errc::bad_message, "an outline of " + std::to_string(m.parts.size()) + " parts");
    std::string_view after;
    for (const auto& part : m.parts) {
      const bool last = &part == &m.parts.back();
      if (part.through.size() > NodeId::kBytesMax || part.through.empty() != last ||
          (!last && part.through <= after))
        return Error(Errc::bad_message, "parts of an outline out of order");
      after = part.through;
    }
    return {};
  }

  Result<void> operator()(const RingUpdate& m) const {
    if (auto ok = check_ring_id(m.ring); !ok) return ok;
    if (m.rounds > RingUpdate::kRoundsMax) return Error(Errc::bad_message, "too many rounds");
    return check(m.delta);
  }

  Result<void> operator()(const RingPull& m) const { return check_ring_id(m.ring); }

  Result<void> operator()(const RingForeign& m) const {
    if (auto ok = check_ring_id(m.asked); !ok) return ok;
    return check_ring_id(m.mine);
  }

  Result<void> operator()(const RingGone& m) const { return check_ring_id(m.ring); }

  Result<void> operator()(const MeetAsk& m) const {
    if (!m.ring.empty())
      if (auto ok = check_ring_id(m.ring); !ok) return ok;
    return check(m.self);
  }

  Result<void> operator()(const MeetAnswer& m) const {
    if (m.text.size() > kReasonBytesMax) return Error(Errc::too_large, "a reason that is too long");
    if (m.refusal != 0) return {};
    if (auto ok = check_ring_id(m.ring); !ok) return ok;
    return check(m.state);
  }

  Result<void> operator()(const LeaveNotice& m) const {
    if (auto ok = check_ring_id(m.ring); !ok) return ok;
    return check(m.edits);
  }

  Result<void> operator()(const LeaveAck&) const { return {}; }
};

}  // namespace

Result<void> check(const GossipMessage& message) { return std::visit(GossipChecker{}, message); }

}  // namespace cluster::proto
