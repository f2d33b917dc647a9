// Where the key-value store keeps its records on the real disk.
#if !defined(__SANITIZE_THREAD__)  // RocksDB's own threads are not seen by TSan
#include <doctest/doctest.h>

#include <dlfcn.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <atomic>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "cluster/base/log.hpp"
#include "cluster/kv/kv_folder.hpp"
#include "cluster/proto/kv_placement.hpp"
#include "cluster/wire/codec.hpp"
#include "kv_database.hpp"
#include "kv_row_cache.hpp"

using namespace cluster;
using proto::KvRecord;

namespace {

struct KvTemporaryFolder {
  std::string path = (std::filesystem::temp_directory_path() / "cluster-kv-XXXXXX").string();
  KvTemporaryFolder() { REQUIRE(::mkdtemp(path.data()) != nullptr); }
  ~KvTemporaryFolder() { std::filesystem::remove_all(path); }
};

/// The tables under a folder that is not open; null in a build without RocksDB.
std::unique_ptr<KvDatabase> tables_of(const std::string& path) {
  const auto program = std::filesystem::read_symlink("/proc/self/exe");
  void* module = ::dlopen((program.parent_path() / "cluster-kv-rocksdb.so").c_str(), RTLD_NOW | RTLD_LOCAL);
  if (module == nullptr) return nullptr;
  const auto open = reinterpret_cast<KvDatabaseOpen*>(::dlsym(module, kKvDatabaseOpen));
  KvDatabase::Status fault;
  std::unique_ptr<KvDatabase> tables((*open)(path.c_str(), fault));
  CHECK(fault.text == "");
  return tables;
}

/// Name and size of all rows.
std::map<std::string, std::size_t> rows_of(const std::string& path, KvDatabase::Family family) {
  std::map<std::string, std::size_t> rows;
  const auto status = tables_of(path)->visit(family, "", [&](auto name, auto value) {
    rows.emplace(name, value.size());
    return true;
  });
  CHECK(status.text == "");
  return rows;
}

const proto::KvKey kKey{"default", "key"};

Result<void> write(KvFolder& folder, const KvRecord& record) {
  auto written = folder.write({proto::kv_position(kKey), kKey, proto::fingerprint(kKey, record)}, record);
  return written ? folder.flush() : written;
}

Dot dot_of(std::uint64_t count) { return {{1, 2}, count}; }

KvRecord record_of(std::uint64_t count, std::size_t bytes) {
  KvRecord record;
  record.put({}, dot_of(count), {.data = Bytes(bytes, static_cast<std::uint8_t>(count))});
  return record;
}

/// As a full disk: no file of this process can be written.
class FullDisk {
 public:
  FullDisk() {
    ::signal(SIGXFSZ, SIG_IGN);
    REQUIRE(::getrlimit(RLIMIT_FSIZE, &before_) == 0);
    const rlimit none{.rlim_cur = 0, .rlim_max = before_.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &none) == 0);
  }
  ~FullDisk() { ::setrlimit(RLIMIT_FSIZE, &before_); }

 private:
  rlimit before_{};
};

}  // namespace

