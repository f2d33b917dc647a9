// A node whose disk fails: no worse for the others, and for those who ask it, than one that is dead.
#include <doctest/doctest.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "actions.hpp"
#include "cluster/proto/kv.hpp"
#include "on_memory.hpp"

using namespace cluster;
using namespace cluster::proto;

namespace {

constexpr WallTime kDiskBegin{std::chrono::hours(480'000)};

/// Takes nothing any more once it is full; `damaged` cannot be read.
class FailingStorage final : public cluster::testing::OnMemory<> {
 public:
  Result<KvOutline> outline(const KvKey& key) const override {
    if (key == damaged) return Error(Errc::corrupt, "a checksum is wrong");
    return memory.outline(key);
  }
  Result<void> write(const Entry& entry, const KvRecord& record) override {
    if (full) lost = true;
    return lost ? Error(Errc::io, "no space left") : memory.write(entry, record);
  }
  [[nodiscard]] std::string fault() const override { return lost ? "no space left" : ""; }
  bool full = false;
  bool lost = false;
  KvKey damaged{};
};

/// Three nodes, and a network that loses nothing.
struct Three {
  struct Member {
    FailingStorage disk{};
    std::unique_ptr<Kv> kv{};
  };
  Three() {
    CHash ring;
    for (const auto* id : {"foo", "bar", "baz"}) REQUIRE(ring.insert({.id = id}, 8));
    for (const auto* id : {"foo", "bar", "baz"}) {
      auto& member = members[id];
      member.kv =
          std::make_unique<Kv>(KvConfig{.self = id, .boot = {1, 2}}, member.disk, Rng(members.size()));
      perform(id, member.kv->on_start(now, kDiskBegin));
    }
    for (auto& [id, member] : members) perform(id, member.kv->on_ring(now, "ring", {1, 1}, ring));
    pass(3s);
    for (auto& [id, member] : members) REQUIRE(member.kv->progress().settled);
  }
  void perform(const NodeId& at, const KvActions& actions) {
    for (const auto& action : actions) {
      if (const auto* send = std::get_if<KvSend>(&action)) {
        sent.emplace_back(at, *send);
      } else if (const auto* reply = std::get_if<KvReply>(&action)) {
        replies.insert_or_assign(reply->id, *reply);
      } else if (const auto* sync = std::get_if<KvSync>(&action)) {
        auto& member = members[at];
        perform(at, member.kv->on_synced(now, sync->ticket, !member.disk.lost));
      }
    }
  }
  void pass(Duration time) {
    for (const auto end = now + time; now < end; now += 10ms) {
      while (!sent.empty())
        for (auto& [from, send] : std::exchange(sent, {}))
          perform(send.to, members[send.to].kv->on_message(now, kDiskBegin, from, std::move(send.message)));
      for (auto& [id, member] : members)
        if (member.kv->next_deadline() <= now) perform(id, member.kv->on_time(now, kDiskBegin));
    }
  }
  /// None: there is no answer within 300 ms, in which no replica is asked a second time.
  std::optional<KvReply> ask(const NodeId& at, KvRequest request) {
    const auto id = ++asked;
    perform(at, members[at].kv->on_request(now, kDiskBegin, id, std::move(request)));
    pass(300ms);
    const auto found = replies.find(id);
    return found == replies.end() ? std::nullopt : std::optional(found->second);
  }
  Instant now{};
  std::map<NodeId, Member> members;
  std::vector<std::pair<NodeId, KvSend>> sent;
  std::map<std::uint64_t, KvReply> replies;
  std::uint64_t asked = 0;
};

KvKey disk_key(int i) { return {"default", "key " + std::to_string(i)}; }

}  // namespace

TEST_CASE("kv disk: with a full disk among three every write and read goes on, through that node as well") {
  Three three;
  int lost = 0;
  three.members["baz"].disk.full = true;
  for (int i = 0; i < 60; ++i)
    for (const auto condition : {KvCondition::none, KvCondition::replace, KvCondition::absent}) {
      CAPTURE(i);
      CAPTURE(static_cast<int>(condition));
      const auto key = disk_key(10 * i + static_cast<int>(condition));
      const NodeId at = i % 3 == 0 ? "foo" : i % 3 == 1 ? "bar" : "baz";
      const auto put = three.ask(
          at, {.verb = KvVerb::put, .key = key, .value = Bytes(1, std::uint8_t{7}), .condition = condition});
      REQUIRE(put);
      if (!put->answer) {  // the one that the disk failed of
        CHECK(put->answer.error().executed() == Executed::unknown);
        ++lost;
        continue;
      }
      const auto read = three.ask("baz", {.verb = KvVerb::get, .key = key});
      REQUIRE(read);
      REQUIRE(read->answer);
      CHECK(read->answer->values.size() == 1);  // nothing was done twice
    }
  CHECK(lost <= 1);
  for (const auto& [id, member] : three.members) {
    CAPTURE(id.str());
    const auto progress = member.kv->progress();
    CHECK(progress.settled == (id != "baz"));
    CHECK(progress.fault == (id == "baz" ? "no space left" : ""));
  }
}

TEST_CASE(
    "kv disk: with two disks full writes and reads fail, and none is said not to have happened wrongly") {
  Three three;
  for (const auto* id : {"bar", "baz"}) three.members[id].disk.full = true;
  static_cast<void>(three.ask("bar", {.verb = KvVerb::put, .key = disk_key(0)}));
  static_cast<void>(three.ask("baz", {.verb = KvVerb::put, .key = disk_key(0)}));
  for (const auto* at : {"foo", "bar", "baz"}) {
    const auto id = three.asked + 1;
    static_cast<void>(three.ask(at, {.verb = KvVerb::put, .key = disk_key(1), .value = {1}}));
    static_cast<void>(three.ask(at, {.verb = KvVerb::get, .key = disk_key(1)}));
    three.pass(6s);
    for (const auto of : {id, id + 1}) {
      REQUIRE(three.replies.contains(of));
      CHECK(!three.replies.at(of).answer);
    }
    CHECK(three.replies.at(id).answer.error().executed() == Executed::unknown);  // foo has it
  }
}

TEST_CASE("kv disk: what a replica cannot read another one writes") {
  Three three;
  const auto key = disk_key(1);
  REQUIRE(three.ask("foo", {.verb = KvVerb::put, .key = key, .value = {1}})->answer);
  three.members["bar"].disk.damaged = key;
  for (const auto* at : {"foo", "bar", "baz"})
    for (const auto condition : {KvCondition::none, KvCondition::replace, KvCondition::present}) {
      CAPTURE(at);
      CAPTURE(static_cast<int>(condition));
      const auto put = three.ask(at, {.verb = KvVerb::put, .key = key, .value = {2}, .condition = condition});
      REQUIRE(put);
      CHECK(put->answer);
      const auto read = three.ask(at, {.verb = KvVerb::get, .key = key});
      REQUIRE(read);
      CHECK(read->answer);
    }
  for (const auto& [id, member] : three.members) CHECK(member.kv->progress().fault.empty());
}
