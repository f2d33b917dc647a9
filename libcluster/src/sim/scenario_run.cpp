// One run of a scenario: what happens when, and what is demanded of the cluster in the end.
#include <algorithm>

#include "cluster/base/assert.hpp"
#include "disturbances.hpp"

namespace cluster::sim {
namespace {

constexpr Duration kStep = 50ms;  // between looks at whether all is well
constexpr Duration kCalm = 10s;
constexpr std::size_t kViolationsMax = 20;  // described; more are of no use
constexpr Duration kStormStep = 20ms;       // between looks at the traffic: a storm may grow fast
constexpr std::size_t kOutlinedMin = 4;     // entries of a clock
constexpr int kMergeChecks = 16;            // in the course of a run
// Members that nobody runs: few, of which many edits collide, and many, of which an edit is often the last.
constexpr std::size_t kGhostsBusy = 6;
constexpr std::size_t kGhosts = 200;
constexpr const char* kWrongCookie = "some other cookie than theirs";
const Endpoint kMeetingPoint = RingCluster::endpoint_of(0);

class Run {
 public:
  Run(const Scenario& scenario, const std::vector<Observer*>& observers)
      : scenario_(scenario),
        observers_(observers),
        cluster_(cluster_config(scenario)),
        edits_(cluster_),
        health_(cluster_),
        storm_(scenario.nodes + scenario.intruders),
        bug_(plant(scenario.planted, cluster_)),
        disturbances_(scenario, cluster_,
                      {edits_, health_, storm_, bug_.get(), observers,
                       [this](std::string what) { violation(std::move(what)); }}),
        rng_(scenario.seed ^ 0x5ce0),
        intruder_rng_(scenario.seed ^ 0x1d) {}

  Report go() {
    begin();
    disturbances_.schedule_faults();
    schedule_edit();
    disturbances_.schedule_churn();
    every_second();
    for (int i = 1; i <= kMergeChecks; ++i)
      simulator().at(Instant{} + scenario_.duration * i / (kMergeChecks + 1), [this] { look_at_merging(); });
    advance(Instant{} + last_fault());
    if (!pointless_) disturbances_.calm_down();
    if (!pointless_) settle();
    advance(std::max(Instant{} + scenario_.duration, now() + calm_after()));
    judge();
    if (!pointless_) look_whether_all_is_still_well();
    if (!pointless_) judge_edits();
    fill_in_counts();
    for (auto* observer : observers_) observer->on_end(report_);
    return report_;
  }

 private:
  static ClusterConfig cluster_config(const Scenario& scenario) {
    ClusterConfig config{.seed = scenario.seed, .faults = scenario.network};
    config.links.handshake = scenario.handshake;
    config.mesh_max = scenario.mesh_max;
    // Half of the seeds try in small rings, too, what else only large ones do.
    if (scenario.seed % 2 == 0) config.gossip.outlined_min = kOutlinedMin;
    config.detector = scenario.detector && scenario.nodes <= Scenario::kDetectorNodesMax;
    config.detection.plain_swim = scenario.plain_swim;
    config.keep_events = false;
    return config;
  }
  Simulator& simulator() { return cluster_.simulator(); }
  Instant now() { return simulator().now(); }
  NodeId name(std::size_t place) const { return node_name(place, scenario_.nodes); }

  void begin() {
    report_.nodes = scenario_.nodes;
    report_.seed = scenario_.seed;
    cluster_.add_witness(edits_);
    cluster_.add_witness(health_);
    cluster_.add_witness(counter_);
    cluster_.add_witness(door_);
    if (bug_) cluster_.add_witness(*bug_);
    for (auto* observer : observers_) cluster_.add_witness(*observer);
    std::vector<ProcessStart> starts;
    for (std::size_t place = 0; place < scenario_.nodes; ++place)
      starts.push_back(
          {.id = name(place),
           .clock_skew = Duration(rng_.between(-scenario_.skew.count(), scenario_.skew.count()))});
    if (!scenario_.join) {
      cluster_.form(starts);
    } else {
      storm_.news(scenario_.nodes);
      for (const auto& start : starts) cluster_.add(start);
      for (std::size_t place = 1; place < starts.size(); ++place)
        cluster_.command(place, proto::MeetCommand{.endpoint = kMeetingPoint, .timeout = Duration::max()});
    }
    for (std::size_t i = 0; i < scenario_.intruders; ++i)
      cluster_.add({.id = NodeId("intruder" + std::to_string(i)), .ring = "", .cookie = kWrongCookie});
    for (auto* observer : observers_) observer->on_begin(cluster_);
  }

  /// Where something happens until the end, what was well at one moment then has to stay so for some time.
  Duration calm_after() const { return last_fault() == scenario_.duration ? kCalm : Duration{}; }

