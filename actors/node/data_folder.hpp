#pragma once
#include <memory>
#include <set>
#include <string>
#include <string_view>

#include "cluster/base/result.hpp"
#include "cluster/node/file_system.hpp"

namespace cluster {

/// A node's folder on its disk. One process at a time has it. Files are replaced whole, in one step.
/// Blocking; not synchronised.
class DataFolder {
 public:
  /// Makes the folder if there is none, and locks it. `already_exists` if another process has it; `io` if
  /// there can be none.
  [[nodiscard]] static Result<DataFolder> open(FileSystem& disk, std::string path);

  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  /// `not_found`, `too_large`, or `io`.
  [[nodiscard]] Result<Bytes> read(std::string_view name, std::size_t bytes_max) const;
  /// After success the content survives a loss of power. After a failure the file has the old content or the
  /// new.
  [[nodiscard]] Result<void> write(std::string_view name, ByteView content);
  /// Keeps a file that cannot be used under another name, NAME.bad-1 or the next that is free, and returns
  /// that. Until it has succeeded, `write` tries it again before it takes the file's place.
  Result<std::string> put_aside(std::string_view name);

 private:
  DataFolder(FileSystem& disk, std::string path) : disk_(&disk), path_(std::move(path)) {}
  [[nodiscard]] std::string path_of(std::string_view name) const;

  FileSystem* disk_;
  std::string path_;
  std::unique_ptr<FileSystem::Lock> lock_;
  std::set<std::string, std::less<>> not_aside_;  // bad files that are still in their places
};

}  // namespace cluster
