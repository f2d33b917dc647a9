#pragma once
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "cluster/base/result.hpp"

namespace cluster {

/// Where a node listens: an IPv4 or IPv6 address or a name, and a TCP port.
struct Endpoint {
  std::string host;
  std::uint16_t port = 0;

  /// From "host:port", "1.2.3.4:7022" or "[::1]:7022". A clear error on anything else.
  [[nodiscard]] static Result<Endpoint> parse(std::string_view text);
  /// The inverse of `parse`; IPv6 addresses are bracketed.
  [[nodiscard]] std::string to_string() const;

  friend auto operator<=>(const Endpoint&, const Endpoint&) = default;
};

/// A TCP port from decimal text, 1..65535.
[[nodiscard]] Result<std::uint16_t> parse_port(std::string_view text);
/// 1..255 bytes of printable UTF-8 without spaces; brackets are not part of a host.
[[nodiscard]] Result<std::string> parse_host(std::string_view text);

}  // namespace cluster
