#include "cluster/gateway/front.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <utility>

#include "cluster/base/log.hpp"

namespace cluster::gateway {
namespace {

using MaybeRefused = std::optional<Response>;

char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
bool equal_any_case(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, {}, lower, lower);
}
bool starts_any_case(std::string_view text, std::string_view begin) {
  return text.size() >= begin.size() && equal_any_case(text.substr(0, begin.size()), begin);
}

std::string_view trimmed(std::string_view text) noexcept {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

/// Calls `each` for the parts between commas until it says true.
template <class Each>
bool any_of_list(std::string_view list, Each&& each) {
  while (!list.empty()) {
    const auto end = std::min(list.find(','), list.size());
    if (each(trimmed(list.substr(0, end)))) return true;
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return false;
}

Response bad_request(std::string_view message) { return refusal(400, name(Errc::invalid_argument), message); }
Response nothing_here() { return refusal(404, name(Errc::not_found), "there is nothing at this path"); }

/// The host of "host", "host:port", "[::1]:port"; nothing for anything else.
std::optional<std::string_view> host_of(std::string_view authority) {
  const bool bracketed = authority.starts_with('[');
  const auto end = bracketed ? authority.find(']') : std::min(authority.find(':'), authority.size());
  if (end == authority.npos || end == 0) return std::nullopt;
  const auto host = bracketed ? authority.substr(1, end - 1) : authority.substr(0, end);
  auto rest = authority.substr(bracketed ? end + 1 : end);
  if (rest.starts_with(':'))
    rest.remove_prefix(1);
  else if (!rest.empty())
    return std::nullopt;
  const bool is_port =
      rest.size() <= 5 && std::ranges::all_of(rest, [](char c) { return c >= '0' && c <= '9'; });
  return is_port ? std::optional(host) : std::nullopt;
}

bool is_address(const std::string& host) {
  std::array<unsigned char, sizeof(in6_addr)> bytes{};
  return ::inet_pton(AF_INET, host.c_str(), bytes.data()) == 1 ||
         ::inet_pton(AF_INET6, host.c_str(), bytes.data()) == 1;
}

/// The bearer token in an Authorization header; empty if it holds none.
std::string_view bearer_in(std::string_view header) {
  constexpr std::string_view kScheme = "Bearer ";
  return starts_any_case(header, kScheme) ? trimmed(header.substr(kScheme.size())) : std::string_view{};
}

std::string_view bearer_in_protocols(std::string_view list) {
  constexpr std::string_view kPrefix = "bearer.";
  std::string_view found;
  any_of_list(list, [&](std::string_view part) {
    if (!part.starts_with(kPrefix)) return false;
    found = part.substr(kPrefix.size());
    return true;
  });
  return found;
}

}  // namespace

bool list_has(std::string_view list, std::string_view token) {
  return any_of_list(list, [token](std::string_view part) { return equal_any_case(part, token); });
}

Front::Front(AccessConfig config, Router router, Tokens tokens)
    : config_(std::move(config)), router_(std::move(router)), tokens_(std::move(tokens)) {}

std::variant<const Route*, Response> Front::admit(Head& head) {
  auto& request = head.request;
  if (auto refused = check_form(head)) return *std::move(refused);
  if (auto refused = check_origin(request)) return *std::move(refused);
  if (request.method == Method::options && !request.header("access-control-request-method").empty()) {
    const auto methods = router_.allowed(request.target.path);
    if (methods.empty()) return nothing_here();
    Response preflight{.status = 204, .type = {}};
    preflight.headers = {
        {"Access-Control-Allow-Methods", methods},
        {"Access-Control-Allow-Headers",
         "Authorization, Content-Type, If-Match, If-Modified-Since, If-None-Match, If-Range, "
         "If-Unmodified-Since, Last-Event-ID, Range, X-Cluster-Context"},
        {"Access-Control-Max-Age", "600"}};
    return preflight;
  }
  auto match = router_.find(request.method, request.target.path);
  const bool is_open = match.route != nullptr && match.route->open;
  if (!is_open)
    if (auto refused = check_token(head)) return *std::move(refused);
  if (match.route == nullptr) {
    const auto methods = router_.allowed(request.target.path);
    if (methods.empty()) return nothing_here();
    auto refused = refusal(405, "method_not_allowed", "this path takes " + methods);
    refused.headers.emplace_back("Allow", methods);
    return refused;
  }
  if (auto refused = check_body(head, *match.route)) return *std::move(refused);
  request.captures = std::move(match.captures);
  return match.route;
}

/// What every request must be, whatever it asks for (RFC 9112).
MaybeRefused Front::check_form(Head& head) const {
  auto& request = head.request;
  if (head.version != 10 && head.version != 11)
    return refusal(505, "version_not_supported", "this is HTTP/1.1");
  if (request.count("host") > 1 || (request.count("host") == 0 && head.version == 11))
    return bad_request("a request has one Host header");
  if (request.count("authorization") > 1)
    return bad_request("a request has one Authorization header at most");
  if (const auto encodings = request.count("transfer-encoding"); encodings > 0) {
    if (encodings > 1 || head.version == 10 || head.content_length ||
        !equal_any_case(request.header("transfer-encoding"), "chunked"))
      return bad_request("the body must be sent plain, with its length, or in chunks");
  }
  if (const auto expected = request.header("expect");
      !expected.empty() && !equal_any_case(expected, "100-continue"))
    return refusal(417, "expectation_failed", "only 100-continue can be expected");

  std::string_view target = head.target;
  std::string_view host = request.header("host");
  constexpr std::string_view kScheme = "http://";
  if (starts_any_case(target, kScheme)) {  // the absolute form names the host itself
    const auto authority_end = std::min(target.find_first_of("/?", kScheme.size()), target.size());
    host = target.substr(kScheme.size(), authority_end - kScheme.size());
    target.remove_prefix(authority_end);
    if (host.empty()) return bad_request("the request target names no host");
  }
  if (auto refused = check_host(host)) return refused;
  auto parsed = parse_target(target);
  if (!parsed) return bad_request(parsed.error().message());
  request.target = std::move(*parsed);
  return std::nullopt;
}

/// A page of a name that was made to lead to this machine (DNS rebinding) is not served: names must be known.
MaybeRefused Front::check_host(std::string_view authority) const {
  if (authority.empty()) return std::nullopt;  // HTTP/1.0
  const auto found = host_of(authority);
  if (!found) return bad_request("the Host header is not a host and a port");
  auto host = *found;
  if (host.ends_with('.')) host.remove_suffix(1);
  constexpr std::string_view kBelowLocalhost = ".localhost";
  const bool is_local = equal_any_case(host, "localhost") ||
                        (host.size() > kBelowLocalhost.size() &&
                         equal_any_case(host.substr(host.size() - kBelowLocalhost.size()), kBelowLocalhost));
  const bool is_named = std::ranges::any_of(
      config_.hosts, [&](std::string_view name) { return name == "*" || equal_any_case(name, host); });
  if (is_local || is_named || is_address(std::string(host))) return std::nullopt;
  return refusal(421, "misdirected", "this node is not known under this name (--http-name)");
}

MaybeRefused Front::check_origin(const Request& request) const {
  if (request.count("origin") == 0) return std::nullopt;
  const auto origin = request.header("origin");
  const auto scheme = origin.find("://");
  const bool is_own = request.count("origin") == 1 && scheme != origin.npos &&
                      !request.header("host").empty() &&
                      equal_any_case(origin.substr(scheme + 3), request.header("host"));
  if (is_own || (request.count("origin") == 1 && is_allowed_origin(origin))) return std::nullopt;
  return refusal(403, "forbidden", "pages of this origin may not use this node (--http-cors)");
}

bool Front::is_allowed_origin(std::string_view origin) const {
  return std::ranges::any_of(config_.origins, [&](std::string_view allowed) {
    return allowed == "*" || equal_any_case(allowed, origin);
  });
}

void Front::allow_origin(const Request& request, Response& response) const {
  const auto origin = request.header("origin");
  if (!config_.origins.empty()) response.headers.emplace_back("Vary", "Origin");
  if (origin.empty() || !is_allowed_origin(origin)) return;
  response.headers.emplace_back("Access-Control-Allow-Origin", origin);
  response.headers.emplace_back("Access-Control-Expose-Headers",
                                "Content-Range, ETag, Retry-After, X-Cluster-Context, X-Cluster-TTL");
}

MaybeRefused Front::check_token(const Head& head) {
  auto token = bearer_in(head.request.header("authorization"));
  const bool is_absent = token.empty() && head.request.count("authorization") == 0;
  if (is_absent && head.upgrade) token = bearer_in_protocols(head.request.header("sec-websocket-protocol"));
  if (!token.empty() && tokens_.accept(token)) return std::nullopt;
  ++unauthorized_;
  static log::Limit lines;
  if (!token.empty())
    log::limited(lines, log::Level::warn, "http", "a request with a wrong token was refused");
  auto refused =
      refusal(401, "unauthorized",
              token.empty() ? "a token is needed: 'Authorization: Bearer TOKEN' ('cluster-cli token')"
                            : "the token is wrong");
  refused.headers.emplace_back("WWW-Authenticate", token.empty()
                                                       ? "Bearer realm=\"cluster\""
                                                       : "Bearer realm=\"cluster\", error=\"invalid_token\"");
  return refused;
}

MaybeRefused Front::check_body(const Head& head, const Route& route) const {
  if (!head.has_body()) return std::nullopt;
  if (const auto encoding = head.request.list("content-encoding");
      !encoding.empty() && !equal_any_case(encoding, "identity")) {
    auto refused =
        refusal(415, "unsupported_media_type", "a body is taken as it is, without Content-Encoding");
    refused.headers.emplace_back("Accept-Encoding", "identity");
    return refused;
  }
  if (route.intake) return std::nullopt;
  if (route.body_bytes_max == 0) return bad_request("no body is taken here");
  if (head.content_length.value_or(0) > route.body_bytes_max)
    return refusal(413, name(Errc::too_large),
                   "the body is larger than " + std::to_string(route.body_bytes_max) + " bytes");
  if (!route.json_body) return std::nullopt;
  const auto type = head.request.header("content-type");
  const auto media = trimmed(type.substr(0, std::min(type.find(';'), type.size())));
  if (equal_any_case(media, "application/json")) return std::nullopt;
  return refusal(415, "unsupported_media_type", "the body must be application/json");
}

}  // namespace cluster::gateway
