#include "cluster/gateway/router.hpp"

#include <doctest/doctest.h>

namespace cluster::gateway {
namespace {

Router three_routes() {
  Router router;
  router.add({.pattern = "/"});
  router.add({.pattern = "/v1/kv/{bucket}/{key}"});
  router.add({.method = Method::put, .pattern = "/v1/kv/{bucket}/{key}"});
  return router;
}

std::vector<std::string> path(const char* text) { return parse_target(text).value().path; }

TEST_CASE("router: a route is found by method and path, and keeps what stood for its names") {
  const auto router = three_routes();
  const auto match = router.find(Method::put, path("/v1/kv/b/a%2Fb"));
  REQUIRE(match.route != nullptr);
  CHECK(match.route->method == Method::put);
  CHECK(match.captures == std::vector<std::string>{"b", "a/b"});
  CHECK(router.find(Method::get, path("/")).route != nullptr);
}

TEST_CASE("router: HEAD takes the route of GET") {
  const auto router = three_routes();
  CHECK(router.find(Method::head, path("/v1/kv/b/k")).route ==
        router.find(Method::get, path("/v1/kv/b/k")).route);
}

TEST_CASE("router: paths that are longer, shorter or empty in a name's place are other paths") {
  const auto router = three_routes();
  for (const char* text :
       {"/v1", "/v1/kv/b", "/v1/kv/b/k/", "/v1/kv//k", "/v1/kv/b/", "//v1/kv/b/k", "/V1/kv/b/k"}) {
    CAPTURE(text);
    CHECK(router.find(Method::get, path(text)).route == nullptr);
    CHECK(router.allowed(path(text)).empty());
  }
}

TEST_CASE("router: a known path tells what it takes") {
  const auto router = three_routes();
  CHECK(router.find(Method::post, path("/v1/kv/b/k")).route == nullptr);
  CHECK(router.find(Method::other, path("/v1/kv/b/k")).route == nullptr);
  CHECK(router.allowed(path("/v1/kv/b/k")) == "GET, HEAD, PUT");
}

}  // namespace
}  // namespace cluster::gateway
