#pragma once
#include <cstdint>

#include "cluster/runtime/gen_server.hpp"
#include "cluster/wire/value.hpp"

/// The servers of `cluster-node --demo-actors`, to try calls and casts with.
namespace cluster::demo {

/// Adds `n`; a call answers the new total.
struct Add {
  std::int64_t n = 0;
  using reply = std::int64_t;
};
/// The total.
struct Get {
  using reply = std::int64_t;
};

class Counter : public GenServer<Counter, Add, Get> {
 public:
  Result<std::int64_t> handle_call(const Add& add);
  std::int64_t handle_call(const Get&) { return total_; }

 private:
  std::int64_t total_ = 0;
};

/// Any message; a call answers it as it came.
struct Echo {
  wire::Value value{};
  using reply = wire::Value;
};

class EchoServer : public GenServer<EchoServer, Echo> {
 public:
  wire::Value handle_call(Echo echo) { return std::move(echo.value); }
};

}  // namespace cluster::demo

/// The whole payload is the value.
template <>
struct cluster::wire::Codec<cluster::demo::Echo> {
  static void encode(Writer& to, const demo::Echo& echo) { Codec<Value>::encode(to, echo.value); }
  static bool decode(Reader& from, demo::Echo& echo) { return Codec<Value>::decode(from, echo.value); }
  static std::string type() { return "any"; }
};
