#include "cluster/net/name_lookup.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <future>
#include <memory>

using namespace cluster;
using namespace cluster::net;

namespace {

Result<std::vector<Endpoint>> look_up(NameLookup& lookup, const Endpoint& name) {
  std::promise<Result<std::vector<Endpoint>>> answer;
  lookup.look_up(name, [&](Result<std::vector<Endpoint>> found) { answer.set_value(std::move(found)); });
  return answer.get_future().get();
}

}  // namespace

TEST_CASE("name lookup: a name gives all its addresses once, an address itself, an unknown name an error") {
  NameLookup lookup;
  const auto local = look_up(lookup, {"localhost", 7}).value();
  CHECK(std::ranges::count(local, Endpoint{"127.0.0.1", 7}) == 1);
  CHECK(look_up(lookup, {"10.1.2.3", 7022}).value() == std::vector<Endpoint>{{"10.1.2.3", 7022}});
  CHECK(look_up(lookup, {"fd77::1", 7022}).value() == std::vector<Endpoint>{{"fd77::1", 7022}});
  const auto unknown = look_up(lookup, {"no-such-name.invalid", 7});
  REQUIRE_FALSE(unknown);
  CHECK(unknown.error().code() == Errc::unreachable);
  CHECK(unknown.error().message().starts_with("the name 'no-such-name.invalid' is not known: "));
}

TEST_CASE("name lookup: questions asked at once, and in an answer, are all answered") {
  NameLookup lookup;
  std::promise<int> done;
  int answered = 0;
  for (int i = 0; i < 20; ++i)
    lookup.look_up({"127.0.0.1", 1}, [&](const auto&) {
      lookup.look_up({"127.0.0.1", 1}, [&](const auto&) {
        if (++answered == 20) done.set_value(answered);
      });
    });
  CHECK(done.get_future().get() == 20);
}

TEST_CASE("name lookup: no answer comes once it has ended") {
  for (int round = 0; round < 100; ++round) {
    auto alive = std::make_unique<bool>(true);
    bool late = false;
    {
      NameLookup lookup;
      for (int i = 0; i < 3; ++i)
        lookup.look_up({"127.0.0.1", 1}, [&](const auto&) { late = late || !alive; });
    }
    alive.reset();
    CHECK_FALSE(late);
  }
}
