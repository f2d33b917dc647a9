// The key-value store through its C++ interface: real nodes in this process.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <future>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "cluster/kv/kv_store.hpp"
#include "eventually.hpp"
#include "on_memory.hpp"

using namespace cluster;
using cluster::testing::eventually;

namespace {

/// A node with a store in memory.
struct KvNode {
  explicit KvNode(const char* id, const std::string& ring = {})
      : node(Node::start({.id = id,
                          .host = "127.0.0.1",
                          .port = 0,
                          .cookie = "cookie of the store's tests",
                          .ring = ring})
                 .value()),
        store(KvStore::start(node, {}).value()) {}
  [[nodiscard]] bool settled() const {
    const auto info = store.info();
    return info && info->progress.settled;
  }
  Node node;
  KvStore store;
};

std::string text_of(const Result<proto::KvAnswer>& answer) {
  if (!answer) return answer.error().to_string();
  return answer->values.size() == 1 ? std::string(as_text(answer->values.front()))
                                    : std::to_string(answer->values.size()) + " values";
}

/// A folder whose flushes and syncs are counted, and fail if they are told to.
class CountedFolder final : public cluster::testing::OnMemory<KvFolder> {
 public:
  Result<void> write(const Entry& entry, const proto::KvRecord& record) override {
    ++unflushed;
    return memory.write(entry, record);
  }
  [[nodiscard]] Size size() const override { return {memory.size(), memory.bytes()}; }
  Result<void> flush() override {
    if (full) return Error(Errc::io, "the disk is full");
    ++flushes;
    unflushed = 0;
    return {};
  }
  Result<void> sync() override {
    now = now.load() + takes;
    ++syncs;
    if (fails) return Error(Errc::io, "the disk is gone");
    return {};
  }
  std::atomic<int> unflushed = 0;  // writes
  std::atomic<int> flushes = 0;
  std::atomic<bool> full = false;
  std::atomic<int> syncs = 0;
  std::atomic<bool> fails = false;
  std::atomic<Instant> now{};  // by its own clock
  Duration takes{};

 private:
};

}  // namespace

TEST_CASE("kv store: what one of three nodes writes the others read, replace, list and delete") {
  KvNode foo("foo", "ring");
  KvNode bar("bar");
  KvNode baz("baz");
  REQUIRE(bar.node.meet(foo.node.endpoint()));
  REQUIRE(baz.node.meet(foo.node.endpoint()));
  for (const auto* each : {&foo, &bar, &baz})
    REQUIRE(eventually([&] { return each->node.ring()->members.size() == 3 && each->settled(); }));

  REQUIRE(foo.store.put("greeting", "hello"));
  const auto read = bar.store.get("greeting");
  CHECK(text_of(read) == "hello");
  REQUIRE(baz.store.put("greeting", "hi", {.context = read->context}));
  CHECK(text_of(foo.store.get("greeting")) == "hi");
  REQUIRE(foo.store.put("greeting", "hey", {.context = read->context}));  // has not seen "hi"
  CHECK(text_of(bar.store.get("greeting")) == "2 values");
  REQUIRE(bar.store.put("greeting", "all", {.condition = proto::KvCondition::replace}));
  CHECK(text_of(baz.store.get("greeting")) == "all");

  const auto taken = foo.store.put("greeting", "x", {.condition = proto::KvCondition::absent});
  REQUIRE(!taken);
  CHECK(taken.error().code() == Errc::already_exists);
  const auto outcomes = baz.store.batch({{.verb = proto::KvVerb::put, .key = {"default", "a"}, .value = {1}},
                                         {.verb = proto::KvVerb::get, .key = {"default", "nothing"}},
                                         {.verb = proto::KvVerb::get, .key = {"no bucket", "a"}}});
  REQUIRE(outcomes);
  REQUIRE(outcomes->size() == 3);
  CHECK(!(*outcomes)[0].failure);
  CHECK((*outcomes)[1].answer.values.empty());
  REQUIRE((*outcomes)[2].failure);
  CHECK((*outcomes)[2].failure->code == Errc::invalid_argument);

  const auto holds_both = [&] {
    const auto keys = bar.store.scan({.bucket = "default"});
    return keys && keys->keys == std::vector<std::string>{"a", "greeting"};
  };
  CHECK(eventually(holds_both));  // a third replica may have it a little later
  REQUIRE(foo.store.remove("greeting", {.context = bar.store.get("greeting")->context}));
  CHECK(text_of(baz.store.get("greeting")) == "0 values");
  const auto changes = foo.store.changes({.since = 0, .bucket = "default", .prefix = "gr"});
  REQUIRE(changes);
  CHECK(!changes->changes.empty());
}

