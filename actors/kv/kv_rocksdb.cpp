// The module that keeps records in RocksDB. The only file that includes it.
#include <fcntl.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/file_system.h>
#include <rocksdb/options.h>
#include <rocksdb/write_batch.h>
#include <unistd.h>

#include <atomic>
#include <limits>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "kv_database.hpp"

namespace cluster {
namespace {

constexpr std::size_t kMemtableBytes = 32u << 20;
// Memtables in which keys are written again do not grow, the logs do: so much at most is read at a start.
constexpr std::size_t kLogBytes = 64u << 20;
// Greater values are kept out of the sorted files. Those of `records` are of an older layout, in which the
// values of a key lay in its record, however great.
constexpr std::uint64_t kBlobBytesMin = 4096;
constexpr std::uint64_t kRecordBlobBytesMin = 512u << 10;

rocksdb::Slice slice(std::string_view text) { return {text.data(), text.size()}; }

KvDatabase::Status status_of(const rocksdb::Status& status) {
  if (status.ok() || status.IsNotFound()) return {};
  return {status.IsCorruption() ? KvDatabase::Fault::corrupt : KvDatabase::Fault::io, status.ToString()};
}

/// The first write to a log that failed, on whichever thread. Nothing is written behind it.
class Failure {
 public:
  void take(const rocksdb::IOStatus& status) {
    if (status.ok()) return;
    const std::lock_guard lock(mutex_);
    if (failed_) return;
    status_ = status_of(status);
    failed_ = true;
  }
  [[nodiscard]] bool has_failed() const noexcept { return failed_; }
  [[nodiscard]] KvDatabase::Status status() const {
    const std::lock_guard lock(mutex_);
    return status_;
  }

 private:
  mutable std::mutex mutex_{};
  std::atomic<bool> failed_{false};
  KvDatabase::Status status_{};
};

/// A log that is as long as the zeros ahead of what was written to it. A sync has then to write data alone:
/// of a file that grows, the file system commits its journal too, which takes as long again. RocksDB reads
/// zeros as the end of a log.
///
/// RocksDB hears of no write that failed: to sync such a log, on another thread maybe, would end the process
/// by an assertion, and it would go on by itself once there is room again.
class LogFile final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  LogFile(std::unique_ptr<rocksdb::FSWritableFile> file, int zeros, std::shared_ptr<Failure> failure)
      : FSWritableFileOwnerWrapper(std::move(file)), zeros_(zeros), failure_(std::move(failure)) {}
  ~LogFile() override { ::close(zeros_); }

  using FSWritableFileOwnerWrapper::Append;
  rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                           rocksdb::IODebugContext* debug) override {
    if (make_room(data.size())) failure_->take(FSWritableFileOwnerWrapper::Append(data, options, debug));
    return rocksdb::IOStatus::OK();
  }
  rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                           const rocksdb::DataVerificationInfo& info,
                           rocksdb::IODebugContext* debug) override {
    if (make_room(data.size()))
      failure_->take(FSWritableFileOwnerWrapper::Append(data, options, info, debug));
    return rocksdb::IOStatus::OK();
  }
  void PrepareWrite(std::size_t, std::size_t, const rocksdb::IOOptions&, rocksdb::IODebugContext*) override {}
  rocksdb::IOStatus Close(const rocksdb::IOOptions& options, rocksdb::IODebugContext* debug) override {
    if (::ftruncate(zeros_, written_) != 0) return rocksdb::IOStatus::IOError("a log cannot be cut");
    return FSWritableFileOwnerWrapper::Close(options, debug);
  }

 private:
  static constexpr std::size_t kStep = 1u << 20;

  /// False: nothing is to be written any more. Without room for zeros the file grows with what is written, as
  /// any other.
  [[nodiscard]] bool make_room(std::size_t bytes) {
    if (failure_->has_failed()) return false;
    static const std::vector<char> zeros(kStep);
    written_ += static_cast<off_t>(bytes);
    while (written_ > room_) {  // nothing is behind `room_` yet
      const bool made = ::pwrite(zeros_, zeros.data(), kStep, room_) == static_cast<ssize_t>(kStep);
      room_ = made ? room_ + static_cast<off_t>(kStep) : std::numeric_limits<off_t>::max();
    }
    return true;
  }

  int zeros_;  // the same file
  std::shared_ptr<Failure> failure_;
  off_t written_ = 0;
  off_t room_ = 0;
};

/// What RocksDB tells of itself. It ends the process by an assertion at the second word that a full disk has
/// no room for.
class InfoFile final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  explicit InfoFile(std::unique_ptr<rocksdb::FSWritableFile> file)
      : FSWritableFileOwnerWrapper(std::move(file)) {}

  using FSWritableFileOwnerWrapper::Append;
  rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                           rocksdb::IODebugContext* debug) override {
    FSWritableFileOwnerWrapper::Append(data, options, debug).PermitUncheckedError();
    return rocksdb::IOStatus::OK();
  }
};

/// The files of the system, but for logs.
class Files final : public rocksdb::FileSystemWrapper {
 public:
  explicit Files(std::shared_ptr<Failure> failure)
      : FileSystemWrapper(rocksdb::FileSystem::Default()), failure_(std::move(failure)) {}
  static const char* kName() { return "cluster-logs"; }
  const char* Name() const override { return kName(); }

