// A request that comes while the replicas are not ready yet.
#include <doctest/doctest.h>

#include <optional>
#include <set>

#include "actions.hpp"
#include "cluster/proto/kv.hpp"

using namespace cluster;
using namespace cluster::proto;

namespace {

constexpr WallTime kRetryBegin{std::chrono::hours(480'000)};

auto reads_in(const KvActions& actions) { return cluster::testing::sent<KvRead, KvSend>(actions); }
auto reply_in(const KvActions& actions) { return cluster::testing::first_of<KvReply>(actions); }

}  // namespace

TEST_CASE("kv: replicas that were not ready are asked again, and may be ready then") {
  const KvConfig config{.self = "foo", .boot = {1, 2}};
  KvMemory memory;
  Kv kv(config, memory, Rng(1));
  CHash ring;
  for (const auto* id : {"foo", "bar", "baz"}) REQUIRE(ring.insert({.id = id}, 8));
  static_cast<void>(kv.on_start({}, kRetryBegin));
  static_cast<void>(kv.on_ring({}, "ring", {1, 1}, ring));

  Instant now{};
  auto asked = reads_in(kv.on_request(now, kRetryBegin, 7, {.verb = KvVerb::get, .key = {"default", "key"}}));
  REQUIRE(asked.size() == 2);
  for (const auto& [to, read] : asked)
    CHECK(!reply_in(kv.on_message(now, kRetryBegin, to, KvReadReply{.id = read.id, .ready = false})));

  now += config.retry_interval;
  asked = reads_in(kv.on_time(now, kRetryBegin));
  std::set<NodeId> again;
  std::optional<KvReply> reply;
  for (const auto& [to, read] : asked) {
    again.insert(to);
    if (auto answer =
            reply_in(kv.on_message(now, kRetryBegin, to, KvReadReply{.id = read.id, .ready = true})))
      reply = std::move(answer);
  }
  CHECK(again == std::set<NodeId>{"bar", "baz"});
  REQUIRE(reply);
  CHECK(reply->id == 7);
  CHECK(reply->answer);
}
