#pragma once
#include <string>

#include "cluster/base/bytes.hpp"

namespace cluster::proto {

/// The bearer token that stands for a key (Keyring::key) where programs talk HTTP to a node: 64 hexadecimal
/// digits. Whoever has it may do there what a holder of the cookie may, and learns nothing of the cookie.
[[nodiscard]] std::string access_token(ByteView key);

}  // namespace cluster::proto
