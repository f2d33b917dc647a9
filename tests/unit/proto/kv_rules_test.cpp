// Buckets where the last write wins, and where values are merged.
#include <doctest/doctest.h>

#include <optional>
#include <utility>
#include <vector>

#include "cluster/proto/kv.hpp"
#include "cluster/proto/kv_bucket.hpp"

using namespace cluster;
using namespace cluster::proto;

namespace {

constexpr WallTime kRulesBegin{std::chrono::hours(480'000)};
const KvKey kRulesKey{"default", "key"};

KvConfig with_rule(std::string_view rule) {
  return {.self = "foo",
          .boot = {1, 2},
          .bucket = parse_kv_bucket("*:" + std::string(rule)).value().second,
          .ring_rest = {}};
}

/// A node on a disk that is quick.
struct RulesNode {
  RulesNode(std::string_view rule, const std::vector<const char*>& members)
      : kv(with_rule(rule), memory, Rng(1)) {
    CHash ring;
    for (const auto* id : members) REQUIRE(ring.insert({.id = id}, 8));
    look(kv.on_start(now, wall));
    look(kv.on_ring(now, "ring", {1, 1}, ring));
  }
  void look(const KvActions& actions) {
    for (const auto& action : actions) {
      if (const auto* found = std::get_if<KvReply>(&action)) reply = *found;
      if (const auto* send = std::get_if<KvSend>(&action)) sent.push_back(*send);
      if (const auto* sync = std::get_if<KvSync>(&action)) look(kv.on_synced(now, sync->ticket, {}));
    }
  }
  void ask(KvRequest request) {
    reply.reset();
    sent.clear();
    request.key = kRulesKey;
    look(kv.on_request(now, wall, ++asked, std::move(request)));
  }
  void hear(const NodeId& from, KvMessage message) {
    look(kv.on_message(now, wall, from, std::move(message)));
  }
  template <class Message>
  std::vector<std::pair<NodeId, Message>> sent_of() const {
    std::vector<std::pair<NodeId, Message>> found;
    for (const auto& send : sent)
      if (const auto* message = std::get_if<Message>(&send.message)) found.emplace_back(send.to, *message);
    return found;
  }

  KvMemory memory{};
  Kv kv;
  Instant now{};
  WallTime wall = kRulesBegin;
  std::uint64_t asked = 0;
  std::optional<KvReply> reply{};
  std::vector<KvSend> sent{};
};

Bytes text_of(std::string_view text) { return {text.begin(), text.end()}; }

}  // namespace

TEST_CASE("kv: who writes into a merged value has not seen what it was merged with, and cannot replace it") {
  RulesNode node("union", {"foo"});
  for (node.now = {}; !node.kv.settled() && node.now < Instant{} + 5s; node.now += 10ms)
    node.look(node.kv.on_time(node.now, node.wall));
  REQUIRE(node.kv.settled());
  node.ask({.verb = KvVerb::put, .value = text_of("milk")});
  REQUIRE((node.reply && node.reply->answer));
  CHECK(!node.reply->answer->context.entries.empty());
  node.ask({.verb = KvVerb::put, .value = text_of("bread")});
  REQUIRE((node.reply && node.reply->answer));
  node.ask({.verb = KvVerb::put, .value = text_of("eggs"), .context = node.reply->answer->context});
  node.ask({.verb = KvVerb::get});
  REQUIRE((node.reply && node.reply->answer));
  CHECK(node.reply->answer->values == std::vector<Bytes>{text_of("bread\neggs\nmilk\n")});
}

TEST_CASE(
    "kv: where the last write wins, one that replaces what this node has missed is later than that by all "
    "clocks") {
  RulesNode node("last", {"foo", "bar", "baz"});
  KvRecord missed;  // written by a clock that is ahead
  missed.put({}, {{7, 7}, 1}, {.data = text_of("old"), .written = node.wall + std::chrono::minutes(1)});
  node.ask({.verb = KvVerb::put, .value = text_of("new"), .context = missed.context});
  CHECK(node.sent_of<KvWrite>().empty());
  for (const auto& [to, read] : node.sent_of<KvRead>())
    node.hear(to, KvReadReply{.id = read.id, .ready = true, .record = missed});
  const auto writes = node.sent_of<KvWrite>();
  REQUIRE(!writes.empty());
  for (const auto& [to, write] : writes) {
    REQUIRE(write.record.siblings.size() == 1);
    CHECK(write.record.siblings.front().value.data == text_of("new"));
    CHECK(write.record.siblings.front().value.written > missed.siblings.front().value.written);
    CHECK(write.record.context.descends(missed.context));
  }
}

TEST_CASE("kv: where the last write wins, one that replaces what no replica has leaves it to the clocks") {
  RulesNode node("last", {"foo", "bar", "baz"});
  VersionVector unknown;
  unknown.add({{7, 7}, 1});
  node.ask({.verb = KvVerb::put, .value = text_of("new"), .context = unknown});
  for (const auto& [to, read] : node.sent_of<KvRead>())
    node.hear(to, KvReadReply{.id = read.id, .ready = true});
  const auto writes = node.sent_of<KvWrite>();
  REQUIRE(!writes.empty());
  for (const auto& [to, write] : writes) CHECK(!write.record.context.descends(unknown));
}
