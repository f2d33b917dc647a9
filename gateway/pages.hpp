#pragma once
#include <span>
#include <string_view>

/// The files that the gateway serves, built in (pages.cpp.in, dashboard.cmake).
namespace cluster::gateway::pages {

extern const std::string_view index_html;  ///< the list of paths, for people
extern const std::string_view openapi_json;

struct File {
  std::string_view path;   ///< "/assets/index-1f3.js"; "/" is the page itself
  std::string_view type;   ///< for Content-Type
  std::string_view tag;    ///< of the content, for ETag
  bool immutable = false;  ///< its name changes with its content
  std::string_view content;
};
/// The dashboard; none where it was not built.
extern const std::span<const File> dashboard;

}  // namespace cluster::gateway::pages
