// The module that keeps records in RocksDB. The only file that includes it.
#include <rocksdb/db.h>
#include <rocksdb/options.h>
#include <rocksdb/write_batch.h>

#include <memory>
#include <utility>
#include <vector>

#include "kv_database.hpp"

namespace cluster {
namespace {

constexpr std::size_t kMemtableBytes = 32u << 20;
constexpr std::uint64_t kBlobBytesMin = 4096;  // greater values are kept out of the sorted files

rocksdb::Slice slice(std::string_view text) { return {text.data(), text.size()}; }

KvDatabase::Status status_of(const rocksdb::Status& status) {
  if (status.ok() || status.IsNotFound()) return {};
  return {status.IsCorruption() ? KvDatabase::Fault::corrupt : KvDatabase::Fault::io, status.ToString()};
}

class RocksDatabase final : public KvDatabase {
 public:
  /// `handles`: in the order of Family.
  RocksDatabase(std::unique_ptr<rocksdb::DB> db, std::vector<rocksdb::ColumnFamilyHandle*> handles)
      : db_(std::move(db)), handles_(std::move(handles)) {}
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

  Status write(std::span<const Edit> edits) override {
    rocksdb::WriteBatch batch;
    for (const auto& edit : edits) {
      if (edit.value)
        batch.Put(handle(edit.family), slice(edit.key), slice(*edit.value));
      else
        batch.Delete(handle(edit.family), slice(edit.key));
    }
    return status_of(db_->Write({}, &batch));
  }

  Status visit(Family family, std::string_view from, const Visitor& visitor) override {
    const std::unique_ptr<rocksdb::Iterator> at(db_->NewIterator({}, handle(family)));
    for (at->Seek(slice(from)); at->Valid(); at->Next())
      if (!visitor({at->key().data(), at->key().size()}, {at->value().data(), at->value().size()})) break;
    return status_of(at->status());
  }

  Status sync() override { return status_of(db_->SyncWAL()); }

 private:
  [[nodiscard]] rocksdb::ColumnFamilyHandle* handle(Family family) const {
    return handles_[static_cast<std::size_t>(family)];
  }

  std::unique_ptr<rocksdb::DB> db_;
  std::vector<rocksdb::ColumnFamilyHandle*> handles_;
};

}  // namespace

extern "C" [[gnu::visibility("default")]] KvDatabase* cluster_kv_database_open(const char* path,
                                                                               KvDatabase::Status& fault) {
  rocksdb::Options options;
  options.create_if_missing = true;
  options.create_missing_column_families = true;
  options.max_open_files = 256;
  options.keep_log_file_num = 2;
  options.max_log_file_size = 4u << 20;
  options.write_buffer_size = kMemtableBytes;
  const rocksdb::ColumnFamilyOptions plain(options);
  rocksdb::ColumnFamilyOptions records(options);
  records.enable_blob_files = true;
  records.min_blob_size = kBlobBytesMin;
  records.enable_blob_garbage_collection = true;
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* db = nullptr;
  const auto status = rocksdb::DB::Open(
      options, path, {{rocksdb::kDefaultColumnFamilyName, plain}, {"records", records}, {"index", plain}},
      &handles, &db);
  fault = status_of(status);
  if (!status.ok()) return nullptr;
  return new RocksDatabase(std::unique_ptr<rocksdb::DB>(db), std::move(handles));
}

}  // namespace cluster
