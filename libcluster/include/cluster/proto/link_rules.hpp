#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "cluster/base/node_id.hpp"
#include "cluster/base/rng.hpp"
#include "cluster/base/time.hpp"

/// The decisions about connections between nodes, apart from the sockets that they are about.
namespace cluster::proto {

/// The connection in use to a peer, as the rules see it.
struct LinkInUse {
  Boot boot;
  std::uint64_t up_since = 0;  ///< on the counter that also numbers connections when they begin
};
/// A connection whose dialler has just proven that it is `boot` of the same id.
struct Newcomer {
  Boot boot;
  std::uint64_t begun = 0;
};

enum class NewcomerVerdict : std::uint8_t {
  accept,      ///< nothing in its way
  refuse,      ///< the loser of a simultaneous dial
  ask_holder,  ///< the id is held: ask over the connection in use whether it still is
};
/// `own_dial`: this node has a connection of its own to that id in handshake, its HELLO sent.
///
/// Only the smaller id decides which of two simultaneous connections stays: its own, once its HELLO is
/// out. The larger one goes along with both, so they never each drop the other's choice. A connection
/// that began before the one in use was up is the late half of such a pair, not a sign of a loss.
[[nodiscard]] NewcomerVerdict judge_newcomer(const NodeId& self, const NodeId& peer, bool own_dial,
                                             const std::optional<LinkInUse>& in_use,
                                             const Newcomer& newcomer) noexcept;

/// After the holder of an id was asked: it stays while it answers. Else its process has lost the connection,
/// if the boots are the same, or the newer boot has the id. A holder's boot that is more than kAheadMax ahead
/// of the clock here is a lie, and older than any.
[[nodiscard]] bool newcomer_takes_id(bool holder_answered, const Boot& holder, const Boot& newcomer,
                                     WallTime wall) noexcept;

/// Whether another living process has the id of this one, to which nodes say so by their keyed refusals
/// (`refusals` of them, the last one included) while others have connections to it (`links`). A few that lie,
/// or that somebody lied to, end nobody.
[[nodiscard]] constexpr bool id_is_taken(std::size_t refusals, std::size_t links) noexcept {
  return refusals >= std::max<std::size_t>(links, 1);
}

/// Which links a ring keeps. Up to `mesh_max` members: all. Above: each pair of members by chance, the same
/// at both ends and at every node, so that a member has about 2 ceil(log2 members) of them; the others are
/// opened when there is something to send. A member that comes or goes changes its own links alone, but for
/// one step in eight to twice the size.
///
/// The result is a random graph, connected but for one ring in members^1.9, on which gossip spreads about as
/// fast as on all links. Source: Erdos, Renyi 1959; Fountoulakis, Huber, Panagiotou, INFOCOM 2010. The
/// members that a link is kept to are those to probe, as in Rapid (Suresh et al., ATC 2018).
class LinkPlan {
 public:
  LinkPlan() = default;  ///< all
  LinkPlan(std::size_t members, std::size_t mesh_max) noexcept;
  [[nodiscard]] bool keeps_all() const noexcept { return below_ == kAll; }
  [[nodiscard]] bool keeps(const NodeId& a, const NodeId& b) const noexcept;
  /// Equal plans keep the same links.
  friend bool operator==(const LinkPlan&, const LinkPlan&) = default;

 private:
  static constexpr std::uint64_t kAll = ~std::uint64_t{0};
  std::uint64_t below_ = kAll;  // a pair with a lesser hash keeps its link
};
/// 2 ceil(log2 members).
[[nodiscard]] std::size_t standing_links(std::size_t members) noexcept;
/// ceil(log2 members): a node whose standing links lead to so few that are there looks for others. More than
/// the ln(members) that keep a random graph connected (Erdos, Renyi 1959).
[[nodiscard]] std::size_t links_enough(std::size_t members) noexcept;

/// Waiting times between dials: doubling from `min` to `max`, each shortened at random by up to a half, so
/// that nodes that failed together do not retry together.
class Backoff {
 public:
  Backoff(Duration min, Duration max) noexcept : min_(min), max_(max) {}
  [[nodiscard]] Duration next(Rng& rng) noexcept;
  void reset() noexcept { failures_ = 0; }
  [[nodiscard]] std::uint32_t failures() const noexcept { return failures_; }

 private:
  Duration min_;
  Duration max_;
  std::uint32_t failures_ = 0;
};

}  // namespace cluster::proto
