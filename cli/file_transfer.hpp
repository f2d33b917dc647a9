#pragma once
#include <cstdint>
#include <functional>
#include <string>

#include "cluster/proto/file.hpp"
#include "file_service.hpp"
#include "local_file.hpp"

namespace cluster::cli {

/// Told how many bytes of the file are done with.
using OnProgress = std::function<void(std::uint64_t bytes)>;

struct Transferred {
  proto::FileHead head{};
  std::uint64_t bytes_moved = 0;  ///< of blobs: less if something was there, or is the same
};

/// Stores `input` as `name`, with up to 4 MiB at a time in memory.
[[nodiscard]] Result<Transferred> put_file(FileService& service, InputFile& input, const std::string& name,
                                           const OnProgress& on_progress);

/// Takes the chunks of a file as they come, in order, and says which of them it has already.
class FileTarget {
 public:
  virtual ~FileTarget() = default;
  /// Whether the chunk at `offset` is there; it has been checked.
  [[nodiscard]] virtual Result<bool> has(std::uint64_t offset, std::size_t size,
                                         const proto::FileHash& hash) = 0;
  virtual Result<void> write(std::uint64_t offset, ByteView chunk) = 0;
};

/// Fetches the file of this head. Nothing unchecked gets to the target.
[[nodiscard]] Result<Transferred> get_file(FileService& service, const proto::FileHead& head,
                                           FileTarget& target, const OnProgress& on_progress);

}  // namespace cluster::cli
