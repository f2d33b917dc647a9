#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "cluster/base/bytes.hpp"
#include "cluster/base/result.hpp"

namespace cluster::cli {

/// A file descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int fd = -1) noexcept : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor();
  [[nodiscard]] int get() const noexcept { return fd_; }

 private:
  int fd_;
};

/// What is stored: a file, or standard input, read once from its beginning.
class InputFile {
 public:
  /// "-" is standard input. `io` with the reason.
  [[nodiscard]] static Result<InputFile> open(const std::string& path);
  /// Fills the front of `to`: how many bytes; 0 at the end.
  [[nodiscard]] Result<std::size_t> read(std::span<std::uint8_t> to);
  /// If it can be told before.
  [[nodiscard]] std::optional<std::uint64_t> size() const noexcept { return size_; }

 private:
  InputFile(std::string path, Descriptor owned, int fd, std::optional<std::uint64_t> size)
      : path_(std::move(path)), owned_(std::move(owned)), fd_(fd), size_(size) {}
  std::string path_;
  Descriptor owned_;
  int fd_;
  std::optional<std::uint64_t> size_;
};

/// What is fetched goes to a file beside the target, hidden and for this user only, which takes the target's
/// place once it is complete. If that does not come about it stays, and the next one for the same target and
/// content goes on with it.
class OutputFile {
 public:
  /// `content`: what tells one content from another. `already_exists` if the target does and `replaces` is
  /// false, or if another program is fetching it.
  [[nodiscard]] static Result<OutputFile> open(const std::string& target, ByteView content, bool replaces);

  /// The bytes at this place, if all of them are there.
  [[nodiscard]] Result<std::optional<Bytes>> read(std::uint64_t offset, std::size_t size) const;
  Result<void> write(std::uint64_t offset, ByteView bytes);
  /// It has `size` bytes and is complete: on the disk, under the target's name.
  Result<void> finish(std::uint64_t size);

 private:
  OutputFile(std::string target, std::string folder, std::string hidden, Descriptor file, bool replaces)
      : target_(std::move(target)),
        folder_(std::move(folder)),
        hidden_(std::move(hidden)),
        file_(std::move(file)),
        replaces_(replaces) {}
  [[nodiscard]] bool take_place() const;

  std::string target_, folder_, hidden_;
  Descriptor file_;
  bool replaces_;
};

/// The part of a path behind the last '/'.
[[nodiscard]] std::string base_name(const std::string& path);

}  // namespace cluster::cli
