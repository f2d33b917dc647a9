// The server `files` over a real store in memory: attempts, replacements, and what becomes of their blobs.
#include <doctest/doctest.h>

#include <string>
#include <thread>
#include <vector>

#include "cluster/base/rng.hpp"
#include "cluster/files/file_store.hpp"
#include "cluster/proto/file_tree.hpp"
#include "eventually.hpp"
#include "random_bytes.hpp"

using namespace cluster;
using cluster::testing::eventually;
using cluster::testing::random_bytes;

namespace {

/// One that gives up attempts and blobs at once, when it is told to look for them.
constexpr FileServer::Options kHasty{
    .unfinished_age = 0s, .dropped_age = 0s, .collect_interval = 24h, .turn_wait = 0s};

struct FileNode {
  explicit FileNode(FileServer::Options options = kHasty) {
    KvStoreConfig config;
    REQUIRE(files::add_buckets(config.kv));
    store.emplace(KvStore::start(node, std::move(config)).value());
    server.emplace(start_file_store(node, *store, options).value());
    REQUIRE(eventually([&] {
      const auto info = store->info();
      return info && info->progress.settled;
    }));
  }

  template <class M>
  Result<typename M::reply> ask(M message) {
    return node.call(*server, std::move(message), 10s);
  }
  Errc failure_of(auto message) {
    const auto answer = ask(std::move(message));
    if (!answer) CHECK(answer.error().executed() == Executed::no);
    return answer ? Errc::internal : answer.error().code();
  }

  /// Stores the blobs of a content; the head is as it would be committed.
  proto::FileHead store_blobs(const proto::FileUploadId& upload, ByteView content) {
    proto::FileSplitter splitter(1000);
    std::vector<proto::FileBlob> blobs;
    splitter.take(content, blobs);
    auto head = splitter.finish(blobs);
    head.upload = upload;
    for (auto& blob : blobs)
      REQUIRE(ask(proto::FileStoreBlobs{.upload = upload, .blobs = {blob}}).value() == 1);
    return head;
  }
  proto::FileHead put(const std::string& name, ByteView content) {
    const auto upload = ask(proto::FileBegin{.name = name}).value().upload;
    return ask(proto::FileCommit{.name = name, .head = store_blobs(upload, content)}).value();
  }
  /// What a reader of this head gets.
  Result<Bytes> read(const proto::FileHead& head) {
    Bytes content;
    for (proto::FileWalk walk(head, 0, chunks_of(head)); !walk.done();) {
      const auto want = walk.next(4);
      auto blobs = ask(proto::FileFetch{.upload = head.upload, .hashes = want.hashes});
      if (!blobs) return blobs.error();
      if (want.is_list) {
        if (auto taken = walk.take_list(blobs->front()); !taken) return taken.error();
        continue;
      }
      for (const auto& blob : *blobs) content.insert(content.end(), blob.begin(), blob.end());
      walk.advance(want.hashes.size());
    }
    return content;
  }
  Result<Bytes> read(const std::string& name) {
    const auto head = ask(proto::FileStat{.name = name});
    if (!head) return head.error();
    return read(*head);
  }
  std::size_t count(std::string_view bucket) {
    return store->scan({.bucket = std::string(bucket)}).value().keys.size();
  }

