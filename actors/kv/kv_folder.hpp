#pragma once
#include <cstdint>
#include <memory>
#include <string>

#include "cluster/proto/kv_storage.hpp"

namespace cluster {

/// Records in a folder, by RocksDB. Writes are in the log of the operating system when `write` returns, and
/// on the disk after `sync`. Reads and writes: one thread at a time; `sync`: any.
class KvFolder : public proto::KvStorage {
 public:
  /// `io` or `corrupt` if there is none to be had; `io` also in a build without RocksDB.
  [[nodiscard]] static Result<std::unique_ptr<KvFolder>> open(const std::string& path);

  struct Size {
    std::uint64_t keys = 0;
    std::uint64_t bytes = 0;
  };
  /// About how much there is. Cheap.
  [[nodiscard]] virtual Size size() const = 0;
  /// Blocks until all that was written before is on the disk.
  virtual Result<void> sync() = 0;
};

}  // namespace cluster
