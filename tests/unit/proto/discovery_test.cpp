#include "cluster/proto/discovery.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <deque>
#include <set>
#include <string>
#include <vector>

#include "actions.hpp"

using namespace cluster;
using namespace cluster::proto;
using cluster::testing::all_of;

namespace {

constexpr Instant kBegin = Instant{} + 1h;
const Company kAlone{};

Endpoint at(std::size_t number) {
  return {"10.0." + std::to_string(number / 250) + "." + std::to_string(number % 250), 7022};
}

Company with(std::vector<Endpoint> members) { return {std::move(members), true}; }

std::set<Endpoint> meets(const DiscoveryActions& actions) {
  std::set<Endpoint> endpoints;
  for (const auto& meet : all_of<MeetAt>(actions)) endpoints.insert(meet.endpoint);
  return endpoints;
}

std::vector<std::string> faults(const DiscoveryActions& actions) {
  std::vector<std::string> texts;
  for (const auto& finding : all_of<Finding>(actions))
    if (finding.is_fault) texts.push_back(finding.text);
  return texts;
}

/// One that asks one source, which answers at once.
struct Seeker {
  Discovery discovery;
  Instant now = kBegin;
  Result<std::vector<Endpoint>> listed = std::vector<Endpoint>();

  explicit Seeker(std::uint64_t seed = 1, DiscoveryConfig config = {.self = at(0), .sources = 1})
      : discovery(std::move(config), Rng(seed)) {}

  /// Goes on to the next round; what is to be done in it.
  DiscoveryActions round(const Company& company = kAlone) {
    now = std::max(now, discovery.next_deadline());
    auto actions = discovery.on_time(now, company);
    for (const auto& asked : all_of<FindAddresses>(actions)) {
      auto more = discovery.on_found(now, asked.source, listed, company);
      actions.insert(actions.end(), more.begin(), more.end());
    }
    return actions;
  }
  void answer(const Endpoint& endpoint, Result<void> met = {}) {
    static_cast<void>(discovery.on_met(now, endpoint, met));
  }
};

}  // namespace

TEST_CASE(
    "address list: one a line, with comments and blank lines; a bad line is named and the others count") {
  const auto list = parse_address_list(
      "# the nodes\n"
      "foo:7022\n"
      "\r\n"
      "  10.0.0.2:7023\t# the second\r\n"
      "no port\n"
      "[::1]:7024#the third\n"
      "bar:0\n"
      "baz:7022");
  CHECK(list.addresses ==
        std::vector<Endpoint>{{"foo", 7022}, {"10.0.0.2", 7023}, {"::1", 7024}, {"baz", 7022}});
  CHECK(list.faults == std::vector<std::string>{"line 5: 'no port' is not HOST:PORT",
                                                "line 7: '0' is not a port (1..65535)"});
  CHECK(parse_address_list("").addresses.empty());
  CHECK(parse_address_list(std::string(1000, '\n') + "x").faults.front().starts_with("line 1001: "));
  std::string rubbish;
  for (int i = 0; i < 1000; ++i) rubbish += "?\n";
  CHECK(parse_address_list(rubbish).faults.size() == 8);
}

TEST_CASE("discovery: alone it asks every 2 s; with others the periods double up to 30 s; alone again, 2 s") {
  Seeker seeker;
  const auto period = [&](const Company& company) {
    static_cast<void>(seeker.round(company));
    return seeker.discovery.next_deadline() - seeker.now;
  };
  const auto is_about = [](Duration found, Duration wanted) {
    return found >= wanted * 9 / 10 && found <= wanted * 11 / 10;
  };
  for (int i = 0; i < 5; ++i) CHECK(is_about(period(kAlone), 2s));
  for (const Duration wanted : {4s, 8s, 16s, 30s, 30s}) CHECK(is_about(period(with({at(1)})), wanted));
  CHECK(is_about(period(kAlone), 2s));
  CHECK(all_of<FindAddresses>(seeker.discovery.on_time(seeker.now, kAlone))
            .empty());  // early calls are harmless
}

TEST_CASE("discovery: its own address and those of members are not met, the others are, each once") {
  Seeker seeker;
  seeker.listed = std::vector<Endpoint>{at(0), at(1), at(2), at(2), at(3)};
  CHECK(meets(seeker.round(with({at(3)}))) == std::set{at(1), at(2)});
  CHECK(meets(seeker.round(with({at(3)}))).empty());  // not twice at a time
  seeker.answer(at(1));
  seeker.answer(at(2), Error(Errc::unreachable, "connection refused"));
  CHECK(meets(seeker.round(with({at(3)}))) == std::set{at(2)});
}

TEST_CASE(
    "discovery: who was met is met again when this node has lost all others, or when it was not listed "
    "meanwhile") {
  Seeker seeker;
  seeker.listed = std::vector<Endpoint>{at(1), at(2)};
  CHECK(meets(seeker.round()).size() == 2);
  seeker.answer(at(1));
  seeker.answer(at(2));
  CHECK(meets(seeker.round(with({}))).empty());
  seeker.listed = std::vector<Endpoint>{at(1)};
  CHECK(meets(seeker.round(with({}))).empty());
  seeker.listed = std::vector<Endpoint>{at(1), at(2)};
  CHECK(meets(seeker.round(with({}))) == std::set{at(2)});
  CHECK(meets(seeker.round({{at(1)}, false})) ==
        std::set{at(1)});  // a member that does not answer where it was
}

