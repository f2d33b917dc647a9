// Deltas and hashes: the half of RingState that sends.
#include <algorithm>

#include "cluster/proto/ring_state.hpp"

namespace cluster::proto {
namespace {

/// Appends in the form that is hashed: integers of 8 bytes in network order, texts with their length before
/// them.
class Canonical {
 public:
  explicit Canonical(std::size_t bytes) { bytes_.reserve(bytes); }
  void number(std::uint64_t value) {
    std::array<std::uint8_t, 8> bytes;
    store_be(bytes.data(), value);
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  }
  void time(WallTime value) { number(static_cast<std::uint64_t>(micros(value))); }
  void text(std::string_view value) {
    number(value.size());
    bytes_.insert(bytes_.end(), value.begin(), value.end());
  }
  void member(const RingMember& member) {
    text(member.id.str());
    const auto& p = member.presence;
    time(p.born), number(p.removed ? 1 : 0), edit(p);
    const auto& w = member.weight;
    time(w.born), edit(w), number(w.value);
    const auto& e = member.endpoint;
    time(e.born), number(e.boot.number), number(e.boot.nonce), edit(e), text(e.value.host),
        number(e.value.port);
    // Nothing of a zone that there never was: the hash is that of nodes that know no zones.
    if (!e.zone.empty() || e.zone_since != WallTime{}) text(e.zone), time(e.zone_since);
  }
  [[nodiscard]] crypto::Digest digest() const { return crypto::sha256(bytes_); }

 private:
  template <class Register>
  void edit(const Register& edit) {
    time(edit.changed_at), text(edit.editor.str()), number(edit.count), time(edit.replaced_at);
  }
  Bytes bytes_;
};

/// At most what the member takes when encoded.
std::size_t encoded_bytes_max(const RingMember& member) {
  return 192 + member.id.str().size() + member.presence.editor.str().size() +
         member.weight.editor.str().size() + member.endpoint.editor.str().size() +
         member.endpoint.value.host.size() + member.endpoint.zone.size();
}

std::size_t encoded_bytes_max(const CountRange& range) { return 24 + range.editor.str().size(); }

/// Fills deltas one after the other, each within the bounds.
class Packer {
 public:
  void add(const RingMember& member) {
    if (!ids_.insert(&member).second) return;
    open_.members.push_back(member);
    bytes_ += encoded_bytes_max(member);
  }
  void add(CountRange range) {
    bytes_ += encoded_bytes_max(range);
    open_.ranges.push_back(std::move(range));
  }
  [[nodiscard]] bool has_room_for(std::size_t bytes) const {
    return empty() ||
           (bytes_ + bytes <= RingState::kDeltaBytesMax && open_.ranges.size() < RingDelta::kRangesMax);
  }
  [[nodiscard]] bool empty() const { return open_.members.empty() && open_.ranges.empty(); }
  void close() {
    if (!empty()) done_.push_back(std::exchange(open_, {}));
    ids_.clear();
    bytes_ = 0;
  }
  [[nodiscard]] std::vector<RingDelta> finish() {
    close();
    return std::move(done_);
  }

