#include "roles.hpp"

#include <iostream>
#include <limits>
#include <thread>

#include "harness.hpp"
#include "servers.hpp"

namespace cluster::bench {
namespace {

/// A node with a Target named `target`. Reads the cookie, prints its port, runs until its input ends.
int serve_target(const std::vector<std::string>& arguments) {
  std::string cookie;
  std::getline(std::cin, cookie);
  Node node = start_node(arguments.empty() ? "server" : arguments[0], cookie, "bench");
  const auto target = take(node.spawn<Target>({.name = "target"}), "spawn");
  std::cout << node.endpoint().port << std::endl;
  std::cin.ignore(std::numeric_limits<std::streamsize>::max());
  return 0;
}

/// Spawns servers, prints nanoseconds and bytes for each.
int spawn_idle(const std::vector<std::string>& arguments) {
  const std::int64_t count = std::stoll(arguments.at(0));
  Node node = start_node("bench", new_cookie());
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
  std::_Exit(0);
}

}  // namespace

int play_role(const std::string& role, const std::vector<std::string>& arguments) {
  if (role == "target") return serve_target(arguments);
  if (role == "spawn") return spawn_idle(arguments);
  throw Failure("there is no role '" + role + "'");
}

}  // namespace cluster::bench
