#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace cluster::runtime {

/// Why an actor ended, as its monitors and links are told.
struct ExitReason {
  enum class Kind : std::uint8_t {
    normal,         ///< it was done; links ignore it
    shutdown,       ///< asked to stop
    killed,         ///< ended from outside, without a request
    failed,         ///< a callback threw, or the behaviour gave up
    no_process,     ///< it was gone before the monitor or link was made
    no_connection,  ///< its node cannot be reached
  };
  Kind kind = Kind::normal;
  std::string text;

  /// "failed: text", for logs.
  [[nodiscard]] std::string to_string() const;
  friend bool operator==(const ExitReason&, const ExitReason&) = default;
};

/// "normal", "no_process", ...
[[nodiscard]] std::string_view name(ExitReason::Kind kind) noexcept;

}  // namespace cluster::runtime
