#include "cluster/gateway/byte_range.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <optional>

namespace cluster::gateway {
namespace {

/// A decimal number; one that is too large for 64 bits is the largest.
std::optional<std::uint64_t> range_number(std::string_view text) {
  const bool is_number =
      !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
  if (!is_number) return std::nullopt;
  std::uint64_t value = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), value);
  return fault == std::errc{} ? value : ~std::uint64_t{0};
}

std::string_view without_blanks(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

}  // namespace

std::variant<WholeBody, ByteRange, UnsatisfiableRange> requested_range(std::string_view header,
                                                                       std::uint64_t size) {
  constexpr std::string_view kUnit = "bytes=";
  const auto is_unit = [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a - 'A' + 'a' : a) == b; };
  if (!std::ranges::equal(header.substr(0, kUnit.size()), kUnit, is_unit)) return WholeBody{};
  const auto range = without_blanks(header.substr(kUnit.size()));
  const auto dash = range.find('-');
  if (dash == range.npos) return WholeBody{};
  const auto from = range.substr(0, dash);
  const auto to = range.substr(dash + 1);
  const auto first = range_number(from);
  const auto last = range_number(to);
  if (from.empty() && last) {  // the last so many bytes
    if (*last == 0 || size == 0) return UnsatisfiableRange{};
    return ByteRange{size - std::min(*last, size), size - 1};
  }
  if (!first || (!last && !to.empty()) || (last && *last < *first)) return WholeBody{};
  if (*first >= size) return UnsatisfiableRange{};
  return ByteRange{*first, std::min(last.value_or(size - 1), size - 1)};
}

bool has_entity_tag(std::string_view list, std::string_view tag) {
  while (!list.empty()) {
    const auto end = std::min(list.find(','), list.size());
    auto part = without_blanks(list.substr(0, end));
    if (part.starts_with("W/")) part.remove_prefix(2);
    if (part == tag || part == "*") return true;
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return false;
}

std::vector<std::string_view> strong_tags(std::string_view list) {
  std::vector<std::string_view> tags;
  for (std::size_t begin = list.find('"'); begin != list.npos;) {
    const auto end = list.find('"', begin + 1);
    if (end == list.npos) break;
    const bool is_weak = begin >= 2 && list.substr(begin - 2, 2) == "W/";
    if (!is_weak) tags.push_back(list.substr(begin + 1, end - begin - 1));
    begin = list.find('"', end + 1);
  }
  return tags;
}

unsigned status_of_get(std::string_view if_match, std::string_view if_none_match, std::string_view tag) {
  const auto bare = tag.substr(1, tag.size() - 2);
  if (!if_match.empty() && if_match != "*" && std::ranges::count(strong_tags(if_match), bare) == 0)
    return 412;
  return has_entity_tag(if_none_match, tag) ? 304 : 200;
}

unsigned status_of_get(const Request& request, std::string_view tag, WallTime changed) {
  const auto second = std::chrono::floor<std::chrono::seconds>(changed);  // as it is told
  const auto time_in = [&](std::string_view header, std::string_view instead) {
    const bool counts = request.count(header) == 1 && request.count(instead) == 0;
    return counts ? http_time(request.header(header)) : std::nullopt;
  };
  if (const auto since = time_in("if-unmodified-since", "if-match"); since && second > *since) return 412;
  const auto status = status_of_get(request.list("if-match"), request.list("if-none-match"), tag);
  const auto since = time_in("if-modified-since", "if-none-match");
  return status == 200 && since && second <= *since ? 304 : status;
}

std::string percent_encoded(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string encoded;
  for (const char c : text) {
    const bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                          c == '-' || c == '.' || c == '_' || c == '~';
    if (is_plain) {
      encoded += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    encoded += '%';
    encoded += kHex[byte >> 4];
    encoded += kHex[byte & 15];
  }
  return encoded;
}

}  // namespace cluster::gateway
