// A run of a KvScenario.
#include <algorithm>
#include <memory>
#include <sstream>
#include <utility>

#include "cluster/sim/kv_checker.hpp"
#include "cluster/sim/kv_scenario.hpp"

namespace cluster::sim {
namespace {

using proto::KvCondition;
using proto::KvVerb;
using Seen = KvChecker::Seen;

constexpr std::uint32_t kWeight = 16;
constexpr std::size_t kSpare = 2;  // nodes that may join
constexpr Duration kSettlingMax = 20s;
constexpr Duration kConvergenceMax = 180s;
constexpr Duration kForgetting = 40s;
constexpr Duration kDrainMax = 20s;

/// How often what happens, among all that may.
constexpr std::pair<KvFault, int> kShares[] = {
    {KvFault::crashes, 36}, {KvFault::power, 4},       {KvFault::disks, 20},   {KvFault::full, 10},
    {KvFault::pauses, 20},  {KvFault::partitions, 20}, {KvFault::network, 20}, {KvFault::clocks, 20},
    {KvFault::joins, 5},    {KvFault::removals, 5},    {KvFault::leaves, 5},   {KvFault::weights, 5},
    {KvFault::zones, 20}};

/// The writes in a value: more than one if it was merged of them.
void add_numbers(const Bytes& value, KvChecker::Values& into) {
  std::istringstream lines{std::string(as_text(value))};
  for (KvChecker::Number number = 0; lines >> number;) into.insert(number);
}

class KvRun {
 public:
  explicit KvRun(const KvScenario& scenario)
      : scenario_(scenario),
        cluster_(config_of(scenario)),
        rng_(cluster_.simulator().rng().split()),
        checker_(promise_of(scenario)) {}

  KvVerdict verdict() {
    const auto spare = has(KvFault::joins) ? kSpare : 0;
    std::map<std::size_t, std::uint32_t> ring;
    for (std::size_t i = 0; i < scenario_.nodes + spare; ++i)
      if (const auto place = cluster_.add(); place < scenario_.nodes) ring[place] = kWeight;
    for (std::size_t place = 0; scenario_.zones > 0 && place < cluster_.size(); ++place)
      cluster_.set_zone(place, zone(place));
    cluster_.set_ring(ring);
    while (!cluster_.settled() && now() < Instant{} + kSettlingMax) cluster_.simulator().run_for(100ms);
    for (std::size_t i = 0; i < scenario_.clients; ++i) clients_.push_back({});
    for (std::size_t i = 0; i < scenario_.clients; ++i) think(i);
    next_fault();
    cluster_.simulator().run_for(scenario_.duration);
    ending_ = true;
    heal();
    for (const auto drained_by = now() + kDrainMax; !leaving_.empty() && now() < drained_by;)
      cluster_.simulator().run_for(200ms);
    if (!leaving_.empty()) verdict_.violations.push_back("who is leaving does not get to go");
    const auto healed = cluster_.simulator().now();
    while (!(verdict_.converged = cluster_.simulator().now() - healed, cluster_.differences().empty()) &&
           verdict_.converged < kConvergenceMax)
      cluster_.simulator().run_for(200ms);
    judge_replicas();
    cluster_.simulator().run_for(kForgetting);  // deleted keys go
    if (const auto text = cluster_.differences(); !text.empty())
      verdict_.violations.push_back("no convergence: " + text);
    judge_replicas();
    verdict_.acknowledged = checker_.acknowledged();
    verdict_.lost = checker_.lost();
    verdict_.stale = checker_.stale();
    for (std::size_t place = 0; place < cluster_.size(); ++place)
      if (cluster_.running(place)) verdict_.forgotten += cluster_.at(place).counters().forgotten;
    verdict_.violations.insert(verdict_.violations.end(), checker_.violations().begin(),
                               checker_.violations().end());
    verdict_.virtual_time = now() - Instant{};
    verdict_.events = cluster_.simulator().events_run();
    verdict_.trace = cluster_.simulator().trace_hash();
    return std::move(verdict_);
  }

 private:
  /// What a client remembers of a key: the context, and which values it stands for.
  struct Token {
    VersionVector context{};
    KvChecker::Values values{};
  };
  struct Client {
    std::map<std::string, Token> tokens{};
  };

