#include "cluster/sim/kv_scenario.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "cluster/proto/kv_bucket.hpp"
#include "cluster/sim/faults.hpp"

namespace cluster::sim {
namespace {

constexpr std::array<std::pair<KvFault, std::string_view>, 13> kFaultNames{
    {{KvFault::crashes, "crashes"},
     {KvFault::power, "power"},
     {KvFault::disks, "disks"},
     {KvFault::full, "full"},
     {KvFault::pauses, "pauses"},
     {KvFault::partitions, "partitions"},
     {KvFault::network, "network"},
     {KvFault::clocks, "clocks"},
     {KvFault::joins, "joins"},
     {KvFault::removals, "removals"},
     {KvFault::leaves, "leaves"},
     {KvFault::weights, "weights"},
     {KvFault::zones, "zones"}}};

constexpr std::array kPlanted{
    KvPlantedBug{KvBug::early_ack, "early-ack", "writes are acknowledged by one replica", 20},
    KvPlantedBug{KvBug::quick_read, "quick-read", "reads are answered by one replica", 5},
    KvPlantedBug{KvBug::lying_disk, "lying-disk", "what is called durable is not", 40},
    KvPlantedBug{KvBug::amnesia, "amnesia", "a node that lost its records believes that it has them", 5},
    KvPlantedBug{KvBug::repeated_dots, "repeated-dots", "a restart gives the numbers of writes once more",
                 100},
    KvPlantedBug{KvBug::lost_siblings, "lost-siblings", "of siblings on their way one arrives", 5},
    KvPlantedBug{KvBug::no_condition, "no-condition", "conditions of writes are not heeded", 5},
    KvPlantedBug{KvBug::hasty_forget, "hasty-forget", "deletions are forgotten without asking", 40},
    KvPlantedBug{KvBug::lost_times, "lost-times", "when a value was written does not travel with it", 20},
    KvPlantedBug{KvBug::lost_expiry, "lost-expiry", "when its time to live is over does not either", 20},
    KvPlantedBug{KvBug::hasty_expiry, "hasty-expiry", "half of the time to live gets lost on the way", 20},
    KvPlantedBug{KvBug::half_merge, "half-merge", "of two values that are merged the first is kept", 20},
    KvPlantedBug{KvBug::hasty_leave, "hasty-leave", "who leaves does not wait for the others", 20},
};

constexpr std::size_t kNodesMax = 64;
constexpr std::size_t kCountMax = 1000;

Error bad_kv_scenario(std::string why) { return {Errc::invalid_argument, std::move(why)}; }

std::string names_of(const KvFaults& faults) {
  std::string text;
  for (const auto& [fault, name] : kFaultNames)
    if (faults.contains(fault)) text.append(text.empty() ? "" : ",").append(name);
  return text;
}

}  // namespace

const KvFaults& all_kv_faults() {
  static const KvFaults all = [] {
    KvFaults faults;
    for (const auto& [fault, name] : kFaultNames) faults.insert(fault);
    return faults;
  }();
  return all;
}

Result<KvFaults> parse_kv_faults(std::string_view text) {
  if (text == "all") return all_kv_faults();
  if (text == "none") return KvFaults{};
  KvFaults faults;
  for (bool more = true; more;) {
    const auto comma = text.find(',');
    const auto word = text.substr(0, comma);
    const auto* const found =
        std::ranges::find(kFaultNames, word, &decltype(kFaultNames)::value_type::second);
    if (found == kFaultNames.end())
      return bad_kv_scenario("'" + std::string(word) + "' is no fault: choose all, none, or some of " +
                             names_of(all_kv_faults()));
    faults.insert(found->first);
    more = comma != std::string_view::npos;
    if (more) text.remove_prefix(comma + 1);
  }
  return faults;
}

std::string to_text(const KvFaults& faults) {
  if (faults.empty()) return "none";
  return faults == all_kv_faults() ? "all" : names_of(faults);
}

std::span<const KvPlantedBug> kv_planted_bugs() noexcept { return kPlanted; }

Result<void> set_rule(std::string_view rule, proto::KvBucket& bucket) {
  auto parsed = proto::parse_kv_bucket("*:" + std::string(rule), bucket);
  if (!parsed || rule == "max" || rule.find_first_of(",=") != std::string_view::npos)
    return bad_kv_scenario("'" + std::string(rule) + "' is no rule: choose siblings, last or union");
  bucket = std::move(parsed->second);
  return {};
}

KvScenario scenario_for(KvBug bug) {
  KvScenario scenario{.bug = bug};
  if (bug == KvBug::amnesia) scenario.faults = {KvFault::disks};
  if (bug == KvBug::lost_times) scenario.bucket.resolve = proto::KvResolve::last;
  if (bug == KvBug::lost_expiry || bug == KvBug::hasty_expiry) scenario.ttl = 0.3;
  if (bug == KvBug::half_merge) static_cast<void>(set_rule("union", scenario.bucket));
  if (bug == KvBug::hasty_leave) {
    scenario.bucket.n = scenario.bucket.r = scenario.bucket.w = 1;
    scenario.faults.erase(KvFault::disks);
    scenario.faults.erase(KvFault::removals);
  }
  return scenario;
}

Result<void> KvScenario::check() const {
  const auto in_bounds = [](std::size_t number, std::size_t max) { return number >= 1 && number <= max; };
  if (!in_bounds(nodes, kNodesMax)) return bad_kv_scenario("the nodes are 1 to " + std::to_string(kNodesMax));
  if (!in_bounds(clients, kCountMax))
    return bad_kv_scenario("the clients are 1 to " + std::to_string(kCountMax));
  if (!in_bounds(keys, kCountMax)) return bad_kv_scenario("the keys are 1 to " + std::to_string(kCountMax));
  if (zones > nodes) return bad_kv_scenario("there are at most as many zones as nodes");
  if (!in_bounds(disks_at_once, nodes))
    return bad_kv_scenario("the disks that are lost at once are 1 or more, and no more than the nodes");
  if (duration < 1s || duration > std::chrono::hours(24)) return bad_kv_scenario("a run takes 1s to 24h");
  const auto is_share = [](double share) { return share >= 0 && share <= 1; };
  if (!is_share(ttl) || !is_share(batches)) return bad_kv_scenario("a share is 0 to 1");
  if (auto ok = proto::check(bucket); !ok) return ok;
  if (bucket.n > nodes) return bad_kv_scenario("a key has at most as many replicas as there are nodes");
  return {};
}

std::vector<std::string> KvScenario::arguments() const {
  const auto usual = scenario_for(bug);
  std::vector<std::string> words{"--nodes",    std::to_string(nodes), "--seed", std::to_string(seed),
                                 "--duration", to_text(duration)};
  const auto add = [&](const char* option, std::string value) {
    words.emplace_back(option);
    words.push_back(std::move(value));
  };
  if (clients != usual.clients) add("--clients", std::to_string(clients));
  if (keys != usual.keys) add("--keys", std::to_string(keys));
  if (zones != usual.zones) add("--zones", std::to_string(zones));
  if (bucket.n != usual.bucket.n) add("-N", std::to_string(bucket.n));
  if (bucket.r != usual.bucket.r) add("-R", std::to_string(bucket.r));
  if (bucket.w != usual.bucket.w) add("-W", std::to_string(bucket.w));
  if (proto::resolve_name(bucket) != proto::resolve_name(usual.bucket))
    add("--rule", std::string(proto::resolve_name(bucket)));
  if (ttl != usual.ttl) add("--ttl", plain_text(ttl));
  if (batches != usual.batches) add("--batches", plain_text(batches));
  if (faults != usual.faults || bucket.w != usual.bucket.w) add("--faults", to_text(faults));
  if (disks_at_once != usual.disks_at_once) add("--disks-at-once", std::to_string(disks_at_once));
  if (bug != KvBug::none)
    add("--break", std::string(std::ranges::find(kPlanted, bug, &KvPlantedBug::bug)->name));
  return words;
}

KvClusterConfig config_of(const KvScenario& scenario) {
  KvClusterConfig config{
      .seed = scenario.seed, .faults = {.delay = Latency::uniform(200us, 10ms)}, .bug = scenario.bug};
  config.kv.request_timeout = 2s;
  config.kv.sync_interval = 2s;
  config.kv.tombstone_age = scenario.bug == KvBug::hasty_forget ? 500ms : 20s;
  config.kv.session_timeout = 2s;
  config.kv.bucket = scenario.bucket;
  // So that bounds of bytes are felt by values of some digits.
  if (scenario.seed % 2 == 0) config.kv.large_bytes = 1;
  if (scenario.seed % 4 == 0) config.kv.operation_bytes_max = 64;
  if (scenario.seed % 3 == 0) config.kv.spread_bytes_max = 8;
  return config;
}

// What was read, and is not acknowledged, R replicas have: later reads find one of them, unless their disks
// are lost.
KvPromise promise_of(const KvScenario& scenario) {
  const auto& bucket = scenario.bucket;
  const auto& faults = scenario.faults;
  const bool disks = faults.contains(KvFault::disks) || faults.contains(KvFault::removals);
  return {.rule = bucket.resolve == proto::KvResolve::last    ? KvPromise::Rule::last
                  : bucket.resolve == proto::KvResolve::merge ? KvPromise::Rule::merge
                                                              : KvPromise::Rule::siblings,
          .reads_last = 2 * bucket.r > bucket.n && (!disks || scenario.disks_at_once < bucket.r),
          .skew = faults.contains(KvFault::clocks) ? 2 * kKvSkewMax : Duration{}};
}

KvScenario shrink(const KvScenario& failing, std::size_t runs_max,
                  const std::function<void(const KvScenario&)>& progress) {
  auto smallest = failing;
  const auto take = [&](const KvScenario& candidate) {
    if (runs_max == 0 || !candidate.check()) return false;
    --runs_max;
    if (run(candidate).violations.empty()) return false;
    smallest = candidate;
    if (progress) progress(smallest);
    return true;
  };
  for (bool smaller = true; smaller;) {
    smaller = false;
    for (const auto fault : KvFaults(smallest.faults)) {
      auto without = smallest;
      without.faults.erase(fault);
      smaller = take(without) || smaller;
    }
    for (auto share : {&KvScenario::ttl, &KvScenario::batches}) {
      auto less = smallest;
      if (std::exchange(less.*share, 0) > 0) smaller = take(less) || smaller;
    }
    auto shorter = smallest;
    shorter.duration = smallest.duration / 2 / 1s * 1s;
    smaller = take(shorter) || smaller;
    for (auto count : {&KvScenario::zones, &KvScenario::disks_at_once, &KvScenario::nodes,
                       &KvScenario::clients, &KvScenario::keys}) {
      auto fewer = smallest;
      if (fewer.*count == 0) continue;
      --(fewer.*count);
      smaller = take(fewer) || smaller;
    }
  }
  return smallest;
}

}  // namespace cluster::sim