TEST_CASE("kv store: who watches a bucket sees each change once, wherever in the ring the key lies") {
  KvNode foo("foo", "ring");
  std::vector<std::unique_ptr<KvNode>> others;
  for (const auto* id : {"bar", "baz", "qux", "quux"}) {
    others.push_back(std::make_unique<KvNode>(id));
    REQUIRE(others.back()->node.meet(foo.node.endpoint()));
  }
  const auto all_settled = [&] {
    for (const auto& other : others)
      if (other->node.ring()->members.size() != 5 || !other->settled()) return false;
    return foo.node.ring()->members.size() == 5 && foo.settled();
  };
  REQUIRE(eventually(all_settled));
  REQUIRE(foo.store.put("k before", "x"));
  const auto begun = foo.store.watch({.bucket = "default", .prefix = "k"});
  REQUIRE(begun);
  REQUIRE(begun->rows.size() == 1);
  CHECK(begun->rows.front().event == "watching");
  CHECK(begun->rows.front().members.size() == 5);

  constexpr int kKeys = 40;
  for (int i = 0; i < kKeys; ++i)
    REQUIRE(others[static_cast<std::size_t>(i) % 4]->store.put("k" + std::to_string(i), "x"));
  REQUIRE(foo.store.put("other", "x"));
  REQUIRE(foo.store.put("k", "x", {.bucket = "elsewhere"}));
  REQUIRE(foo.store.remove("k7", {.context = foo.store.get("k7")->context}));
  const auto everywhere = [&] {  // the third replica of each may have it a little later
    std::size_t copies = 0;
    const KvScan scan{.bucket = "default", .prefix = "k"};
    for (const auto& other : others) copies += other->store.scan(scan)->keys.size();
    return copies + foo.store.scan(scan)->keys.size() == 3 * kKeys;  // "k before" for "k7"
  };
  REQUIRE(eventually(everywhere));
  std::multiset<std::string> told;
  std::set<std::string> expected{"del k7"};
  for (int i = 0; i < kKeys; ++i)
    if (i != 7) expected.insert("put k" + std::to_string(i));  // of k7 both may be told as one
  auto since = begun->last;
  const auto follow = [&](std::uint32_t wait_ms) {
    const auto rows =
        foo.store.watch({.bucket = "default", .prefix = "k", .since = since, .wait_ms = wait_ms});
    REQUIRE(rows);
    for (const auto& row : rows->rows) told.insert(row.event + " " + row.key);
    since = rows->last;
  };
  const auto all_told = [&] {
    follow(50);
    return std::ranges::all_of(expected, [&](const auto& row) { return told.contains(row); });
  };
  REQUIRE(eventually(all_told));
  REQUIRE(foo.store.put("k last", "x"));
  REQUIRE(eventually([&] {
    follow(50);
    return told.contains("put k last");
  }));
  for (const auto& row : told) {
    CAPTURE(row);
    CHECK(told.count(row) == 1);
  }
  CHECK(told.count("put k before") == 0);
  CHECK(told.count("put other") == 0);
  const auto late = foo.store.watch({.bucket = "default", .since = 1});
  REQUIRE(late);
  CHECK(late->rows.front().event == "missed");
}

