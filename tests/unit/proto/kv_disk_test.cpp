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

KvKey disk_key(int i) { return {"default", "key " + std::to_string(i)}; }

/// Takes nothing any more once it is full; `damaged` cannot be read, nor can what `unread` and `unscanned`
/// are.
class FailingStorage final : public cluster::testing::OnMemory<> {
 public:
  Result<Bytes> note() const override {
    if (unread) return Error(Errc::io, "the note cannot be read");
    return memory.note();
  }
  Result<std::vector<Entry>> scan(std::uint64_t position, std::size_t limit) const override {
    if (unscanned) return Error(Errc::corrupt, "the index cannot be read");
    return memory.scan(position, limit);
  }
  Result<void> set_note(ByteView note) override {
    if (unwritten) return Error(Errc::io, "the note cannot be written");
    return memory.set_note(note);
  }
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
  bool unread = false, unscanned = false, unwritten = false;
  Result<void> synced{};  // how a sync ends, unless it is lost
};

/// Three nodes or more, and a network that loses nothing.
struct Ring {
  struct Member {
    FailingStorage disk{};
    std::unique_ptr<Kv> kv{};
  };
  explicit Ring(const std::vector<NodeId>& ids = {"foo", "bar", "baz"}) {
    for (const auto& id : ids) start(id);
    place({1, 1}, ids);
    pass(3s);
    for (auto& [id, member] : members) REQUIRE(member.kv->progress().settled);
  }
  void start(const NodeId& id) {
    auto& member = members[id];
    member.kv = std::make_unique<Kv>(KvConfig{.self = id, .boot = {++boots, boots}}, member.disk, Rng(boots));
    perform(id, member.kv->on_start(now, kDiskBegin));
  }
  void place(const KvEdition& edition, const std::vector<NodeId>& ids,
             const std::vector<NodeId>& leaving = {}) {
    CHash ring;
    for (const auto& id : ids) REQUIRE(ring.insert({.id = id}, 8));
    for (auto& [id, member] : members) perform(id, member.kv->on_ring(now, "ring", edition, ring, leaving));
  }
  /// By a write to it.
  void fill(const NodeId& id) {
    auto& member = members[id];
    member.disk.full = true;
    for (int i = 1000; member.kv->progress().fault.empty(); ++i) {
      REQUIRE(i < 1100);
      static_cast<void>(ask("foo", {.verb = KvVerb::put, .key = disk_key(i), .value = {1}}));
    }
  }
  void perform(const NodeId& at, const KvActions& actions) {
    for (const auto& action : actions) {
      if (const auto* send = std::get_if<KvSend>(&action)) {
        sent.emplace_back(at, *send);
      } else if (const auto* reply = std::get_if<KvReply>(&action)) {
        replies.insert_or_assign(reply->id, *reply);
      } else if (const auto* sync = std::get_if<KvSync>(&action)) {
        auto& member = members[at];
        const Result<void> lost = Error(Errc::io, "nothing can be synced");
        perform(at, member.kv->on_synced(now, sync->ticket, member.disk.lost ? lost : member.disk.synced));
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
  std::uint64_t boots = 0;
};

}  // namespace

TEST_CASE("kv disk: with a full disk among three every write and read goes on, through that node as well") {
  Ring three;
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
      CHECK(put->answer);  // also that which the disk failed of
      const auto read = three.ask("baz", {.verb = KvVerb::get, .key = key});
      REQUIRE(read);
      REQUIRE(read->answer);
      CHECK(read->answer->values.size() == 1);  // nothing was done twice
    }
  for (const auto& [id, member] : three.members) {
    CAPTURE(id.str());
    const auto progress = member.kv->progress();
    CHECK(progress.settled == (id != "baz"));
    CHECK(progress.fault == (id == "baz" ? "no space left" : ""));
  }
}

TEST_CASE(
    "kv disk: with two disks full writes and reads fail, and none is said not to have happened wrongly") {
  Ring three;
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
    CHECK(three.replies.at(id).answer.error().executed() == Executed::no);
    CHECK(three.members["foo"].disk.memory.read(disk_key(1))->empty());
  }
}

