#include "cluster/base/error.hpp"

#include <array>
#include <cstddef>
#include <utility>

namespace cluster {
namespace {

// Index = number of the code.
constexpr std::array<std::string_view, 25> kErrcNames{
    "unknown",      "invalid_argument", "bad_message",    "no_server",    "unreachable",  "overloaded",
    "timeout",      "peer_lost",        "handler_failed", "refused",      "would_block",  "would_deadlock",
    "stopped",      "already_exists",   "not_found",      "duplicate_id", "wrong_cookie", "wrong_ring",
    "incompatible", "too_large",        "corrupt",        "io",           "cancelled",    "internal",
    "no_quorum"};
static_assert(kErrcNames.size() == static_cast<std::size_t>(kErrcLast) + 1);

Executed implied(Errc code) noexcept {
  switch (code) {
    case Errc::timeout:
    case Errc::peer_lost:
      return Executed::unknown;
    case Errc::handler_failed:
    case Errc::refused:
      return Executed::yes;
    default:
      return Executed::no;
  }
}

}  // namespace

std::string_view name(Errc code) noexcept {
  const auto i = static_cast<std::size_t>(code);
  return i < kErrcNames.size() ? kErrcNames[i] : kErrcNames[0];
}

Errc errc_from_name(std::string_view name) noexcept {
  for (std::size_t i = 1; i < kErrcNames.size(); ++i)
    if (kErrcNames[i] == name) return static_cast<Errc>(i);
  return Errc::internal;
}

std::string_view name(Executed executed) noexcept {
  switch (executed) {
    case Executed::no:
      return "no";
    case Executed::yes:
      return "yes";
    case Executed::unknown:
      break;
  }
  return "unknown";
}

Error::Error(Errc code, std::string message) : Error(code, std::move(message), implied(code)) {}
Error::Error(Errc code, std::string message, Executed executed)
    : code_(code), executed_(executed), message_(std::move(message)) {}

std::string Error::to_string() const { return std::string(name(code_)) + ": " + message_; }

}  // namespace cluster
