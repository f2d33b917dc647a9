#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "net_support.hpp"
#include "ports.hpp"

using namespace cluster;
using namespace cluster::net;
using namespace cluster::net::test;

namespace {

/// A running `net_probe serve`.
class Probe {
 public:
  Probe(const char* id, std::uint16_t port, std::uint64_t boot) {
    int out[2];
    REQUIRE(::pipe(out) == 0);
    process_ = ::fork();
    if (process_ == 0) {
      ::dup2(out[1], 1);
      ::close(out[0]);
      ::execl(NET_PROBE, NET_PROBE, "serve", id, std::to_string(port).c_str(), std::to_string(boot).c_str(),
              nullptr);
      ::_exit(127);
    }
    ::close(out[1]);
    std::unique_ptr<std::FILE, int (*)(std::FILE*)> lines(::fdopen(out[0], "r"), std::fclose);
    unsigned bound = 0;
    REQUIRE(std::fscanf(lines.get(), "port %u", &bound) == 1);
    port_ = static_cast<std::uint16_t>(bound);
    output_ = std::move(lines);
  }
  ~Probe() { kill(SIGKILL); }
  Probe(const Probe&) = delete;
  Probe& operator=(const Probe&) = delete;

  void signal(int number) const { ::kill(process_, number); }
  void kill(int number) {
    if (process_ <= 0) return;
    signal(number);
    ::waitpid(process_, nullptr, 0);
    process_ = -1;
  }
  [[nodiscard]] Endpoint at() const { return {"127.0.0.1", port_}; }

 private:
  pid_t process_ = -1;
  std::uint16_t port_ = 0;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> output_{nullptr, std::fclose};
};

NetConfig probe_config(const char* id) {
  auto config = config_of(id);
  config.keyring = Keyring::from_cookies({"the cookie of the probes"}, Keyring::cost_for_tests()).value();
  return config;
}

}  // namespace

TEST_CASE(
    "processes: a node that is killed and restarted is found again, and nothing arrives twice or out of "
    "order") {
  TestNode foo(probe_config("foo"));
  const auto port = testing::free_port();
  std::size_t sent = 0;
  std::size_t expected_down = 0;
  for (std::uint64_t life = 1; life <= 5; ++life) {
    CAPTURE(life);
    Probe bar("bar", port, life);
    foo.kernel->add_peer("bar", bar.at());
    REQUIRE(drive({&foo}, [&] { return foo.connected_to("bar"); }));
    CHECK(foo.ups.back().boot.number == life);
    for (int i = 0; i < 200; ++i) REQUIRE(foo.send("bar", std::to_string(sent++)));
    if (life % 2 == 1) {
      REQUIRE(drive({&foo}, [&] {
        return !foo.messages.empty() && foo.messages.back().text == std::to_string(sent - 1);
      }));
    }
    bar.kill(SIGKILL);
    ++expected_down;
    REQUIRE(drive({&foo}, [&] { return foo.downs.size() == expected_down; }));
    CHECK(foo.downs.back().reason == PeerDownReason::lost);
    for (int i = 0; i < 50; ++i) REQUIRE(foo.send("bar", std::to_string(sent++)));  // while it is down
  }
  Probe bar("bar", port, 6);
  REQUIRE(drive(
      {&foo}, [&] { return !foo.messages.empty() && foo.messages.back().text == std::to_string(sent - 1); }));
  int last = -1;
  for (const auto& message : foo.messages) {
    const int number = std::stoi(message.text);
    CHECK(number > last);
    last = number;
  }
}

TEST_CASE(
    "processes: a process that is stopped for a while and goes on keeps its connection and its messages") {
  TestNode foo(probe_config("foo"));
  Probe bar("bar", 0, 1);
  foo.kernel->add_peer("bar", bar.at());
  REQUIRE(drive({&foo}, [&] { return foo.connected_to("bar"); }));
  bar.signal(SIGSTOP);
  for (int i = 0; i < 1000; ++i) REQUIRE(foo.send("bar", std::string(1000, 'x')));
  std::optional<Result<Duration>> answer;
  foo.kernel->ping("bar", 50ms, [&](Result<Duration> r) { answer = std::move(r); });
  REQUIRE(drive({&foo}, [&] { return answer.has_value(); }));
  CHECK(answer->error().code() == Errc::timeout);
  bar.signal(SIGCONT);
  REQUIRE(drive({&foo}, [&] { return foo.received == 1000; }));
  CHECK(foo.downs.empty());
}

TEST_CASE(
    "processes: messages on their way to a process that is killed are counted as uncertain, not lost in "
    "silence") {
  TestNode foo(probe_config("foo"));
  Probe bar("bar", 0, 1);
  foo.kernel->add_peer("bar", bar.at());
  REQUIRE(drive({&foo}, [&] { return foo.connected_to("bar"); }));
  CHECK(foo.kernel->counters().uncertain == 0);
  bar.signal(SIGSTOP);
  std::size_t sent = 0;
  while (foo.send("bar", "#" + std::string(10'000, 'x'))) ++sent;  // until the queue is full
  const std::size_t queued = foo.kernel->peers().at(0).queued_messages;
  bar.kill(SIGKILL);
  REQUIRE(drive({&foo}, [&] { return foo.downs.size() == 1; }));
  CHECK(foo.kernel->peers().at(0).queued_messages == queued);  // those wait for the next life
  CHECK(foo.kernel->counters().uncertain > 0);
  CHECK(foo.kernel->counters().uncertain <= sent - queued);
}

TEST_CASE("processes: a second process with a living node's id is told so and can act on it") {
  TestNode foo(probe_config("foo"));
  Probe first("bar", 0, 1);
  foo.kernel->add_peer("bar", first.at());
  REQUIRE(drive({&foo}, [&] { return foo.connected_to("bar"); }));
  const pid_t second = ::fork();
  if (second == 0) {
    const std::string port = std::to_string(foo.at().port);
    ::execl(NET_PROBE, NET_PROBE, "serve", "bar", "0", "2", "foo", port.c_str(), nullptr);
    ::_exit(127);
  }
  int status = 0;
  REQUIRE(drive({&foo}, [&] { return ::waitpid(second, &status, WNOHANG) == second; }));
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 3);  // it was told duplicate_id
  CHECK(foo.downs.empty());
}
