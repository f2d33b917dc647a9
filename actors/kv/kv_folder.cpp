#include "cluster/kv/kv_folder.hpp"

#include <dlfcn.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <utility>
#include <vector>

#include "cluster/base/log.hpp"
#include "cluster/wire/codec.hpp"
#include "kv_database.hpp"
#include "kv_row_cache.hpp"

namespace cluster {
namespace {

using proto::KvKey;
using proto::KvRecord;
using Family = KvDatabase::Family;

constexpr const char* kModule = "cluster-kv-rocksdb.so";
constexpr std::string_view kNote = "note";
constexpr std::size_t kCacheBytes = 8u << 20;
constexpr std::size_t kBatchBytes = 1u << 20;  // then what was written is flushed before the turn ends

Result<void> result_of(const KvDatabase::Status& status) {
  if (status.fault == KvDatabase::Fault::none) return {};
  return Error(status.fault == KvDatabase::Fault::corrupt ? Errc::corrupt : Errc::io,
               "the store: " + status.text);
}

/// Records are in the order of bucket and key: a bucket's name has no zero.
std::string record_key(std::string_view bucket, std::string_view key) {
  std::string text;
  text.reserve(bucket.size() + 1 + key.size());
  return text.append(bucket).append(1, '\0').append(key);
}

/// The index is in the order of position, bucket and key.
std::string index_key(std::uint64_t position, const KvKey& key) {
  std::array<std::uint8_t, 8> bytes{};
  store_be(bytes.data(), position);
  return std::string(as_text(bytes)) + record_key(key.bucket, key.key);
}

KvKey key_of(std::string_view text) {
  const auto zero = text.find('\0');
  return {std::string(text.substr(0, zero)), std::string(text.substr(std::min(zero + 1, text.size())))};
}

std::uint64_t number_of(std::string_view text) { return load_be<std::uint64_t>(as_bytes(text).data()); }

class DatabaseFolder final : public KvFolder {
 public:
  explicit DatabaseFolder(std::unique_ptr<KvDatabase> db) : db_(std::move(db)) {}

  [[nodiscard]] Result<KvRecord> read(const KvKey& key) const override;
  [[nodiscard]] Result<proto::KvOutline> outline(const KvKey& key) const override;
  [[nodiscard]] Result<std::uint64_t> hash_of(std::uint64_t position, const KvKey& key) const override;
  Result<void> write(const Entry& entry, const KvRecord& record) override;
  [[nodiscard]] Result<std::vector<Entry>> scan(std::uint64_t position, std::size_t limit) const override;
  Result<void> visit(std::string_view bucket, std::string_view from, const Visitor& visitor) const override;
  [[nodiscard]] Result<Bytes> note() const override;
  Result<void> set_note(ByteView note) override;
  Result<void> flush() override;
  [[nodiscard]] std::string fault() const override { return fault_; }
  Result<void> sync() override { return result_of(db_->sync()); }
  [[nodiscard]] Size size() const override {
    Size size;
    db_->measure(size.keys, size.bytes);
    return size;
  }

 private:
  [[nodiscard]] Result<KvRow> row(std::string_view key) const;
  [[nodiscard]] Error told(const KvKey& key, Error why) const;
  [[nodiscard]] Result<void> settle() const;

