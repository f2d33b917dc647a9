#include "cluster/node/node_keys.hpp"

#include <algorithm>

#include "cluster/base/log.hpp"

namespace cluster {

NodeKeys::NodeKeys(const proto::Keyring& started_with, const proto::SavedKeys& saved)
    : removed_(saved.removed) {
  if (saved.keys.empty()) {
    keyring_ = started_with;
    return;
  }
  for (const auto& key : saved.keys)
    if (auto more = keyring_.with(key)) keyring_ = std::move(more).value();
  for (std::size_t i = 0; i < started_with.size(); ++i) {
    const auto id = started_with.id(i);
    if (keyring_.has(id)) continue;
    if (std::ranges::find(removed_, id) != removed_.end()) {
      log::warn("keyring", "a cookie that this node was started with was removed ('key remove ",
                proto::fingerprint(id),
                "'): it is not accepted; the one in its place should be where this one was found");
      continue;
    }
    auto more = keyring_.with(started_with.key(i));
    if (more && i == 0) more = more->using_first(id);
    if (more)
      keyring_ = std::move(more).value();
    else
      log::warn("keyring",
                "a cookie that this node was started with is not accepted: ", more.error().message());
  }
}

Result<void> NodeKeys::add(ByteView key) {
  auto changed = keyring_.with(key);
  if (!changed) return std::move(changed).error();
  keyring_ = std::move(changed).value();
  std::erase(removed_, keyring_.id(keyring_.size() - 1));
  return {};
}

Result<void> NodeKeys::use(proto::KeyId id) {
  auto changed = keyring_.using_first(id);
  if (!changed) return std::move(changed).error();
  keyring_ = std::move(changed).value();
  return {};
}

Result<void> NodeKeys::remove(proto::KeyId id) {
  auto changed = keyring_.without(id);
  if (!changed) return std::move(changed).error();
  keyring_ = std::move(changed).value();
  removed_.push_back(id);
  if (removed_.size() > proto::SavedKeys::kRemovedMax) removed_.erase(removed_.begin());
  return {};
}

Bytes NodeKeys::file() const {
  proto::SavedKeys saved{.keys = {}, .removed = removed_};
  for (std::size_t i = 0; i < keyring_.size(); ++i) saved.keys.emplace_back(keyring_.key(i));
  return proto::encode_key_file(saved);
}

}  // namespace cluster
