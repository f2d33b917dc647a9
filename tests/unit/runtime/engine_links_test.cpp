// Monitors and links.
#include <map>
#include <string>

#include "engine_support.hpp"

using namespace cluster;
using namespace cluster::runtime;
using namespace cluster::runtime::testing;

namespace {

// What one actor was told of the ends of others.
class Reports {
 public:
  void add(std::uint64_t of, const ExitReason& reason) {
    const std::lock_guard lock(mutex_);
    reports_.emplace(of, reason);
  }
  [[nodiscard]] std::size_t size() const {
    const std::lock_guard lock(mutex_);
    return reports_.size();
  }
  [[nodiscard]] std::size_t count(std::uint64_t of) const {
    const std::lock_guard lock(mutex_);
    return reports_.count(of);
  }
  [[nodiscard]] ExitReason of(std::uint64_t number) const {
    const std::lock_guard lock(mutex_);
    const auto found = reports_.find(number);
    return found != reports_.end() ? found->second : ExitReason{};
  }

 private:
  mutable std::mutex mutex_;
  std::multimap<std::uint64_t, ExitReason> reports_;
};

ActorRef watcher(Engine& engine, Reports& reports) {
  return spawn(engine, {.down = [&](std::uint64_t monitor, const ExitReason& reason) {
                 reports.add(monitor, reason);
               }});
}
ActorRef trapper(Engine& engine, Reports& reports) {
  return spawn(engine, {.link_exit = [&](std::uint64_t serial, const ExitReason& reason) {
                 reports.add(serial, reason);
                 return true;
               }});
}

}  // namespace

TEST_CASE("monitors: each fires once, with the reason, also when several watch one target") {
  const auto host = engine();
  Reports reports;
  const ActorRef first = watcher(*host, reports);
  const ActorRef second = watcher(*host, reports);
  const ActorRef target = spawn(*host, {});
  const std::uint64_t a = host->monitor(first, target);
  const std::uint64_t b = host->monitor(first, target);
  const std::uint64_t c = host->monitor(second, target);
  CHECK(a != b);
  CHECK(b != c);
  target.stop({ExitReason::Kind::failed, "fell over"});
  target.stop({ExitReason::Kind::normal, "too late to count"});
  REQUIRE(eventually([&] { return reports.size() == 3; }));
  for (const std::uint64_t monitor : {a, b, c})
    CHECK(reports.of(monitor) == ExitReason{ExitReason::Kind::failed, "fell over"});
}

TEST_CASE("monitors: a normal end fires too") {
  const auto host = engine();
  Reports reports;
  const ActorRef target = spawn(*host, {});
  const std::uint64_t monitor = host->monitor(watcher(*host, reports), target);
  target.stop({});
  REQUIRE(eventually([&] { return reports.count(monitor) == 1; }));
  CHECK(reports.of(monitor) == ExitReason{});
}

TEST_CASE("monitors: a target that has ended, or an empty one, fires at once with no_process") {
  const auto host = engine();
  Reports reports;
  const ActorRef first = watcher(*host, reports);
  const ActorRef target = spawn(*host, {});
  target.stop({});
  REQUIRE(eventually([&] { return host->actors() == 1; }));
  const std::uint64_t gone = host->monitor(first, target);
  const std::uint64_t none = host->monitor(first, {});
  REQUIRE(eventually([&] { return reports.size() == 2; }));
  CHECK(reports.of(gone).kind == ExitReason::Kind::no_process);
  CHECK(reports.of(none).kind == ExitReason::Kind::no_process);
}

TEST_CASE("monitors: exactly one report, however monitor and end race") {
  const auto host = engine();
  Reports reports;
  const ActorRef first = watcher(*host, reports);
  std::vector<std::uint64_t> monitors;
  for (int round = 0; round < 2'000; ++round) {
    const ActorRef target = spawn(*host, {.start = [](const ActorRef& self) { self.stop({}); }});
    monitors.push_back(host->monitor(first, target));
  }
  REQUIRE(eventually([&] { return reports.size() >= monitors.size() && host->actors() == 1; }));
  for (const std::uint64_t monitor : monitors) CHECK(reports.count(monitor) == 1);
}

