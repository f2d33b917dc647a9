// What a watcher tells, by way of the store's C++ interface.
#include <doctest/doctest.h>

#include <future>
#include <string>
#include <vector>

#include "cluster/kv/kv_store.hpp"
#include "eventually.hpp"

using namespace cluster;
using cluster::testing::eventually;

namespace {

constexpr std::size_t kRemembered = 4096;  // rows, by a watcher
constexpr std::size_t kBatch = 512;

}  // namespace

TEST_CASE("kv watch: who waits for some keys misses nothing, however many others are written meanwhile") {
  auto node = Node::start({.id = "foo",
                           .host = "127.0.0.1",
                           .port = 0,
                           .cookie = "cookie of the watcher's tests",
                           .ring = "ring"})
                  .value();
  auto store = KvStore::start(node, {}).value();
  REQUIRE(eventually([&] { return store.put("first", "x").operator bool(); }));
  auto all = store.watch({.bucket = "default"}).value().last;
  auto waiting = std::async(std::launch::async, [&, since = all] {
    return store.watch({.bucket = "default", .prefix = "wanted", .since = since, .wait_ms = 30'000});
  });
  for (std::size_t written = 0; written < kRemembered + kBatch; written += kBatch) {
    std::vector<proto::KvRequest> requests;
    for (std::size_t i = 0; i < kBatch; ++i)
      requests.push_back({.verb = proto::KvVerb::put,
                          .key = {"default", "other " + std::to_string(written + i)},
                          .value = {1}});
    REQUIRE(store.batch(std::move(requests)));
    for (std::size_t told = 0; told < kBatch;) {
      const auto answer = store.watch({.bucket = "default", .since = all, .wait_ms = 10'000}).value();
      for (const auto& row : answer.rows) REQUIRE(row.event == "put");
      told += answer.rows.size();
      all = answer.last;
    }
  }
  REQUIRE(store.put("wanted", "x"));
  const auto told = waiting.get().value();
  REQUIRE(told.rows.size() == 1);
  CHECK(told.rows.front().event == "put");
  CHECK(told.rows.front().key == "wanted");
}
