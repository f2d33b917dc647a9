#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "cluster/base/bytes.hpp"
#include "cluster/proto/detector.hpp"
#include "cluster/wire/codec.hpp"

namespace cluster::proto {

/// Detectors of one ring, joined by links that delay and lose what the test says, in virtual time. Every
/// message is encoded and decoded.
class DetectorMesh {
 public:
  struct Change {
    Instant when{};
    std::size_t at = 0;  // who saw it
    StateChanged what{};
  };

  DetectorMesh(std::size_t size, std::uint64_t seed, DetectorConfig config = {})
      : rng_(seed), config_(std::move(config)) {
    for (std::size_t i = 0; i < size; ++i) ids_.push_back(id_of(i));
    nodes_.resize(size);
    for (std::size_t i = 0; i < size; ++i) start(i);
    const LinkPlan plan(size, config_.mesh_max);
    for (std::size_t i = 0; i < size; ++i)
      for (std::size_t j = 0; j < size; ++j)
        if (i != j && plan.keeps(ids_[i], ids_[j])) link(i, j);
  }

  [[nodiscard]] static NodeId id_of(std::size_t i) {
    const auto digits = std::to_string(i);
    return NodeId("n" + std::string(5 - digits.size(), '0') + digits);
  }
  [[nodiscard]] Detector& at(std::size_t i) { return *nodes_[i].detector; }
  [[nodiscard]] Instant now() const { return now_; }
  [[nodiscard]] std::size_t size() const { return nodes_.size(); }
  [[nodiscard]] const std::vector<Change>& changes() const { return changes_; }
  [[nodiscard]] std::uint64_t bytes_sent(std::size_t i) const { return nodes_[i].bytes; }
  [[nodiscard]] std::size_t claims_max() const { return claims_max_; }

  /// Whether a message gets through, and how long it takes.
  std::function<bool(std::size_t from, std::size_t to)> carries = [](std::size_t, std::size_t) {
    return true;
  };
  Duration delay_min = 200us;
  Duration delay_max = 2ms;

  void run_for(Duration span) { run_until(now_ + span); }
  void run_until(Instant end) {
    while (!events_.empty() && events_.begin()->first.first <= end) {
      auto event = events_.extract(events_.begin());
      now_ = event.key().first;
      event.mapped()();
    }
    now_ = end;
  }
  /// Until `done`, looked at each 10 ms; false if not within `limit`.
  bool run_until(Duration limit, const std::function<bool()>& done) {
    for (const auto end = now_ + limit; now_ < end && !done(); run_for(10ms)) {
    }
    return done();
  }

  /// A new process of node `i`.
  void start(std::size_t i) {
    auto config = config_;
    config.self = ids_[i];
    config.boot = {++boots_, boots_};
    auto& node = nodes_[i];
    node.boot = config.boot;
    ++node.life;
    node.paused = node.dead = false;
    node.detector = std::make_unique<Detector>(config, rng_.split());
    perform(i, node.detector->on_start(now_));
    perform(i, node.detector->on_members(now_, ids_));
  }
  void link(std::size_t i, std::size_t to) {
    perform(i, nodes_[i].detector->on_peer_up(now_, ids_[to], nodes_[to].boot));
  }
  /// Both ends of all links of `i`.
  void link_all(std::size_t i) {
    for (std::size_t j = 0; j < size(); ++j)
      if (j != i && !nodes_[j].dead) link(i, j), link(j, i);
  }
  /// Says nothing any more, nor do its links break.
  void silence(std::size_t i) {
    nodes_[i].dead = true;
    ++nodes_[i].life;
  }
  /// kill -9: its connections break.
  void kill(std::size_t i) { end_links(i, PeerEnd::lost); }
  void stop(std::size_t i) { end_links(i, PeerEnd::goodbye); }
  /// SIGSTOP, and SIGCONT after `span`: what came meanwhile is read either before or after the timers.
  void pause(std::size_t i, Duration span, bool timers_first) {
    nodes_[i].paused = true;
    after(span, i, [this, i, timers_first] {
      auto& node = nodes_[i];
      node.paused = false;
      if (timers_first) tick(i);
      for (auto& input : std::exchange(node.waiting, {})) input();
      tick(i);
    });
  }