  [[nodiscard]] bool has(KvFault fault) const { return scenario_.faults.contains(fault); }
  [[nodiscard]] std::string zone(std::size_t number) const {
    return "zone " + std::to_string(number % scenario_.zones);
  }
  [[nodiscard]] Instant now() { return cluster_.simulator().now(); }
  Duration between(Duration low, Duration high) { return Duration(rng_.between(low.count(), high.count())); }

  void think(std::size_t client) {
    cluster_.simulator().after(between(5ms, 150ms), [this, client] { act(client); });
  }

  void act(std::size_t client) {
    if (ending_) return;
    const auto place = static_cast<std::size_t>(rng_.below(cluster_.size()));
    if (!cluster_.running(place) || !cluster_.ring().contains(place)) return think(client);
    const auto several = rng_.chance(scenario_.batches) ? 2 + rng_.below(4) : 1;
    const auto left = std::make_shared<std::size_t>(several);
    for (std::size_t i = 0; i < several; ++i)
      ask(client, place, [this, client, left] {
        if (--*left == 0) think(client);
      });
  }

  using Then = std::function<void()>;
  void ask(std::size_t client, std::size_t place, Then then) {
    const auto key = "k" + std::to_string(rng_.below(scenario_.keys));
    const auto dice = rng_.uniform();
    if (dice < 0.5)
      read(client, place, key, std::move(then));
    else
      write(client, place, key, dice < 0.6,
            dice < 0.85  ? How::plain
            : dice < 0.9 ? How::replace
                         : How::condition,
            std::move(then));
  }

  void read(std::size_t client, std::size_t place, const std::string& key, Then then) {
    const auto began = now();
    cluster_.request(place, {.verb = KvVerb::get, .key = {"default", key}},
                     [this, client, key, began, then](Result<proto::KvAnswer> answer) {
                       if (!answer) {
                         ++verdict_.unavailable;
                         return then();
                       }
                       ++verdict_.reads;
                       Token token{answer->context, {}};
                       for (const auto& value : answer->values) add_numbers(value, token.values);
                       verdict_.siblings += answer->values.size() > 1 ? 1 : 0;
                       checker_.read(key, token.values, began, now(), Seen::read);
                       cluster_.simulator().trace(token.values.size() + token.context.entries.size());
                       clients_[client].tokens[key] = std::move(token);
                       then();
                     });
  }

  enum class How { plain, replace, condition };
  void write(std::size_t client, std::size_t place, const std::string& key, bool deletes, How how,
             Then then) {
    auto& token = clients_[client].tokens[key];
    proto::KvRequest request{.verb = deletes ? KvVerb::del : KvVerb::put, .key = {"default", key}};
    const bool blind = rng_.chance(0.2);
    if (!blind) request.context = token.context;
    const auto seen = blind ? KvChecker::Values{} : token.values;
    if (how == How::condition) request.condition = seen.empty() ? KvCondition::absent : KvCondition::matches;
    if (how == How::replace) request.condition = blind ? KvCondition::present : KvCondition::replace;
    Duration ttl{};
    if (!deletes && scenario_.ttl > 0 && rng_.chance(scenario_.ttl)) ttl = between(500ms, 10s) / 1ms * 1ms;
    request.ttl_ms = static_cast<std::uint64_t>(ttl / 1ms);
    const auto began = now();
    const auto number = checker_.begin_write(key, deletes, seen, began, ttl);
    if (how == How::replace) checker_.replaces_all(number);
    if (!deletes) {
      const auto text = std::to_string(number);
      request.value.assign(text.begin(), text.end());
    }
    const auto condition = request.condition;
    cluster_.request(
        place, std::move(request),
        [this, client, key, number, deletes, condition, seen, began, then](Result<proto::KvAnswer> answer) {
          auto& known = clients_[client].tokens[key];
          known = {};
          if (answer) {
            judge_condition(condition, key, seen, began);
            checker_.acknowledged(number, now());
            if (!deletes && !answer->context.entries.empty()) known = {answer->context, {number}};
          } else if (answer.error().executed() == Executed::no) {
            checker_.refused(number);
            judge_refusal(answer.error().code(), key, began);
          } else {
            ++verdict_.unknown;
          }
          then();
        });
  }

  void judge_condition(KvCondition condition, const std::string& key, const KvChecker::Values& seen,
                       Instant began) {
    if (condition == KvCondition::absent || condition == KvCondition::matches) {
      checker_.read(key, seen, began, now(), Seen::condition);
      ++verdict_.conditions;
    }
    verdict_.replaced += condition == KvCondition::replace || condition == KvCondition::present ? 1 : 0;
    if (condition == KvCondition::present) checker_.present(key, began, now());
  }

