#include "cluster/node/data_folder.hpp"

#include <utility>

#include "cluster/base/log.hpp"

namespace cluster {
namespace {

constexpr int kBadFilesMax = 1'000;

}  // namespace

Result<DataFolder> DataFolder::open(FileSystem& disk, std::string path) {
  DataFolder folder(disk, std::move(path));
  if (auto made = disk.make_folder(folder.path_); !made) return std::move(made).error();
  auto lock = disk.lock_folder(folder.path_);
  if (lock)
    folder.lock_ = std::move(lock).value();
  else if (lock.error().code() == Errc::already_exists)
    return std::move(lock).error();
  else  // a network disk without locks, perhaps
    log::warn("disk", lock.error().message(), "; nothing keeps another process from using it too");
  return folder;
}

Result<Bytes> DataFolder::read(std::string_view name, std::size_t bytes_max) const {
  return disk_->read(path_of(name), bytes_max);
}

Result<void> DataFolder::write(std::string_view name, ByteView content) {
  if (not_aside_.contains(name))
    if (auto aside = put_aside(name); !aside) return std::move(aside).error();
  return replace_file(*disk_, path_, std::string(name), content);
}

Result<std::string> DataFolder::put_aside(std::string_view name) {
  not_aside_.emplace(name);
  for (int number = 1; number <= kBadFilesMax; ++number) {
    auto aside = std::string(name) + ".bad-" + std::to_string(number);
    const auto renamed = disk_->rename(path_of(name), path_of(aside));
    if (renamed) {
      not_aside_.erase(not_aside_.find(name));
      return aside;
    }
    if (renamed.error().code() != Errc::already_exists) return renamed.error();
  }
  return Error(Errc::io, "there are " + std::to_string(kBadFilesMax) + " bad files in " + path_ + " already");
}

std::string DataFolder::path_of(std::string_view name) const { return path_ + '/' + std::string(name); }

}  // namespace cluster
