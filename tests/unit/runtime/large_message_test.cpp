#include <doctest/doctest.h>

#include <atomic>
#include <future>
#include <stdexcept>
#include <string>
#include <thread>

#include "cluster/runtime/actor_system.hpp"
#include "system_pair.hpp"

using namespace cluster;
using namespace cluster::testing;

namespace {

struct Put {
  Bytes data;
};
struct Swap {
  using reply = Bytes;
  Bytes data;
  bool fails = false;
};
struct Length {
  using reply = std::uint64_t;
  Bytes data;
};
struct Held {
  using reply = std::uint64_t;
};

/// Keeps what it is given.
class Keeper : public GenServer<Keeper, Put, Swap, Length, Held> {
 public:
  void handle_cast(Put put) { data_ = std::move(put.data); }
  Bytes handle_call(Swap swap) {
    if (swap.fails) throw std::runtime_error("no room");
    return std::exchange(data_, std::move(swap.data));
  }
  /// Refers to its message after it was suspended.
  Task<std::uint64_t> handle_call(Length length) {
    co_await sleep(1ms);
    co_return length.data.size();
  }
  std::uint64_t handle_call(const Held&) { return data_.size(); }

 private:
  Bytes data_;
};

Bytes pattern(std::size_t size, std::uint8_t first) {
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::uint8_t>(first + i % 251);
  return bytes;
}

}  // namespace

TEST_CASE("large messages: casts, calls and replies of megabytes between nodes, in order") {
  SystemPair pair;
  auto keeper = pair.b->spawn<Keeper>({.name = "keeper"}).value();
  auto far = pair.a->ref<Keeper>("keeper@b").value();
  Bytes last;
  for (std::uint8_t i = 0; i < 8; ++i) {
    const Bytes data = pattern(65'000 + 400'000u * i, i);
    if (i % 2 == 0) {
      REQUIRE(pair.a->cast(far, Put{data}));
    } else {
      const auto before = pair.a->call(far, Swap{data});
      REQUIRE(before);
      CHECK(before.value() == last);
    }
    last = data;
  }
  CHECK(pair.a->call(far, Held{}).value() == last.size());
  CHECK(pair.a->call(far, Length{last}).value() == last.size());
}

TEST_CASE("large messages: what is wrong with one is its caller's alone") {
  SystemPair pair;
  auto keeper = pair.b->spawn<Keeper>({.name = "keeper"}).value();
  auto far = pair.a->ref<Keeper>("keeper@b").value();
  const auto wrong = wire::Value::map({{"data", std::vector<wire::Value>(100'000, 1)}});
  CHECK(pair.a->call("keeper@b", "swap", wrong).error().code() == Errc::bad_message);
  CHECK(pair.a->call("nobody@b", "swap", wrong).error().code() == Errc::no_server);
  CHECK(pair.a->call("keeper@b", "unknown", wrong).error().code() == Errc::bad_message);
  REQUIRE(pair.a->cast("keeper@b", "put", wrong));
  CHECK(pair.a->call(far, Held{}).value() == 0);
  const auto failed = pair.a->call(far, Swap{pattern(1 << 20, 1), true});
  REQUIRE_FALSE(failed);
  CHECK(failed.error().code() == Errc::handler_failed);
}
