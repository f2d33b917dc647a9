// A server on one node and a caller on another, from an installed package.
#include <cluster/node/node.hpp>
#include <iostream>

struct Add {
  std::int64_t n = 0;
  using reply = std::int64_t;
};

class Counter : public cluster::GenServer<Counter, Add> {
 public:
  std::int64_t handle_call(const Add& add) { return total_ += add.n; }

 private:
  std::int64_t total_ = 0;
};

int main() {
  using namespace std::chrono_literals;
  const auto start = [](const char* id) {
    return cluster::Node::start(
        {.id = id, .host = "127.0.0.1", .port = 0, .cookie = "cookie of the package test", .ring = "ring"});
  };
  auto foo = start("foo");
  auto bar = start("bar");
  if (!foo || !bar) {
    std::cout << (foo ? bar : foo).error().to_string() << '\n';
    return 1;
  }
  auto counter = foo->spawn<Counter>({.name = "counter"});
  if (!counter) return 1;
  std::cout << "on foo: " << foo->call(*counter, Add{40}).value_or(-1) << '\n';
  if (auto met = bar->meet(foo->endpoint()); !met) {
    std::cout << met.error().to_string() << '\n';
    return 1;
  }
  const auto far = bar->ref<Counter>("counter@foo");
  const auto sum = bar->call(*far, Add{2});
  std::cout << "from bar: " << (sum ? std::to_string(*sum) : sum.error().to_string()) << '\n';
}
