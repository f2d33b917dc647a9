// Kv: a look at what this node lacks, and whom it is to compare itself with.
#include <algorithm>
#include <tuple>

#include "cluster/proto/kv.hpp"

namespace cluster::proto {
namespace {

constexpr std::uint64_t kStepsOfSearch = 25;

struct Rule {
  std::uint32_t n = 0;
  std::uint32_t r = 0;
  std::uint32_t w = 0;
  friend auto operator<=>(const Rule&, const Rule&) = default;
};

}  // namespace

class Kv::Look {
 public:
  explicit Look(Kv& kv) : kv_(kv) {}

  /// False if the node has what it is to hold; else `lacking_` are those with whom it is to be compared first
  /// (nobody, if it does not know that yet).
  bool run();

 private:
  struct Peer {
    const Hello* hello = nullptr;  ///< of one that knows what it has
    bool itself = false;
    bool silent = false;
    bool done = false;  ///< compared with
    bool reachable = false;
    bool lacking = false;
  };

  void find_stretches(std::size_t n);
  void find_own(std::size_t n);
  void find_peers();
  void order(Stretch& stretch, std::size_t count);
  bool lacks(Stretch& stretch, const Rule& rule);
  bool held_in(const Bases& bases, const Position& at, std::size_t n, const NodeId& id);
  [[nodiscard]] std::span<const CHash::Weight> weights() const { return kv_.ring_.ring().weights(); }

