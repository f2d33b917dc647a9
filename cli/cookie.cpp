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
#include "cluster/proto/access_token.hpp"
#include "cluster/proto/keyring.hpp"

namespace cluster::cli {
namespace {

constexpr std::size_t kSecretBytesMax = 4'096;

Result<std::string> usable(std::string secret, const std::string& source,
                           const std::string& what = "cookie") {
  if (secret.empty()) return Error(Errc::invalid_argument, "the " + what + " from " + source + " is empty");
  return secret;
}

Result<std::string> trimmed(std::string text, const std::string& source, const std::string& what) {
  if (text.size() > kSecretBytesMax)
    return Error(Errc::too_large, "the " + what + " in " + source + " is longer than 4096 bytes");
  text.erase(text.find_last_not_of(" \t\r\n") + 1);
  return usable(std::move(text), source, what);
}

bool is_open_to_others(const struct stat& status) { return (status.st_mode & (S_IRWXG | S_IRWXO)) != 0; }

/// A secret in a file; one that others than its owner can read is warned of.
Result<std::string> read_secret_file(const std::string& path, const std::string& what) {
  struct stat status {};  // a pipe or a device, such as /dev/fd/3, has no readers but those that hold it
  if (::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) && is_open_to_others(status))
    log::warn(what, path, " can be read by others than its owner: chmod 600 ", path);
  std::ifstream file(path, std::ios::binary);
  std::string text(kSecretBytesMax + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (!file.is_open() || file.bad())
    return Error(Errc::io, "cannot read the " + what + " from " + path + ": " + std::strerror(errno));
  text.resize(static_cast<std::size_t>(file.gcount()));
  return trimmed(std::move(text), path, what);
}

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
  return trimmed(std::move(text), source, "cookie");
}

Result<std::string> read_cookie_file(const std::string& path) { return read_secret_file(path, "cookie"); }
Result<std::string> read_token_file(const std::string& path) { return read_secret_file(path, "token"); }

Result<std::string> token_of_cookie(const std::string& cookie) {
  const auto keyring = proto::Keyring::from_cookies({cookie});
  if (!keyring) return keyring.error();
  return proto::access_token(keyring->key(0));
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
