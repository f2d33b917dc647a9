// Two nodes in one process, and a server on each: Ping asks Pong, again and again, in a coroutine.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "cluster/node/node.hpp"

using namespace std::chrono_literals;

struct Ball {
  std::int64_t hits = 0;
  using reply = std::int64_t;
};
class Pong : public cluster::GenServer<Pong, Ball> {
 public:
  std::int64_t handle_call(const Ball& ball) { return ball.hits + 1; }
};

struct Play {
  std::int64_t rounds = 0;
  using reply = std::int64_t;
};
class Ping : public cluster::GenServer<Ping, Play> {
 public:
  explicit Ping(cluster::Ref<Pong> partner) : partner_(std::move(partner)) {}

  /// Suspended during each call; the thread does other work meanwhile.
  cluster::Task<cluster::Result<std::int64_t>> handle_call(Play play) {
    std::int64_t hits = 0;
    for (std::int64_t i = 0; i < play.rounds; ++i) {
      auto back = co_await call<Ball>(partner_, hits);
      if (!back) co_return back.error();
      hits = back.value();
    }
    co_return hits;
  }

 private:
  cluster::Ref<Pong> partner_;
};

int main(int argc, char** argv) {
  const std::int64_t rounds = argc > 1 ? std::atoll(argv[1]) : 10'000;
  constexpr const char* kCookie = "the cookie of the ping-pong example";
  auto foo = cluster::Node::start({.id = "foo", .host = "127.0.0.1", .port = 0, .cookie = kCookie}).value();
  auto bar =
      cluster::Node::start({.id = "bar", .host = "127.0.0.1", .port = 0, .cookie = kCookie, .ring = "court"})
          .value();
  foo.meet(bar.endpoint()).value();

  const auto pong = bar.spawn<Pong>({.name = "pong"}).value();
  auto ping = foo.spawn<Ping>({.name = "ping"}, foo.ref<Pong>("pong@bar").value()).value();
  const auto start = std::chrono::steady_clock::now();
  const auto hits = foo.call(ping, Play{rounds}, 60s);
  if (!hits) {
    std::fprintf(stderr, "%s\n", hits.error().to_string().c_str());
    return 1;
  }
  const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - start;
  std::printf("%ld hits, %.1f us each, over TCP, every frame signed\n", static_cast<long>(hits.value()),
              took.count() / static_cast<double>(rounds));
}
