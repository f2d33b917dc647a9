#pragma once
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
  replace,     ///< its process lost the connection in use, as it would not dial otherwise
  refuse,      ///< the loser of a simultaneous dial
  ask_holder,  ///< another process holds the id: ask it whether it lives
};
/// `own_dial`: this node has a connection of its own to that id in handshake, its HELLO sent.
///
/// Only the smaller id decides which of two simultaneous connections stays: its own, once its HELLO is
/// out. The larger one goes along with both, so they never each drop the other's choice. A connection
/// that began before the one in use was up is the late half of such a pair, not a sign of a loss.
[[nodiscard]] NewcomerVerdict judge_newcomer(const NodeId& self, const NodeId& peer, bool own_dial,
                                             const std::optional<LinkInUse>& in_use,
                                             const Newcomer& newcomer) noexcept;

/// After the holder of an id was asked: it stays while it answers, else the newer boot has the id.
[[nodiscard]] bool newcomer_takes_id(bool holder_answered, const Boot& holder, const Boot& newcomer) noexcept;

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
