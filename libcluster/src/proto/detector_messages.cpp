#include "cluster/proto/detector_messages.hpp"

#include <compare>
#include <string>
#include <type_traits>

#include "cluster/proto/ring_records.hpp"

namespace cluster::proto {
namespace {

Result<void> check(const SwimClaim& claim) {
  if (claim.id.empty() || claim.by.empty()) return Error(Errc::bad_message, "a claim that names nobody");
  if (claim.state > MemberState::stopped) return Error(Errc::bad_message, "a state that cannot be claimed");
  if (claim.boot.number > kCountMax || claim.incarnation > kCountMax)
    return Error(Errc::bad_message, "a boot or incarnation out of bounds");
  return {};
}

}  // namespace

std::string_view name(MemberState state) noexcept {
  switch (state) {
    case MemberState::alive:
      return "alive";
    case MemberState::suspect:
      return "suspect";
    case MemberState::unreachable:
      return "unreachable";
    case MemberState::stopped:
      return "stopped";
    case MemberState::left:
      return "left";
    case MemberState::unknown:
      return "unknown";
  }
  return "invalid";
}

std::strong_ordering compare(const SwimClaim& a, const SwimClaim& b) noexcept {
  if (const auto boots = a.boot <=> b.boot; boots != 0) return boots;
  if (const auto incarnations = a.incarnation <=> b.incarnation; incarnations != 0) return incarnations;
  return a.state <=> b.state;
}

Result<void> check(const DetectorMessage& message) {
  return std::visit(
      [](const auto& m) -> Result<void> {
        if constexpr (std::is_same_v<std::decay_t<decltype(m)>, SwimPingReq>)
          if (m.target.empty()) return Error(Errc::bad_message, "a ping_req that names nobody");
        if (m.claims.size() > kSwimClaimsMax)
          return Error(Errc::too_large, std::to_string(m.claims.size()) + " claims in one message");
        for (const auto& claim : m.claims)
          if (auto ok = check(claim); !ok) return ok;
        return {};
      },
      message);
}

}  // namespace cluster::proto
