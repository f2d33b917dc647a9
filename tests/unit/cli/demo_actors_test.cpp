#include "demo_actors.hpp"

#include <doctest/doctest.h>

#include <limits>

#include "cluster/runtime/server_harness.hpp"

namespace cluster::demo {
namespace {

TEST_CASE("demo: the counter adds on cast and call, and a call answers the new total") {
  ServerHarness<Counter> counter;
  counter.cast(Add{2});
  CHECK(counter.call(Add{5}).value() == 7);
  counter.cast(Add{-10});
  CHECK(counter.call(Get{}).value() == -3);
}

TEST_CASE("demo: a total that would overflow is refused and stays as it was") {
  ServerHarness<Counter> counter;
  const auto most = std::numeric_limits<std::int64_t>::max();
  CHECK(counter.call(Add{most}).value() == most);
  CHECK(counter.call(Add{1}).error().code() == Errc::refused);
  CHECK(counter.call(Get{}).value() == most);
}

TEST_CASE("demo: echo answers any document as it came, and takes its whole payload for it") {
  ServerHarness<EchoServer> echo;
  const auto document = wire::Value::map({{"value", 1}, {"list", wire::Value::array({"a", nullptr})}});
  CHECK(echo.call(Echo{document}).value() == document);
  CHECK(echo.call(Echo{}).value().is_nil());
  CHECK(wire::encode(Echo{document}) == wire::encode(document));
  CHECK(wire::decode<Echo>(wire::encode(document)).value().value == document);
}

}  // namespace
}  // namespace cluster::demo
