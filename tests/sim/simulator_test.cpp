// The parts of the simulator: its clock, its network, its hosts, and faults as people write them.
#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <vector>

#include "cluster/sim/faults.hpp"
#include "cluster/sim/host.hpp"
#include "cluster/sim/network.hpp"

using namespace cluster;
using namespace cluster::sim;

namespace {

double ms(Duration duration) { return std::chrono::duration<double, std::milli>(duration).count(); }

}  // namespace

TEST_CASE("simulator: events run by time, those of one time in the order in which they were scheduled") {
  Simulator simulator(1);
  std::string order;
  simulator.after(2s, [&] { order += 'c'; });
  simulator.after(1s, [&] {
    order += 'a';
    simulator.after(1s, [&] { order += 'd'; });
  });
  simulator.after(1s, [&] { order += 'b'; });
  simulator.at(kNever, [&] { order += '!'; });
  simulator.run_for(10s);
  CHECK(order == "abcd");
  CHECK(simulator.now() == Instant{} + 10s);
  CHECK(simulator.events_pending() == 0);
}

TEST_CASE("latency: draws have the stated mean, spread and bounds") {
  Rng rng(1);
  constexpr int kDraws = 20'000;
  const auto mean_and_deviation = [&](const Latency& latency) {
    double sum = 0, squares = 0;
    for (int i = 0; i < kDraws; ++i) {
      const auto delay = ms(latency.draw(rng));
      REQUIRE(delay >= 0);
      sum += delay;
      squares += delay * delay;
    }
    const auto mean = sum / kDraws;
    return std::pair(mean, std::sqrt(squares / kDraws - mean * mean));
  };
  CHECK(mean_and_deviation(Latency::fixed(5ms)).first == doctest::Approx(5));
  CHECK(mean_and_deviation(Latency::uniform(1ms, 9ms)).first == doctest::Approx(5).epsilon(0.02));
  const auto [mean, deviation] = mean_and_deviation(Latency::normal(50ms, 5ms));
  CHECK(mean == doctest::Approx(50).epsilon(0.02));
  CHECK(deviation == doctest::Approx(5).epsilon(0.05));
  // exp(sigma^2 / 2) times the median
  CHECK(mean_and_deviation(Latency::lognormal(10ms, 0.5)).first == doctest::Approx(11.33).epsilon(0.03));
}

