#include "cluster/proto/key_file.hpp"

#include <string>
#include <string_view>

#include "cluster/crypto/sha256.hpp"

namespace cluster::proto {
namespace {

constexpr std::string_view kFirstLine = "libcluster keys 1";

Error damaged(const char* how) { return Error(Errc::corrupt, how); }

void add_line(std::string& text, std::string_view word, const std::string& value) {
  text.append(word).append(" ").append(value).append("\n");
}

/// The next line, without its end; nothing if there is no whole one.
std::optional<std::string_view> take_line(std::string_view& text) {
  const auto end = text.find('\n');
  if (end == std::string_view::npos) return std::nullopt;
  const auto line = text.substr(0, end);
  text.remove_prefix(end + 1);
  return line;
}

Result<void> take_key(std::string_view digits, SavedKeys& saved) {
  auto key = from_hex(digits);
  if (!key || key->size() != Keyring::kKeyBytes) return damaged("holds a key that is none");
  if (saved.keys.size() == Keyring::kCookiesMax) return damaged("holds too many keys");
  saved.keys.emplace_back(ByteView(*key));
  crypto::wipe(*key);
  return {};
}

Result<void> take_removed(std::string_view digits, SavedKeys& saved) {
  const auto id = key_id_from(digits);
  if (!id || saved.removed.size() == SavedKeys::kRemovedMax)
    return damaged("holds a fingerprint that is none");
  saved.removed.push_back(*id);
  return {};
}

}  // namespace

Bytes encode_key_file(const SavedKeys& saved) {
  std::string text(kFirstLine);
  text += '\n';
  for (const auto& key : saved.keys) add_line(text, "key", hex(key));
  for (const auto id : saved.removed) add_line(text, "removed", fingerprint(id));
  add_line(text, "sha256", hex(crypto::sha256(as_bytes(text))));
  const auto bytes = as_bytes(text);
  return {bytes.begin(), bytes.end()};
}

Result<SavedKeys> decode_key_file(ByteView file) {
  auto text = as_text(file);
  auto line = take_line(text);
  if (!line || *line != kFirstLine) return damaged("is no key file of this version");
  SavedKeys saved;
  while ((line = take_line(text))) {
    if (line->starts_with("sha256 ")) {
      const auto covered = file.first(file.size() - text.size() - line->size() - 1);
      if (!text.empty() || line->substr(7) != hex(crypto::sha256(covered)))
        return damaged("has a wrong checksum");
      if (saved.keys.empty()) return damaged("holds no key");
      return saved;
    }
    const auto taken = line->starts_with("key ") ? take_key(line->substr(4), saved)
                       : line->starts_with("removed ")
                           ? take_removed(line->substr(8), saved)
                           : Result<void>(damaged("has a line that is none of its own"));
    if (!taken) return taken.error();
  }
  return damaged("is cut off");
}

}  // namespace cluster::proto
