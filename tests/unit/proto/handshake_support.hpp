#pragma once
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cluster/proto/handshake.hpp"

/// Two handshakes that talk to each other without sockets.
namespace cluster::proto::test {

inline Keyring keyring_of(const std::vector<std::string>& cookies) {
  return Keyring::from_cookies(cookies, Keyring::cost_for_tests()).value();
}

inline Identity identity(const char* id, std::uint64_t boot) {
  return Identity{.id = id,
                  .boot = {.number = boot, .nonce = boot * 7},
                  .role = Role::node,
                  .ring = "ring",
                  .advertised = {"localhost", 7022}};
}

/// One side, and what came of it.
struct Side {
  explicit Side(HandshakeConfig config, HandshakeSecrets secrets = HandshakeSecrets::fresh())
      : handshake(Instant{}, std::move(config), std::move(secrets)) {}

  Handshake handshake;
  Bytes sent;                 ///< all that it ever sent
  std::size_t delivered = 0;  ///< how much of `sent` the other side got
  Bytes inbox;                ///< what it was given and has not consumed
  std::optional<Error> failure;
  std::optional<Established> established;
  std::optional<Error> refuse_greeted;  ///< the driver's answers; nothing: proceed
  std::optional<Error> refuse_proven;
  bool greeted = false;
  bool proven = false;

  void apply(HandshakeActions actions) {
    for (auto& action : actions) {
      if (auto* send = std::get_if<SendRecord>(&action)) {
        sent.insert(sent.end(), send->bytes.begin(), send->bytes.end());
      } else if (std::holds_alternative<Greeted>(action)) {
        greeted = true;
        apply(refuse_greeted ? handshake.refuse(*refuse_greeted) : handshake.proceed());
      } else if (std::holds_alternative<Proven>(action)) {
        proven = true;
        apply(refuse_proven ? handshake.refuse(*refuse_proven) : handshake.proceed());
      } else if (auto* failed = std::get_if<HandshakeFailed>(&action)) {
        failure = failed->error;
      } else {
        established = std::move(std::get<Established>(action));
      }
    }
  }
  void receive(ByteView bytes) {
    inbox.insert(inbox.end(), bytes.begin(), bytes.end());
    for (;;) {
      ByteView view = inbox;
      auto actions = handshake.on_bytes(view);
      inbox.erase(inbox.begin(), inbox.end() - static_cast<std::ptrdiff_t>(view.size()));
      if (actions.empty()) return;
      apply(std::move(actions));
    }
  }
};

/// Carries bytes to and fro until both are silent; `chunk` bytes at a time.
inline void talk(Side& dialler, Side& listener, std::size_t chunk = 4096) {
  dialler.apply(dialler.handshake.start());
  for (bool moved = true; moved;) {
    moved = false;
    for (auto [from, to] : {std::pair{&dialler, &listener}, std::pair{&listener, &dialler}}) {
      while (from->delivered < from->sent.size()) {
        const std::size_t count = std::min(chunk, from->sent.size() - from->delivered);
        const Bytes piece(from->sent.begin() + static_cast<std::ptrdiff_t>(from->delivered),
                          from->sent.begin() + static_cast<std::ptrdiff_t>(from->delivered + count));
        from->delivered += count;
        to->receive(piece);
        moved = true;
      }
    }
  }
}

inline HandshakeConfig config_of(bool dialler, const char* id, std::uint64_t boot,
                                 const std::vector<std::string>& cookies = {"a cookie of some length"}) {
  return HandshakeConfig{.dialler = dialler,
                         .self = identity(id, boot),
                         .keyring = keyring_of(cookies),
                         .expected = {},
                         .wall = wall_from_micros(1'700'000'000'000'000)};
}

/// A HELLO record around a body.
inline Bytes hello_record(const Hello& hello) {
  const Bytes body = encode_hello(hello);
  Bytes record(kRecordHeaderBytes + body.size());
  record[0] = 1;
  store_be(record.data() + 1, static_cast<std::uint16_t>(body.size()));
  std::copy(body.begin(), body.end(), record.begin() + kRecordHeaderBytes);
  return record;
}

}  // namespace cluster::proto::test
