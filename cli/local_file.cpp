#include "local_file.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "cluster/crypto/sha256.hpp"

namespace cluster::cli {
namespace {

Error io_error(const std::string& path) { return Error(Errc::io, "'" + path + "': " + std::strerror(errno)); }

Error exists(const std::string& path) {
  return Error(Errc::already_exists, "'" + path + "' exists: -f replaces it");
}

std::string folder_of(const std::string& path) {
  const auto slash = path.rfind('/');
  if (slash == path.npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

/// Whether a file may come to lie at `path`.
Result<void> check_target(const std::string& path, bool replaces) {
  struct stat there {};
  if (::lstat(path.c_str(), &there) != 0) {
    if (errno == ENOENT) return {};
    return io_error(path);
  }
  if (S_ISDIR(there.st_mode)) return Error(Errc::already_exists, "'" + path + "' is a folder: name a file");
  if (!S_ISREG(there.st_mode) && !S_ISLNK(there.st_mode))
    return Error(Errc::already_exists, "'" + path + "' is no file: write to - and redirect it there");
  if (!replaces) return exists(path);
  return {};
}

/// Created with the rights that the user gives to new files.
bool give_usual_rights(int fd) {
  const auto mask = ::umask(0);
  ::umask(mask);
  return ::fchmod(fd, 0666 & ~mask) == 0;
}

}  // namespace

Descriptor::~Descriptor() {
  if (fd_ >= 0) ::close(fd_);
}

std::string base_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

Result<InputFile> InputFile::open(const std::string& path) {
  if (path == "-") return InputFile("standard input", Descriptor(), STDIN_FILENO, std::nullopt);
  Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat about {};
  if (file.get() < 0 || ::fstat(file.get(), &about) != 0) return io_error(path);
  if (S_ISDIR(about.st_mode)) return Error(Errc::io, "'" + path + "' is a folder");
  const auto size = S_ISREG(about.st_mode) ? std::optional(static_cast<std::uint64_t>(about.st_size))
                                           : std::optional<std::uint64_t>();
  const int fd = file.get();
  return InputFile(path, std::move(file), fd, size);
}

Result<std::size_t> InputFile::read(std::span<std::uint8_t> to) {
  std::size_t filled = 0;
  while (filled < to.size()) {
    const auto got = ::read(fd_, to.data() + filled, to.size() - filled);
    if (got == 0) break;
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return io_error(path_);
    filled += static_cast<std::size_t>(got);
  }
  return filled;
}

Result<OutputFile> OutputFile::open(const std::string& target, ByteView content, bool replaces) {
  if (auto free = check_target(target, replaces); !free) return free.error();
  Bytes about(content.begin(), content.end());
  const auto name = base_name(target);
  about.insert(about.end(), name.begin(), name.end());
  const auto folder = folder_of(target);
  const auto hidden = folder + "/.cluster-" + hex(crypto::sha256(about)).substr(0, 16) + ".part";
  Descriptor file(::open(hidden.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600));
  struct stat there {};
  if (file.get() < 0 || ::fstat(file.get(), &there) != 0) return io_error(hidden);
  if (!S_ISREG(there.st_mode) || there.st_uid != ::geteuid() || there.st_nlink != 1)
    return Error(Errc::io, "'" + hidden + "' was not made by this program");
  if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK)
      return Error(Errc::already_exists, "'" + target + "' is being fetched by another program");
    return io_error(hidden);
  }
  return OutputFile(target, folder, hidden, std::move(file), replaces);
}

Result<std::optional<Bytes>> OutputFile::read(std::uint64_t offset, std::size_t size) const {
  Bytes bytes(size);
  std::size_t filled = 0;
  while (filled < size) {
    const auto got =
        ::pread(file_.get(), bytes.data() + filled, size - filled, static_cast<off_t>(offset + filled));
    if (got == 0) return std::optional<Bytes>();
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return io_error(hidden_);
    filled += static_cast<std::size_t>(got);
  }
  return std::optional(std::move(bytes));
}

Result<void> OutputFile::write(std::uint64_t offset, ByteView bytes) {
  while (!bytes.empty()) {
    const auto put = ::pwrite(file_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return io_error(hidden_);
    offset += static_cast<std::uint64_t>(put);
    bytes = bytes.subspan(static_cast<std::size_t>(put));
  }
  return {};
}

/// Where a file system cannot rename without replacing, a second name is given, and the first one taken away.
bool OutputFile::take_place() const {
  if (replaces_) return ::rename(hidden_.c_str(), target_.c_str()) == 0;
  if (::renameat2(AT_FDCWD, hidden_.c_str(), AT_FDCWD, target_.c_str(), RENAME_NOREPLACE) == 0) return true;
  if (errno != EINVAL && errno != ENOSYS) return false;
  return ::link(hidden_.c_str(), target_.c_str()) == 0 && ::unlink(hidden_.c_str()) == 0;
}

Result<void> OutputFile::finish(std::uint64_t size) {
  if (::ftruncate(file_.get(), static_cast<off_t>(size)) != 0 || !give_usual_rights(file_.get()) ||
      ::fsync(file_.get()) != 0)
    return io_error(hidden_);
  if (auto free = check_target(target_, replaces_); !free) return free;
  if (!take_place()) {
    if (errno == EEXIST) return exists(target_);
    return io_error(target_);
  }
  const Descriptor folder(::open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder.get() < 0 || ::fsync(folder.get()) != 0) return io_error(folder_);
  return {};
}

}  // namespace cluster::cli
