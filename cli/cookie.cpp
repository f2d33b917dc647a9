#include "cookie.hpp"

#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "cluster/base/bytes.hpp"
#include "cluster/base/log.hpp"
#include "cluster/crypto/random.hpp"

namespace cluster::cli {
namespace {

constexpr std::size_t kCookieBytesMax = 4'096;

Result<std::string> usable(std::string cookie, const std::string& source) {
  if (cookie.empty()) return Error(Errc::invalid_argument, "the cookie from " + source + " is empty");
  return cookie;
}

bool is_open_to_others(const struct stat& status) { return (status.st_mode & (S_IRWXG | S_IRWXO)) != 0; }

Result<std::string> read_home_cookie(const std::string& path, const struct stat& status) {
  if (is_open_to_others(status))
    return Error(Errc::invalid_argument, path + " can be read by others than its owner: chmod 600 " + path);
  return read_cookie_file(path);
}

}  // namespace

std::optional<std::string> environment_variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? std::optional<std::string>(value) : std::nullopt;
}

Result<std::string> cookie_from_text(std::string text, const std::string& source) {
  if (text.size() > kCookieBytesMax)
    return Error(Errc::too_large, "the cookie in " + source + " is longer than 4096 bytes");
  text.erase(text.find_last_not_of(" \t\r\n") + 1);
  return usable(std::move(text), source);
}

Result<std::string> read_cookie_file(const std::string& path) {
  struct stat status {};  // a pipe or a device, such as /dev/fd/3, has no readers but those that hold it
  if (::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) && is_open_to_others(status))
    log::warn("cookie", path, " can be read by others than its owner: chmod 600 ", path);
  std::ifstream file(path, std::ios::binary);
  std::string text(kCookieBytesMax + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (!file.is_open() || file.bad())
    return Error(Errc::io, "cannot read the cookie from " + path + ": " + std::strerror(errno));
  text.resize(static_cast<std::size_t>(file.gcount()));
  return cookie_from_text(std::move(text), path);
}

Result<std::string> find_cookie(const CookieSources& sources) {
  if (sources.key) return usable(*sources.key, "-a");
  if (sources.file) return read_cookie_file(*sources.file);
  if (const auto value = sources.environment("CLUSTER_COOKIE")) return usable(*value, "CLUSTER_COOKIE");
  if (const auto home = sources.environment("HOME")) {
    const auto path = *home + "/.cluster.cookie";
    struct stat status {};
    if (::stat(path.c_str(), &status) == 0) return read_home_cookie(path, status);
  }
  return Error(Errc::invalid_argument,
               "no cookie: give -a, --cookie-file, CLUSTER_COOKIE or ~/.cluster.cookie ('keygen' makes one)");
}

std::string make_cookie() {
  std::array<std::uint8_t, 32> bytes{};
  crypto::random_bytes(bytes);
  return base64(bytes);
}

}  // namespace cluster::cli
