// Who may send what: messages of the process's own code, and messages between nodes that name their sender.
#include <doctest/doctest.h>

#include <memory>
#include <string>

#include "cluster/net/client.hpp"
#include "cluster/runtime/actor_system.hpp"
#include "system_pair.hpp"

using namespace cluster;
using namespace cluster::testing;

namespace {

struct Seen {
  using reply = std::uint64_t;
};
/// Of this process's own code.
struct Inside {
  static constexpr bool local = true;
  std::uint64_t n = 0;
};
/// Between nodes.
struct Hint {
  static constexpr bool of_node = true;
  NodeId from{};
  std::string text{};
};

class Guarded : public GenServer<Guarded, Seen, Inside, Hint> {
 public:
  std::uint64_t handle_call(const Seen&) { return seen_; }
  void handle_cast(const Inside& inside) { seen_ += inside.n; }
  void handle_cast(const Hint&) { seen_ += 100; }

 private:
  std::uint64_t seen_ = 0;
};

struct GuardedPair : SystemPair {
  Ref<Guarded> near = b->spawn<Guarded>({.name = "guarded"}).value();
  Ref<Guarded> far = a->ref<Guarded>("guarded@b").value();
  [[nodiscard]] std::uint64_t seen() const { return b->call(near, Seen{}).value(); }
};

}  // namespace

TEST_CASE("message reach: a local message is handled when the process sends it, and from nowhere else") {
  GuardedPair pair;
  REQUIRE(pair.b->cast(pair.near, Inside{1}));
  REQUIRE(pair.b->call(pair.near, Inside{2}));
  CHECK(pair.seen() == 3);
  const auto message = wire::Value::map({{"n", 1000}});
  for (const auto& refused :
       {pair.b->call("guarded", "inside", message), pair.a->call("guarded@b", "inside", message)}) {
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code() == Errc::bad_message);
    CHECK(refused.error().executed() == Executed::no);
  }
  CHECK_FALSE(pair.b->cast("guarded", "inside", message));
  CHECK_FALSE(pair.a->call(pair.far, Inside{1000}));  // typed, but over the network
  REQUIRE(pair.a->cast(pair.far, Inside{1000}));
  CHECK(eventually([&] { return pair.b->inbound().casts_bad == 1; }));
  CHECK(pair.seen() == 3);
}

TEST_CASE("message reach: a local message is not among the events that a server describes") {
  GuardedPair pair;
  const auto events = pair.b->describe("guarded").value();
  REQUIRE(events.size() == 2);
  CHECK(events[0].name == "seen");
  CHECK(events[1].name == "hint");
}

TEST_CASE("message reach: a message between nodes is taken over the connection of the node that it names") {
  GuardedPair pair;
  // Small, and large enough to come in fragments, which is decoded elsewhere.
  for (const auto size : {std::size_t{10}, std::size_t{200'000}}) {
    CAPTURE(size);
    const auto before = pair.b->inbound().messages_forged;
    const auto seen = pair.seen();
    CHECK(pair.a->call(pair.far, Hint{NodeId("a"), std::string(size, 'x')}));
    CHECK(pair.seen() == seen + 100);
    for (const auto* named : {"c", "b", ""}) {
      CAPTURE(named);
      const auto refused =
          pair.a->call(pair.far, Hint{*named == '\0' ? NodeId() : NodeId(named), std::string(size, 'x')});
      REQUIRE_FALSE(refused);
      CHECK(refused.error().code() != Errc::timeout);
    }
    REQUIRE(pair.a->cast(pair.far, Hint{NodeId("c"), std::string(size, 'x')}));
    CHECK(eventually([&] { return pair.b->inbound().messages_forged >= before + 3; }));
    CHECK(pair.seen() == seen + 100);
  }
}

TEST_CASE("message reach: neither a client nor a call by name can send a message between nodes") {
  GuardedPair pair;
  const auto client =
      net::Client::connect({.endpoint = pair.b->kernel().listening(), .keyring = test_keyring()});
  REQUIRE(client);
  for (const auto& name : {client.value()->peer().id, NodeId("a")}) {
    const auto refused = client.value()->call("guarded", "hint", wire::encode(Hint{name, "x"}), 10s);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code() == Errc::refused);
    CHECK(refused.error().executed() == Executed::no);
  }
  CHECK(pair.b->inbound().messages_forged == 2);
  const auto by_name = pair.b->call("guarded", "hint", wire::Value::map({{"from", "b"}, {"text", "x"}}));
  REQUIRE_FALSE(by_name);
  CHECK(by_name.error().code() == Errc::refused);
  CHECK(pair.seen() == 0);
}
