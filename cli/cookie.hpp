#pragma once
#include <functional>
#include <optional>
#include <string>

#include "cluster/base/result.hpp"

namespace cluster::cli {

/// Where a cookie may come from, in the order in which they are asked.
struct CookieSources {
  std::optional<std::string> key{};   ///< -a
  std::optional<std::string> file{};  ///< --cookie-file
  /// Looks up an environment variable: CLUSTER_COOKIE, and HOME for ~/.cluster.cookie.
  std::function<std::optional<std::string>(const char* name)> environment{};
};

/// The process's own environment.
[[nodiscard]] std::optional<std::string> environment_variable(const char* name);

/// The cookie of the first source that is there. A source that is there and cannot be used (unreadable,
/// empty, or ~/.cluster.cookie readable by others than its owner) is an error, not passed over. Files: at
/// most 4,096 bytes, without the white space at the end.
[[nodiscard]] Result<std::string> find_cookie(const CookieSources& sources);

/// The cookie in a file; one that others than its owner can read is warned of.
[[nodiscard]] Result<std::string> read_cookie_file(const std::string& path);
/// The cookie in what somebody typed or piped in: without the white space at the end.
[[nodiscard]] Result<std::string> cookie_from_text(std::string text, const std::string& source);

/// The bearer token in a file, read as a cookie is. Whether it is one, the gateway says.
[[nodiscard]] Result<std::string> read_token_file(const std::string& path);
/// The bearer token of this cookie: what a node that has it accepts over HTTP. Takes about 40 ms (scrypt).
[[nodiscard]] Result<std::string> token_of_cookie(const std::string& cookie);

/// A new cookie: 256 random bits as base64.
[[nodiscard]] std::string make_cookie();

}  // namespace cluster::cli
