#include <doctest/doctest.h>

#include <atomic>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "net_support.hpp"
#include "ports.hpp"

using namespace cluster;
using namespace cluster::net;
using namespace cluster::net::test;

TEST_CASE("net: threads that send at once keep each its order, and nothing is lost or torn") {
  TestNode foo("foo");
  TestNode bar("bar");
  REQUIRE(connect(foo, "foo", bar, "bar"));
  constexpr int kThreads = 4;
  constexpr int kMessages = 5000;
  std::atomic<int> received{0};
  std::map<char, int> next;
  bool in_order = true;
  bar.keep_messages = false;
  bar.on_text = [&](const PeerInfo&, ByteView message) {
    const std::string text(as_text(message));
    in_order = in_order && next[text[0]]++ == std::stoi(text.substr(1));
    received.fetch_add(1);
  };
  {
    const Poller foo_poller(foo);
    const Poller bar_poller(bar);
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        const SendOptions options{.flush_now = t % 2 == 0};
        for (int i = 0; i < kMessages; ++i) {
          const std::string text = static_cast<char>('a' + t) + std::to_string(i) +
                                   std::string(static_cast<std::size_t>(i % 200), ' ');
          while (!foo.send("bar", text, options)) std::this_thread::yield();
        }
        foo.kernel->flush();
      });
    }
    for (auto& thread : threads) thread.join();
    const Instant deadline = MonotonicClock::now() + 60s;
    while (received < kThreads * kMessages && MonotonicClock::now() < deadline) std::this_thread::yield();
  }
  CHECK(received == kThreads * kMessages);
  CHECK(in_order);
}

TEST_CASE("net: threads that send while the connection comes and goes see only whole messages in order") {
  auto foo_config = config_of("foo");
  foo_config.limits.backoff_min = 1ms;
  TestNode foo(std::move(foo_config));
  const Endpoint at{"127.0.0.1", testing::free_port()};
  foo.kernel->add_peer("bar", at);
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; !stop; ++i)
        static_cast<void>(
            foo.send("bar", static_cast<char>('a' + t) + std::to_string(i), {.flush_now = i % 3 != 0}));
    });
  bool in_order = true;
  std::size_t received = 0;
  std::map<char, int> last;
  {
    const Poller poller(foo);
    for (std::uint64_t life = 2; life < 12; ++life) {
      auto config = config_of("bar", life);
      config.advertised = at;
      TestNode bar(std::move(config));
      bar.keep_messages = false;
      bar.on_text = [&](const PeerInfo&, ByteView message) {
        const std::string text(as_text(message));
        const int number = std::stoi(text.substr(1));
        const auto found = last.find(text[0]);
        in_order = in_order && (found == last.end() || number > found->second);
        last[text[0]] = number;
        ++received;
      };
      const std::size_t before = received;
      CHECK(drive({&bar}, [&] { return received >= before + 100; }));
    }
  }
  stop = true;
  for (auto& thread : threads) thread.join();
  CHECK(in_order);
  CHECK(received > 1000);
}

TEST_CASE("net: a peer that does not read costs its queue's bound and no more; then all arrives") {
  auto config = config_of("foo");
  config.limits.queue_bytes_max = 16u << 20;
  TestNode foo(std::move(config));
  TestNode bar("bar");
  REQUIRE(connect(foo, "foo", bar, "bar"));
  bar.keep_messages = false;
  const std::string text(10'000, 'x');
  std::size_t sent = 0;
  Result<Ticket> result = Ticket{};
  while ((result = foo.send("bar", text))) {
    ++sent;
    REQUIRE(sent < 100'000);
    if (sent % 100 == 0) foo.kernel->poll(Duration::zero());
  }
  CHECK(result.error().code() == Errc::overloaded);
  const auto status = foo.kernel->peers().at(0);
  CHECK(status.queued_bytes <= 16u << 20);
  CHECK(status.queued_bytes > 15u << 20);
  REQUIRE(drive({&foo, &bar}, [&] { return bar.received == sent; }));
  CHECK(foo.kernel->peers().at(0).queued_bytes == 0);
}

TEST_CASE("net: who polls while another does returns at once, and a wake ends a long wait") {
  TestNode foo("foo");
  TestNode bar("bar");
  REQUIRE(connect(foo, "foo", bar, "bar"));
  const Instant before = MonotonicClock::now();
  foo.on_text = [&](const PeerInfo&, ByteView) { CHECK(foo.kernel->poll(60s) == 0); };
  CHECK(bar.send("foo", "x"));
  REQUIRE(drive({&foo, &bar}, [&] { return foo.received == 1; }));

  std::atomic<bool> returned{false};
  std::thread waiting([&] {
    while (foo.kernel->poll(60s) == 0) {
    }
    returned = true;
  });
  while (!returned) {
    foo.kernel->wake();
    std::this_thread::yield();
  }
  waiting.join();
  foo.kernel->wake();
  foo.kernel->poll(60s);  // a wake before the wait ends it too
  CHECK(MonotonicClock::now() - before < 30s);
}