  Kv& kv_;
  Stretches& stretches_ = kv_.stretches_;
  std::vector<Peer> peers_{};  // by their indices in the stretches' members
  std::size_t silent_leaving_ = 0;
  std::uint64_t steps_ = 0;
};

bool Kv::Look::run() {
  std::set<Rule> rules;
  const auto add_rule = [&](const KvBucket& rule) { rules.insert({rule.n, rule.r, rule.w}); };
  add_rule(kv_.config_.bucket);
  for (const auto& [name, rule] : kv_.config_.buckets) add_rule(rule);
  find_stretches(rules.rbegin()->n);
  find_peers();
  bool lacks_some = false;
  for (const auto& rule : rules)
    for (auto& stretch : stretches_.own)
      if (stretch.rank < rule.n && lacks(stretch, rule)) lacks_some = true;
  kv_.lacking_.clear();
  for (std::size_t i = 0; i < peers_.size(); ++i)
    if (peers_[i].lacking) kv_.lacking_.insert(stretches_.members[i]);
  kv_.look_steps_ = steps_;
  kv_.counters_.look_steps += steps_;
  ++kv_.counters_.looks;
  return lacks_some;
}

/// The rings that others tell of mostly have the same members: where these begin and end is found once, not
/// for each ring, and again only when a member is heard of that none of them had.
void Kv::Look::find_stretches(std::size_t n) {
  std::map<NodeId, std::uint32_t> greatest;  // with less weight a node has some of the same points
  std::set<const KvPlacement*> seen;
  const auto add = [&](const KvPlacement& placement) {
    ++steps_;
    if (!seen.insert(&placement).second) return;
    for (const auto& [id, weight] : placement.ring().weights()) {
      auto& most = greatest[id];
      most = std::max(most, weight);
    }
    steps_ += placement.ring().node_count();
  };
  add(kv_.ring_);
  for (const auto& base : kv_.bases_) add(*base);
  for (const auto& [id, hello] : kv_.hellos_)
    for (const auto& base : hello.bases) add(*base);
  const auto as_weight = [](const auto& of) { return CHash::Weight{of.first, of.second}; };
  if (std::ranges::equal(greatest, stretches_.edges.weights(), {}, as_weight)) return;
  std::vector<CHash::Insertion> insertions;
  insertions.reserve(greatest.size());
  for (const auto& [id, weight] : greatest) insertions.push_back({{.id = id}, weight});
  stretches_ = {};
  if (!stretches_.edges.insert_all(insertions)) {
    // They have more members than a ring can have: nobody is taken to have anything for certain.
    kv_.bases_.clear();
    for (auto& [id, hello] : kv_.hellos_) hello.bases.clear();
    stretches_.edges = kv_.ring_.ring();
  }
  find_own(n);
}

void Kv::Look::find_own(std::size_t n) {
  for (const auto& [id, weight] : weights()) stretches_.members.push_back(id);
  const auto& leaving = kv_.ring_.leaving();
  stretches_.members.insert(stretches_.members.end(), leaving.begin(), leaving.end());
  const auto& ring = kv_.ring_.ring();
  for (std::size_t i = 0; i < stretches_.edges.size(); ++i) {
    const auto at = stretches_.edges.position(i);
    const auto nodes = ring.replicas_at(at, n);
    const auto own = std::ranges::find(nodes, kv_.self(), &CHash::Node::id);
    if (own != nodes.end())
      stretches_.own.push_back({.at = at, .rank = static_cast<std::size_t>(own - nodes.begin())});
  }
  steps_ += stretches_.edges.size() * kStepsOfSearch;
}

void Kv::Look::find_peers() {
  for (const auto& id : stretches_.members) {
    const auto hello = kv_.hellos_.find(id);
    const bool known = hello != kv_.hellos_.end() && hello->second.verified;
    peers_.push_back({.hello = known ? &hello->second : nullptr,
                      .itself = id == kv_.self(),
                      .silent = id != kv_.self() && !kv_.heard_.contains(id),
                      .done = known && kv_.synced_.contains(id),
                      .reachable = kv_.reachable(id)});
  }
  silent_leaving_ = static_cast<std::size_t>(
      std::ranges::count_if(std::span(peers_).subspan(weights().size()), &Peer::silent));
  steps_ += peers_.size() * kStepsOfSearch;
}

/// Has the first `count` of the order at least, or all.
void Kv::Look::order(Stretch& stretch, std::size_t count) {
  count = std::min(count, weights().size());
  if (stretch.order.size() >= count) return;
  stretch.order.clear();
  for (const auto* node : kv_.ring_.ring().replicas_at(stretch.at, count)) {
    const auto at = std::ranges::lower_bound(weights(), node->id, {}, &CHash::Weight::id);
    stretch.order.push_back(static_cast<std::uint32_t>(at - weights().begin()));
  }
  steps_ += kStepsOfSearch * (1 + count / 4);
}

bool Kv::Look::held_in(const Bases& bases, const Position& at, std::size_t n, const NodeId& id) {
  return !bases.empty() && std::ranges::all_of(bases, [&](const auto& base) {
    steps_ += kStepsOfSearch;
    const auto nodes = base->ring().replicas_at(at, n);
    return std::ranges::find(nodes, id, &CHash::Node::id) != nodes.end();
  });
}

bool Kv::Look::lacks(Stretch& stretch, const Rule& rule) {
  const auto& [n, r, w] = rule;
  order(stretch, std::size_t{2} * n);
  const auto near = std::span(stretch.order).first(std::min<std::size_t>(stretch.order.size(), 2 * n));
  const auto silent = std::ranges::count_if(near, [this](auto index) { return peers_[index].silent; });
  if (kv_.too_many_silent(static_cast<std::size_t>(silent) + silent_leaving_, w)) return true;
  if (held_in(kv_.bases_, stretch.at, n, kv_.self())) return false;
  // So many of the key's earlier replicas that none of its quorums is left out; all of them but one in
  // any case, so that who coordinates a write is among them.
  const auto needed = std::max(n - 1, n - std::min(r, w) + 1);
  std::uint32_t held_by = 0;
  std::size_t place = 0;
  std::vector<Peer*> absent;  // that held it
  std::vector<Peer*> others;  // that may have some of it
  const auto is_enough = [&] { return place >= n && held_by >= needed; };
  const auto look_at = [&](std::size_t index) {
    ++steps_;
    auto& peer = peers_[index];
    const bool is_replica = place++ < n;
    if (peer.itself) return;
    const bool held = peer.hello == nullptr || (peer.hello->settled && is_replica) ||
                      held_in(peer.hello->bases, stretch.at, n, stretches_.members[index]);
    if (held && !peer.done && !peer.reachable) {
      absent.push_back(&peer);  // any of those that held it will do
      return;
    }
    if (held && held_by++ < needed && !peer.done) peer.lacking = true;
    if (!held && !peer.done && is_replica && peer.reachable)
      peer.lacking = true;
    else if (!held && !peer.done)
      others.push_back(&peer);
  };
  for (std::size_t i = 0; i < weights().size() && !is_enough(); ++i) {
    if (i == stretch.order.size()) order(stretch, weights().size());
    look_at(stretch.order[i]);
  }
  place = std::max<std::size_t>(place, n);  // who is leaving is nobody's replica
  for (std::size_t i = weights().size(); i < peers_.size() && !is_enough(); ++i) look_at(i);
  for (auto* peer : absent)
    if (held_by++ < needed) peer->lacking = true;
  // With fewer of them left (several were replaced at once) what they had may be anywhere.
  if (held_by >= needed) return true;
  const auto away = std::ranges::count_if(others, [](const Peer* peer) { return !peer->reachable; });
  for (auto* peer : others)
    if (peer->reachable || static_cast<std::size_t>(away) >= w) peer->lacking = true;
  return true;
}

}  // namespace cluster::proto