TEST_CASE("monitors: none fires after demonitor, and demonitor of an unknown number does nothing") {
  const auto host = engine();
  Reports reports;
  const ActorRef first = watcher(*host, reports);
  const ActorRef target = spawn(*host, {});
  const std::uint64_t kept = host->monitor(first, target);
  const std::uint64_t dropped = host->monitor(first, target);
  host->demonitor(dropped);
  host->demonitor(dropped);
  host->demonitor(123'456);
  target.stop({});
  REQUIRE(eventually([&] { return reports.count(kept) == 1; }));
  host->stop();
  CHECK(reports.count(dropped) == 0);
}

TEST_CASE("monitors: a watcher may end first") {
  const auto host = engine();
  Reports reports;
  const ActorRef target = spawn(*host, {});
  const ActorRef first = watcher(*host, reports);
  for (int i = 0; i < 100; ++i) host->monitor(first, target);
  first.stop({});
  REQUIRE(eventually([&] { return host->actors() == 1; }));
  host->monitor(first, target);
  target.stop({});
  REQUIRE(eventually([&] { return host->actors() == 0; }));
  CHECK(reports.size() == 0);
}

TEST_CASE("links: the end of one ends the other with the same reason, whoever made the link") {
  const auto host = engine();
  for (const bool stop_a : {true, false}) {
    CAPTURE(stop_a);
    Reports reports;
    const ActorRef observer = watcher(*host, reports);
    const ActorRef a = spawn(*host, {});
    const ActorRef b = spawn(*host, {});
    host->link(a, b);
    const std::uint64_t monitor = host->monitor(observer, stop_a ? b : a);
    (stop_a ? a : b).stop({ExitReason::Kind::failed, "fell over"});
    REQUIRE(eventually([&] { return reports.count(monitor) == 1; }));
    CHECK(reports.of(monitor) == ExitReason{ExitReason::Kind::failed, "fell over"});
    observer.stop({});
  }
}

TEST_CASE("links: a chain of them falls, and a normal end does not spread") {
  const auto host = engine();
  std::vector<ActorRef> chain;
  for (int i = 0; i < 100; ++i) {
    chain.push_back(spawn(*host, {}));
    if (i > 0) host->link(chain[static_cast<std::size_t>(i) - 1], chain.back());
  }
  chain.back().stop({});
  REQUIRE(eventually([&] { return host->actors() == 99; }));
  chain.pop_back();
  chain[50].stop({ExitReason::Kind::killed, {}});
  CHECK(eventually([&] { return host->actors() == 0; }));
}

TEST_CASE("links: a behaviour that traps exits lives on and is told once, also of normal ends") {
  const auto host = engine();
  Reports reports;
  const ActorRef parent = trapper(*host, reports);
  std::vector<ActorRef> children;
  for (int i = 0; i < 100; ++i) {
    children.push_back(spawn(*host, {}));
    host->link(parent, children.back());
    host->link(parent, children.back());
  }
  for (const ActorRef& child : children) child.stop({});
  REQUIRE(eventually([&] { return reports.size() >= 100 && host->actors() == 1; }));
  for (const ActorRef& child : children) CHECK(reports.count(child.serial()) == 1);
  CHECK(parent.alive());
}

TEST_CASE("links: after unlink the other is not told") {
  const auto host = engine();
  Reports reports;
  const ActorRef parent = trapper(*host, reports);
  const ActorRef unlinked = spawn(*host, {});
  const ActorRef linked = spawn(*host, {});
  host->link(unlinked, parent);
  host->link(linked, parent);
  host->unlink(parent, unlinked);
  unlinked.stop({ExitReason::Kind::failed, {}});
  REQUIRE(eventually([&] { return host->actors() == 2; }));
  linked.stop({ExitReason::Kind::failed, {}});
  REQUIRE(eventually([&] { return reports.count(linked.serial()) == 1; }));
  CHECK(reports.count(unlinked.serial()) == 0);
}

TEST_CASE("links: a link with one that has ended tells the other at once") {
  const auto host = engine();
  Reports reports;
  const ActorRef parent = trapper(*host, reports);
  const ActorRef child = spawn(*host, {});
  child.stop({});
  REQUIRE(eventually([&] { return host->actors() == 1; }));
  host->link(parent, child);
  REQUIRE(eventually([&] { return reports.size() == 1; }));
  CHECK(reports.of(child.serial()).kind == ExitReason::Kind::no_process);
  host->link(child, parent);
  CHECK(eventually([&] { return reports.size() == 2; }));
}

TEST_CASE("links: pairs that are linked while both end are all gone in the end") {
  const auto host = engine();
  for (int round = 0; round < 500; ++round) {
    const ActorRef a = spawn(*host, {});
    const ActorRef b = spawn(*host, {});
    std::thread other([&] { b.stop({ExitReason::Kind::failed, "b"}); });
    host->link(a, b);
    other.join();
    CHECK(eventually([&] { return !b.alive(); }));
    a.stop({});
  }
  CHECK(eventually([&] { return host->actors() == 0; }));
}
