#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "cluster/base/rng.hpp"
#include "cluster/kv/kv_listing.hpp"

using namespace cluster;

namespace {

/// A member's answer, with no more than `looked_at` of its keys in it.
KvScan::Answer told(const std::set<std::string>& keys, const KvScan& scan, std::size_t looked_at) {
  KvScan::Answer answer;
  auto at = keys.lower_bound(scan.from);
  for (; at != keys.end() && answer.keys.size() < std::min<std::size_t>(looked_at, scan.limit); ++at)
    answer.keys.push_back(*at);
  if (at != keys.end()) answer.next = *at;
  return answer;
}

}  // namespace

TEST_CASE(
    "kv listing: pages hold what any member holds, each key once and in order, however little a member tells "
    "at a time") {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    std::map<NodeId, std::set<std::string>> held;
    std::vector<NodeId> members;
    std::set<std::string> all;
    std::set<NodeId> silent;
    for (const char* name : {"foo", "bar", "baz", "qux"}) {
      const NodeId id(name);
      members.push_back(id);
      if (rng.below(8) == 0) silent.insert(id);
      for (auto i = rng.below(60); i > 0; --i) held[id].insert("key " + std::to_string(rng.below(150)));
      if (!silent.contains(id)) all.insert(held[id].begin(), held[id].end());
    }
    const auto limit = static_cast<std::uint32_t>(1 + rng.below(40));
    std::vector<std::string> listed;
    KvScan scan{.bucket = "default", .limit = limit};
    for (bool more = true; more;) {
      KvListing listing(scan, members);
      std::size_t asked = 0;
      while (true) {
        const auto questions = listing.questions();
        if (questions.empty()) break;
        REQUIRE(++asked < 1000);
        for (const auto& [member, asks] : questions) {
          if (silent.contains(member))
            listing.take(member, Error(Errc::timeout, "no answer"));
          else
            listing.take(member, told(held[member], asks, rng.below(10)));
        }
      }
      auto page = std::move(listing).page();
      CHECK(page.silent == std::vector<NodeId>(silent.begin(), silent.end()));
      CHECK(page.keys.size() <= limit);
      more = page.more;
      if (more) REQUIRE(page.keys.size() == limit);
      if (more) scan.from = page.keys.back() + '\0';
      listed.insert(listed.end(), page.keys.begin(), page.keys.end());
    }
    CHECK(listed == std::vector<std::string>(all.begin(), all.end()));
  }
}

TEST_CASE("kv listing: what lies behind the page is not asked for, and nothing is for none") {
  const std::vector<NodeId> members{NodeId("foo"), NodeId("bar")};
  KvListing listing({.bucket = "default", .limit = 2}, members);
  REQUIRE(listing.questions().size() == 2);
  listing.take(NodeId("foo"), KvScan::Answer{{"a", "b"}, "c"});
  listing.take(NodeId("bar"), KvScan::Answer{{"a"}, "aa"});
  const auto again = listing.questions();
  REQUIRE(again.size() == 1);
  CHECK(again.front().member == NodeId("bar"));
  CHECK(again.front().scan.from == "aa");
  listing.take(NodeId("bar"), KvScan::Answer{{}, "x"});
  CHECK(listing.questions().empty());
  CHECK(std::move(listing).page().keys == std::vector<std::string>{"a", "b"});
  CHECK(KvListing({.bucket = "default", .limit = 0}, members).questions().empty());
}