  /// When the last thing happens that the cluster must recover from.
  Duration last_fault() const {
    if (scenario_.edits_per_s > 0 || scenario_.churn_per_s > 0) return scenario_.duration;
    Duration last{};
    for (const auto& fault : scenario_.faults)
      last = std::max(last, fault.until ? *fault.until : fault.stays() ? fault.from : scenario_.duration);
    return last;
  }

  // --- edits ---

  void schedule_edit() {
    if (scenario_.edits_per_s <= 0) return;
    const auto when = now() + next_after(rng_, scenario_.edits_per_s);
    if (when >= Instant{} + scenario_.duration) return;
    simulator().at(when, [this] {
      edit();
      schedule_edit();
    });
  }

  void edit() {
    const auto place = static_cast<std::size_t>(rng_.below(scenario_.nodes));
    const auto ghost = rng_.below(rng_.chance(0.5) ? kGhostsBusy : kGhosts);
    const auto weight = static_cast<std::uint32_t>(rng_.between(1, 200));
    const auto port = static_cast<std::uint16_t>(rng_.between(1, 9'999));
    const auto kind = rng_.below(8);
    const auto of_node = static_cast<std::size_t>(rng_.below(scenario_.nodes));
    if (!disturbances_.in_ring(place)) return;
    const NodeId member("ghost" + std::to_string(ghost));
    const Endpoint endpoint{"ghost.invalid", port};
    const auto& state = cluster_.at(place).state();
    if (kind < 2)
      command(place, proto::UpdateCommand{.id = name(of_node), .weight = weight},
              "weight of " + name(of_node).str());
    else if (!state.present(member))
      command(place, proto::InsertCommand{{{member, endpoint, weight}}}, "insert " + member.str());
    else if (kind == 2)
      command(place, proto::RemoveCommand{{member}}, "remove " + member.str());
    else if (kind == 3)
      command(place, proto::UpdateCommand{.id = member, .endpoint = endpoint}, "endpoint of " + member.str());
    else
      command(place, proto::UpdateCommand{.id = member, .weight = weight}, "weight of " + member.str());
  }

  void command(std::size_t place, const proto::RingCommand& what, const std::string& said) {
    const auto result = cluster_.outcome(cluster_.command(place, what));
    if (!result || !*result) return;
    ++report_.edits_total;
    storm_.news();
    for (auto* observer : observers_) observer->on_edit(place, said);
  }

  // --- what is demanded ---

  void violation(std::string what) {
    if (report_.violations.size() < kViolationsMax) report_.violations.push_back(std::move(what));
  }

  void every_second() {
    simulator().after(1s, [this] {
      if (bug_) bug_->on_second();
      count_links();
      for (std::size_t i = 0; i < scenario_.intruders; ++i)
        cluster_.command(scenario_.nodes + i,
                         proto::MeetCommand{.endpoint = RingCluster::endpoint_of(static_cast<std::size_t>(
                                                intruder_rng_.below(scenario_.nodes)))});
      for (auto* observer : observers_) observer->on_second();
      if (!over_) every_second();
    });
  }

  void count_links() {
    for (std::size_t place = 0; place < scenario_.nodes; ++place) {
      if (!cluster_.running(place)) continue;
      const auto count = cluster_.links().count(place);
      report_.links_max = std::max(report_.links_max, count);
      links_seen_ += count;
      ++looks_;
    }
  }

  void look_at_merging() {
    std::vector<std::size_t> places;
    for (int draw = 0; draw < 12 && places.size() < 3; ++draw) {
      const auto place = static_cast<std::size_t>(rng_.below(scenario_.nodes));
      if (cluster_.running(place) && std::ranges::find(places, place) == places.end())
        places.push_back(place);
    }
    const auto wrong = check_merge(cluster_, places, bug_.get());
    if (wrong.empty()) return;
    violation(wrong);
    pointless_ = true;
  }

  /// Runs until `end`, or until messages beget messages without end: that would never get there.
  void advance(Instant end) {
    while (now() < end && !pointless_) {
      simulator().run_for(std::min<Duration>(kStormStep, end - now()));
      if (storm_.calm(now(), cluster_.network().counters().sent)) continue;
      violation("a storm: messages go on without news");
      pointless_ = true;
    }
  }

  bool healthy() { return health_.wrong_views(1).empty(); }

  void settle() {
    const auto start = now();
    const auto limit = std::max(scenario_.convergence_max, scenario_.health_max);
    while (!report_.converged_after || !report_.healthy_after) {
      const auto took = now() - start;
      if (!report_.converged_after && cluster_.converged()) report_.converged_after = took;
      if (!report_.healthy_after && took % 500ms == Duration{} && healthy()) report_.healthy_after = took;
      if (took >= limit || pointless_ || (report_.converged_after && report_.healthy_after)) return;
      advance(now() + kStep);
    }
  }

  void judge() {
    report_.converged = report_.converged_after && cluster_.converged();
    if (pointless_) return;
    if (!report_.converged_after || *report_.converged_after > scenario_.convergence_max)
      violation("no convergence within " + to_text(scenario_.convergence_max) +
                " after the last fault and edit");
    if (!report_.healthy_after || *report_.healthy_after > scenario_.health_max) {
      violation("not all detectors were right within " + to_text(scenario_.health_max) +
                " after the last fault");
      for (const auto& wrong : health_.wrong_views(5)) violation(wrong);
    }
  }

  void judge_edits() {
    if (const auto* ring = cluster_.greatest()) {
      for (std::size_t place = 0; place < cluster_.size(); ++place)
        if (const auto* stored = cluster_.stored(place)) edits_.forgive(*stored, *ring);
      const auto lost = edits_.lost_in(*ring);
      report_.lost_edits = lost.size();
      for (const auto& edit : lost) violation("lost: " + edit);
      for (const auto& id : edits_.revived_in(*ring)) violation("came back by itself: " + id);
    }
  }

  /// What was whole after the last fault may have come apart since, in a network that is too bad. Who is
  /// suspected just now may object.
  void look_whether_all_is_still_well() {
    if (!report_.violations.empty()) return;
    const auto start = now();
    const auto limit = start + std::max(scenario_.convergence_max, scenario_.health_max);
    while (!pointless_ && !(cluster_.converged() && healthy())) {
      if (now() < limit) {
        advance(now() + 500ms);
        continue;
      }
      report_.converged = cluster_.converged();
      if (!report_.converged) violation("all agreed, and do not any more at the end");
      for (const auto& wrong : health_.wrong_views(5)) violation(wrong + ", at the end of the run");
      return;
    }
  }

  void fill_in_counts() {
    over_ = true;
    for (std::size_t place = 0; place < cluster_.size(); ++place)
      if (cluster_.running(place)) report_.full_state_exchanges += cluster_.at(place).counters().whole_states;
    report_.conflicts = counter_.conflicts;
    report_.links = cluster_.links().counters();
    if (looks_ > 0) report_.links_per_node = static_cast<double>(links_seen_) / static_cast<double>(looks_);
    report_.accusations = health_.accusations();
    report_.false_positives = health_.false_positives();
    report_.false_positives_at_healthy = health_.false_positives_at_healthy();
    report_.detection_ms = percentiles_ms(health_.detections());
    report_.detection_first_ms = percentiles_ms(health_.first_detections());
    report_.detection_last_ms = percentiles_ms(health_.last_detections());
    const auto& network = cluster_.network().counters();
    report_.virtual_time = now().time_since_epoch();
    const auto node_seconds =
        static_cast<double>(scenario_.nodes) * std::chrono::duration<double>(report_.virtual_time).count();
    report_.bytes_per_node_per_s = static_cast<double>(network.bytes) / node_seconds;
    report_.messages_per_node_per_s = static_cast<double>(network.sent) / node_seconds;
    report_.messages_lost = network.lost;
    report_.events = simulator().events_run();
    report_.trace_hash = simulator().trace_hash();
  }

  struct Counter : Witness {
    std::uint64_t conflicts = 0;
    void on_event(std::size_t, const proto::GossipEvent& event) override {
      conflicts += std::holds_alternative<proto::ConflictFound>(event) ? 1 : 0;
    }
  };

  /// Nobody has a connection to a node with another cookie.
  struct Door : Witness {
    explicit Door(Run& owner) : run(owner) {}
    void on_link(std::size_t place, std::size_t peer) override {
      const auto& cluster = run.cluster_;
      if (cluster.cookie(place) != cluster.cookie(peer))
        run.violation(cluster.id(place).str() + " has a connection to " + cluster.id(peer).str() +
                      ", which has another cookie");
    }
    Run& run;
  };

  const Scenario& scenario_;
  const std::vector<Observer*>& observers_;
  RingCluster cluster_;
  EditChecker edits_;
  HealthChecker health_;
  StormChecker storm_;
  Counter counter_{};
  Door door_{*this};
  std::unique_ptr<PlantedBug> bug_;
  Disturbances disturbances_;
  Rng rng_;
  Rng intruder_rng_;
  bool pointless_ = false;  // to go on: what was found cannot be mended
  bool over_ = false;
  std::uint64_t links_seen_ = 0;  // in all looks at a node
  std::uint64_t looks_ = 0;
  Report report_{};
};

}  // namespace

Report run(const Scenario& scenario, const std::vector<Observer*>& observers) {
  CLUSTER_ASSERT(scenario.check().has_value());
  return Run(scenario, observers).go();
}

}  // namespace cluster::sim