  void judge_refusal(Errc code, const std::string& key, Instant began) {
    if (code == Errc::already_exists) checker_.present(key, began, now());
    const bool unmet = code == Errc::already_exists || code == Errc::refused;
    ++(unmet ? verdict_.conditions_unmet : verdict_.unavailable);
  }

  void next_fault() {
    const bool disks_alone = scenario_.faults == KvFaults{KvFault::disks};
    const auto wait = disks_alone ? between(20ms, 200ms) : between(200ms, 3s);
    cluster_.simulator().after(wait, [this, disks_alone] {
      if (ending_) return;
      if (damaged_ && cluster_.settled()) damaged_ = false;
      if (disks_alone)
        lose_disks(300ms);
      else
        fault();
      next_fault();
    });
  }

  std::size_t some_member() {
    auto at = cluster_.ring().begin();
    std::advance(at, static_cast<std::ptrdiff_t>(rng_.below(cluster_.ring().size())));
    return at->first;
  }

  std::optional<KvFault> some_fault() {
    const auto can_be = [this](KvFault fault) {
      return has(fault) && (fault != KvFault::zones || scenario_.zones > 0);
    };
    std::int64_t all = 0;
    for (const auto& [fault, share] : kShares) all += can_be(fault) ? share : 0;
    if (all == 0) return {};
    auto left = rng_.between(0, all - 1);
    for (const auto& [fault, share] : kShares)
      if (can_be(fault) && (left -= share) < 0) return fault;
    return {};
  }

  void fault() {
    const auto kind = some_fault();
    if (!kind) return;
    const auto place = some_member();
    switch (*kind) {
      case KvFault::crashes:
        return restart_later(place, true);
      case KvFault::power:
        for (std::size_t all = 0; all < cluster_.size(); ++all) restart_later(all, true);
        return;
      case KvFault::disks:
        if (!lose_disks(8s) && has(KvFault::crashes)) restart_later(place, true);
        return;
      case KvFault::full:
        return fill_disk(place);
      case KvFault::pauses:
        cluster_.pause(place);
        return cluster_.simulator().after(between(50ms, 5s), [this, place] { cluster_.resume(place); });
      case KvFault::partitions:
        return partition();
      case KvFault::network:
        return cluster_.network().set_faults(
            {.delay = Latency::uniform(200us, rng_.chance(0.3) ? 200ms : 10ms),
             .loss = rng_.chance(0.5) ? 0.05 * rng_.uniform() : 0,
             .duplication = rng_.chance(0.3) ? 0.05 : 0,
             .reordering = rng_.chance(0.3) ? 0.2 : 0});
      case KvFault::clocks:
        return cluster_.set_skew(place, between(-kKvSkewMax, kKvSkewMax));
      case KvFault::joins:
        return join();
      case KvFault::removals:
        return remove(place);
      case KvFault::leaves:
        return leave_alive();
      case KvFault::weights:
        return change_weight(place);
      case KvFault::zones:
        if (rng_.chance(0.2))
          return cluster_.set_zone(place, zone(static_cast<std::size_t>(rng_.below(scenario_.zones))));
        for (const auto& [other, weight] : cluster_.ring())
          if (cluster_.zone(other) == cluster_.zone(place)) restart_later(other, true);
    }
  }

  void restart_later(std::size_t place, bool keep_disk, Duration after_max = 8s) {
    if (!cluster_.running(place)) return;  // what was begun with it goes on
    cluster_.kill(place);
    cluster_.simulator().after(between(50ms, after_max), [this, place, keep_disk] {
      if (cluster_.ring().contains(place)) cluster_.restart(place, keep_disk);
    });
  }

  /// Only when all have what they are to hold.
  bool lose_disks(Duration after_max) {
    if (damaged_ || !cluster_.settled()) return false;
    damaged_ = true;
    std::set<std::size_t> places;
    while (places.size() < std::min(scenario_.disks_at_once, cluster_.ring().size()))
      places.insert(some_member());
    for (const auto place : places) restart_later(place, false, after_max);
    verdict_.disks_lost += places.size();
    return true;
  }

  void fill_disk(std::size_t place) {
    if (!cluster_.running(place)) return;
    cluster_.fill_disk(place);
    cluster_.simulator().after(between(500ms, 8s), [this, place] {
      if (cluster_.has_full_disk(place)) restart_later(place, true);
    });
  }

