#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/base/node_id.hpp"
#include "cluster/base/result.hpp"
#include "cluster/base/time.hpp"
#include "cluster/sim/network.hpp"

/// Faults as people write them, and back: `30%|70%@60s..90s`, `A,B>C@10s..20s`, `3@10s..25s`, `7:100@5s..9s`.
namespace cluster::sim {

/// Some nodes: by place, or the next share of those that no share before has named.
struct Nodes {
  std::vector<std::size_t> places{};
  double share = 0;  ///< 0..1; 0: by place
};

/// From `from`, until `until` (no time: to the end).
struct Fault {
  enum class Kind : std::uint8_t {
    partition,  ///< messages between the groups are lost
    one_way,    ///< messages of the first group to the second are lost
    kill,       ///< as kill -9; `until`: started again
    wipe,       ///< the same, and the disk is gone
    stop,       ///< as SIGTERM
    pause,      ///< as SIGSTOP and SIGCONT
    slow,       ///< messages are handled `factor` times 1 ms after they arrived
    clock,      ///< the wall clock jumps by `jump`
    reset,      ///< all connections break, also those in handshake
  };
  Kind kind = Kind::kill;
  std::vector<Nodes> groups{};  ///< of a partition two or more, else one
  Duration from{};
  std::optional<Duration> until{};
  double factor = 1;
  Duration jump{};

  /// The name of its option and the option's value, as the parsers take it.
  [[nodiscard]] std::string option() const;
  [[nodiscard]] std::string text() const;
  /// The places of each group in a cluster of so many. Places beyond are left out.
  [[nodiscard]] std::vector<std::vector<std::size_t>> resolve(std::size_t nodes) const;
  /// Whether what it does is never undone without being told to.
  [[nodiscard]] bool stays() const noexcept;
  [[nodiscard]] Duration end() const { return until.value_or(from); }
};

/// How late a slow node of factor 1 handles a message.
inline constexpr Duration kSlowUnit = 1ms;

/// `1500us`, `200ms`, `10s`, `2m`, `1h`, and sums of them: `1m30s`. A bare number is seconds.
[[nodiscard]] Result<Duration> parse_duration(std::string_view text);
[[nodiscard]] std::string to_text(Duration duration);
/// A share or a rate as an option takes it.
[[nodiscard]] std::string plain_text(double number);
/// A node's place from its name: `17`, `n17`, or a letter: `A` is place 0.
[[nodiscard]] Result<std::size_t> parse_place(std::string_view text);
/// `n17`; in clusters of at most 26 nodes a letter.
[[nodiscard]] NodeId node_name(std::size_t place, std::size_t nodes);

/// GROUP|GROUP...@FROM[..UNTIL] or GROUP>GROUP@...; a group is nodes, ranges of places and one share, with
/// commas.
[[nodiscard]] Result<Fault> parse_partition(std::string_view text);
/// NODES@FROM[..UNTIL] of `kind`; a pause also as NODES@FROM+SPAN; a reset takes no time.
[[nodiscard]] Result<Fault> parse_fault(Fault::Kind kind, std::string_view text);
/// NODES:FACTOR[@FROM[..UNTIL]]
[[nodiscard]] Result<Fault> parse_slow(std::string_view text);
/// NODES:JUMP@FROM; the jump may have a sign: `3:-90s@20s`.
[[nodiscard]] Result<Fault> parse_clock(std::string_view text);
/// `5ms`, `1ms..10ms`, `normal:10ms,3ms`, `lognormal:10ms,0.5`.
[[nodiscard]] Result<Latency> parse_latency(std::string_view text);
[[nodiscard]] std::string to_text(const Latency& latency);

}  // namespace cluster::sim
