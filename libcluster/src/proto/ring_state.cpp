#include "cluster/proto/ring_state.hpp"

#include <algorithm>

namespace cluster::proto {
namespace {

// An own boot is raised at once so often, then after pauses that double.
constexpr int kBootsRaisedAtOnce = 3;
constexpr int kRaisePauses = 6;
constexpr auto kRaisePause = 1s;
/// Removals and updates of a hash ring, beyond which a new one is made in less time.
constexpr std::size_t kPatchesMax = 8;

CHash::Node node_of(const MemberView& member) { return {member.id, member.endpoint, member.zone}; }

Error no_later(const NodeId& id) {
  return Error(Errc::refused, "what is held of '" + id.str() + "' is of the greatest time that there is");
}

/// When a boot or count began as a clock's milliseconds.
WallTime time_of(std::uint64_t number) noexcept {
  const auto most = static_cast<std::uint64_t>(micros(kTimeMax) / 1000);
  return wall_from_micros(static_cast<std::int64_t>(std::min(number, most)) * 1000);
}

}  // namespace

RingState::RingState(Self self, WallTime wall) : self_(std::move(self)) {
  note_clock(std::max(wall, time_of(self_.boot.number)));
  issued_ = floor_ = std::max<std::uint64_t>(millis(wall), 1) - 1;
  RingMember own{.id = self_.id};
  // Times of 0: what a start states never beats an edit that somebody made.
  begin_life(own, WallTime{}, self_.boot, self_.endpoint, self_.weight, {WallTime{}, next_count(wall)});
  state_own_zone(own.endpoint, wall);
  put(own);
}

RingState::RingState(const RingState& left, bool new_life, WallTime wall) : RingState(left.self_, wall) {
  observe(left.latest_);
  note_clock(left.clock_seen_);
  issued_ = std::max(issued_, left.issued_);
  floor_ = std::max(floor_, left.issued_);
  boots_raised_ = left.boots_raised_;
  boot_raised_at_ = left.boot_raised_at_;
  version_ = left.version_ + 1;
  fresh_.clear();
  RingMember own{.id = self_.id};
  auto stamp = next_stamp(wall);
  if (!new_life) stamp.at = WallTime{};
  begin_life(own, stamp.at, self_.boot, self_.endpoint, self_.weight, stamp);
  state_own_zone(own.endpoint, wall);
  put(own);
}

RingState::RingState(const RingImage& saved, Self self, WallTime wall)
    : self_(std::move(self)), latest_(saved.latest) {
  note_clock(std::max({wall, saved.latest, time_of(saved.issued), time_of(self_.boot.number)}));
  for (const auto& member : saved.members) put(member);
  CLUSTER_ASSERT(find(self_.id) != nullptr);
  for (const auto& entry : saved.clock) know_up_to(entry.editor, entry.count);
  issued_ = floor_ = std::max(saved.issued, std::max<std::uint64_t>(millis(wall), 1) - 1);
  MergeReport ignored;
  assert_self(ignored, wall);
}

RingState RingState::of_member(const RingState& ring, Self self) {
  CLUSTER_ASSERT(ring.present(self.id));
  RingState state = ring;
  state.self_ = std::move(self);
  state.has_up_to_.clear();
  state.fresh_.clear();
  state.issued_ = state.floor_ = state.known_count(state.self_.id);
  state.heard_ = 0;
  state.boots_raised_ = 0;
  state.recovered_ = true;
  return state;
}

RingImage RingState::image() const {
  RingImage image{.issued = issued_, .latest = latest_, .clock = clock_entries()};
  image.members.reserve(records_.size());
  for (const auto& member : records_) image.members.push_back(member);
  return image;
}

// --- stamps ---

std::uint64_t RingState::next_count(WallTime wall) {
  issued_ = std::min(std::max(issued_ + 1, millis(wall)), kCountMax);
  fresh_.insert(issued_);
  if (fresh_.size() > 64 + 6 * records_.size()) forget_old_counts();
  if (recovered_) know_up_to(self_.id, issued_);
  return issued_;
}

RingState::Stamp RingState::next_stamp(WallTime wall) {
  note_clock(wall);
  latest_ = std::min(std::max(wall, latest_ + std::chrono::microseconds(1)), kTimeMax);
  return {latest_, next_count(wall)};
}

void RingState::observe(WallTime time) noexcept { latest_ = std::max(latest_, time); }

WallTime RingState::bound(WallTime wall) const noexcept {
  return std::min(std::max(wall, clock_seen_) + kAheadMax, kTimeMax);
}

bool RingState::is_of_future(const RingMember& member, WallTime wall) const noexcept {
  const auto time = bound(wall);
  const auto count = millis(time);
  const auto is = [&](const auto& edit) {
    return std::max({edit.born, edit.changed_at, edit.replaced_at}) > time || edit.count > count;
  };
  return is(member.presence) || is(member.weight) || is(member.endpoint) ||
         member.endpoint.boot.number > count || member.endpoint.zone_since > time;
}

Result<void> RingState::check_clock(WallTime wall) const {
  const auto ahead = std::max(latest_, time_of(issued_)) - wall;
  if (ahead <= kAheadMax) return {};
  return Error(
      Errc::refused,
      "Node '" + self_.id.str() + "' knows of edits " +
          std::to_string(std::chrono::duration_cast<std::chrono::minutes>(ahead).count()) +
          " min ahead of its clock, which is or was wrong: others may not take what it edits until then");
}

/// Only counts that still stand in a register can need a reissue.
void RingState::forget_old_counts() {
  std::set<std::uint64_t> current{issued_};
  for (const auto& member : records_) {
    if (member.presence.editor == self_.id) current.insert(member.presence.count);
    if (member.weight.editor == self_.id) current.insert(member.weight.count);
    if (member.endpoint.editor == self_.id) current.insert(member.endpoint.count);
  }
  std::erase_if(fresh_, [&](std::uint64_t count) { return !current.contains(count); });
}

// --- edits ---

void RingState::begin_life(RingMember& member, WallTime born, const Boot& boot, const Endpoint& endpoint,
                           std::uint32_t weight, const Stamp& stamp) {
  const auto replaced_at = last_change(member);
  member.presence = {born, false, stamp.at, self_.id, stamp.count, replaced_at};
  member.weight = {born, stamp.at, self_.id, stamp.count, weight, replaced_at};
  auto& last = member.endpoint;
  last = {born, boot, stamp.at, self_.id, stamp.count, endpoint, replaced_at, last.zone, last.zone_since};
}

/// The time is that of the statement, not of the register: who places keys by zones must tell two zones, and
/// one that came back, from the restarts in between. No edit is later for it: a start states it before any
/// peer has judged the clock.
void RingState::state_own_zone(EndpointRegister& own, WallTime at) {
  if (own.zone == self_.zone) return;
  own.zone = self_.zone;
  own.zone_since =
      std::clamp(std::max(at, own.zone_since + std::chrono::microseconds(1)), WallTime{}, kTimeMax);
}

void RingState::put(const RingMember& member) {
  const auto* held = find(member.id);
  const bool was = held != nullptr && !held->presence.removed;
  const bool is = !member.presence.removed;
  const bool news = held == nullptr || held->presence != member.presence;
  if (held != nullptr) {
    note_hash(*held, false);
    note_editors(*held, false);
  }
  note_hash(member, true);
  note_editors(member, true);
  records_.put(member);
  if (is != was) present_count_ = is ? present_count_ + 1 : present_count_ - 1;
  if (news) forget_tombstone(member.id);
  if (news && !is) {
    tombstones_.emplace(++tombstone_last_, member.id);
    tombstone_of_.emplace(member.id, tombstone_last_);
  }
  ++version_;
}

void RingState::note_hash(const RingMember& member, bool holds) {
  const auto digest = digest_of(member);
  holds ? sum_.add(digest) : sum_.subtract(digest);
  if (!member.presence.removed) return;
  auto& [sum, count] = removals_[member.presence.changed_at];
  holds ? sum.add(digest) : sum.subtract(digest);
  holds ? ++count : --count;
  if (count == 0) removals_.erase(member.presence.changed_at);
}

void RingState::note_editors(const RingMember& member, bool holds) {
  const auto note = [&](const auto& edit) {
    if (edit.editor == member.id) return;
    if (holds) {
      edited_[edit.editor].emplace(edit.count, member.id);
    } else if (const auto at = edited_.find(edit.editor); at != edited_.end()) {
      at->second.erase({edit.count, member.id});
      if (at->second.empty()) edited_.erase(at);
    }
  };
  note(member.presence);
  note(member.weight);
  note(member.endpoint);
}

void RingState::forget_tombstone(const NodeId& id) {
  const auto known = tombstone_of_.find(id);
  if (known == tombstone_of_.end()) return;
  tombstones_.erase(known->second);
  tombstone_of_.erase(known);
}

Result<std::size_t> RingState::insert(const NodeId& id, const Endpoint& endpoint, std::uint32_t weight,
                                      WallTime wall) {
  if (id.empty()) return Error(Errc::invalid_argument, "a member without id");
  if (auto ok = check_endpoint(endpoint); !ok) return std::move(ok).error();
  if (auto ok = check_weight(weight); !ok) return std::move(ok).error();
  if (present(id)) return std::size_t{0};
  if (present_count_ >= kMembersMax)
    return Error(Errc::too_large,
                 "the ring has " + std::to_string(kMembersMax) + " members, and no more fit");
  const auto* held = find(id);
  if (held == nullptr && records_.size() >= kRecordsMax)
    return Error(Errc::overloaded, "too many removed members are still remembered");
  RingMember member = held != nullptr ? *held : RingMember{.id = id};
  const auto stamp = next_stamp(wall);
  begin_life(member, stamp.at, id == self_.id ? self_.boot : member.endpoint.boot, endpoint, weight, stamp);
  if (id == self_.id) state_own_zone(member.endpoint, stamp.at);
  if (held != nullptr && !(member.presence > held->presence)) return no_later(id);
  put(member);
  return std::size_t{1};
}

Result<std::size_t> RingState::update(const NodeId& id, const std::optional<Endpoint>& endpoint,
                                      std::optional<std::uint32_t> weight, WallTime wall) {
  if (endpoint)
    if (auto ok = check_endpoint(*endpoint); !ok) return std::move(ok).error();
  const bool drains = weight == 0U && id == self_.id;
  if (weight && !drains)
    if (auto ok = check_weight(*weight); !ok) return std::move(ok).error();
  if (!present(id)) return Error(Errc::not_found, "'" + id.str() + "' is not defined in this ring.");
  RingMember member = *find(id);
  const bool moves = endpoint && *endpoint != member.endpoint.value;
  const bool weighs = weight && *weight != member.weight.value;
  if (!moves && !weighs) return std::size_t{0};
  const auto stamp = next_stamp(wall);
  const auto born = member.presence.born;
  if (moves)
    member.endpoint = {born,
                       member.endpoint.boot,
                       stamp.at,
                       self_.id,
                       stamp.count,
                       *endpoint,
                       member.endpoint.changed_at,
                       member.endpoint.zone,
                       member.endpoint.zone_since};
  if (weighs) member.weight = {born, stamp.at, self_.id, stamp.count, *weight, member.weight.changed_at};
  const auto& held = *find(id);
  if ((moves && !(member.endpoint > held.endpoint)) || (weighs && !(member.weight > held.weight)))
    return no_later(id);
  put(member);
  return std::size_t{1};
}

std::size_t RingState::remove(const NodeId& id, WallTime wall) {
  if (!present(id)) return 0;
  RingMember member = *find(id);
  const auto stamp = next_stamp(wall);
  member.presence = {member.presence.born, true, stamp.at, self_.id, stamp.count, last_change(member)};
  put(member);
  return 1;
}

bool RingState::keep_self(WallTime wall) {
  MergeReport report;
  assert_self(report, wall);
  return report.is_contested;
}

/// The own endpoint and zone stand under the own boot. A greater boot is an earlier process of this node
/// whose clock ran ahead, and is overruled; one that comes back again and again is alive, or somebody lies.
void RingState::assert_self(MergeReport& report, WallTime wall) {
  const auto* held = find(self_.id);
  if (held == nullptr || held->presence.removed) return;
  if (held->endpoint.boot == self_.boot && held->endpoint.zone == self_.zone) return;
  if (held->endpoint.boot > self_.boot) {
    const int pauses = boots_raised_ + 1 - kBootsRaisedAtOnce;
    if (pauses > 0) {
      const auto pause = kRaisePause * (1 << std::min(pauses, kRaisePauses));
      if (wall < boot_raised_at_ + pause && wall >= boot_raised_at_) return;
      report.is_contested = true;
    }
    boots_raised_ = std::min(boots_raised_ + 1, kBootsRaisedAtOnce + kRaisePauses);
    boot_raised_at_ = wall;
    self_.boot.number = std::min(held->endpoint.boot.number + 1, kCountMax);
  }
  RingMember own = *held;
  const auto stamp = next_stamp(wall);
  const bool moved = own.endpoint.boot != self_.boot;
  own.endpoint = {own.presence.born,
                  self_.boot,
                  stamp.at,
                  self_.id,
                  stamp.count,
                  moved ? self_.endpoint : own.endpoint.value,
                  own.endpoint.changed_at,
                  own.endpoint.zone,
                  own.endpoint.zone_since};
  state_own_zone(own.endpoint, stamp.at);
  put(own);
}

// --- the life before this process ---

/// An earlier process of this node (its disk lost, its clock ahead) used counts up to `heard`. Own edits with
/// counts not above would pass for known everywhere: they get new ones.
void RingState::hear_own_count(std::uint64_t heard, WallTime wall) {
  if (!recovered_) heard_ = std::max(heard_, heard);
  if (heard <= issued_) return;
  recovered_ = false;
  issued_ = floor_ = heard_ = heard;
  std::map<std::uint64_t, std::uint64_t> reissued;
  const auto old = std::exchange(fresh_, {});
  for (const auto count : old) reissued.emplace(count, 0);
  const auto renew = [&](auto& edit) {
    if (edit.editor != self_.id) return;
    const auto found = reissued.find(edit.count);
    if (found == reissued.end()) return;
    if (found->second == 0) found->second = next_count(wall);
    edit.count = found->second;
  };
  std::vector<RingMember> renewed;
  for (const auto& held : records_) {
    auto member = held;
    renew(member.presence);
    renew(member.weight);
    renew(member.endpoint);
    if (member != held) renewed.push_back(std::move(member));
  }
  for (const auto& member : renewed) put(member);
  ++version_;
}

void RingState::mark_recovered() {
  if (recovered_ || known_count(self_.id) < heard_) return;
  recovered_ = true;
  if (!fresh_.empty() && issued_ > known_count(self_.id)) know_up_to(self_.id, issued_);
}

void RingState::know_up_to(const NodeId& editor, std::uint64_t count) {
  clock_.put({editor, count});
  clock_hash_.reset();
}

// --- views ---

const RingMember* RingState::find(const NodeId& id) const noexcept { return records_.find(id); }

std::uint64_t RingState::known_count(const NodeId& editor) const noexcept {
  const auto* entry = clock_.find(editor);
  return entry == nullptr ? 0 : entry->count;
}

bool RingState::present(const NodeId& id) const noexcept {
  const auto* member = find(id);
  return member != nullptr && !member->presence.removed;
}

std::vector<MemberView> RingState::members() const {
  std::vector<MemberView> views;
  views.reserve(present_count_);
  for (const auto& member : records_)
    if (!member.presence.removed)
      views.push_back({member.id, member.endpoint.value, member.weight.value, member.endpoint.boot,
                       member.endpoint.zone});
  return views;
}

/// Draws among all records: at least half of them are members in any ring that is in use, and where nearly
/// all were removed a walk finds the next.
const NodeId& RingState::random_member(Rng& rng) const noexcept {
  constexpr int kDraws = 32;
  for (int draw = 0; draw < kDraws; ++draw) {
    const auto& member = records_.at_rank(static_cast<std::size_t>(rng.below(records_.size())));
    if (!member.presence.removed) return member.id;
  }
  const auto found = std::ranges::find_if(records_, [](const auto& m) { return !m.presence.removed; });
  return found == records_.end() ? self_.id : found->id;
}

std::uint64_t RingState::weight() const noexcept {
  std::uint64_t sum = 0;
  for (const auto& member : records_)
    if (!member.presence.removed) sum += member.weight.value;
  return sum;
}

std::vector<MemberView> RingState::placed_members() const {
  auto placed = members();
  std::erase_if(placed, [](const MemberView& view) { return view.weight == 0; });
  const auto divisor = static_cast<std::uint32_t>((weight() + kPointsMax - 1) / kPointsMax);
  if (divisor > 1)
    for (auto& view : placed) view.weight = std::max(view.weight / divisor, 1U);
  return placed;
}

CHash RingState::chash(CHashConfig config) const {
  std::vector<CHash::Insertion> insertions;
  for (auto& view : placed_members()) insertions.push_back({node_of(view), view.weight});
  CHash ring(config);
  // Ids, hosts, weights and zones were checked on arrival, and the number of points is bounded.
  (void)ring.insert_all(insertions);
  return ring;
}

CHash RingState::chash(CHash last) const {
  // Points of `xxh3` may meet, and then the order of the insertions would tell which stays.
  if (last.config().policy != HashPolicy::sha256) return chash(last.config());
  std::vector<CHash::Insertion> added;
  std::vector<CHash::Insertion> changed;
  std::vector<NodeId> gone;
  for (const auto& [id, weight] : last.weights())
    if (!present(id) || find(id)->weight.value == 0) gone.push_back(id);
  for (auto& view : placed_members()) {
    const auto weight = last.weight(view.id.str());
    if (weight == 0)
      added.push_back({node_of(view), view.weight});
    else if (weight != view.weight || *last.get(view.id.str()) != node_of(view))
      changed.push_back({node_of(view), view.weight});
  }
  if (gone.size() + changed.size() > kPatchesMax) return chash(last.config());
  const auto config = last.config();
  for (const auto& id : gone) last.remove(id.str());
  for (const auto& [node, weight] : changed)
    if (!last.update(node, weight)) return chash(config);
  if (!added.empty() && !last.insert_all(added)) return chash(config);
  return last;
}

std::size_t RingState::collect(WallTime wall) {
  const auto due = wall - kTombstoneAge - kClockSkewMax;
  if (removals_.empty() || removals_.begin()->first > due) return 0;
  auto has_up_to = tombstone_last_;  // of all present members
  for (const auto& member : records_)
    if (!member.presence.removed && member.id != self_.id) {
      const auto known = has_up_to_.find(member.id);
      has_up_to = std::min(has_up_to, known == has_up_to_.end() ? 0 : known->second);
    }
  std::vector<NodeId> old;
  for (const auto& [number, id] : tombstones_) {
    if (number > has_up_to) break;
    if (id != self_.id && find(id)->presence.changed_at <= due) old.push_back(id);
  }
  for (const auto& id : old) {
    const auto& member = *find(id);
    note_hash(member, false);
    note_editors(member, false);
    records_.erase(id);
    forget_tombstone(id);
  }
  std::erase_if(has_up_to_, [&](const auto& peer) { return !present(peer.first); });
  if (!old.empty()) ++version_;
  return old.size();
}

}  // namespace cluster::proto
