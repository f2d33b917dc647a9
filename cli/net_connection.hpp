#pragma once
#include <functional>

#include "connection.hpp"
#include "options.hpp"

namespace cluster::cli {

/// Connects to a node over the network, with the cookie that the options lead to. Waits end early when
/// `cancelled` says so.
[[nodiscard]] Connector network_connector(CommonOptions options, Duration timeout,
                                          std::function<bool()> cancelled);

}  // namespace cluster::cli
