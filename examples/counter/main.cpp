// A counter that lives on one node and is used from another. Two processes: see run.sh.
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "cluster/node/node.hpp"

using namespace std::chrono_literals;

struct Add {
  std::int64_t n = 0;
  using reply = std::int64_t;
};

class Counter : public cluster::GenServer<Counter, Add> {
 public:
  std::int64_t handle_call(const Add& add) { return total_ += add.n; }

 private:
  std::int64_t total_ = 0;
};

namespace {

constexpr const char* kCookie = "the cookie of the counter example";

/// Ends the program with the error's text.
template <class T>
T must(cluster::Result<T> result) {
  if (!result) {
    std::fprintf(stderr, "%s\n", result.error().to_string().c_str());
    std::exit(1);
  }
  if constexpr (!std::is_void_v<T>) return std::move(result).value();
}

int serve(std::uint16_t port) {
  // Blocked before any thread starts, so that sigwait below gets them.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  auto node = must(cluster::Node::start(
      {.id = "home", .host = "127.0.0.1", .port = port, .cookie = kCookie, .ring = "counters"}));
  must(node.spawn<Counter>({.name = "counter"}));
  std::printf("counter@home listens on %s\n", node.endpoint().to_string().c_str());
  std::fflush(stdout);
  int signal = 0;
  sigwait(&signals, &signal);
  return 0;
}

int use(std::uint16_t port) {
  auto node = must(cluster::Node::start({.id = "guest", .host = "127.0.0.1", .port = 0, .cookie = kCookie}));
  must(node.meet({"127.0.0.1", port}));
  auto counter = must(node.ref<Counter>("counter@home"));
  must(node.cast(counter, Add{40}));
  std::printf("40 cast, then 2 called: %ld\n", static_cast<long>(must(node.call(counter, Add{2}, 2s))));

  auto nobody = node.call(must(node.ref<Counter>("nobody@home")), Add{1});
  std::printf("nobody@home: %s, executed: %s\n", nobody.error().to_string().c_str(),
              cluster::name(nobody.error().executed()).data());
  must(node.leave());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string role = argc == 3 ? argv[1] : "";
  const auto port = cluster::parse_port(argc == 3 ? argv[2] : "");
  if (!port || (role != "serve" && role != "use")) {
    std::fprintf(stderr, "usage: example-counter serve|use PORT\n");
    return 2;
  }
  return role == "serve" ? serve(port.value()) : use(port.value());
}
