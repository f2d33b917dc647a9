#include "cluster/gateway/router.hpp"

#include <algorithm>

#include "cluster/base/assert.hpp"

namespace cluster::gateway {
namespace {

bool is_name(std::string_view segment) noexcept { return segment.starts_with('{') && segment.ends_with('}'); }

/// A name in braces takes no empty segment: "/v1/call//add" is no call.
bool fits(const std::vector<std::string>& pattern, const std::vector<std::string>& path) {
  return std::ranges::equal(pattern, path, [](std::string_view expected, std::string_view segment) {
    return is_name(expected) ? !segment.empty() : expected == segment;
  });
}

}  // namespace

void Router::add(Route route) {
  auto target = parse_target(route.pattern);
  CLUSTER_ASSERT(target.has_value());
  entries_.push_back({std::move(route), std::move(target->path)});
}

Router::Match Router::find(Method method, const std::vector<std::string>& path) const {
  if (method == Method::head) method = Method::get;
  for (const auto& [route, segments] : entries_) {
    if (route.method != method || !fits(segments, path)) continue;
    Match match{&route};
    for (std::size_t i = 0; i < path.size(); ++i)
      if (is_name(segments[i])) match.captures.push_back(path[i]);
    return match;
  }
  return {};
}

std::string Router::allowed(const std::vector<std::string>& path) const {
  std::string methods;
  for (const auto& [route, segments] : entries_) {
    if (!fits(segments, path)) continue;
    if (!methods.empty()) methods += ", ";
    methods += name(route.method);
    if (route.method == Method::get) methods += ", HEAD";
  }
  return methods;
}

}  // namespace cluster::gateway
