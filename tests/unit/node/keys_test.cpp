#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "cluster/base/log.hpp"
#include "cluster/node/node_keys.hpp"
#include "quiet_log.hpp"

using namespace cluster;
using proto::Keyring;

namespace {

Keyring of(const std::vector<std::string>& cookies) {
  return Keyring::from_cookies(cookies, Keyring::cost_for_tests()).value();
}

const Keyring& first() {
  static const Keyring ring = of({"the first cookie of these tests"});
  return ring;
}
const Keyring& second() {
  static const Keyring ring = of({"the second cookie of these tests"});
  return ring;
}
const Keyring& third() {
  static const Keyring ring = of({"the third cookie of these tests"});
  return ring;
}

std::vector<proto::KeyId> ids(const NodeKeys& keys) {
  std::vector<proto::KeyId> ids;
  for (std::size_t i = 0; i < keys.keyring().size(); ++i) ids.push_back(keys.keyring().id(i));
  return ids;
}
using Ids = std::vector<proto::KeyId>;

NodeKeys restarted(const NodeKeys& keys, const Keyring& started_with) {
  return {started_with, proto::decode_key_file(keys.file()).value()};
}

}  // namespace

TEST_CASE("node keys: a change survives a restart with the same command line, at each step") {
  const QuietLog quiet;
  NodeKeys keys(first(), {});
  CHECK(ids(keys) == Ids{first().id(0)});
  REQUIRE(keys.add(second().key(0)));
  CHECK(ids(restarted(keys, first())) == Ids{first().id(0), second().id(0)});
  REQUIRE(keys.use(second().id(0)));
  CHECK(ids(restarted(keys, first())) == Ids{second().id(0), first().id(0)});
  REQUIRE(keys.remove(first().id(0)));
  CHECK(ids(restarted(keys, first())) == Ids{second().id(0)});
  CHECK(ids(restarted(keys, second())) == Ids{second().id(0)});
}

TEST_CASE(
    "node keys: a cookie that is new at a start goes first, and one that was removed may be added again") {
  const QuietLog quiet;
  NodeKeys keys(first(), {});
  REQUIRE(keys.add(second().key(0)));
  CHECK(ids(restarted(keys, third())) == Ids{third().id(0), first().id(0), second().id(0)});
  REQUIRE(keys.use(second().id(0)));
  REQUIRE(keys.remove(first().id(0)));
  REQUIRE(keys.add(first().key(0)));
  CHECK(ids(restarted(keys, first())) == Ids{second().id(0), first().id(0)});
  CHECK(keys.add(first().key(0)).error().code() == Errc::already_exists);
  CHECK(keys.remove(second().id(0)).error().code() == Errc::invalid_argument);
  CHECK(keys.remove(third().id(0)).error().code() == Errc::not_found);
}

TEST_CASE("node keys: of the removed ones the last are remembered") {
  const QuietLog quiet;
  NodeKeys keys(first(), {});
  for (std::size_t i = 0; i < proto::SavedKeys::kRemovedMax + 5; ++i) {
    const auto next = of({"cookie number " + std::to_string(i) + " of these tests"});
    REQUIRE(keys.add(next.key(0)));
    REQUIRE(keys.remove(next.id(0)));
  }
  const auto last =
      of({"cookie number " + std::to_string(proto::SavedKeys::kRemovedMax + 4) + " of these tests"});
  CHECK(ids(restarted(keys, last)) == Ids{first().id(0)});
}
