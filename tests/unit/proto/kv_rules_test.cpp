// Buckets where the last write wins, where values are merged, and where they stay beside each other.
#include <doctest/doctest.h>

#include <algorithm>
#include <optional>
#include <string>
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
  /// Of one that is alone.
  void settle() {
    for (; !kv.settled() && now < Instant{} + 5s; now += 10ms) look(kv.on_time(now, wall));
    REQUIRE(kv.settled());
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
  node.settle();
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

TEST_CASE("kv: writers in turn who go on with what their own writes were answered have one value each") {
  RulesNode node("siblings", {"foo"});
  node.settle();
  for (const std::size_t writers : {1, 2, 5}) {
    CAPTURE(writers);
    std::vector<VersionVector> seen(writers);
    std::vector<Bytes> last(writers);
    for (int i = 0; i < 100; ++i)
      for (std::size_t at = 0; at < writers; ++at) {
        last[at] = text_of(std::to_string(writers) + " " + std::to_string(at) + " " + std::to_string(i));
        node.ask({.verb = KvVerb::put, .value = last[at], .context = seen[at]});
        REQUIRE((node.reply && node.reply->answer));
        seen[at] = node.reply->answer->context;
        CHECK(seen[at].entries.size() <= KvRecord::kContextMax);
      }
    node.ask({.verb = KvVerb::get});
    REQUIRE((node.reply && node.reply->answer));
    auto values = node.reply->answer->values;
    std::ranges::sort(values);
    std::ranges::sort(last);
    CHECK(values == last);
    node.ask({.verb = KvVerb::put, .value = {}, .context = node.reply->answer->context});
    REQUIRE((node.reply && node.reply->answer));
    node.ask({.verb = KvVerb::del, .context = node.reply->answer->context});
  }
}
