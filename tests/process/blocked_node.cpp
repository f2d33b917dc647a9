// A node whose server `blocker` blocks the worker that runs it: `block {"ms": 10000}`. Until its input ends.
#include <algorithm>
#include <cstdio>
#include <iostream>
#include <string>
#include <thread>

#include "cluster/node/node.hpp"

namespace {

using namespace cluster;

struct Block {
  std::int64_t ms = 0;
};

class Blocker : public GenServer<Blocker, Block> {
 public:
  void handle_cast(const Block& block) {
    std::this_thread::sleep_for(std::chrono::milliseconds(std::min<std::int64_t>(block.ms, 60'000)));
  }
};

}  // namespace

/// ID PORT COOKIE MEET_PORT
int main(int argc, char** argv) {
  if (argc != 5) return 2;
  const auto port_of = [&](int i) { return static_cast<std::uint16_t>(std::stoi(argv[i])); };
  NodeConfig config{
      .id = argv[1], .port = port_of(2), .cookie = argv[3], .meet = {{"localhost", port_of(4)}}};
  config.engine.workers = 2;
  auto node = Node::start(std::move(config));
  if (!node) return std::puts(node.error().message().c_str()), 1;
  for (const auto* name : {"blocker_1", "blocker_2", "blocker_3"})
    if (!node->spawn<Blocker>({.name = name})) return 1;
  std::puts(" listens on ");
  std::fflush(stdout);
  for (std::string line; std::getline(std::cin, line);) {
  }
  return 0;
}
