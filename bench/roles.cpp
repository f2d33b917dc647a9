#include "roles.hpp"

#include <algorithm>
#include <array>
#include <condition_variable>
#include <cstdlib>
#include <iostream>
#include <limits>
#include <mutex>
#include <set>
#include <thread>

#include "harness.hpp"
#include "nodes.hpp"

namespace cluster::bench {
namespace {

NodeSetup setup_of(const std::vector<std::string>& arguments) {
  NodeSetup setup = from_arguments(arguments);
  std::getline(std::cin, setup.cookie);
  return setup;
}

/// Prints the node's port, and waits until the parent closes our input.
int serve(Node& node) {
  std::cout << node.endpoint().port << std::endl;
  std::cin.ignore(std::numeric_limits<std::streamsize>::max());
  return 0;
}

/// A node with a Target named `target`.
int serve_target(const std::vector<std::string>& arguments) {
  Node node = start_node(setup_of(arguments));
  const auto target = take(node.spawn<Target>({.name = "target"}), "spawn");
  return serve(node);
}

/// The same, with a Blocker for each worker too: `blocker-0` and on.
int serve_blockers(const std::vector<std::string>& arguments) {
  NodeSetup setup = setup_of(arguments);
  if (setup.workers == 0) setup.workers = std::thread::hardware_concurrency();
  Node node = start_node(setup);
  const auto target = take(node.spawn<Target>({.name = "target"}), "spawn");
  std::vector<Ref<Blocker>> blockers;
  for (std::size_t i = 0; i < setup.workers; ++i)
    blockers.push_back(take(node.spawn<Blocker>({.name = "blocker-" + std::to_string(i)}), "spawn"));
  return serve(node);
}

/// A node with a Target named `target`, and a Slow named `slow`.
int serve_slow(const std::vector<std::string>& arguments) {
  Node node = start_node(setup_of(arguments));
  const auto target = take(node.spawn<Target>({.name = "target"}), "spawn");
  const auto slow = take(node.spawn<Slow>({.name = "slow"}), "spawn");
  return serve(node);
}

/// Counts what a node hears of the other members.
class Watch {
 public:
  void hear(const MemberEvent& event) {
    const std::lock_guard lock(mutex_);
    if (event.kind == MemberEvent::Kind::node_up) up_.insert(event.id);
    if (event.kind == MemberEvent::Kind::node_down) up_.erase(event.id), down_.insert(event.id), ++downs_;
    heard_.notify_all();
  }
  /// Until as many others are up.
  void await_up(std::size_t count) {
    std::unique_lock lock(mutex_);
    heard_.wait(lock, [&] { return up_.size() >= count; });
  }
  void await_down(const NodeId& id) {
    std::unique_lock lock(mutex_);
    heard_.wait(lock, [&] { return down_.contains(id); });
  }
  /// How often anybody went down since this was last asked.
  std::int64_t take_downs() {
    const std::lock_guard lock(mutex_);
    return std::exchange(downs_, 0);
  }

 private:
  std::mutex mutex_;
  std::condition_variable heard_;
  std::set<NodeId> up_, down_;
  std::int64_t downs_ = 0;
};

/// A node that, with an endpoint as last argument, meets the node there. It answers lines: `whole N` once N
/// members are up, itself included, `down ID` once that one is, `downs` with how many went down since.
int serve_member(const std::vector<std::string>& arguments) {
  const NodeSetup setup = setup_of(arguments);
  const std::string meet = arguments.size() > 5 ? arguments[5] : "";
  Watch watch;
  Node node = start_node(setup);
  node.listen_to_members([&](const MemberEvent& event) { watch.hear(event); });
  if (!meet.empty()) take(node.meet(take(Endpoint::parse(meet), "the endpoint")), "meet");
  std::cout << node.endpoint().port << std::endl;
  for (std::string asked; std::getline(std::cin, asked);) {
    const auto space = asked.find(' ');
    const std::string what = asked.substr(0, space);
    const std::string whom = space == std::string::npos ? "" : asked.substr(space + 1);
    std::int64_t answer = 0;
    if (what == "whole") watch.await_up(std::stoul(whom) - 1);
    if (what == "down") watch.await_down(take(NodeId::parse(whom), "an id"));
    if (what == "downs") answer = watch.take_downs();
    std::cout << answer << std::endl;
  }
  return 0;
}

/// Spawns servers, prints nanoseconds and bytes for each.
int spawn_idle(const std::vector<std::string>& arguments) {
  const std::int64_t count = std::stoll(arguments.at(0));
  Node node = start_node();
  std::vector<Ref<Idle>> servers;
  servers.reserve(static_cast<std::size_t>(count));
  const double before = resident_bytes();
  const Stopwatch watch;
  for (std::int64_t i = 0; i < count; ++i) servers.push_back(take(node.spawn<Idle>({}), "spawn"));
  const double nanoseconds = watch.seconds() * 1e9;
  std::this_thread::sleep_for(200ms);  // until the last has had its first turn
  const double bytes = resident_bytes() - before;
  std::cout << nanoseconds / static_cast<double>(count) << '\n'
            << bytes / static_cast<double>(count) << std::endl;
  std::_Exit(0);  // ending them all is not measured
}

struct Role {
  std::string_view name;
  int (*play)(const std::vector<std::string>&);
};

}  // namespace

int play_role(const std::string& role, const std::vector<std::string>& arguments) {
  static constexpr std::array kRoles{Role{"target", serve_target}, Role{"blockers", serve_blockers},
                                     Role{"slow", serve_slow}, Role{"member", serve_member},
                                     Role{"spawn", spawn_idle}};
  const auto found = std::ranges::find(kRoles, role, &Role::name);
  if (found == kRoles.end()) throw Failure("there is no role '" + role + "'");
  return found->play(arguments);
}

}  // namespace cluster::bench
