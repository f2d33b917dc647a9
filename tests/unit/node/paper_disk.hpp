#pragma once
#include <algorithm>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cluster/node/file_system.hpp"

namespace cluster::testing {

/// A disk of paper: what processes see, and what would be left if the power failed now. Each step of an
/// operation may be made to fail, or to be the last one before the crash.
///
/// After a loss of power a file that was not synced has any part of its content, and of the changes of names
/// since the last sync of the folder any number from the first on has happened.
class PaperDisk final : public FileSystem {
 public:
  using Content = std::shared_ptr<Bytes>;
  using Names = std::map<std::string, Content>;

  /// Thrown instead of a step: the power is gone.
  struct PowerFailed {};

  std::function<std::optional<Error>(const std::string& step)> fault{};  ///< asked before each step
  std::size_t write_bytes_max = 7;  ///< a write takes no more, so there are several
  std::size_t steps = 0;
  std::size_t steps_max = static_cast<std::size_t>(-1);  ///< then the power fails

  /// The names that the disk may have after a crash now, one set for each number of changes that happened.
  [[nodiscard]] std::vector<Names> after_crash(std::size_t bytes_kept_of_unsynced) const {
    std::vector<Names> all;
    for (std::size_t happened = 0; happened <= changes_.size(); ++happened) {
      Names names = durable_;
      for (std::size_t i = 0; i < happened; ++i) changes_[i](names);
      for (auto& [name, content] : names) {
        Bytes bytes = *content;
        if (const auto synced = synced_.find(content.get());
            synced == synced_.end() || synced->second != bytes)
          bytes.resize(std::min(bytes.size(), bytes_kept_of_unsynced));
        content = std::make_shared<Bytes>(std::move(bytes));
      }
      all.push_back(std::move(names));
    }
    return all;
  }
  /// A disk as it was found after a crash.
  static std::unique_ptr<PaperDisk> holding(Names names) {
    auto disk = std::make_unique<PaperDisk>();
    for (const auto& [name, content] : names) disk->synced_[content.get()] = *content;
    disk->durable_ = disk->names = std::move(names);
    return disk;
  }

  Names names{};

  Result<void> make_folder(const std::string&) override { return step("make_folder"); }
  Result<std::unique_ptr<Lock>> lock_folder(const std::string&) override {
    if (auto ok = step("lock"); !ok) return ok.error();
    return std::make_unique<Lock>();
  }
  Result<Bytes> read(const std::string& path, std::size_t bytes_max) override {
    if (auto ok = step("read"); !ok) return ok.error();
    const auto found = names.find(path);
    if (found == names.end()) return Error(Errc::not_found, "there is no " + path);
    if (found->second->size() > bytes_max) return Error(Errc::too_large, path + " is too long");
    return *found->second;
  }
  Result<std::unique_ptr<File>> create(const std::string& path) override {
    if (auto ok = step("create"); !ok) return ok.error();
    const auto content = std::make_shared<Bytes>();
    change([path, content](Names& in) { in[path] = content; });
    return std::unique_ptr<File>(std::make_unique<PaperFile>(*this, content));
  }
  Result<void> replace(const std::string& from, const std::string& to) override {
    if (auto ok = step("replace"); !ok) return ok;
    change([from, to](Names& in) {
      in[to] = in.at(from);
      in.erase(from);
    });
    return {};
  }
  Result<void> rename(const std::string& from, const std::string& to) override {
    if (auto ok = step("rename"); !ok) return ok;
    if (names.contains(to)) return Error(Errc::already_exists, "there is already a " + to);
    if (!names.contains(from)) return Error(Errc::io, "there is no " + from);
    change([from, to](Names& in) {
      in[to] = in.at(from);
      in.erase(from);
    });
    return {};
  }
  Result<void> remove(const std::string& path) override {
    if (auto ok = step("remove"); !ok) return ok;
    change([path](Names& in) { in.erase(path); });
    return {};
  }
  Result<void> sync_folder(const std::string&) override {
    if (auto ok = step("sync_folder"); !ok) return ok;
    durable_ = names;
    changes_.clear();
    return {};
  }

 private:
  class PaperFile final : public File {
   public:
    PaperFile(PaperDisk& disk, Content content) : disk_(disk), content_(std::move(content)) {}
    Result<std::size_t> write(ByteView bytes) override {
      if (auto ok = disk_.step("write"); !ok) return ok.error();
      const auto part = bytes.first(std::min(bytes.size(), disk_.write_bytes_max));
      content_->insert(content_->end(), part.begin(), part.end());
      return part.size();
    }
    Result<void> sync() override {
      if (auto ok = disk_.step("sync"); !ok) return ok;
      disk_.synced_[content_.get()] = *content_;
      return {};
    }

   private:
    PaperDisk& disk_;
    Content content_;
  };

  Result<void> step(const std::string& name) {
    if (steps >= steps_max) throw PowerFailed();
    ++steps;
    if (fault)
      if (auto error = fault(name)) return std::move(*error);
    return {};
  }
  void change(std::function<void(Names&)> what) {
    what(names);
    changes_.push_back(std::move(what));
  }

  Names durable_;                                     // as of the last sync of the folder
  std::vector<std::function<void(Names&)>> changes_;  // since then
  std::map<const Bytes*, Bytes> synced_;              // content as of its file's last sync
};

}  // namespace cluster::testing
