#include <array>
#include <cstdint>
#include <set>
#include <string>
#include <variant>

#include "cluster/base/assert.hpp"
#include "cluster/proto/kv.hpp"
#include "fuzz.hpp"
#include "stream.hpp"

namespace {
using namespace cluster;
using namespace cluster::proto;

/// A store in a ring of four that has requests under way, and what must hold of it whatever it is told.
class Replica {
 public:
  Replica()
      : kv_({.self = "self", .boot = {1, 2}, .bucket = {}, .buckets = {}, .ring_rest = {}}, memory_, Rng(1)) {
    heed(kv_.on_start(now_, wall_));
    CHash ring;
    for (const auto* id : {"self", "a", "b", "c"}) CLUSTER_ASSERT(ring.insert({.id = id}, 4).has_value());
    heed(kv_.on_ring(now_, "ring", {5, 5}, ring));
    ask();
  }
  void hear(const KvMessage& message) {
    heed(kv_.on_message(now_, wall_, peers_[++turn_ % peers_.size()], message));
    pass(20ms);
    if (turn_ % 8 == 0) ask();
  }
  /// Every request is answered, once and in time.
  void end() {
    for (int i = 0; i < 120; ++i) pass(100ms);
    CLUSTER_ASSERT(open_.empty());
  }

 private:
  void ask() {
    const KvKey key{"default", "key " + std::to_string(asked_last_ % 3)};
    request({.verb = KvVerb::put, .key = key, .value = {1, 2, 3}});
    request({.verb = KvVerb::get, .key = key});
    request({.verb = KvVerb::del, .key = key, .condition = KvCondition::replace});
  }
  void request(KvRequest asked) {
    open_.insert(++asked_last_);
    heed(kv_.on_request(now_, wall_, asked_last_, std::move(asked)));
  }
  void pass(Duration time) {
    now_ += time;
    for (int i = 0; i < 64 && kv_.next_deadline() <= now_; ++i) heed(kv_.on_time(now_, wall_));
  }
  void heed(const KvActions& actions) {
    std::uint64_t ticket = 0;
    for (const auto& action : actions) {
      if (const auto* sent = std::get_if<KvSend>(&action)) {
        CLUSTER_ASSERT(sent->to != kv_.self());
        CLUSTER_ASSERT(check(sent->message).has_value());
      } else if (const auto* reply = std::get_if<KvReply>(&action)) {
        CLUSTER_ASSERT(open_.erase(reply->id) == 1);
      } else if (const auto* sync = std::get_if<KvSync>(&action)) {
        ticket = sync->ticket;
      }
    }
    if (ticket != 0) heed(kv_.on_synced(now_, ticket, {}));
  }

  const std::array<NodeId, 4> peers_{"a", "b", "c", "stranger"};
  Instant now_{};
  WallTime wall_{std::chrono::hours(480'000)};
  KvMemory memory_;
  Kv kv_;
  std::set<std::uint64_t> open_{};
  std::uint64_t asked_last_ = 0;
  std::size_t turn_ = 0;
};

}  // namespace

// The input is what other nodes say to a store.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Replica replica;
  take_messages<KvMessage>({data, size}, [&](const KvMessage& message) { replica.hear(message); });
  replica.end();
  return 0;
}