TEST_CASE("kv store: an answer to a scan looks at a bounded number of keys, and tells where to go on") {
  KvNode foo("foo", "ring");
  REQUIRE(eventually([&] { return foo.settled(); }));
  constexpr std::size_t kKeys = 6000;
  constexpr std::size_t kDeleted = 5000;
  const auto key_of = [](std::size_t i) { return "key " + std::to_string(100'000 + i); };
  for (std::size_t i = 0; i < kKeys; i += 1000) {
    for (const auto verb : {proto::KvVerb::put, proto::KvVerb::del}) {
      std::vector<proto::KvRequest> requests;
      if (verb == proto::KvVerb::del && i >= kDeleted) continue;
      for (auto j = i; j < i + 1000; ++j)
        requests.push_back(
            {.verb = verb, .key = {"default", key_of(j)}, .condition = proto::KvCondition::replace});
      const auto outcomes = foo.store.batch(std::move(requests));
      REQUIRE(outcomes);
      for (const auto& outcome : *outcomes) REQUIRE(!outcome.failure);
    }
  }
  std::vector<std::string> found;
  std::vector<std::size_t> pages;
  KvScan scan{.bucket = "default", .prefix = "key"};
  do {
    auto page = foo.store.scan(scan);
    REQUIRE(page);
    found.insert(found.end(), page->keys.begin(), page->keys.end());
    pages.push_back(page->keys.size());
    scan.from = page->next;
  } while (!scan.from.empty());
  REQUIRE(found.size() == kKeys - kDeleted);
  CHECK(found.front() == key_of(kDeleted));
  CHECK(found.back() == key_of(kKeys - 1));
  CHECK(pages.front() == 0);  // deleted keys alone
  CHECK(pages.size() >= 2);
  const auto few = foo.store.scan({.bucket = "default", .from = key_of(kDeleted), .limit = 3});
  REQUIRE(few);
  CHECK(few->keys == std::vector<std::string>{key_of(kDeleted), key_of(kDeleted + 1), key_of(kDeleted + 2)});
  CHECK(few->next == key_of(kDeleted + 3));
}

TEST_CASE(
    "kv server: writes of one turn go to the log together, are answered when they are there, and none is "
    "when "
    "it takes no more") {
  struct Row {
    Duration rest;
    std::atomic<bool> CountedFolder::*ends;
    const char* why;
  };
  for (const auto& [rest, ends, why] : {Row{0s, &CountedFolder::full, "the disk is full"},
                                        Row{3600s, &CountedFolder::full, "the disk is full"},
                                        Row{0s, &CountedFolder::fails, "the disk is gone"}}) {
    CAPTURE(rest.count());
    CAPTURE(why);
    auto folder = std::make_shared<CountedFolder>();
    auto node = Node::start({.id = "foo", .port = 0, .cookie = "cookie of a disk", .ring = "ring"}).value();
    const KvServer::Options options{
        .config = {.self = node.id(), .boot = {1, 1}}, .folder = {}, .sync_rest = rest};
    auto server = node.spawn<KvServer>({.name = "kv"}, options, folder, &node.actors(), node.ring_board(),
                                       std::uint64_t{7})
                      .value();
    REQUIRE(eventually([&] {
      const auto info = node.call(server, KvInfo{});
      return info && info->progress.settled;
    }));
    const auto put = [](int i) {
      return proto::KvRequest{
          .verb = proto::KvVerb::put, .key = {"default", std::to_string(i)}, .value = {1}, .timeout_ms = 300};
    };
    for (int i = 0; i < 20; ++i) {
      const auto done = node.call(server, KvAsk{put(i)});
      REQUIRE(done);
      CHECK(!done->failure);
      CHECK(folder->unflushed == 0);
    }
    const int before = folder->flushes;
    KvBatch batch;
    for (int i = 0; i < 500; ++i) batch.requests.push_back(put(i));
    const auto all = node.call(server, std::move(batch));
    REQUIRE(all);
    for (const auto& outcome : *all) CHECK(!outcome.failure);
    CHECK(folder->flushes <= before + (rest == 0s ? 1 : 1 + 500 / 16));
    CHECK(folder->syncs >= (rest == 0s ? 21 : 0));

    (*folder).*ends = true;
    for (int i = 0; i < 2; ++i) {
      const auto lost = node.call(server, KvAsk{put(i)});
      REQUIRE(lost);
      REQUIRE(lost->failure);
      CHECK(lost->failure->executed == (i == 0 ? Executed::unknown : Executed::no));
      (*folder).*ends = false;  // what it says later counts for nothing
    }
    const auto info = node.call(server, KvInfo{});
    REQUIRE(info);
    CHECK(info->progress.fault == why);
  }
}

TEST_CASE("kv store: many threads write at once, and a node that stops answers all of them") {
  KvNode foo("foo", "ring");
  REQUIRE(eventually([&] { return foo.settled(); }));
  std::vector<std::future<void>> writers;
  std::array<std::atomic<int>, 3> done{};
  std::atomic<bool> stop = false;
  for (int i = 0; i < 3; ++i)
    writers.push_back(std::async(std::launch::async, [&, i] {
      const KvWriteOptions how{.condition = proto::KvCondition::replace};
      auto& count = done.at(static_cast<std::size_t>(i));
      while (!stop && foo.store.put("key " + std::to_string(i), std::to_string(count), how)) ++count;
    }));
  CHECK(eventually([&] { return std::ranges::all_of(done, [](const auto& count) { return count > 50; }); }));
  stop = true;
  for (auto& writer : writers) writer.get();
  REQUIRE(foo.node.stop());
  CHECK(!foo.store.get("key 0"));
}

TEST_CASE(
    "kv syncer: each ticket is answered once it is on the disk, those that wait together, and a fault is "
    "told") {
  CountedFolder folder;
  std::atomic<std::uint64_t> synced = 0;
  std::atomic<int> failed = 0;  // with the reason
  {
    KvSyncer syncer(folder, {}, [&](std::uint64_t ticket, const Result<void>& outcome) {
      failed += !outcome && outcome.error().message() == "the disk is gone" ? 1 : 0;
      synced = ticket;
    });
    for (std::uint64_t ticket = 1; ticket <= 1000; ++ticket) syncer.want(ticket);
    CHECK(eventually([&] { return synced == 1000; }));
    CHECK(folder.syncs <= 1000);
    CHECK(failed == 0);
    folder.fails = true;
    syncer.want(1001);
    CHECK(eventually([&] { return failed == 1; }));
    folder.fails = false;
    syncer.want(1002);
    syncer.stop();
    CHECK(synced == 1002);
    CHECK(failed == 2);  // nobody knows what such a disk has, though it says now that all is well
    CHECK(folder.syncs <= 1001);
  }
  CHECK(synced == 1002);
}

TEST_CASE(
    "kv syncer: who asks may sync by itself, until a sync was slow; and one that rests loses nothing at its "
    "end") {
  CountedFolder folder;
  std::atomic<std::uint64_t> synced = 0;
  {
    KvSyncer syncer(
        folder, {}, [&](std::uint64_t ticket, const Result<void>&) { synced = ticket; },
        [&] { return folder.now.load(); });
    folder.takes = 10 * KvSyncer::kQuick;
    const auto own = syncer.sync_if_quick();
    CHECK((own && *own));
    CHECK(folder.syncs == 1);
    CHECK(!syncer.sync_if_quick());
    CHECK(folder.syncs == 1);
    syncer.want(1);
    CHECK(eventually([&] { return synced == 1; }));
  }
  KvSyncer resting(folder, 1h, [&](std::uint64_t ticket, const Result<void>&) { synced = ticket; });
  resting.want(2);
  CHECK(eventually([&] { return synced == 2; }));
  resting.want(3);
  resting.stop();
  CHECK(synced == 3);
}