TEST_CASE("discovery: who refuses is asked again after 30 s, and its words are told once") {
  Seeker seeker;
  seeker.listed = std::vector<Endpoint>{at(1)};
  CHECK(meets(seeker.round()).size() == 1);
  const Error refusal(Errc::wrong_ring, "belongs to ring 'x'");
  CHECK(faults(seeker.discovery.on_met(seeker.now, at(1), refusal)).size() == 1);
  const auto refused_at = seeker.now;
  while (meets(seeker.round()).empty()) CHECK(seeker.now - refused_at < 30s);
  CHECK(seeker.now - refused_at >= 30s);
  CHECK(faults(seeker.discovery.on_met(seeker.now, at(1), refusal)).empty());
  const auto other = faults(seeker.discovery.on_met(seeker.now, at(1), Error(Errc::wrong_cookie, "no")));
  CHECK(other == std::vector<std::string>{"10.0.0.1:7022: no"});
  const auto itself = seeker.discovery.on_met(seeker.now, at(1), Error(Errc::refused, "is this node itself"));
  CHECK(faults(itself).empty());
  CHECK(all_of<Finding>(itself).size() == 1);
}

TEST_CASE(
    "discovery: a name that is not known yet is asked again; a fault is told once and keeps what was known") {
  Seeker seeker;
  seeker.listed = Error(Errc::unreachable, "the name 'ring' is not known");
  CHECK(faults(seeker.round()) == std::vector<std::string>{"the name 'ring' is not known"});
  CHECK(faults(seeker.round()).empty());
  seeker.listed = std::vector<Endpoint>{at(1)};
  CHECK(meets(seeker.round()) == std::set{at(1)});
  seeker.answer(at(1), Error(Errc::timeout, "no answer"));
  seeker.listed = Error(Errc::unreachable, "the name 'ring' is not known");
  const auto actions = seeker.round();
  CHECK(faults(actions).size() == 1);
  CHECK(meets(actions) == std::set{at(1)});
}

TEST_CASE(
    "discovery: a source that does not answer is not asked twice, and holds the others up for one round "
    "only") {
  Discovery discovery({.self = at(0), .sources = 2}, Rng(1));
  CHECK(all_of<FindAddresses>(discovery.on_time(kBegin, kAlone)).size() == 2);
  CHECK(meets(discovery.on_found(kBegin, 0, std::vector<Endpoint>{at(1)}, kAlone)).empty());
  const auto later = discovery.on_time(discovery.next_deadline(), kAlone);
  CHECK(meets(later) == std::set{at(1)});
  const auto asked = all_of<FindAddresses>(later);
  REQUIRE(asked.size() == 1);
  CHECK(asked.front().source == 0);
}

TEST_CASE("discovery: of a huge answer the first 1024 addresses count, and 8 are met in a round") {
  Seeker seeker;
  std::vector<Endpoint> many;
  for (std::size_t i = 1; i <= 5000; ++i) many.push_back(at(i));
  seeker.listed = many;
  std::set<Endpoint> met;
  for (int round = 0; round < 200; ++round) {
    const auto chosen = meets(seeker.round(with({})));
    CHECK(chosen.size() <= 8);
    for (const auto& endpoint : chosen) {
      CHECK(met.insert(endpoint).second);
      seeker.answer(endpoint);
    }
  }
  CHECK(met.size() == Discovery::kAddressesMax);
}

TEST_CASE("discovery: nodes that start at once, each seeing a random part of the others, become one ring") {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    const auto size = static_cast<std::size_t>(rng.between(2, 60));
    std::vector<std::size_t> ring(size);  // ring[i]: names the ring of node i
    std::vector<Seeker> seekers;
    for (std::size_t i = 0; i < size; ++i) {
      ring[i] = i;
      seekers.emplace_back(seed * 1000 + i, DiscoveryConfig{.self = at(i), .sources = 1});
    }
    const auto is_one = [&] {
      return std::ranges::count(ring, ring.front()) == static_cast<std::ptrdiff_t>(size);
    };
    int rounds = 0;
    for (; !is_one(); ++rounds) {
      REQUIRE(rounds < 12);
      for (std::size_t i = 0; i < size; ++i) {
        std::vector<Endpoint> seen;  // after three rounds the name stands for all
        for (std::size_t j = 0; j < size; ++j)
          if (rounds >= 3 || rng.chance(0.3)) seen.push_back(at(j));
        seekers[i].listed = std::move(seen);
        std::vector<Endpoint> members;
        for (std::size_t j = 0; j < size; ++j)
          if (j != i && ring[j] == ring[i] && rng.chance(0.5)) members.push_back(at(j));
        const bool is_here = std::ranges::count(ring, ring[i]) > 1;
        for (const auto& endpoint : meets(seekers[i].round({members, is_here}))) {
          for (std::size_t j = 0; j < size; ++j)
            if (at(j) == endpoint) {
              const auto old = ring[j];
              std::ranges::replace(ring, old, ring[i]);
            }
          seekers[i].answer(endpoint);
        }
      }
    }
  }
}
