// Each line marked with a sentence must not compile; the compiler must say the sentence.
#include <cstdint>
#include <string>

#include "cluster/runtime/gen_server.hpp"

using namespace cluster;

struct Deposit {
  std::string account;
  std::int64_t cents = 0;
  using reply = std::int64_t;
};
struct Other {};

class Bank : public GenServer<Bank, Deposit> {
 public:
  std::int64_t handle_call(const Deposit& m) { return m.cents; }
};

struct Item {
  std::string article;
  int pieces = 0;
};
struct Nested {
  Item item;
};
class Shop : public GenServer<Shop, Nested> {
 public:
  void handle_cast(const Nested&) {}
};

// GCC 12 destroys an aggregate temporary inside a co_await expression twice.
class InPlace : public GenServer<InPlace, Other> {
 public:
  Task<void> handle_cast(Other) {
    co_await call(bank_, Deposit{"ada", 5});  // deleted
  }
  Task<void> handle_cast(int) {
    co_await call<Nested>(shop_, Item{"a long article number", 3});  // deleted
  }
  void not_listed() {
    auto sent = cast(bank_, Other{});  // the server's class does not list this message
  }

 private:
  Ref<Bank> bank_;
  Ref<Shop> shop_;
};

struct Twin {};
namespace far {
struct Twin {};
}  // namespace far
class Twins : public GenServer<Twins, Twin, far::Twin> {
 public:
  void handle_cast(const Twin&) {}
  void handle_cast(const far::Twin&) {}
};
const auto& twins = Twins::type();  // two messages of one server have the same event name

class Deaf : public GenServer<Deaf, Other> {};
const auto& deaf =
    Deaf::type();  // the server lists a message for which it has no public handle_call or handle_cast

class Narrow : public GenServer<Narrow, Deposit> {
 public:
  double handle_call(const Deposit&) { return 0.5; }
};
const auto& narrow = Narrow::type();  // handle_call returns something else than the message's `reply`
