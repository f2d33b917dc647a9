#pragma once
#include <cstdint>
#include <memory>
#include <string>

#include "cluster/proto/kv_storage.hpp"

namespace cluster {

/// Records in a folder, by RocksDB. What is written can be read at once. It is in the log of the operating
/// system after `flush`, all of a turn together, and on the disk after `sync`. Once that failed, so does all
/// that would write. One thread at a time; `sync`: any.
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
  /// Gives the operating system what was written.
  virtual Result<void> flush() = 0;
  /// Blocks until all that was flushed before is on the disk.
  virtual Result<void> sync() = 0;
};

}  // namespace cluster
