#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/base/endpoint.hpp"
#include "cluster/base/node_id.hpp"
#include "cluster/base/result.hpp"
#include "cluster/wire/value.hpp"

namespace cluster::proto {

/// One command to a node, as it travels to the server named `command` (event `run`). The server
/// checks it again with `check`: clients are not only ours.
struct CommandRequest {
  std::string name;
  std::vector<std::string> args{};        ///< in the order of the command's usage, as text, without the JSON
  bool force = false;                     ///< -f
  std::optional<std::uint32_t> weight{};  ///< -w, 1..65535
  bool wait = false;                      ///< answer only when the whole ring has the change
  std::uint32_t timeout_ms = 0;           ///< how long the client waits for the answer; 0: 10 s
  bool follow = false;                    ///< of `events`: answer when there are any
  wire::Value payload{};                  ///< the message of `call` and `cast`; nil: one without fields
  std::optional<std::uint32_t> for_ms{};  ///< --for: how long a drill cuts, kDrillCutMin to kDrillCutMax

  bool trace = false;      ///< of `chord lookup`: whom it went over
  bool recursive = false;  ///< of `chord lookup`: each node hands it on
  std::string format{};    ///< of `chord graph`: "dot", "svg", or JSON; of `kv get`: "raw", or JSON

  std::uint64_t ttl_ms = 0;              ///< of `kv put`: --ttl; 0: for ever
  bool if_absent = false;                ///< of `kv put`
  bool if_unchanged = false;             ///< of `kv put` and `kv del`, with a context
  std::optional<std::string> context{};  ///< of the read before, as `kv get` shows it; empty: of none

  /// --drain-timeout: for how long who leaves or is removed hands over first; none: kDrainMs. With `follow`
  /// the answer after a second may be {"draining": true, "drain": id, "left": n, "text": text}: ask again
  /// within 10 s, with that `drain`.
  std::optional<std::uint32_t> drain_ms{};
  std::uint64_t drain = 0;

  static constexpr std::string_view event = "run";
  using reply = wire::Value;  ///< {"ok": true, "data": ...} or {"ok": false, "error": {...}}

  friend bool operator==(const CommandRequest&, const CommandRequest&) = default;
};

/// The bounds of a member's weight.
inline constexpr std::uint32_t kWeightMin = 1;
inline constexpr std::uint32_t kWeightMax = 65'535;

inline constexpr std::uint32_t kDrainMs = 60'000;
inline constexpr std::uint32_t kDrainMsMax = 3'600'000;

/// A weight from decimal text, `kWeightMin` to `kWeightMax`.
[[nodiscard]] Result<std::uint32_t> parse_weight(std::string_view text);

/// A decimal number, 0 to 2^64 - 1.
[[nodiscard]] Result<std::uint64_t> parse_number(std::string_view text);

/// `word` is the argument itself, written as its name.
enum class ArgKind : std::uint8_t {
  word,
  node_id,
  host,
  port,
  endpoint,
  weight,
  ring,
  server,
  event,
  number,
  json,
  fingerprint,
  sides,
  text
};

struct Arg {
  std::string_view name;  ///< as the usage line shows it
  ArgKind kind;
  bool optional = false;
};

/// One way to write a command's arguments; a command with several tells them apart by their number, or by the
/// word that they begin with.
struct Form {
  std::vector<Arg> args{};
  bool repeated = false;  ///< the whole form, one or more times
  bool rest = false;      ///< the last argument may come as several words, and is those with spaces between
};

enum class RunsAt : std::uint8_t {
  here,    ///< in the CLI itself, without a node
  kernel,  ///< by the node's network kernel, whatever its actors do
  server,  ///< by the CommandServer
};

struct Command {
  std::string_view name;
  std::vector<Form> forms{};
  bool takes_force = false;
  bool takes_weight = false;
  bool takes_wait = false;
  bool takes_follow = false;
  bool takes_for = false;
  bool takes_drain = false;        ///< --drain-timeout, unless forced
  bool takes_chord_flags = false;  ///< --trace, --recursive, --dot, --svg
  bool takes_kv_flags = false;     ///< --ttl, --if-absent, --if-unchanged, --context, --raw
  bool changes_ring = false;
  RunsAt runs_at = RunsAt::server;
  std::string_view summary{};  ///< one line
  std::string_view details{};  ///< more for `help COMMAND`; may be empty
};

/// All commands, in the order in which help lists them.
[[nodiscard]] std::span<const Command> commands();
/// Null if there is no such command.
[[nodiscard]] const Command* find_command(std::string_view name);
/// "insert ID HOST PORT [-f] [-w WEIGHT] [--wait]"; several forms are joined with " | ".
[[nodiscard]] std::string usage(const Command& command);
/// What an error says of usage: of a command with many forms that of `form` alone, which may be null.
[[nodiscard]] std::string usage_near(const Command& command, const Form* form);
/// The list of all commands, or one command in full (an error names the nearest command).
[[nodiscard]] std::string help_overview();
[[nodiscard]] Result<std::string> help_for(std::string_view name);

/// Whether the command exists, takes these flags, and each argument is what it should be. Returns
/// the request in its normal form: the WEIGHT of `update` and `plan` is in `weight`, `meet HOST:PORT` is HOST
/// PORT.
[[nodiscard]] Result<CommandRequest> check(CommandRequest request);

/// "SERVER" or "SERVER@NODE", as in refs: what follows the first '@' is the node.
struct ServerAddress {
  std::string server;
  std::optional<NodeId> node;
};
[[nodiscard]] Result<ServerAddress> parse_server_address(std::string_view text);

/// A member as commands name it.
struct MemberAddress {
  NodeId id;
  Endpoint endpoint;
  friend bool operator==(const MemberAddress&, const MemberAddress&) = default;
};
/// Whether `args` has the form ID HOST PORT, once or more often.
[[nodiscard]] bool are_triples(std::span<const std::string> args);
/// The members in checked `args` of the form ID HOST PORT, once or more often.
[[nodiscard]] std::vector<MemberAddress> triples(std::span<const std::string> args);

}  // namespace cluster::proto
