#pragma once
#include <string_view>
#include <vector>

#include "cluster/base/result.hpp"
#include "cluster/proto/key_file.hpp"
#include "cluster/proto/keyring.hpp"

namespace cluster {

inline constexpr std::string_view kKeyFileName = "keys";

/// The keys that this node accepts, as people change them while it runs. A value; not synchronised.
class NodeKeys {
 public:
  NodeKeys() = default;
  /// Of a start: what was saved, and the cookies that the node was started with. Of these one that was
  /// removed stays so, with a warning; one that is new goes first, for somebody wrote it there since.
  NodeKeys(const proto::Keyring& started_with, const proto::SavedKeys& saved);

  [[nodiscard]] const proto::Keyring& keyring() const noexcept { return keyring_; }
  /// As Keyring::with, using_first and without.
  [[nodiscard]] Result<void> add(ByteView key);
  [[nodiscard]] Result<void> use(proto::KeyId id);
  [[nodiscard]] Result<void> remove(proto::KeyId id);
  /// The content of the key file.
  [[nodiscard]] Bytes file() const;

 private:
  proto::Keyring keyring_;
  std::vector<proto::KeyId> removed_;  // the oldest first
};

}  // namespace cluster
