#pragma once
#include <cstddef>
#include <memory>
#include <string>

#include "cluster/base/bytes.hpp"
#include "cluster/base/result.hpp"

namespace cluster {

/// The few things that a store asks of a disk, so that a test can be the disk: full, read-only, or losing
/// power between any two of them. Errors are `io` with the system's text, but where another code is named.
/// Blocking.
class FileSystem {
 public:
  /// A file that is being written. Closed when destroyed.
  class File {
   public:
    virtual ~File() = default;
    /// Appends a part of `bytes` from its front, of at least one byte; returns how many.
    [[nodiscard]] virtual Result<std::size_t> write(ByteView bytes) = 0;
    /// What was written survives a loss of power. After a failure nobody knows what did.
    [[nodiscard]] virtual Result<void> sync() = 0;
  };
  /// Something that is given back when destroyed.
  class Lock {
   public:
    virtual ~Lock() = default;
  };

  virtual ~FileSystem() = default;

  /// Makes a folder that only its owner can enter, and those above it; no effect if it is there.
  [[nodiscard]] virtual Result<void> make_folder(const std::string& path) = 0;
  /// Until the lock is destroyed no other process gets it, nor this one a second time. `already_exists` if
  /// somebody has it.
  [[nodiscard]] virtual Result<std::unique_ptr<Lock>> lock_folder(const std::string& path) = 0;
  /// `not_found` if there is no such file, `too_large` for one of more than `bytes_max`.
  [[nodiscard]] virtual Result<Bytes> read(const std::string& path, std::size_t bytes_max) = 0;
  /// An empty file, in place of an old one of that name, which only its owner can read.
  [[nodiscard]] virtual Result<std::unique_ptr<File>> create(const std::string& path) = 0;
  /// In place of an old `to`, in one step.
  [[nodiscard]] virtual Result<void> replace(const std::string& from, const std::string& to) = 0;
  /// `already_exists` if there is a `to`.
  [[nodiscard]] virtual Result<void> rename(const std::string& from, const std::string& to) = 0;
  [[nodiscard]] virtual Result<void> remove(const std::string& path) = 0;
  /// The names in a folder survive a loss of power.
  [[nodiscard]] virtual Result<void> sync_folder(const std::string& path) = 0;
};

/// The disks of this machine. Thread-safe.
[[nodiscard]] FileSystem& local_disk();

/// Replaces or makes `folder`/`name` in one step: whoever reads it, even after a loss of power at any moment,
/// finds the old content or the new, and after success the new. After a failure it may be either. Uses
/// `name`.new.
[[nodiscard]] Result<void> replace_file(FileSystem& disk, const std::string& folder, const std::string& name,
                                        ByteView content);

}  // namespace cluster
