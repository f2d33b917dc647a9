#include <algorithm>
#include <array>
#include <optional>

#include "cluster/base/utf8.hpp"
#include "cluster/gateway/http.hpp"

namespace cluster::gateway {
namespace {

constexpr std::size_t kParametersMax = 64;

Error bad(std::string_view what) { return {Errc::invalid_argument, std::string(what)}; }

int hex_digit(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

Result<std::string> decoded(std::string_view text, bool plus_is_space) {
  std::string plain;
  plain.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      plain += plus_is_space && text[i] == '+' ? ' ' : text[i];
      continue;
    }
    const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
    const int low = high >= 0 ? hex_digit(text[i + 2]) : -1;
    if (low < 0) return bad("a '%' of the request target is not followed by two hexadecimal digits");
    plain += static_cast<char>(high * 16 + low);
    i += 2;
  }
  if (!is_utf8(plain)) return bad("the request target is not UTF-8");
  if (has_control_character(plain)) return bad("the request target holds control characters");
  return plain;
}

Result<std::vector<std::string>> parse_path(std::string_view path) {
  std::vector<std::string> segments;
  while (!path.empty()) {
    path.remove_prefix(1);  // the slash
    const auto end = std::min(path.find('/'), path.size());
    auto segment = decoded(path.substr(0, end), false);
    if (!segment) return std::move(segment).error();
    if (*segment == "." || *segment == "..") return bad("'.' and '..' are no names in a path");
    segments.push_back(std::move(*segment));
    path.remove_prefix(end);
  }
  if (segments.size() == 1 && segments.front().empty()) segments.clear();
  return segments;
}

Result<Pairs> parse_query(std::string_view query) {
  Pairs parameters;
  while (!query.empty()) {
    const auto end = std::min(query.find('&'), query.size());
    const auto parameter = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    if (parameter.empty()) continue;
    if (parameters.size() == kParametersMax) return bad("the query has too many parameters");
    const auto equals = std::min(parameter.find('='), parameter.size());
    auto key = decoded(parameter.substr(0, equals), true);
    if (!key) return std::move(key).error();
    auto value = decoded(parameter.substr(std::min(equals + 1, parameter.size())), true);
    if (!value) return std::move(value).error();
    parameters.emplace_back(std::move(*key), std::move(*value));
  }
  return parameters;
}

}  // namespace

Result<Target> parse_target(std::string_view text) {
  if (text.empty() || text.front() != '/') return bad("the request target does not begin with '/'");
  const bool is_plain = std::ranges::all_of(text, [](char c) { return c > ' ' && c < '\x7f' && c != '#'; });
  if (!is_plain) return bad("the request target holds characters that must be percent-encoded");
  const auto question = std::min(text.find('?'), text.size());
  auto path = parse_path(text.substr(0, question));
  if (!path) return std::move(path).error();
  auto query = parse_query(text.substr(std::min(question + 1, text.size())));
  if (!query) return std::move(query).error();
  return Target{std::move(*path), std::move(*query)};
}

}  // namespace cluster::gateway
