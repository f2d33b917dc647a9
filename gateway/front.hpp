#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "cluster/gateway/router.hpp"
#include "cluster/gateway/tokens.hpp"

namespace cluster::gateway {

/// The head of a request as it came, before its body is read.
struct Head {
  Request request{};  ///< method and headers
  std::string target{};
  unsigned version = 11;  ///< 10 or 11 for HTTP/1.0 and 1.1
  std::optional<std::uint64_t> content_length{};
  bool upgrade = false;  ///< asks for a WebSocket

  [[nodiscard]] bool has_body() const noexcept {
    return content_length.value_or(0) > 0 || request.count("transfer-encoding") > 0;
  }
};

struct AccessConfig {
  std::vector<std::string> hosts{};    ///< names in `Host` besides localhost and addresses; "*": any
  std::vector<std::string> origins{};  ///< of pages elsewhere that may use the API (CORS); "*": any
};

/// The doorkeeper: whether a request is to be served, and by which route, before a byte of its body is read.
/// Not synchronised.
class Front {
 public:
  Front(AccessConfig config, Router router, Tokens tokens);

  /// The route, with `target` and `captures` of the request filled in, or why not.
  [[nodiscard]] std::variant<const Route*, Response> admit(Head& head);
  /// What a page from elsewhere needs to see to be given the response by its browser.
  void allow_origin(const Request& request, Response& response) const;

  [[nodiscard]] std::uint64_t unauthorized() const noexcept { return unauthorized_; }

 private:
  [[nodiscard]] std::optional<Response> check_form(Head& head) const;
  [[nodiscard]] std::optional<Response> check_host(std::string_view host) const;
  [[nodiscard]] std::optional<Response> check_origin(const Request& request) const;
  [[nodiscard]] std::optional<Response> check_token(const Head& head);
  [[nodiscard]] std::optional<Response> check_body(const Head& head, const Route& route) const;
  [[nodiscard]] bool is_allowed_origin(std::string_view origin) const;

  AccessConfig config_;
  Router router_;
  Tokens tokens_;
  std::uint64_t unauthorized_ = 0;
};

/// The subprotocol of the event stream; a page offers its token beside it as "bearer.TOKEN", since a browser
/// lets it set no header.
inline constexpr std::string_view kEventsProtocol = "cluster.events.v1";
/// Whether a comma-separated list of tokens holds this one, whatever its case.
[[nodiscard]] bool list_has(std::string_view list, std::string_view token);

}  // namespace cluster::gateway
