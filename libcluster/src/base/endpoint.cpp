#include "cluster/base/endpoint.hpp"

#include <charconv>
#include <system_error>

#include "cluster/base/utf8.hpp"

namespace cluster {

Result<std::uint16_t> parse_port(std::string_view text) {
  unsigned value = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (fault != std::errc{} || end != text.data() + text.size() || value < 1 || value > 65535)
    return Error(Errc::invalid_argument, "'" + std::string(text) + "' is not a port (1..65535)");
  return static_cast<std::uint16_t>(value);
}

Result<std::string> parse_host(std::string_view text) {
  const bool fits = !text.empty() && text.size() <= 255 && is_utf8(text) && !has_control_character(text) &&
                    text.find_first_of(" []") == std::string_view::npos;
  if (!fits)
    return Error(Errc::invalid_argument, "'" + std::string(text) + "' is not a host name or address");
  return std::string(text);
}

Result<Endpoint> Endpoint::parse(std::string_view text) {
  const Error malformed(Errc::invalid_argument, "'" + std::string(text) + "' is not HOST:PORT");
  std::string_view host;
  std::string_view port;
  if (text.starts_with('[')) {
    const auto close = text.find("]:");
    if (close == std::string_view::npos) return malformed;
    host = text.substr(1, close - 1);
    port = text.substr(close + 2);
  } else {
    const auto colon = text.find(':');
    if (colon == std::string_view::npos) return malformed;
    if (text.find(':', colon + 1) != std::string_view::npos)
      return Error(Errc::invalid_argument,
                   "'" + std::string(text) + "': write an IPv6 address as [ADDRESS]:PORT");
    host = text.substr(0, colon);
    port = text.substr(colon + 1);
  }
  auto checked_host = parse_host(host);
  if (!checked_host) return checked_host.error();
  auto checked_port = parse_port(port);
  if (!checked_port) return checked_port.error();
  return Endpoint{std::move(checked_host).value(), checked_port.value()};
}

std::string Endpoint::to_string() const {
  const bool is_v6 = host.find(':') != std::string::npos;
  return (is_v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

}  // namespace cluster