  Node node = Node::start({.id = "foo",
                           .host = "127.0.0.1",
                           .port = 0,
                           .cookie = "cookie of the file store's tests",
                           .ring = "ring"})
                  .value();
  std::optional<KvStore> store;
  std::optional<Ref<FileServer>> server;
};

TEST_CASE("file store: an attempt is taken up again until it has ended, and a file is there only then") {
  FileNode f;
  const auto content = random_bytes(1, 5500);
  const auto begun = f.ask(proto::FileBegin{.name = "x"}).value();
  CHECK(!begun.resumes);
  const auto head = f.store_blobs(begun.upload, content);
  const auto again = f.ask(proto::FileBegin{.name = "x"}).value();
  CHECK(again.resumes);
  CHECK(again.upload == begun.upload);
  proto::FileMissing missing{.upload = begun.upload, .hashes = {head.root, proto::FileHash{1}}};
  CHECK(f.ask(std::move(missing)).value() == std::vector<bool>{false, true});
  CHECK(f.failure_of(proto::FileStat{.name = "x"}) == Errc::not_found);
  CHECK(f.ask(proto::FileList{}).value().files.empty());

  const auto committed = f.ask(proto::FileCommit{.name = "x", .head = head}).value();
  CHECK(f.read("x").value() == content);
  CHECK(f.ask(proto::FileCommit{.name = "x", .head = head}).value() == committed);  // the answer was lost
  CHECK(f.count(files::kUploads) == 0);
  CHECK(f.count(files::kDrafts) == 0);
  CHECK(!f.ask(proto::FileBegin{.name = "x"}).value().resumes);
}

TEST_CASE("file store: an attempt that rests is given up, its blobs go, and it cannot become a file") {
  FileNode f;
  f.put("kept", random_bytes(2, 2500));
  const auto blobs_before = f.count(files::kBlobs);
  const auto begun = f.ask(proto::FileBegin{.name = "x"}).value();
  const auto head = f.store_blobs(begun.upload, random_bytes(3, 5500));
  CHECK(f.count(files::kBlobs) == blobs_before + 7);
  CHECK(f.ask(proto::FileCollect{}).value().collected == 0);  // it is told to end, and nothing more
  CHECK(f.count(files::kBlobs) == blobs_before + 7);
  CHECK(f.failure_of(proto::FileCommit{.name = "x", .head = head}) == Errc::not_found);
  const auto collected = f.ask(proto::FileCollect{}).value();
  CHECK(collected.collected == 1);
  CHECK(collected.blobs == 7);
  CHECK(f.count(files::kBlobs) == blobs_before);
  CHECK(f.count(files::kUploads) == 0);
  CHECK(f.failure_of(proto::FileCommit{.name = "x", .head = head}) == Errc::not_found);
  const auto next = f.ask(proto::FileBegin{.name = "x"}).value();
  CHECK(!next.resumes);
  CHECK(next.upload != begun.upload);
  CHECK(f.read("kept").value() == random_bytes(2, 2500));
}

TEST_CASE("file store: who reads a file that is replaced reads on, until its blobs are collected") {
  FileServer::Options patient = kHasty;
  patient.dropped_age = 1h;
  FileNode f(patient);
  const auto old = f.put("x", random_bytes(4, 3000));
  f.put("x", random_bytes(5, 2000));
  CHECK(f.ask(proto::FileCollect{}).value().collected == 0);
  CHECK(f.read(old).value() == random_bytes(4, 3000));
  CHECK(f.read("x").value() == random_bytes(5, 2000));
  CHECK(f.ask(proto::FileCollect{.at_once = true}).value().collected == 1);
  const auto gone = f.read(old);
  CHECK((!gone && gone.error().code() == Errc::not_found));
  CHECK(f.read("x").value() == random_bytes(5, 2000));
  CHECK(f.ask(proto::FileRemove{.name = "x"}).value().size == 2000);
  CHECK(f.failure_of(proto::FileRemove{.name = "x"}) == Errc::not_found);
  CHECK(f.ask(proto::FileCollect{.at_once = true}).value().collected == 1);
  CHECK(f.count(files::kBlobs) == 0);
  CHECK(f.count(files::kUploads) == 0);
}

TEST_CASE("file store: a removal that ended half way takes nothing from the file that is still there") {
  FileNode f;
  const auto head = f.put("x", random_bytes(6, 3000));
  const files::UploadRecord record{.name = "x", .touched = {}, .dropped = true};
  REQUIRE(f.store->put(files::upload_key(head.upload), wire::encode(record),
                       {.bucket = std::string(files::kUploads)}));
  CHECK(f.ask(proto::FileCollect{.at_once = true}).value().collected == 0);
  CHECK(f.count(files::kUploads) == 0);
  CHECK(f.read("x").value() == random_bytes(6, 3000));
}

TEST_CASE("file store: however changes of one name meet, no blob is left that nobody looks after") {
  FileNode f;
  const auto change = [&f](std::uint64_t seed) {
    Rng rng(seed);
    for (int i = 0; i < 40; ++i) {
      if (rng.chance(0.3)) {
        static_cast<void>(f.ask(proto::FileRemove{.name = "x"}));
        continue;
      }
      const auto attempt = f.ask(proto::FileBegin{.name = "x"});
      if (!attempt) continue;
      proto::FileSplitter splitter(1000);
      std::vector<proto::FileBlob> blobs;
      splitter.take(random_bytes(rng.next(), 1500), blobs);
      auto head = splitter.finish(blobs);
      head.upload = attempt->upload;
      bool stored = true;  // not if another change ended this attempt
      for (auto& blob : blobs)
        stored = stored && f.ask(proto::FileStoreBlobs{.upload = attempt->upload, .blobs = {blob}});
      if (stored) static_cast<void>(f.ask(proto::FileCommit{.name = "x", .head = head}));
    }
  };
  { const std::jthread one(change, 1), two(change, 2), three(change, 3); }
  static_cast<void>(f.ask(proto::FileRemove{.name = "x"}));
  static_cast<void>(f.ask(proto::FileCollect{.at_once = true}));
  CHECK(f.count(files::kNames) == 0);
  CHECK(f.count(files::kUploads) == 0);
  CHECK(f.count(files::kBlobs) == 0);
}

TEST_CASE(
    "file store: blobs that are not what they say, too much at once and heads without blobs are refused") {
  FileNode f;
  const auto upload = f.ask(proto::FileBegin{.name = "x"}).value().upload;
  CHECK(f.failure_of(proto::FileStoreBlobs{.upload = upload, .blobs = {{{}, {1}}}}) == Errc::corrupt);
  CHECK(f.failure_of(proto::FileStoreBlobs{.upload = {7}, .blobs = {}}) == Errc::not_found);
  std::vector<proto::FileHash> many(proto::kFileBatchMax + 1);
  CHECK(f.failure_of(proto::FileFetch{.upload = upload, .hashes = many}) == Errc::invalid_argument);
  CHECK(f.failure_of(proto::FileMissing{.upload = upload, .hashes = many}) == Errc::invalid_argument);
  std::vector<proto::FileBlob> large;
  for (std::uint8_t i = 0; i < 2; ++i) {
    const Bytes data(proto::kFileBatchBytes / 2 + 1, i);
    large.push_back({crypto::sha256(data), data});
  }
  CHECK(f.failure_of(proto::FileStoreBlobs{.upload = upload, .blobs = large}) == Errc::too_large);
  const proto::FileHead hollow{.upload = upload, .size = 5, .root = {1}};
  CHECK(f.failure_of(proto::FileCommit{.name = "x", .head = hollow}) == Errc::invalid_argument);
  CHECK(f.failure_of(proto::FileBegin{.name = ".."}) == Errc::invalid_argument);
  CHECK(f.failure_of(proto::FileCommit{.name = "a\nb", .head = hollow}) == Errc::invalid_argument);
  CHECK(f.count(files::kBlobs) == 0);
}

TEST_CASE("file store: beyond the transfers that it has room for it says so") {
  FileServer::Options full = kHasty;
  full.open_max = 0;
  FileNode f(full);
  const auto upload = f.ask(proto::FileBegin{.name = "x"}).value().upload;
  CHECK(f.failure_of(proto::FileStoreBlobs{.upload = upload}) == Errc::overloaded);
  CHECK(f.failure_of(proto::FileFetch{.upload = upload}) == Errc::overloaded);
}

TEST_CASE("file store: a head that cannot be read is an error, and can be replaced") {
  FileNode f;
  f.put("good", random_bytes(7, 10));
  REQUIRE(f.store->put("bad", "no head", {.bucket = std::string(files::kNames)}));
  CHECK(f.failure_of(proto::FileStat{.name = "bad"}) == Errc::corrupt);
  const auto listed = f.ask(proto::FileList{}).value().files;
  REQUIRE(listed.size() == 1);
  CHECK(listed.front().name == "good");
  f.put("bad", random_bytes(8, 20));
  CHECK(f.read("bad").value() == random_bytes(8, 20));
}

}  // namespace
