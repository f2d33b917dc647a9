#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace cluster {

/// What went wrong, as far as a caller would react differently. The rest is detail text.
/// Numbers travel between nodes: append, never renumber, never reuse.
enum class Errc : std::uint16_t {
  invalid_argument = 1,  ///< the caller's input is malformed or out of bounds
  bad_message = 2,       ///< bytes that do not decode, or an event that the server does not know
  no_server = 3,         ///< no such name or pid at the node
  unreachable = 4,       ///< the node is unknown or cannot be reached now
  overloaded = 5,        ///< a bounded queue or mailbox is full
  timeout = 6,           ///< no answer within the stated time
  peer_lost = 7,         ///< the connection ended after the message was given to it
  handler_failed = 8,    ///< the handler threw
  refused = 9,           ///< the application's own refusal
  would_block = 10,      ///< a blocking call inside a handler
  would_deadlock = 11,   ///< a call to oneself
  stopped = 12,          ///< the server or the node is stopping
  already_exists = 13,   ///< the name or id is taken
  not_found = 14,        ///< the thing asked for does not exist
  duplicate_id = 15,     ///< another living process has this node id
  wrong_cookie = 16,     ///< the proof did not match any key
  wrong_ring = 17,       ///< the node belongs to another ring
  incompatible = 18,     ///< no common protocol version or protection level
  too_large = 19,        ///< over a stated size limit
  corrupt = 20,          ///< a checksum, tag or structure is wrong
  io = 21,               ///< an operating-system error; the text has its name
  cancelled = 22,        ///< taken back before it happened
  internal = 23,         ///< a fault of ours
  no_quorum = 24,        ///< too few members are on this side of a cut, and the partition policy heeds it
};
inline constexpr Errc kErrcLast = Errc::no_quorum;

/// The name of `code` as it appears in JSON and logs, such as "no_server"; "unknown" for numbers out of
/// range.
[[nodiscard]] std::string_view name(Errc code) noexcept;
/// The code with this name; `Errc::internal` if there is none.
[[nodiscard]] Errc errc_from_name(std::string_view name) noexcept;

/// Whether the operation that failed ran.
enum class Executed : std::uint8_t { no = 0, unknown = 1, yes = 2 };
[[nodiscard]] std::string_view name(Executed executed) noexcept;

/// What a failed operation returns: a code to react to, a text to read, and whether it ran.
class Error {
 public:
  /// `executed` defaults to what the code implies: `timeout` and `peer_lost` unknown,
  /// `handler_failed` and `refused` yes, all others no.
  Error(Errc code, std::string message);
  Error(Errc code, std::string message, Executed executed);

  [[nodiscard]] Errc code() const noexcept { return code_; }
  [[nodiscard]] const std::string& message() const noexcept { return message_; }
  [[nodiscard]] Executed executed() const noexcept { return executed_; }
  /// "code: message", for logs.
  [[nodiscard]] std::string to_string() const;

  friend bool operator==(const Error&, const Error&) = default;

 private:
  Errc code_;
  Executed executed_;
  std::string message_;
};

}  // namespace cluster