TEST_CASE("network: it loses, doubles and delays the stated shares, and a cut may be one way") {
  Simulator simulator(1);
  Network network(simulator, {.delay = Latency::fixed(1ms), .loss = 0.2, .duplication = 0.1});
  int arrived = 0;
  const auto send = [&](int count, std::size_t from, std::size_t to) {
    arrived = 0;
    for (int i = 0; i < count; ++i)
      network.send(from, to, 10, [&](std::uint32_t, std::uint32_t) { ++arrived; });
    simulator.run_for(1s);
    return arrived;
  };
  CHECK(send(10'000, 0, 1) == doctest::Approx(8'800).epsilon(0.02));
  CHECK(network.counters().bytes == 100'000);
  network.set_faults({.delay = Latency::fixed(1ms)});
  const auto one_way = network.cut({{0, 2}, {1}}, true);
  CHECK(send(10, 0, 1) == 0);
  CHECK(send(10, 1, 0) == 10);
  CHECK(send(10, 0, 2) == 10);
  CHECK(send(10, 3, 1) == 10);  // in no group
  const auto both_ways = network.cut({{0}, {2}});
  CHECK(send(10, 2, 0) == 0);
  network.mend(one_way);
  CHECK(send(10, 0, 1) == 10);
  CHECK(send(10, 0, 2) == 0);
  network.mend(both_ways);
  CHECK(send(10, 0, 2) == 10);
  network.send(0, 1, 1, [&](std::uint32_t, std::uint32_t) { arrived = -1; });
  network.partition({{0}, {1}});  // what is under way is lost, too
  simulator.run_for(1s);
  CHECK(arrived == 10);
}

TEST_CASE(
    "host: a paused process reads all input before its timer; a slow one reads late, its timer is in time") {
  Simulator simulator(1);
  std::string seen;
  Host host(simulator, [&] { seen += 't'; });
  const auto input = [&](char c) { host.submit([&seen, c] { seen += c; }); };
  input('a');
  CHECK(seen == "a");
  host.wake_at(simulator.now() + 1s);
  host.pause();
  input('b');
  simulator.run_for(3s);
  input('c');
  CHECK(seen == "a");
  host.resume();
  CHECK(seen == "abct");

  host.set_lag(500ms);
  host.wake_at(simulator.now() + 100ms);
  input('d');
  host.set_lag({});
  input('e');  // does not overtake
  simulator.run_for(400ms);
  CHECK(seen == "abctt");
  simulator.run_for(200ms);
  CHECK(seen == "abcttde");

  host.pause();
  input('f');
  host.wake_at(simulator.now());
  host.clear();
  host.resume();
  simulator.run_for(1s);
  CHECK(seen == "abcttde");
}

TEST_CASE("faults: what is written is read, and written again means the same") {
  struct Row {
    const char* written;
    const char* again;
  };
  const auto check = [](const Row& row, auto parse) {
    CAPTURE(row.written);
    const auto fault = parse(row.written);
    REQUIRE(fault.has_value());
    CHECK(fault->text() == row.again);
    CHECK(parse(fault->text())->text() == row.again);
  };
  for (const Row row : {Row{"A,B|C,D@10s..20s", "0,1|2,3@10s..20s"},
                        {"30%|70%@60s..90s", "30%|70%@60s..90s"},
                        {"n4>n5,n6,n7@1500ms", "4>5-7@1500ms"},
                        {"0-3|9@1m30s..2m", "0-3|9@90s..120s"}})
    check(row, parse_partition);
  const auto kill = [](const auto& text) { return parse_fault(Fault::Kind::kill, text); };
  for (const Row row : {Row{"3@10s", "3@10s"}, {"3,7@10..20", "3,7@10s..20s"}}) check(row, kill);
  const auto pause = [](const auto& text) { return parse_fault(Fault::Kind::pause, text); };
  check({"7@30s+3s", "7@30s..33s"}, pause);
  check({"7:100@5s..9s", "7:100@5s..9s"}, parse_slow);
  check({"3:-90s@20s", "3:-90s@20s"}, parse_clock);
  for (const char* delay : {"5ms", "1ms..10ms", "normal:10ms,3ms", "lognormal:10ms,0.5"})
    CHECK(to_text(parse_latency(delay).value()) == delay);
}

TEST_CASE("faults: nonsense is refused") {
  for (const char* text : {"", "A|B", "A@1s", "A|B@", "A|B@20s..10s", "A>B>C@1s", "|@1s", "120%|1@1s",
                           "A|B@1x", "5-3|1@1s", "A|B@99999999h", "A|B@-1s"}) {
    CAPTURE(std::string(text));
    CHECK_FALSE(parse_partition(text));
  }
  CHECK_FALSE(parse_fault(Fault::Kind::pause, "3@10s"));  // for ever
  CHECK_FALSE(parse_slow("3:0"));
  CHECK_FALSE(parse_slow("3"));
  CHECK_FALSE(parse_clock("3@10s"));
  CHECK_FALSE(parse_latency("10ms..1ms"));
  CHECK_FALSE(parse_latency("normal:10ms"));
}

TEST_CASE("faults: shares divide the nodes, and nodes that a cluster has not are left out") {
  const auto split = parse_partition("30%|70%@1s").value();
  const auto groups = split.resolve(10);
  CHECK(groups[0] == std::vector<std::size_t>{0, 1, 2});
  CHECK(groups[1].size() == 7);
  CHECK(parse_partition("0,5|1,9@1s").value().resolve(4) == std::vector<std::vector<std::size_t>>{{0}, {1}});
}