TEST_CASE("kv disk: what a replica cannot read another one writes") {
  Ring three;
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

TEST_CASE("kv disk: who leaves hands over to those whose disks work; whose disk failed never can") {
  Ring four({"foo", "bar", "baz", "qux"});
  constexpr int kKeys = 40;
  for (int i = 0; i < kKeys; ++i)
    REQUIRE(four.ask("foo", {.verb = KvVerb::put, .key = disk_key(i), .value = {7}})->answer);
  four.fill("qux");
  four.pass(100ms);
  for (const auto* id : {"foo", "bar", "baz"})
    CHECK(four.members[id].kv->failed() == std::vector<NodeId>{"qux"});
  four.place({2, 2}, {"foo", "bar", "qux"}, {"baz"});
  const auto& baz = *four.members["baz"].kv;
  for (const auto end = four.now + 30s; !baz.has_drained() && four.now < end;) four.pass(100ms);
  CHECK(baz.has_drained());
  CHECK(four.members["baz"].disk.memory.size() == 0);
  for (int i = 0; i < kKeys; ++i)
    for (const auto* id : {"foo", "bar"}) CHECK(!four.members[id].disk.memory.read(disk_key(i))->empty());

  four.place({3, 3}, {"foo", "bar", "baz"}, {"qux"});
  four.pass(30s);
  CHECK_FALSE(four.members["qux"].kv->has_drained());
  CHECK(four.members["qux"].kv->progress().fault == "no space left");
}

TEST_CASE("kv disk: whatever fails first, its reason is kept and told") {
  Ring three;
  auto& baz = three.members["baz"];
  std::string why;

  SUBCASE("a sync") {
    baz.disk.synced = Error(Errc::io, why = "While fdatasync: Input/output error");
    static_cast<void>(three.ask("foo", {.verb = KvVerb::put, .key = disk_key(1), .value = {1}}));
    baz.disk.synced = Error(Errc::io, "not for the first time");
    static_cast<void>(three.ask("foo", {.verb = KvVerb::put, .key = disk_key(2), .value = {1}}));
  }
  SUBCASE("a sync that does not say why") {
    why = "the disk failed";
    baz.disk.synced = Error(Errc::io, "");
    static_cast<void>(three.ask("foo", {.verb = KvVerb::put, .key = disk_key(1), .value = {1}}));
  }
  SUBCASE("a look through all that is held") {
    why = "the index cannot be read";
    baz.disk.unscanned = true;
    three.place({2, 2}, {"foo", "baz"}, {"bar"});
  }
  SUBCASE("the reading of its note") {
    why = "the note cannot be read";
    baz.disk.unread = true;
    three.start("baz");
  }
  SUBCASE("the writing of its note") {
    why = "the note cannot be written";
    baz.disk.unwritten = true;
    three.place({2, 2}, {"foo", "baz"}, {"bar"});
  }
  three.pass(30s);
  CHECK(baz.kv->is_broken());
  CHECK(baz.kv->progress().fault == why);
}

TEST_CASE("kv disk: once there is room, and it has been started again, it gets what it missed") {
  Ring three;
  three.fill("baz");
  for (int i = 0; i < 40; ++i)
    REQUIRE(three.ask("foo", {.verb = KvVerb::put, .key = disk_key(i), .value = {7}})->answer);
  auto& baz = three.members["baz"];
  baz.disk.full = baz.disk.lost = false;
  three.start("baz");
  three.place({1, 1}, {"foo", "bar", "baz"});
  const auto holds_all = [&] {
    for (int i = 0; i < 40; ++i)
      if (baz.disk.memory.read(disk_key(i))->empty()) return false;
    return true;
  };
  for (const auto end = three.now + 30s; !holds_all() && three.now < end;) three.pass(100ms);
  CHECK(holds_all());
  CHECK(baz.kv->progress().settled);
  for (const auto* id : {"foo", "bar"}) CHECK(three.members[id].kv->failed().empty());
  // A late word of the process before is not believed for long.
  three.perform("foo", three.members["foo"].kv->on_message(three.now, kDiskBegin, "baz",
                                                           KvHello{.life = 3, .bases = {}, .failed = true}));
  CHECK(three.members["foo"].kv->failed() == std::vector<NodeId>{"baz"});
  three.pass(30s);
  CHECK(three.members["foo"].kv->failed().empty());
}