  /// Whether every running node but `i` holds it to be in `state`.
  [[nodiscard]] bool all_hold(std::size_t i, MemberState state) const {
    for (std::size_t j = 0; j < nodes_.size(); ++j)
      if (j != i && !nodes_[j].dead && nodes_[j].detector->state_of(ids_[i]) != state) return false;
    return true;
  }
  [[nodiscard]] bool all_alive() const {
    for (std::size_t i = 0; i < nodes_.size(); ++i)
      if (!all_hold(i, MemberState::alive)) return false;
    return true;
  }
  [[nodiscard]] std::size_t count_changes(MemberState to) const {
    std::size_t count = 0;
    for (const auto& change : changes_) count += change.what.to == to ? 1 : 0;
    return count;
  }

 private:
  struct Node {
    std::unique_ptr<Detector> detector{};
    Boot boot{};
    std::uint64_t life = 0;
    bool paused = false;
    bool dead = false;
    Instant timer = kNever;
    std::vector<std::function<void()>> waiting{};
    std::uint64_t bytes = 0;
  };

  void at(Instant when, std::function<void()> event) {
    events_.emplace(std::pair(when, ++serial_), std::move(event));
  }
  /// Unless the process of `i` has ended by then.
  void after(Duration wait, std::size_t i, std::function<void()> event) {
    at(now_ + wait, [this, i, life = nodes_[i].life, event = std::move(event)] {
      if (nodes_[i].life == life && !nodes_[i].dead) event();
    });
  }
  void tick(std::size_t i) { perform(i, nodes_[i].detector->on_time(now_)); }

  void perform(std::size_t i, DetectorActions actions) {
    auto& node = nodes_[i];
    for (auto& action : actions) {
      if (auto* change = std::get_if<StateChanged>(&action)) changes_.push_back({now_, i, *change});
      auto* send = std::get_if<DetectorSend>(&action);
      if (send == nullptr) continue;
      std::visit([&](const auto& m) { claims_max_ = std::max(claims_max_, m.claims.size()); }, send->message);
      auto bytes = wire::encode(send->message);
      node.bytes += bytes.size();
      const auto to = static_cast<std::size_t>(std::stoul(send->to.str().substr(1)));
      if (carries(i, to)) carry(i, to, std::move(bytes));
    }
    const auto due = node.detector->next_deadline();
    if (due == node.timer) return;
    node.timer = due;
    after(due - now_, i, [this, i, due] {
      auto& late = nodes_[i];
      if (late.timer != due) return;
      late.timer = kNever;
      if (!late.paused) tick(i);
    });
  }

  void carry(std::size_t from, std::size_t to, Bytes bytes) {
    const auto delay = Duration(rng_.between(delay_min.count(), delay_max.count()));
    after(delay, to, [this, from, to, bytes = std::move(bytes)] {
      const auto read = [this, from, to, bytes] {
        auto message = wire::decode<DetectorMessage>(bytes);
        perform(to, nodes_[to].detector->on_message({now_, WallTime{}}, ids_[from], message.value()));
      };
      if (nodes_[to].paused)
        nodes_[to].waiting.push_back(read);
      else
        read();
    });
  }

  void end_links(std::size_t i, PeerEnd end) {
    silence(i);
    for (std::size_t j = 0; j < size(); ++j)
      if (j != i && !nodes_[j].dead) perform(j, nodes_[j].detector->on_peer_down(now_, ids_[i], end));
  }

  Rng rng_;
  DetectorConfig config_;
  Instant now_{};
  std::vector<NodeId> ids_{};
  std::vector<Node> nodes_{};
  std::map<std::pair<Instant, std::uint64_t>, std::function<void()>> events_{};
  std::uint64_t serial_ = 0;
  std::uint64_t boots_ = 0;
  std::size_t claims_max_ = 0;
  std::vector<Change> changes_{};
};

}  // namespace cluster::proto
