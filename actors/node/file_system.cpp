#include "cluster/node/file_system.hpp"

#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

namespace cluster {
namespace {

Error io_error(const std::string& what, int fault) {
  return Error(Errc::io, what + ": " + std::generic_category().message(fault));
}

/// A file descriptor that is closed in the end. A file lock goes with it.
class Descriptor {
 public:
  explicit Descriptor(int number) noexcept : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  [[nodiscard]] int number() const noexcept { return number_; }
  [[nodiscard]] explicit operator bool() const noexcept { return number_ >= 0; }

 private:
  int number_;
};

class LocalFile final : public FileSystem::File {
 public:
  LocalFile(Descriptor file, std::string path) : file_(std::move(file)), path_(std::move(path)) {}

  Result<std::size_t> write(ByteView bytes) override {
    while (true) {
      const ssize_t wrote = ::write(file_.number(), bytes.data(), bytes.size());
      if (wrote > 0) return static_cast<std::size_t>(wrote);
      if (wrote < 0 && errno == EINTR) continue;
      return io_error("cannot write " + path_, wrote < 0 ? errno : EIO);
    }
  }
  Result<void> sync() override {
    if (::fsync(file_.number()) == 0) return {};
    return io_error("cannot sync " + path_, errno);
  }

 private:
  Descriptor file_;
  std::string path_;
};

class LocalLock final : public FileSystem::Lock {
 public:
  explicit LocalLock(Descriptor folder) : folder_(std::move(folder)) {}

 private:
  Descriptor folder_;
};

class LocalDisk final : public FileSystem {
 public:
  Result<void> make_folder(const std::string& path) override {
    struct stat status {};
    if (::stat(path.c_str(), &status) == 0) {
      if (S_ISDIR(status.st_mode)) return {};
      return io_error("cannot use " + path, ENOTDIR);
    }
    std::error_code fault;
    const auto above = std::filesystem::path(path).lexically_normal().parent_path();
    if (!above.empty()) std::filesystem::create_directories(above, fault);
    if (::mkdir(path.c_str(), S_IRWXU) == 0 || errno == EEXIST) return {};
    return io_error("cannot make the folder " + path, errno);
  }

  Result<std::unique_ptr<Lock>> lock_folder(const std::string& path) override {
    // The folder itself is locked: that needs no file, so it works on a disk that is full or read-only.
    Descriptor folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!folder) return io_error("cannot open the folder " + path, errno);
    if (::flock(folder.number(), LOCK_EX | LOCK_NB) == 0)
      return std::unique_ptr<Lock>(std::make_unique<LocalLock>(std::move(folder)));
    if (errno == EWOULDBLOCK) return Error(Errc::already_exists, path + " is in use by another process");
    return io_error("cannot lock " + path, errno);
  }

  Result<Bytes> read(const std::string& path, std::size_t bytes_max) override {
    const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!file && errno == ENOENT) return Error(Errc::not_found, "there is no " + path);
    if (!file) return io_error("cannot open " + path, errno);
    Bytes content;
    constexpr std::size_t kStep = 64 * 1024;
    while (true) {
      const auto have = content.size();
      if (have > bytes_max) return Error(Errc::too_large, path + " is too long");
      content.resize(have + kStep);
      const ssize_t got = ::read(file.number(), content.data() + have, kStep);
      const int fault = errno;
      content.resize(have + static_cast<std::size_t>(got > 0 ? got : 0));
      if (got == 0) return content;
      if (got < 0 && fault != EINTR) return io_error("cannot read " + path, fault);
    }
  }

  Result<std::unique_ptr<File>> create(const std::string& path) override {
    Descriptor file(
        ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR));
    if (!file) return io_error("cannot write " + path, errno);
    if (::fchmod(file.number(), S_IRUSR | S_IWUSR) != 0)  // of an old file, too
      return io_error("cannot protect " + path, errno);
    return std::unique_ptr<File>(std::make_unique<LocalFile>(std::move(file), path));
  }

  Result<void> replace(const std::string& from, const std::string& to) override {
    if (::rename(from.c_str(), to.c_str()) == 0) return {};
    return io_error("cannot rename " + from, errno);
  }

  Result<void> rename(const std::string& from, const std::string& to) override {
    if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return {};
    if (errno == EEXIST) return Error(Errc::already_exists, "there is already a " + to);
    if (errno != EINVAL && errno != ENOSYS) return io_error("cannot rename " + from, errno);
    // A file system without that call: two names for a moment, and never none.
    if (::link(from.c_str(), to.c_str()) != 0) {
      if (errno == EEXIST) return Error(Errc::already_exists, "there is already a " + to);
      return io_error("cannot rename " + from, errno);
    }
    return remove(from);
  }

  Result<void> remove(const std::string& path) override {
    if (::unlink(path.c_str()) == 0) return {};
    return io_error("cannot remove " + path, errno);
  }

  Result<void> sync_folder(const std::string& path) override {
    const Descriptor folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!folder) return io_error("cannot open the folder " + path, errno);
    if (::fsync(folder.number()) == 0) return {};
    return io_error("cannot sync the folder " + path, errno);
  }
};

Result<void> write_whole(FileSystem& disk, const std::string& path, ByteView content) {
  auto file = disk.create(path);
  if (!file) return std::move(file).error();
  while (!content.empty()) {
    const auto wrote = (*file)->write(content);
    if (!wrote) return wrote.error();
    content = content.subspan(*wrote);
  }
  return (*file)->sync();
}

}  // namespace

FileSystem& local_disk() {
  static LocalDisk disk;
  return disk;
}

Result<void> replace_file(FileSystem& disk, const std::string& folder, const std::string& name,
                          ByteView content) {
  const auto path = folder + '/' + name;
  const auto fresh = path + ".new";
  auto done = write_whole(disk, fresh, content);
  if (done) done = disk.replace(fresh, path);
  if (!done) {
    static_cast<void>(disk.remove(fresh));  // a full disk needs the room
    return done;
  }
  return disk.sync_folder(folder);
}

}  // namespace cluster