  void partition() {
    std::vector<std::vector<std::size_t>> groups(2);
    for (std::size_t place = 0; place < cluster_.size(); ++place) groups[rng_.below(2)].push_back(place);
    const auto cut = cluster_.network().cut(groups, rng_.chance(0.2));
    cluster_.simulator().after(between(500ms, 6s), [this, cut] { cluster_.network().mend(cut); });
  }

  void change_weight(std::size_t place) {
    if (leaving_.contains(place)) return;
    auto ring = cluster_.ring();
    ring[place] = static_cast<std::uint32_t>(rng_.between(4, 32));
    cluster_.set_ring(std::move(ring));
  }

  void join() {
    auto ring = cluster_.ring();
    for (std::size_t place = 0; place < cluster_.size(); ++place) {
      if (ring.contains(place)) continue;
      ring[place] = kWeight;
      if (!cluster_.running(place)) cluster_.restart(place, false);
      return cluster_.set_ring(std::move(ring));
    }
  }

  /// Gone for good, with its disk.
  void remove(std::size_t place) {
    auto ring = cluster_.ring();
    if (ring.size() <= 4 || leaving_.contains(place) || damaged_ || !cluster_.settled()) return;
    damaged_ = true;
    ring.erase(place);
    cluster_.resume(place);
    cluster_.kill(place);
    cluster_.set_ring(std::move(ring));
  }

  /// One to three at once.
  void leave_alive() {
    auto ring = cluster_.ring();
    for (auto count = 1 + rng_.below(3); count > 0; --count) {
      const auto place = some_member();
      if (ring.size() - leaving_.size() <= 3 || leaving_.contains(place)) continue;
      leaving_.emplace(place, now() + between(5s, kDrainMax));
      ring[place] = 0;
    }
    cluster_.set_ring(std::move(ring));
    if (!looks_) look_at_leavers();
  }

  /// Who has drained goes, with its disk; who has not in time stays.
  void look_at_leavers() {
    auto ring = cluster_.ring();
    std::set<std::size_t> gone;
    for (const auto& [place, until] : leaving_) {
      if (cluster_.drained(place)) {
        gone.insert(place);
        ring.erase(place);
        ++verdict_.left;
      } else if (until < now() && !ending_) {
        gone.insert(place);
        ring[place] = kWeight;
      }
    }
    for (const auto place : gone) leaving_.erase(place);
    if (!gone.empty()) cluster_.set_ring(ring);
    for (const auto place : gone)
      if (!ring.contains(place) && rng_.chance(0.5)) cluster_.kill(place);
    looks_ = !leaving_.empty();
    if (looks_) cluster_.simulator().after(100ms, [this] { look_at_leavers(); });
  }

  void heal() {
    cluster_.network().heal();
    cluster_.network().set_faults({.delay = Latency::uniform(200us, 10ms)});
    for (std::size_t place = 0; place < cluster_.size(); ++place) {
      cluster_.resume(place);
      if (cluster_.has_full_disk(place)) cluster_.kill(place);
      if (!cluster_.running(place) && cluster_.ring().contains(place)) cluster_.restart(place, true);
    }
  }

  void judge_replicas() {
    for (const auto& [place, weight] : cluster_.ring()) {
      if (!cluster_.running(place)) continue;
      for (std::size_t i = 0; i < scenario_.keys; ++i) {
        const proto::KvKey key{"default", "k" + std::to_string(i)};
        if (!cluster_.at(place).replicas(key).has(cluster_.id(place))) continue;
        KvChecker::Values values;
        if (const auto held = cluster_.held(place).records().find(key);
            held != cluster_.held(place).records().end())
          for (const auto& sibling : held->second.siblings)
            if (!sibling.value.is_dead(cluster_.wall(place))) add_numbers(sibling.value.data, values);
        checker_.read(key.key, values, now(), now(), Seen::replica);
      }
    }
  }

  KvScenario scenario_;
  KvCluster cluster_;
  Rng rng_;
  KvChecker checker_;
  std::vector<Client> clients_{};
  KvVerdict verdict_{};
  std::map<std::size_t, Instant> leaving_{};  // by place, and until when they try
  bool looks_ = false;                        // at them
  bool damaged_ = false;                      // a disk was lost, and not all have again what they are to hold
  bool ending_ = false;
};

}  // namespace

KvVerdict run(const KvScenario& scenario) { return KvRun(scenario).verdict(); }

}  // namespace cluster::sim
