#pragma once
#include <string_view>

/// The files that the gateway serves, built in (pages.cpp.in).
namespace cluster::gateway::pages {

extern const std::string_view index_html;
extern const std::string_view openapi_json;

}  // namespace cluster::gateway::pages