 private:
  std::vector<RingDelta> done_;
  RingDelta open_;
  std::set<const RingMember*> ids_;
  std::size_t bytes_ = 0;
};

}  // namespace

std::vector<RingDelta> RingState::deltas_since(std::span<const ClockEntry> theirs,
                                               const EditorInterval& interval) const {
  const auto known = [&](const NodeId& editor) -> std::uint64_t {
    const auto at = std::ranges::lower_bound(theirs, editor, {}, &ClockEntry::editor);
    return at != theirs.end() && at->editor == editor ? at->count : 0;
  };
  Lacking lacking;
  for (auto at = records_.upper_bound(interval.after); at != records_.end(); ++at) {
    if (!interval.contains(at->id)) break;
    add_edits(*at, {.editor = at->id, .after = known(at->id)}, lacking);
  }
  for (auto at = edited_.upper_bound(interval.after); at != edited_.end(); ++at) {
    if (!interval.contains(at->first)) break;
    add_edits_of_others(at->first, at->second, known(at->first), lacking);
  }
  const auto offer = [&](const NodeId& editor, std::uint64_t from, std::uint64_t to) {
    if (to > from) lacking[editor].range = {editor, from, to};
  };
  for (auto at = clock_.upper_bound(interval.after); at != clock_.end(); ++at) {
    if (!interval.contains(at->editor)) break;
    offer(at->editor, known(at->editor), at->count);
  }
  // What an earlier process edited is not known yet: only this one's edits can be vouched for.
  if (!recovered_ && !fresh_.empty() && interval.contains(self_.id))
    offer(self_.id, std::max(known(self_.id), floor_), issued_);
  return pack(lacking);
}

void RingState::add_edits(const RingMember& member, const EditsOf& which, Lacking& lacking) {
  const auto consider = [&](const auto& edit) {
    if (edit.count > which.after && edit.count <= which.through && edit.editor == which.editor)
      lacking[which.editor].members.emplace_back(edit.count, &member);
  };
  consider(member.presence);
  consider(member.weight);
  consider(member.endpoint);
}

/// Those with counts over `count`.
void RingState::add_edits_of_others(const NodeId& editor, const EditsOfOthers& edits, std::uint64_t count,
                                    Lacking& lacking) const {
  for (auto at = edits.lower_bound({count + 1, {}}); at != edits.end(); ++at)
    add_edits(*find(at->second), {.editor = editor, .after = at->first - 1, .through = at->first}, lacking);
}

std::vector<RingDelta> RingState::own_edits_since(std::uint64_t count) const {
  Lacking lacking;
  auto& own = lacking[self_.id];
  if (const auto* member = find(self_.id)) add_edits(*member, {.editor = self_.id, .after = count}, lacking);
  if (const auto others = edited_.find(self_.id); others != edited_.end())
    add_edits_of_others(self_.id, others->second, count, lacking);
  own.range = {self_.id, recovered_ ? count : std::max(count, floor_), issued_};
  return pack(lacking);
}

std::vector<RingDelta> RingState::pack(Lacking& lacking) {
  Packer packer;
  for (auto& [editor, part] : lacking) {
    auto& members = part.members;
    std::ranges::sort(members, [](const auto& a, const auto& b) {
      return a.first != b.first ? a.first < b.first : a.second->id < b.second->id;
    });
    auto range = part.range;
    const auto range_bytes = encoded_bytes_max(CountRange{editor});
    for (std::size_t i = 0; i < members.size();) {
      // The registers of one count stay together, or the range before them could not end.
      std::size_t end = i, bytes = range_bytes;
      for (; end < members.size() && members[end].first == members[i].first; ++end)
        bytes += encoded_bytes_max(*members[end].second);
      if (!packer.has_room_for(bytes)) {
        const auto cut = std::min(members[i].first - 1, range.to);
        if (cut > range.from) {
          packer.add(CountRange{editor, range.from, cut});
          range.from = cut;
        }
        packer.close();
      }
      for (; i < end; ++i) packer.add(*members[i].second);
    }
    if (range.to > range.from) {
      if (members.empty() && !packer.has_room_for(range_bytes)) packer.close();
      packer.add(range);
    }
  }
  return packer.finish();
}

RingDelta RingState::statement(const NodeId& id) const {
  RingDelta delta;
  if (const auto* member = find(id)) delta.members.push_back(*member);
  return delta;
}

std::vector<RingDelta> RingState::statements(std::span<const NodeId> ids) const {
  Packer packer;
  for (const auto& id : ids)
    if (const auto* member = find(id)) {
      if (!packer.has_room_for(encoded_bytes_max(*member))) packer.close();
      packer.add(*member);
    }
  return packer.finish();
}

WallTime RingState::horizon(WallTime wall) noexcept {
  return WallTime{std::chrono::floor<std::chrono::minutes>(wall - kTombstoneAge).time_since_epoch()};
}

crypto::Digest RingState::digest_of(const RingMember& member) {
  Canonical canonical(encoded_bytes_max(member) + 128);
  canonical.member(member);
  return canonical.digest();
}

crypto::Digest RingState::hash(WallTime horizon) const {
  auto sum = sum_;
  for (auto at = removals_.begin(); at != removals_.end() && at->first <= horizon; ++at)
    sum.subtract(at->second.sum);
  return sum.digest();
}

void RingState::HashSum::add(const crypto::Digest& digest) noexcept {
  for (std::size_t i = 0; i < parts.size(); ++i) parts[i] += load_be<std::uint64_t>(&digest[8 * i]);
}

void RingState::HashSum::subtract(const crypto::Digest& digest) noexcept {
  for (std::size_t i = 0; i < parts.size(); ++i) parts[i] -= load_be<std::uint64_t>(&digest[8 * i]);
}

void RingState::HashSum::subtract(const HashSum& other) noexcept {
  for (std::size_t i = 0; i < parts.size(); ++i) parts[i] -= other.parts[i];
}

crypto::Digest RingState::HashSum::digest() const noexcept {
  crypto::Digest digest;
  for (std::size_t i = 0; i < parts.size(); ++i) store_be(&digest[8 * i], parts[i]);
  return digest;
}

std::uint64_t RingState::clock_hash() const {
  if (clock_hash_) return *clock_hash_;
  Canonical canonical(clock_.size() * 48);
  for (const auto& entry : clock_) {
    canonical.text(entry.editor.str());
    canonical.number(entry.count);
  }
  return *(clock_hash_ = load_be<std::uint64_t>(canonical.digest().data()));
}

std::vector<ClockEntry> RingState::clock_entries() const { return {clock_.begin(), clock_.end()}; }

}  // namespace cluster::proto
