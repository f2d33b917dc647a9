#include "cluster/proto/ring_records.hpp"

#include <algorithm>

#include "cluster/base/utf8.hpp"
#include "cluster/ds/chash.hpp"

namespace cluster::proto {
namespace {

Error bad(const NodeId& member, const char* what) {
  return Error(Errc::bad_message, "member '" + member.str() + "': " + what);
}

bool in_bounds(WallTime time) noexcept { return time >= WallTime{} && time <= kTimeMax; }

/// What the three registers have in common.
template <class Register>
Result<void> check_edit(const NodeId& member, const Register& edit) {
  if (edit.editor.empty()) return bad(member, "an edit without editor");
  if (edit.count == 0 || edit.count > kCountMax) return bad(member, "a count out of bounds");
  if (!in_bounds(edit.born) || !in_bounds(edit.changed_at) || !in_bounds(edit.replaced_at))
    return bad(member, "a time out of bounds");
  return {};
}

}  // namespace

WallTime last_change(const RingMember& member) noexcept {
  return std::max({member.presence.changed_at, member.weight.changed_at, member.endpoint.changed_at});
}

Result<void> check_endpoint(const Endpoint& endpoint) {
  if (auto host = parse_host(endpoint.host); !host) return std::move(host).error();
  if (endpoint.port == 0) return Error(Errc::invalid_argument, "port 0 is not a port to connect to");
  return {};
}

Result<void> check_weight(std::uint32_t weight) {
  if (weight == 0 || weight > CHash::kWeightMax)
    return Error(Errc::invalid_argument,
                 "weight " + std::to_string(weight) + " is not in 1.." + std::to_string(CHash::kWeightMax));
  return {};
}

Result<void> check_zone(const std::string& zone) {
  if (zone.size() <= CHash::kZoneBytesMax && is_utf8(zone) && !has_control_character(zone)) return {};
  return Error(Errc::invalid_argument, "a zone is at most 255 bytes of UTF-8 without control characters");
}

Result<void> check_ring_id(const std::string& ring) {
  if (NodeId::parse(ring)) return {};
  return Error(Errc::invalid_argument, "a ring id is 1 to 255 bytes of UTF-8 without control characters");
}

Result<void> check(const RingMember& member) {
  if (member.id.empty()) return Error(Errc::bad_message, "a member without id");
  if (auto ok = check_edit(member.id, member.presence); !ok) return ok;
  if (auto ok = check_edit(member.id, member.weight); !ok) return ok;
  if (auto ok = check_edit(member.id, member.endpoint); !ok) return ok;
  if (member.endpoint.boot.number > kCountMax) return bad(member.id, "a boot out of bounds");
  if (member.weight.value != 0)  // that of a node which drains
    if (auto ok = check_weight(member.weight.value); !ok) return bad(member.id, ok.error().message().c_str());
  if (auto ok = check_endpoint(member.endpoint.value); !ok)
    return bad(member.id, ok.error().message().c_str());
  if (auto ok = check_zone(member.endpoint.zone); !ok) return bad(member.id, ok.error().message().c_str());
  if (!in_bounds(member.endpoint.zone_since)) return bad(member.id, "a time out of bounds");
  return {};
}

Result<void> check(const RingDelta& delta) {
  if (delta.members.size() > RingDelta::kMembersMax || delta.ranges.size() > RingDelta::kRangesMax)
    return Error(Errc::too_large, "a delta of " + std::to_string(delta.members.size()) + " members and " +
                                      std::to_string(delta.ranges.size()) + " ranges");
  for (const auto& range : delta.ranges)
    if (range.editor.empty() || range.from >= range.to || range.to > kCountMax)
      return Error(Errc::bad_message, "a range of counts that is empty or out of bounds");
  for (const auto& member : delta.members)
    if (auto ok = check(member); !ok) return ok;
  return {};
}

}  // namespace cluster::proto
