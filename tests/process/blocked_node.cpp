// A node whose servers `blocker_N` block the worker that runs them: `block {"ms": 10000}`, for so long or
// until the input of the program ends, and with it the program.
#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <iostream>
#include <mutex>
#include <string>

#include "cluster/node/node.hpp"

namespace {

using namespace cluster;

struct Block {
  std::int64_t ms = 0;
};

/// What blocked handlers wait for.
class Release {
 public:
  void wait_for(std::chrono::milliseconds most) {
    std::unique_lock lock(mutex_);
    given_.wait_for(lock, most, [this] { return is_given_; });
  }
  void give() {
    const std::lock_guard lock(mutex_);
    is_given_ = true;
    given_.notify_all();
  }

 private:
  std::mutex mutex_{};
  std::condition_variable given_{};
  bool is_given_ = false;
};

class Blocker : public GenServer<Blocker, Block> {
 public:
  explicit Blocker(Release* release) : release_(release) {}
  void handle_cast(const Block& block) {
    release_->wait_for(std::chrono::milliseconds(std::min<std::int64_t>(block.ms, 60'000)));
  }

 private:
  Release* release_;
};

}  // namespace

/// ID PORT COOKIE MEET_PORT
int main(int argc, char** argv) {
  if (argc != 5) return 2;
  const auto port_of = [&](int i) { return static_cast<std::uint16_t>(std::stoi(argv[i])); };
  NodeConfig config{
      .id = argv[1], .port = port_of(2), .cookie = argv[3], .meet = {{"localhost", port_of(4)}}};
  config.engine.workers = 2;
  Release release;  // outlives the node, and so its handlers
  auto node = Node::start(std::move(config));
  if (!node) return std::puts(node.error().message().c_str()), 1;
  for (const auto* name : {"blocker_1", "blocker_2", "blocker_3"})
    if (!node->spawn<Blocker>({.name = name}, &release)) return 1;
  std::puts(" listens on ");
  std::fflush(stdout);
  for (std::string line; std::getline(std::cin, line);) {
  }
  release.give();
  return 0;
}
