#include "cluster/kv/kv_watch.hpp"

#include <algorithm>
#include <utility>

#include "cluster/base/utf8.hpp"
#include "cluster/proto/kv_record.hpp"

// No aggregate is made inside a co_await expression here: GCC 12 would destroy it twice.

namespace cluster {
namespace {

using wire::Value;

constexpr Duration kWatchTick = 200ms;
constexpr Duration kBeginWait = 2s;  // for members to say where their changes are
constexpr Duration kUnwatchedMax = 60s;
constexpr Duration kWatchWaitMax = 30s;
constexpr Duration kMemberWait = 5s;      // of a member that has nothing to tell
constexpr Duration kMemberAnswer = 2s;    // for its answer to come
constexpr Duration kMemberPause = 500ms;  // before one that does not answer is asked again
constexpr Duration kGather = 10ms;        // changes that come together are told together
constexpr Duration kOldest =
    15min;  // what was written longer before the watch began, by other clocks, is no news
constexpr std::size_t kTapsMax = 64;
constexpr std::size_t kWaitingMax = 1024;
constexpr std::size_t kRowsMax = 4096;
constexpr std::size_t kRowsAtOnce = 1024;
constexpr std::size_t kSeenMax = 16'384;

Value ids(const std::vector<NodeId>& nodes) {
  Value::Array list;
  for (const auto& node : nodes) list.push_back(node.str());
  return list;
}

}  // namespace

Value watch_row(const KvWatch::Row& row) {
  auto value = Value::map({{"seq", row.seq}, {"event", row.event}});
  if (row.event == "put" || row.event == "del") {
    if (is_utf8(row.key))
      value.set("key", row.key);
    else
      value.set("key", Bytes(row.key.begin(), row.key.end()));
    return value;
  }
  value.set("members", ids(row.members));
  if (row.event == "watching") value.set("silent", ids(row.silent));
  return value;
}

Result<void> KvWatcher::init() {
  send_every(kWatchTick, Tick{});
  return {};
}

void KvWatcher::handle_call(const KvWatch& watch, From<KvWatch::Answer> from) {
  if (!proto::is_bucket_name(watch.bucket))
    return from.fail(
        Error(Errc::invalid_argument, "a bucket's name is 1 to 64 letters, digits, '.', '_' and '-'"));
  if (waiting_.size() >= kWaitingMax || (taps_.size() >= kTapsMax && !taps_.contains(watch.bucket)))
    return from.fail(Error(Errc::overloaded, "too much is watched at this node"));
  Tap& tap = tap_of(watch.bucket);
  tap.wanted = now();
  if (auto answer = answer_to(watch, tap, false)) return from.reply(std::move(*answer));
  const auto wait = std::min<Duration>(std::chrono::milliseconds(watch.wait_ms), kWatchWaitMax);
  waiting_.push_back({watch, std::move(from), now() + (watch.since ? wait : kBeginWait)});
}

KvWatcher::Tap& KvWatcher::tap_of(const std::string& bucket) {
  auto& tap = taps_[bucket];
  if (!tap) {
    tap = std::make_shared<Tap>();
    tap->begun = wall_now();
    tap->floor = tap->last = static_cast<std::uint64_t>(micros(tap->begun));
    follow_members(bucket, *tap);
  }
  return *tap;
}

/// Who comes later tells all that it remembers, since nobody followed it before.
void KvWatcher::follow_members(const std::string& bucket, Tap& tap) {
  const bool begins = tap.places.empty();
  for (const auto& member : ring_->read()->members) {
    const auto [place, is_new] = tap.places.try_emplace(member.id);
    if (!is_new) continue;
    if (!begins) place->second.since = 0;
    send_after(Duration::zero(), Follow{bucket, member.id});
  }
}

void KvWatcher::handle_info(const Tick&) {
  for (auto at = taps_.begin(); at != taps_.end();) {
    auto& [bucket, tap] = *at;
    const bool awaited =
        std::ranges::any_of(waiting_, [&](const Waiting& w) { return w.watch.bucket == bucket; });
    tap->ended = !awaited && now() - tap->wanted > kUnwatchedMax;
    if (!tap->ended) follow_members(bucket, *tap);
    at = tap->ended ? taps_.erase(at) : std::next(at);
  }
  answer_waiting();
}

bool KvWatcher::is_member(const NodeId& node) const {
  return std::ranges::any_of(ring_->read()->members, [&](const auto& member) { return member.id == node; });
}

Task<void> KvWatcher::handle_info(Follow follow) {
  const auto found = taps_.find(follow.bucket);
  if (found == taps_.end()) co_return;
  const auto tap = found->second;
  while (!tap->ended && is_member(follow.node)) {
    const auto there = ref<KvServer>(std::string(KvServer::kName) + "@" + follow.node.str());
    auto& place = tap->places[follow.node];
    KvChanges question{.boot = place.boot, .since = place.since, .bucket = follow.bucket};
    question.wait_ms = static_cast<std::uint32_t>(kMemberWait / 1ms);
    Result<KvChanges::Answer> told = Error(Errc::unreachable, "no such server");
    if (there) {
      auto pending = call(*there, std::move(question), kMemberWait + kMemberAnswer);
      told = co_await pending;
    }
    place.asked = true;
    place.answers = static_cast<bool>(told);
    if (told) take(*tap, follow.node, *told);
    answer_waiting();
    co_await sleep(told ? kGather : kMemberPause);
  }
  tap->places.erase(follow.node);
}

void KvWatcher::take(Tap& tap, const NodeId& node, const KvChanges::Answer& told) {
  auto& place = tap.places[node];
  const bool went_on = place.boot == told.boot;
  place.boot = told.boot;
  place.since = told.last;
  if (told.missed && went_on) add(tap, {.event = "missed", .members = {node}});
  for (const auto& change : told.changes)
    if (is_news(tap, change)) add(tap, {.event = change.deleted ? "del" : "put", .key = change.key});
}

/// Replicas tell the same change one after the other, and old ones when keys move.
bool KvWatcher::is_news(Tap& tap, const KvChanges::Change& change) {
  const auto [known, is_new] = tap.seen.try_emplace(change.key);
  if (!is_new && known->second.descends(change.context)) return false;
  known->second.merge(change.context);
  if (is_new) {
    tap.seen_in_order.push_back(change.key);
    if (tap.seen_in_order.size() > kSeenMax) {
      tap.seen.erase(tap.seen_in_order.front());
      tap.seen_in_order.pop_front();
    }
  }
  return !is_new || change.written + kOldest >= tap.begun;
}

void KvWatcher::add(Tap& tap, KvWatch::Row row) {
  tap.last = std::max(tap.last + 1, static_cast<std::uint64_t>(micros(wall_now())));
  row.seq = tap.last;
  tap.rows.push_back(std::move(row));
  if (tap.rows.size() <= kRowsMax) return;
  tap.floor = tap.rows.front().seq;
  tap.rows.pop_front();
}

/// `late`: there is no more time to wait.
std::optional<KvWatch::Answer> KvWatcher::answer_to(const KvWatch& watch, const Tap& tap, bool late) const {
  KvWatch::Answer answer{.last = tap.last};
  if (!watch.since) {
    KvWatch::Row row{.seq = tap.last, .event = "watching"};
    bool all_asked = !tap.places.empty();
    for (const auto& [node, place] : tap.places) {
      all_asked = all_asked && place.asked;
      (place.answers ? row.members : row.silent).push_back(node);
    }
    if (!all_asked && !late) return std::nullopt;
    answer.rows.push_back(std::move(row));
    return answer;
  }
  auto since = *watch.since;
  if (since < tap.floor || since > tap.last) {  // told by another process, or too long ago
    since = tap.floor;
    answer.rows.push_back({.seq = since, .event = "missed"});
  }
  const auto from = std::ranges::upper_bound(tap.rows, since, {}, &KvWatch::Row::seq);
  for (auto row = from; row != tap.rows.end(); ++row) {
    if (answer.rows.size() == kRowsAtOnce) {
      answer.last = answer.rows.back().seq;
      break;
    }
    if (row->key.starts_with(watch.prefix) || row->event == "missed") answer.rows.push_back(*row);
  }
  if (answer.rows.empty() && !late) return std::nullopt;
  return answer;
}

void KvWatcher::answer_waiting() {
  for (auto& waiting : waiting_) {
    Tap& tap = tap_of(waiting.watch.bucket);
    auto& asked = waiting.watch;
    auto answer = answer_to(asked, tap, now() >= waiting.until);
    if (!answer) {
      if (asked.since) asked.since = tap.last;  // it misses nothing if what it did not ask for is forgotten
      continue;
    }
    tap.wanted = now();
    waiting.from.reply(std::move(*answer));
  }
  std::erase_if(waiting_, [](const Waiting& waiting) { return !waiting.from.waiting(); });
}

}  // namespace cluster