TEST_CASE("kv folder: what was written is there when it is opened again, and is in order") {
  const KvTemporaryFolder folder;
  const proto::KvKey key{"default", "key"};
  proto::KvRecord record;
  record.put({}, {{1, 2}, 3}, {.data = Bytes(100'000, 7)});  // longer than what the sorted files hold
  const auto position = proto::kv_position(key);
  {
    auto opened = KvFolder::open(folder.path);
    if (!opened) {
      MESSAGE("this build has no RocksDB: ", opened.error().to_string());
      return;
    }
    auto& store = **opened;
    CHECK(store.read(key)->empty());
    REQUIRE(store.write({position, key, 99}, record));
    for (const char* other : {"b", "a", "c"})
      REQUIRE(store.write({proto::kv_position({"other", other}), {"other", other}, 1}, record));
    REQUIRE(store.set_note(as_bytes("note")));
    REQUIRE(store.flush());
    REQUIRE(store.sync());
    CHECK(!KvFolder::open(folder.path));  // one process, and one store of it, at a time
  }
  auto store = KvFolder::open(folder.path).value();
  CHECK(*store->read(key) == record);
  CHECK(*store->hash_of(position, key) == 99);
  CHECK(as_text(*store->note()) == "note");
  std::vector<std::string> keys;
  REQUIRE(store->visit("other", "b", [&](auto found, const auto&, auto) {
    keys.emplace_back(found);
    return true;
  }));
  CHECK(keys == std::vector<std::string>{"b", "c"});
  const auto entries = store->scan(0, 100).value();
  REQUIRE(entries.size() == 4);
  for (std::size_t i = 1; i < entries.size(); ++i) CHECK(entries[i - 1].position <= entries[i].position);
  REQUIRE(store->write({position, key, 0}, {}));  // and is not flushed
  CHECK(store->read(key)->empty());
  CHECK(*store->hash_of(position, key) == 0);
}

TEST_CASE(
    "kv folder: great values lie apart, are read when the record is and not before, and go with the write "
    "that replaces them") {
  const KvTemporaryFolder place;
  const auto values = [&] { return rows_of(place.path, KvDatabase::Family::values).size(); };
  if (!tables_of(place.path)) return;
  auto record = record_of(1, 100'000);
  record.put({}, dot_of(2), {.data = Bytes(4096, 2)});  // the greatest that lies in the record
  record.put({}, dot_of(3), {.data = Bytes(4097, 3)});
  {
    auto folder = KvFolder::open(place.path).value();
    REQUIRE(write(*folder, record));
    CHECK(*folder->read(kKey) == record);
    const auto outline = folder->outline(kKey).value();
    CHECK(outline.bytes == proto::bytes_of(record));
    CHECK(outline.left_out == std::vector<Dot>{dot_of(1), dot_of(3)});
    CHECK(outline.record == proto::outline_of(record).record);
    CHECK(outline.lacks(record));
    CHECK(!outline.lacks(record_of(2, 1)));
    std::size_t bytes_read = 0;
    REQUIRE(folder->visit("default", "", [&](auto key, const auto& seen, auto bytes) {
      CHECK(key == "key");
      CHECK(seen == outline.record);
      bytes_read += bytes;
      return true;
    }));
    CHECK(bytes_read > 4096);
    CHECK(bytes_read < 5000);
  }
  CHECK(values() == 2);
  CHECK(rows_of(place.path, KvDatabase::Family::records).begin()->second < 5000);
  VersionVector seen;
  seen.add(dot_of(1));
  record.put(seen, {{1, 3}, 1}, {.data = Bytes(5000, 4)});
  {
    auto folder = KvFolder::open(place.path).value();
    REQUIRE(write(*folder, record));
    CHECK(*folder->read(kKey) == record);
  }
  CHECK(values() == 2);  // one went, one stayed, one came
  for (auto& sibling : record.siblings) sibling.value.data.clear();
  REQUIRE(write(*KvFolder::open(place.path).value(), record));
  CHECK(values() == 0);
  REQUIRE(write(*KvFolder::open(place.path).value(), record_of(9, 9000)));
  CHECK(values() == 1);
  REQUIRE(write(*KvFolder::open(place.path).value(), {}));
  CHECK(values() == 0);
  CHECK(rows_of(place.path, KvDatabase::Family::records).empty());
}

TEST_CASE("kv folder: records with great values in them, of an older layout, are read, listed and replaced") {
  const KvTemporaryFolder place;
  auto record = record_of(1, 1'000'000);
  const auto bytes = wire::encode(record);
  const std::string name{"default\0key", 11};
  {
    const auto tables = tables_of(place.path);
    if (!tables) return;
    const std::vector<KvDatabase::Edit> edits{
        {.family = KvDatabase::Family::records, .key = name, .value = as_text(bytes)}};
    tables->add(edits);
    REQUIRE(tables->commit().text == "");
  }
  {
    auto folder = KvFolder::open(place.path).value();
    CHECK(*folder->read(kKey) == record);
    const auto outline = folder->outline(kKey).value();
    CHECK(outline.bytes == 1'000'000);
    CHECK(outline.record == record);
    CHECK(outline.left_out.empty());
    std::size_t keys = 0;
    REQUIRE(folder->visit("default", "", [&](auto, const auto& seen, auto) {
      keys += seen == record ? 1 : 0;
      return true;
    }));
    CHECK(keys == 1);
    record.put({}, dot_of(2), {.data = Bytes(3, 3)});
    REQUIRE(write(*folder, record));
    CHECK(*folder->read(kKey) == record);
  }
  CHECK(rows_of(place.path, KvDatabase::Family::values).begin()->second == 1'000'000);
  CHECK(rows_of(place.path, KvDatabase::Family::records).at(name) < 200);
}

TEST_CASE("kv folder: what was written is read before it is flushed, one by one and in lists") {
  const KvTemporaryFolder place;
  if (!tables_of(place.path)) return;
  auto folder = KvFolder::open(place.path).value();
  const auto key_of = [](std::uint64_t i) { return proto::KvKey{"default", "key " + std::to_string(i)}; };
  constexpr std::uint64_t kKeys = 30'000;  // more than are kept in memory
  const Bytes value(300, 7);
  for (std::uint64_t i = 0; i < kKeys; ++i) {
    KvRecord record;
    record.put({}, dot_of(i + 1), {.data = value});
    REQUIRE(folder->write({proto::kv_position(key_of(i)), key_of(i), i + 1}, record));
    CHECK(folder->outline(key_of(i / 2))->record.siblings.front().dot == dot_of(i / 2 + 1));
    if (i % 1000 == 0) CHECK(*folder->hash_of(proto::kv_position(key_of(i)), key_of(i)) == i + 1);
    if (i % 7000 == 0) REQUIRE(folder->flush());
  }
  REQUIRE(folder->write({proto::kv_position(key_of(3)), key_of(3), 0}, {}));
  CHECK(folder->outline(key_of(3))->record.empty());
  std::uint64_t keys = 0;
  REQUIRE(folder->visit("default", "", [&](auto, const auto&, auto) { return ++keys > 0; }));
  CHECK(keys == kKeys - 1);
  for (std::uint64_t i = 0; i < kKeys; i += 17)
    if (i != 3) REQUIRE(folder->read(key_of(i))->siblings.front().dot == dot_of(i + 1));
}

TEST_CASE(
    "kv row cache: rows go when there is no room, the one used last at last, and none that was written") {
  KvRowCache cache(20'000);
  const auto row = [](std::uint64_t count) { return KvRow{.record = record_of(count, 100), .great = {}}; };
  const auto name = [](std::uint64_t count) { return "key " + std::to_string(count); };
  for (std::uint64_t i = 0; i < 1000; ++i) {
    cache.read(name(i), row(i + 1));
    REQUIRE(cache.find(name(0)) != nullptr);  // used again and again
    CHECK(cache.bytes() <= 20'000);
  }
  CHECK(cache.find(name(998)) != nullptr);
  CHECK(cache.find(name(1)) == nullptr);
  for (std::uint64_t i = 0; i < 1000; ++i) cache.write(name(i), row(i + 2));
  for (std::uint64_t i = 0; i < 1000; ++i) {
    REQUIRE(cache.find(name(i)) != nullptr);
    CHECK(cache.find(name(i))->record == record_of(i + 2, 100));
  }
  cache.settle();
  CHECK(cache.bytes() <= 20'000);
  CHECK(cache.find(name(999)) != nullptr);
  CHECK(cache.find(name(1)) == nullptr);
  cache.read("great", {.record = record_of(1, 1'000'000), .great = {}});
  CHECK(cache.find("great") == nullptr);
}

TEST_CASE(
    "kv folder: a great value that is lost makes its record unreadable, and the key can still be removed") {
  const KvTemporaryFolder place;
  if (!tables_of(place.path)) return;
  REQUIRE(write(*KvFolder::open(place.path).value(), record_of(1, 5000)));
  const auto lost = rows_of(place.path, KvDatabase::Family::values).begin()->first;
  const std::vector<KvDatabase::Edit> edits{{.family = KvDatabase::Family::values, .key = lost}};
  {
    const auto tables = tables_of(place.path);
    tables->add(edits);
    REQUIRE(tables->commit().text == "");
  }
  auto folder = KvFolder::open(place.path).value();
  std::vector<std::string> seen;
  log::set_sink([&](log::Level, std::string_view, std::string_view text) { seen.emplace_back(text); });
  const auto read = folder->read(kKey);
  CHECK(!folder->read(kKey));
  log::set_sink({});
  REQUIRE(!read);
  CHECK(read.error().code() == Errc::corrupt);
  REQUIRE(seen.size() == 1);
  CHECK(seen[0].starts_with("a record of bucket 'default' cannot be read: "));
  CHECK(folder->outline(kKey)->bytes == 5000);
  REQUIRE(write(*folder, {}));
  CHECK(folder->read(kKey)->empty());
}

TEST_CASE("kv folder: a full disk fails each write from then on, ends no process, and costs nothing before") {
  for (const bool is_synced : {false, true}) {
    CAPTURE(is_synced);
    const KvTemporaryFolder place;
    if (!tables_of(place.path)) return;
    {
      auto folder = KvFolder::open(place.path).value();
      REQUIRE(write(*folder, record_of(1, 100)));
      if (is_synced) REQUIRE(folder->sync());
      std::string fault;
      {
        const FullDisk full;
        // Another thread syncs meanwhile, as one that began before the disk was full.
        std::atomic<bool> done = false;
        std::thread syncer([&] {
          while (!done) static_cast<void>(folder->sync());
        });
        const auto failed = write(*folder, record_of(2, 100));
        fault = folder->fault();
        for (int i = 0; i < 10; ++i) static_cast<void>(write(*folder, record_of(3, 100'000)));
        done = true;
        syncer.join();
        CHECK(!failed);
      }
      CHECK(fault.find("File too large") != std::string::npos);
      // Room does not bring back what was lost.
      CHECK(!write(*folder, record_of(4, 100)));
      CHECK(!folder->sync());
      CHECK(folder->fault() == fault);
    }
    auto folder = KvFolder::open(place.path).value();
    CHECK(folder->read(kKey).value() == record_of(1, 100));
    REQUIRE(write(*folder, record_of(5, 100)));
    CHECK(folder->sync());
    CHECK(folder->fault().empty());
  }
}

#endif