  std::unique_ptr<KvDatabase> db_;
  // Part of what is held: rows that the database has not got yet are read here.
  mutable KvRowCache cache_{kCacheBytes};
  mutable log::Limit damage_lines_{};
  mutable std::string fault_{};  // none: the database has taken all
};

/// The database has all that was written.
Result<void> DatabaseFolder::settle() const {
  if (!fault_.empty()) return Error(Errc::io, "the store: what was written before is lost");
  auto written = result_of(db_->commit());
  if (written)
    cache_.settle();
  else
    fault_ = written.error().message();
  return written;
}

Result<void> DatabaseFolder::flush() { return settle(); }

Result<KvRow> DatabaseFolder::row(std::string_view key) const {
  if (const auto* known = cache_.find(key)) return *known;
  Result<KvRow> row = KvRow();
  const auto got =
      result_of(db_->get(Family::records, key, [&](auto value) { row = KvRow::decode(as_bytes(value)); }));
  if (!got) return got.error();
  if (row) cache_.read(key, *row);
  return row;
}

/// `why`, which the log has if the disk altered something.
Error DatabaseFolder::told(const KvKey& key, Error why) const {
  if (why.code() == Errc::corrupt)
    log::limited(damage_lines_, log::Level::error, "kv", "a record of bucket '", key.bucket,
                 "' cannot be read: ", why.message());
  return why;
}

Result<KvRecord> DatabaseFolder::read(const KvKey& key) const {
  const auto name = record_key(key.bucket, key.key);
  auto row = this->row(name);
  if (!row) return told(key, row.error());
  for (const auto& great : row->great) {
    auto& [dot, value] = row->record.siblings[great.sibling];
    const auto got = result_of(db_->get(Family::values, value_name(name, dot), [&](auto bytes) {
      value.data.assign(as_bytes(bytes).begin(), as_bytes(bytes).end());
    }));
    if (!got) return told(key, got.error());
    if (value.data.size() != great.bytes)
      return told(key, Error(Errc::corrupt, "the store: a value has another size than its record says"));
  }
  return std::move(row->record);
}

Result<proto::KvOutline> DatabaseFolder::outline(const KvKey& key) const {
  auto row = this->row(record_key(key.bucket, key.key));
  if (!row) return told(key, row.error());
  proto::KvOutline outline{.record = {}, .left_out = {}, .bytes = proto::bytes_of(row->record)};
  for (const auto& great : row->great) {
    outline.left_out.push_back(row->dot_of(great));
    outline.bytes += great.bytes;
  }
  outline.record = std::move(row->record);
  return outline;
}

Result<std::uint64_t> DatabaseFolder::hash_of(std::uint64_t position, const KvKey& key) const {
  if (auto settled = settle(); !settled) return std::move(settled).error();
  Result<std::uint64_t> hash = 0;
  const auto got = result_of(db_->get(Family::index, index_key(position, key), [&](auto value) {
    if (value.size() == 8)
      hash = number_of(value);
    else
      hash = Error(Errc::corrupt, "the store: an entry of the index has another size");
  }));
  if (!got) return got.error();
  return hash;
}

Result<void> DatabaseFolder::write(const Entry& entry, const KvRecord& record) {
  const auto key = record_key(entry.key.bucket, entry.key.key);
  const auto place = index_key(entry.position, entry.key);
  const auto before = row(key);
  if (!before) return before.error();
  if (!fault_.empty()) return settle();
  auto after = KvRow::of(record);
  std::vector<KvDatabase::Edit> edits{{.family = Family::records, .key = key},
                                      {.family = Family::index, .key = place}};
  Bytes bytes;
  std::array<std::uint8_t, 8> hash{};
  if (!record.empty()) {
    bytes = after.encode();
    store_be(hash.data(), entry.hash);
    edits[0].value = as_text(bytes);
    edits[1].value = as_text(hash);
  }
  // What lies there under the same dot is the same value.
  std::vector<std::string> names;
  names.reserve(before->great.size() + after.great.size());
  const auto edit_value = [&](const Dot& dot, std::optional<std::string_view> value) {
    names.push_back(value_name(key, dot));
    edits.push_back({.family = Family::values, .key = names.back(), .value = value});
  };
  for (const auto& great : before->great)
    if (after.find(before->dot_of(great)) == nullptr) edit_value(before->dot_of(great), std::nullopt);
  for (const auto& great : after.great)
    if (before->find(after.dot_of(great)) == nullptr)
      edit_value(after.dot_of(great), as_text(record.siblings[great.sibling].value.data));
  db_->add(edits);
  cache_.write(key, std::move(after));
  // Values are never in the cache.
  return edits.size() > 2 || db_->added_bytes() >= kBatchBytes ? settle() : Result<void>();
}

Result<std::vector<proto::KvStorage::Entry>> DatabaseFolder::scan(std::uint64_t position,
                                                                  std::size_t limit) const {
  if (auto settled = settle(); !settled) return std::move(settled).error();
  std::vector<Entry> found;
  bool sound = true;
  const auto status = db_->visit(Family::index, index_key(position, {}), [&](auto key, auto value) {
    sound = key.size() >= 10 && value.size() == 8;
    if (!sound) return false;
    const auto here = number_of(key);
    if (found.size() >= limit && here != found.back().position) return false;
    found.push_back({here, key_of(key.substr(8)), number_of(value)});
    return true;
  });
  if (auto read = result_of(status); !read) return std::move(read).error();
  if (!sound) return Error(Errc::corrupt, "the store: an entry of the index has another size");
  return found;
}

Result<void> DatabaseFolder::visit(std::string_view bucket, std::string_view from,
                                   const Visitor& visitor) const {
  if (auto settled = settle(); !settled) return settled;
  const auto prefix = record_key(bucket, {});
  return result_of(db_->visit(Family::records, record_key(bucket, from), [&](auto key, auto value) {
    if (!key.starts_with(prefix)) return false;
    const auto row = KvRow::decode(as_bytes(value));
    return !row || visitor(key.substr(prefix.size()), row->record, key.size() + value.size());
  }));
}

Result<Bytes> DatabaseFolder::note() const {
  Bytes note;
  const auto got = result_of(db_->get(Family::notes, kNote, [&](auto value) {
    const auto bytes = as_bytes(value);
    note.assign(bytes.begin(), bytes.end());
  }));
  if (!got) return got.error();
  return note;
}

Result<void> DatabaseFolder::set_note(ByteView note) {
  const std::array edits{KvDatabase::Edit{.family = Family::notes, .key = kNote, .value = as_text(note)}};
  db_->add(edits);
  return settle();
}

/// The folder of this program, with a slash.
std::string program_folder() {
  std::array<char, PATH_MAX> path{};
  const auto size = ::readlink("/proc/self/exe", path.data(), path.size());
  const std::string_view text(path.data(), static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
  return std::string(text.substr(0, text.rfind('/') + 1));
}

/// Beside the program, where an install puts it, or wherever the system looks for libraries.
Result<KvDatabaseOpen*> load_module() {
  const auto folder = program_folder();
  std::string fault;
  for (const auto& path :
       {folder + kModule, folder + CLUSTER_KV_MODULE_FOLDER + kModule, std::string(kModule)}) {
    void* module = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (module == nullptr) {
      if (const char* text = ::dlerror(); text != nullptr) fault = text;
      continue;
    }
    if (void* open = ::dlsym(module, kKvDatabaseOpen); open != nullptr)
      return reinterpret_cast<KvDatabaseOpen*>(open);
    fault = path + " is another library";
  }
  return Error(Errc::io, "a data directory needs RocksDB, which this build lacks: " + fault);
}

}  // namespace

Result<std::unique_ptr<KvFolder>> KvFolder::open(const std::string& path) {
  const auto open = load_module();
  if (!open) return open.error();
  KvDatabase::Status fault;
  std::unique_ptr<KvDatabase> db((*open)(path.c_str(), fault));
  if (auto opened = result_of(fault); !opened) return std::move(opened).error();
  return std::unique_ptr<KvFolder>(new DatabaseFolder(std::move(db)));
}

}  // namespace cluster
