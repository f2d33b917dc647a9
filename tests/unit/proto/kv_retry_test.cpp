// A request that comes while the replicas are not ready yet.
#include <doctest/doctest.h>

#include <optional>
#include <set>
#include <vector>

#include "actions.hpp"
#include "cluster/proto/kv.hpp"
#include "kv_support.hpp"

using namespace cluster;
using namespace cluster::proto;
using cluster::proto::test::ring_of;

namespace {

constexpr WallTime kRetryBegin{std::chrono::hours(480'000)};

auto reads_in(const KvActions& actions) { return cluster::testing::sent<KvRead, KvSend>(actions); }
auto reply_in(const KvActions& actions) { return cluster::testing::first_of<KvReply>(actions); }

}  // namespace

TEST_CASE("kv: replicas that were not ready are asked again, and may be ready then") {
  const KvConfig config{.self = "foo", .boot = {1, 2}, .ring_rest = {}};
  KvMemory memory;
  Kv kv(config, memory, Rng(1));
  const CHash ring = ring_of({"foo", "bar", "baz"});
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

TEST_CASE("kv: what is asked of a node that has just joined waits until its ring rests") {
  const KvConfig config{.self = "foo", .boot = {1, 2}};
  KvMemory memory;
  Kv kv(config, memory, Rng(1));
  const CHash ring = ring_of({"foo", "bar", "baz"});
  static_cast<void>(kv.on_start({}, kRetryBegin));
  const KvRequest get{.verb = KvVerb::get, .key = {"default", "key"}};
  CHECK(reply_in(kv.on_request({}, kRetryBegin, 6, get)));  // in no ring
  static_cast<void>(kv.on_ring({}, "ring", {1, 1}, ring));
  CHECK(!reply_in(kv.on_request({}, kRetryBegin, 7, get)));
  std::size_t asked = 0;
  for (Instant now{}; now < Instant{} + 2 * config.ring_rest; now += 10ms) {
    const auto actions = kv.on_time(now, kRetryBegin);
    CHECK(!reply_in(actions));
    asked += reads_in(actions).size();
  }
  CHECK(asked == 2);
}

TEST_CASE("kv: what too few can be reached for waits for a ring that is coming, and is refused if none is") {
  const KvConfig config{.self = "foo", .boot = {1, 2}};
  for (const auto verb : {KvVerb::get, KvVerb::put})
    for (const bool is_coming : {false, true}) {
      CAPTURE(is_coming);
      KvMemory memory;
      Kv kv(config, memory, Rng(1));
      Instant now{};
      static_cast<void>(kv.on_start(now, kRetryBegin));
      static_cast<void>(kv.on_ring(now, "ring", {1, 1}, ring_of({"foo", "bar", "baz"})));
      now += config.ring_rest;
      static_cast<void>(kv.on_time(now, kRetryBegin));
      for (const auto* gone : {"bar", "baz"}) static_cast<void>(kv.on_peer(now, gone, false));
      if (is_coming) static_cast<void>(kv.on_ring(now, "ring", {2, 2}, ring_of({"foo"})));
      auto reply = reply_in(
          kv.on_request(now, kRetryBegin, 7, {.verb = verb, .key = {"default", "key"}, .value = {}}));
      CHECK(reply.has_value() != is_coming);
      const auto end = now + 2s;
      for (; !reply && now < end; now += 10ms) {
        const auto actions = kv.on_time(now, kRetryBegin);
        reply = reply_in(actions);
        if (const auto sync = cluster::testing::first_of<KvSync>(actions); sync && !reply)
          reply = reply_in(kv.on_synced(now, sync->ticket, {}));
      }
      REQUIRE(reply);
      CHECK(reply->answer.has_value() == is_coming);
    }
}

TEST_CASE("kv: a write that another node hands on is not begun once its writer has given up") {
  for (const bool late : {false, true}) {
    CAPTURE(late);
    KvMemory memory;
    Kv kv({.self = "foo", .boot = {1, 2}, .ring_rest = {}}, memory, Rng(1));
    const CHash ring = ring_of({"foo", "bar", "baz"});
    static_cast<void>(kv.on_start({}, kRetryBegin));
    static_cast<void>(kv.on_ring({}, "ring", {1, 1}, ring));
    const KvForward forward{
        5, {.verb = KvVerb::put, .key = {"default", "key"}, .value = {1}, .timeout_ms = 1000}};
    const auto claims =
        cluster::testing::sent<KvClaim, KvSend>(kv.on_message({}, kRetryBegin, "bar", forward));
    REQUIRE(claims.size() == 1);
    const auto actions = kv.on_message(Instant{} + (late ? 1500ms : 500ms), kRetryBegin, "bar",
                                       KvGrant{claims[0].second.operation, true});
    CHECK(cluster::testing::sent<KvWrite, KvSend>(actions).empty() == late);
  }
}

TEST_CASE("kv: who waits for its first ring to rest leaves a write that is handed on to others") {
  const KvConfig config{.self = "foo", .boot = {1, 2}};
  KvMemory memory;
  Kv kv(config, memory, Rng(1));
  const CHash ring = ring_of({"foo", "bar", "baz"});
  static_cast<void>(kv.on_start({}, kRetryBegin));
  static_cast<void>(kv.on_ring({}, "ring", {1, 1}, ring));
  const KvForward forward{5,
                          {.verb = KvVerb::put, .key = {"default", "key"}, .value = {1}, .timeout_ms = 5000}};
  CHECK(cluster::testing::sent<KvClaim, KvSend>(kv.on_message({}, kRetryBegin, "bar", forward)).empty());
  std::size_t claims = 0;  // once it could do it
  for (Instant now{}; now < Instant{} + 2 * config.ring_rest; now += 10ms)
    claims += cluster::testing::sent<KvClaim, KvSend>(kv.on_time(now, kRetryBegin)).size();
  CHECK(claims > 0);
}

TEST_CASE(
    "kv: a write is handed on with the time that is left, and a great one is waited for longer each time") {
  const KvConfig config{.self = "foo", .boot = {1, 2}, .ring_rest = {}};
  for (const std::size_t size : {std::size_t{1}, std::size_t{32} << 20}) {
    CAPTURE(size);
    KvMemory memory;
    Kv kv(config, memory, Rng(1));
    const CHash ring = ring_of({"foo", "bar", "baz", "qux"});
    static_cast<void>(kv.on_start({}, kRetryBegin));
    static_cast<void>(kv.on_ring({}, "ring", {1, 1}, ring));
    KvKey key{"default", "key"};
    while (kv.replicas(key).has("foo")) key.key += 'x';
    const auto forwards = [](const KvActions& actions) {
      return cluster::testing::sent<KvForward, KvSend>(actions);
    };
    auto sent = forwards(kv.on_request(
        {}, kRetryBegin, 7, {.verb = KvVerb::put, .key = key, .value = Bytes(size), .timeout_ms = 60'000}));
    REQUIRE(sent.size() == 1);
    CHECK(sent[0].second.request.timeout_ms == 60'000);
    Instant now{};
    Instant last = now;
    std::vector<Duration> waited;
    while (waited.size() < 2 && now < Instant{} + 30s) {
      now += 50ms;
      sent = forwards(kv.on_time(now, kRetryBegin));
      if (sent.empty()) continue;
      waited.push_back(now - last);
      last = now;
      CHECK(sent[0].second.request.timeout_ms ==
            60'000 - static_cast<std::uint32_t>((now - Instant{}) / 1ms));
    }
    REQUIRE(waited.size() == 2);
    CHECK((waited[1] > waited[0] + 1s) == (size > 1));
  }
}
