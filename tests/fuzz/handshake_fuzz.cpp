#include "cluster/base/assert.hpp"
#include "cluster/proto/handshake.hpp"
#include "fuzz.hpp"

namespace {
using namespace cluster;
using namespace cluster::proto;

/// One side that is told to go on whenever it asks.
void feed(bool dialler, ByteView bytes) {
  static const auto keyring =
      Keyring::from_cookies({"a cookie that nobody guesses"}, Keyring::cost_for_tests()).value();
  HandshakeConfig config{
      .dialler = dialler,
      .self = {.id = "self", .boot = {1, 2}, .ring = "ring", .advertised = {"127.0.0.1", 7022}},
      .keyring = keyring,
      .expected = {},
      .wall = wall_from_micros(1'700'000'000'000'000),
      .protection_max = Protection::seal};
  HandshakeSecrets secrets{crypto::x25519_from_secret(Bytes(32, 7)).value(), {}};
  Handshake handshake(Instant{}, std::move(config), std::move(secrets));
  static_cast<void>(handshake.start());
  while (!handshake.done()) {
    const auto actions = handshake.on_bytes(bytes);
    if (actions.empty()) break;
    for (const auto& action : actions) {
      // Nobody proves a cookie with bytes that were made without it.
      CLUSTER_ASSERT(!std::holds_alternative<Established>(action) && !std::holds_alternative<Proven>(action));
      if (std::holds_alternative<Greeted>(action)) static_cast<void>(handshake.proceed());
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  feed(true, {data, size});
  feed(false, {data, size});
  if (const auto hello = decode_hello({data, size})) {
    const auto again = decode_hello(encode_hello(*hello));
    CLUSTER_ASSERT(again && *again == *hello);
  }
  return 0;
}