  rocksdb::IOStatus NewWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* file,
                                    rocksdb::IODebugContext* debug) override {
    auto status = FileSystemWrapper::NewWritableFile(path, options, file, debug);
    if (status.ok() && path.ends_with("/LOG")) *file = std::make_unique<InfoFile>(std::move(*file));
    if (!status.ok() || !path.ends_with(".log")) return status;
    const int zeros = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
    if (zeros < 0) return rocksdb::IOStatus::IOError("a log cannot be opened twice");
    *file = std::make_unique<LogFile>(std::move(*file), zeros, failure_);
    return status;
  }
  /// To a file as above; the system's files would have one of their own.
  rocksdb::IOStatus NewLogger(const std::string& path, const rocksdb::IOOptions& options,
                              std::shared_ptr<rocksdb::Logger>* logger,
                              rocksdb::IODebugContext* debug) override {
    return rocksdb::FileSystem::NewLogger(path, options, logger, debug);
  }

 private:
  std::shared_ptr<Failure> failure_;
};

/// Of one database.
struct Surroundings {
  std::shared_ptr<Failure> failure = std::make_shared<Failure>();
  std::unique_ptr<rocksdb::Env> env = rocksdb::NewCompositeEnv(std::make_shared<Files>(failure));
};

class RocksDatabase final : public KvDatabase {
 public:
  /// `handles`: in the order of Family.
  RocksDatabase(Surroundings surroundings, std::unique_ptr<rocksdb::DB> db,
                std::vector<rocksdb::ColumnFamilyHandle*> handles)
      : surroundings_(std::move(surroundings)), db_(std::move(db)), handles_(std::move(handles)) {}
  ~RocksDatabase() override {
    for (auto* handle : handles_) db_->DestroyColumnFamilyHandle(handle);
    db_->Close();
  }

  Status get(Family family, std::string_view key,
             const std::function<void(std::string_view)>& visit) override {
    rocksdb::PinnableSlice found;
    const auto status = db_->Get({}, handle(family), slice(key), &found);
    if (status.ok()) visit({found.data(), found.size()});
    return status_of(status);
  }

  void add(std::span<const Edit> edits) override {
    for (const auto& edit : edits) {
      if (edit.value)
        batch_.Put(handle(edit.family), slice(edit.key), slice(*edit.value));
      else
        batch_.Delete(handle(edit.family), slice(edit.key));
    }
  }

  [[nodiscard]] std::size_t added_bytes() const override { return batch_.GetDataSize(); }

  Status commit() override {
    if (batch_.Count() == 0) return {};
    const auto status = or_failure(db_->Write({}, &batch_));
    if (batch_.GetDataSize() > kBatchBytesKept)
      batch_ = rocksdb::WriteBatch();
    else
      batch_.Clear();
    return status;
  }

  Status visit(Family family, std::string_view from, const Visitor& visitor) override {
    const std::unique_ptr<rocksdb::Iterator> at(db_->NewIterator({}, handle(family)));
    for (at->Seek(slice(from)); at->Valid(); at->Next())
      if (!visitor({at->key().data(), at->key().size()}, {at->value().data(), at->value().size()})) break;
    return status_of(at->status());
  }

  Status sync() override { return or_failure(db_->SyncWAL()); }

  void measure(std::uint64_t& keys, std::uint64_t& bytes) override {
    const auto property = [this](rocksdb::ColumnFamilyHandle* family, const std::string& name) {
      std::uint64_t value = 0;
      return db_->GetIntProperty(family, name, &value) ? value : 0;
    };
    keys = property(handle(Family::index), rocksdb::DB::Properties::kEstimateNumKeys);
    bytes = 0;
    for (auto* const family : handles_)
      for (const auto& part :
           {rocksdb::DB::Properties::kEstimateLiveDataSize, rocksdb::DB::Properties::kLiveBlobFileSize,
            rocksdb::DB::Properties::kCurSizeAllMemTables})
        bytes += property(family, part);
  }

 private:
  [[nodiscard]] rocksdb::ColumnFamilyHandle* handle(Family family) const {
    return handles_[static_cast<std::size_t>(family)];
  }

  [[nodiscard]] Status or_failure(const rocksdb::Status& status) const {
    return status.ok() ? surroundings_.failure->status() : status_of(status);
  }

  static constexpr std::size_t kBatchBytesKept = 4u << 20;

  Surroundings surroundings_;  // goes last
  std::unique_ptr<rocksdb::DB> db_;
  std::vector<rocksdb::ColumnFamilyHandle*> handles_;
  rocksdb::WriteBatch batch_;
};

}  // namespace

extern "C" [[gnu::visibility("default")]] KvDatabase* cluster_kv_database_open(const char* path,
                                                                               KvDatabase::Status& fault) {
  Surroundings surroundings;
  rocksdb::Options options;
  options.env = surroundings.env.get();
  options.create_if_missing = true;
  options.create_missing_column_families = true;
  options.max_open_files = 256;
  options.keep_log_file_num = 2;
  options.max_log_file_size = 4u << 20;
  options.write_buffer_size = kMemtableBytes;
  options.allow_concurrent_memtable_write = false;  // one thread writes, and reads nothing meanwhile:
  options.inplace_update_support = true;            // a key that is there takes no place anew
  options.max_total_wal_size = kLogBytes;
  const rocksdb::ColumnFamilyOptions plain(options);
  rocksdb::ColumnFamilyOptions values(options);
  values.enable_blob_files = true;
  values.min_blob_size = kBlobBytesMin;
  values.enable_blob_garbage_collection = true;
  rocksdb::ColumnFamilyOptions records(values);
  records.min_blob_size = kRecordBlobBytesMin;
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* db = nullptr;
  const auto status = rocksdb::DB::Open(options, path,
                                        {{rocksdb::kDefaultColumnFamilyName, plain},
                                         {"records", records},
                                         {"index", plain},
                                         {"values", values}},
                                        &handles, &db);
  fault = status_of(status);
  if (!status.ok()) return nullptr;
  return new RocksDatabase(std::move(surroundings), std::unique_ptr<rocksdb::DB>(db), std::move(handles));
}

}  // namespace cluster
