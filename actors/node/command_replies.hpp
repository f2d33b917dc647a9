#pragma once
#include <map>
#include <optional>
#include <string_view>
#include <vector>

#include "cluster/base/result.hpp"
#include "cluster/ds/chash.hpp"
#include "cluster/node/failure_detector.hpp"
#include "cluster/node/member_board.hpp"
#include "cluster/proto/command.hpp"
#include "cluster/proto/gossip.hpp"
#include "cluster/runtime/actor_system.hpp"
#include "cluster/wire/value.hpp"

/// What the command server answers; pure, so that the texts are tested without a node.
namespace cluster::replies {

/// {"ok": true}
[[nodiscard]] wire::Value done();
/// {"ok": true, "data": data}
[[nodiscard]] wire::Value answer(wire::Value data);
/// {"ok": false, "error": {"message", "code", "executed"}}
[[nodiscard]] wire::Value failure(const Error& error);
/// `done()` or `failure(...)`.
[[nodiscard]] wire::Value outcome(const Result<void>& result);

/// ["foo", "bar"]
[[nodiscard]] wire::Value ids(const std::vector<NodeId>& nodes);
/// {"id", "host", "port"}, and "zone" if there is one
[[nodiscard]] wire::Value node(const NodeId& id, const Endpoint& endpoint, const std::string& zone = {});
/// [{"id", "host", "port", "zone"?, "state", "incarnation", "boot", "by", "for_ms"}]
[[nodiscard]] wire::Value members(const MemberBoard::View& members, Instant now);
/// {"incarnation", "health", "probes", ...}
[[nodiscard]] wire::Value detector(const DetectorInfo::Answer& info);
/// [{"event", "replies", "fields": [{"name", "type", "optional", "fields"}]}]
[[nodiscard]] wire::Value events(const std::vector<EventInfo>& infos);
/// "'bar' is not defined in this ring."
[[nodiscard]] Error not_in_ring(std::string_view id);
/// "Node already belongs to ring 'ring'"
[[nodiscard]] Error already_in_ring(std::string_view ring);

/// The reply to a checked command that only reads the hash ring: inspect, nodes, get, has, weight, weights,
/// owner, balance, plan. Nothing for all others.
[[nodiscard]] std::optional<wire::Value> from_ring(const proto::CommandRequest& request, const CHash& ring);

/// What a checked command asks of the ring; nothing if it does not change the ring. The arguments of
/// `mremove` may be ids or ID HOST PORT triples; they are triples if they look like it and no HOST or PORT is
/// itself the id of a member, of `ring` or `leaving`.
[[nodiscard]] std::optional<proto::RingCommand> ring_command(const proto::CommandRequest& request,
                                                             const CHash& ring,
                                                             const std::vector<NodeId>& leaving = {});

/// Who is to hand over what it holds before `command` is carried out: who leaves, or is removed while it
/// answers, unless that is forced.
[[nodiscard]] std::vector<NodeId> to_drain(const proto::RingCommand& command, const NodeId& self,
                                           const MemberBoard::View& members);

/// The reply to a change before which members were `asked` to hand over what they hold (true: they had): with
/// a note, and the field `not_handed_over`, if one that had not was gone by then.
[[nodiscard]] wire::Value with_lost(wire::Value reply, const std::map<NodeId, bool>& asked);

}  // namespace cluster::replies
