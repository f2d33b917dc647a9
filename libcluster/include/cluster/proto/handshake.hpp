#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "cluster/base/bytes.hpp"
#include "cluster/base/endpoint.hpp"
#include "cluster/base/node_id.hpp"
#include "cluster/base/result.hpp"
#include "cluster/base/time.hpp"
#include "cluster/crypto/secret.hpp"
#include "cluster/crypto/tls.hpp"
#include "cluster/crypto/x25519.hpp"
#include "cluster/proto/keyring.hpp"
#include "cluster/wire/frame_protection.hpp"

/// How two processes that share a cookie come to trust a connection (docs/wire_format.md).
///
///     dialler                          listener
///     HELLO  ------------------------>           who I am, nonce, X25519 key
///            <------------------------ HELLO
///     PROOF  ------------------------>           keyed with cookie and X25519 over both HELLOs
///            <------------------------ VERDICT   keyed: accepted, or refused and why
///            <------ frames --------->
///
/// At protection level tls all of this travels inside a TLS session, whose value is part of every key.
///
/// Either may end it with REFUSED (not keyed). The listener says nothing keyed before the dialler has
/// proven itself, so a stranger learns nothing to guess with and has one guess a connection.
namespace cluster::proto {

/// A node is a member or may become one; a client only talks to the node that it dialled.
enum class Role : std::uint8_t { node = 0, client = 1 };

using wire::Protection;

inline constexpr std::uint8_t kProtocolVersionMin = 1;
inline constexpr std::uint8_t kProtocolVersionMax = 1;
/// Bytes of a whole handshake record, its header included.
inline constexpr std::size_t kRecordBytesMax = 1024;
inline constexpr std::size_t kRecordHeaderBytes = 3;
/// Clocks further apart are warned of, or refused, when two nodes greet.
inline constexpr Duration kClockSkewWarned = 10min;
inline constexpr Duration kClockSkewMax = 1h;

/// Who one end of a connection says it is.
struct Identity {
  NodeId id;
  Boot boot;
  Role role = Role::node;
  std::string ring;     ///< empty: in no ring. At most 255 bytes.
  Endpoint advertised;  ///< where it listens; an empty host for a client

  friend bool operator==(const Identity&, const Identity&) = default;
};

/// A capability in a dialler's HELLO: the connection is to continue the one that is in use between the same
/// two processes, under new keys and without losing a message.
inline constexpr std::uint32_t kContinues = 1;
/// Of either side: it understands frames of kind `idle`, so that a connection without traffic can be closed.
inline constexpr std::uint32_t kCapabilityIdle = 2;

using Nonce = std::array<std::uint8_t, 32>;

/// The first record of each side.
struct Hello {
  std::uint8_t version_min = kProtocolVersionMin;
  std::uint8_t version_max = kProtocolVersionMax;
  std::uint8_t protections = 1u << static_cast<unsigned>(Protection::sign);  ///< bit per level offered
  Protection protection_min = Protection::sign;
  std::uint32_t capabilities = 0;  ///< bits of optional features; unknown ones are ignored
  WallTime wall{};                 ///< the sender's clock
  Nonce nonce{};
  crypto::X25519Public public_key{};
  Identity identity;

  friend bool operator==(const Hello&, const Hello&) = default;
};
/// The body of a HELLO record. Fields that a later version appends are skipped by the reader.
[[nodiscard]] Bytes encode_hello(const Hello& hello);
/// `bad_message` with the field that is wrong.
[[nodiscard]] Result<Hello> decode_hello(ByteView body);

/// 32-byte secrets of the two directions of a session, for the protection level that it uses.
struct SessionKeys {
  crypto::SecretBytes send;
  crypto::SecretBytes receive;
};

/// The URI that the certificate of node `id` must name: `lcluster:node:` and the id, in which each byte but
/// letters, digits and any of -._~@: is %XX. Ids are compared in this form, so there is one for each.
[[nodiscard]] std::string certificate_uri(const NodeId& id);

/// The TLS session that a handshake travels in.
struct TlsChannel {
  crypto::TlsBinding binding{};
  std::vector<std::string> peer_uris{};  ///< of the peer's certificate, which an authority of ours has signed
};

/// The fresh randomness of one attempt; given, so that a test repeats it.
struct HandshakeSecrets {
  crypto::KeyPair key_pair;
  Nonce nonce{};
  [[nodiscard]] static HandshakeSecrets fresh();
};

struct HandshakeConfig {
  bool dialler = false;
  Identity self;
  Keyring keyring;
  std::optional<NodeId> expected;  ///< the dialler ends it if another id answers
  std::uint32_t capabilities = 0;
  WallTime wall{};  ///< this process's clock now
  /// The levels that this side takes part in, at least and at most; the greatest that both sides do is used.
  Protection protection_min = Protection::sign;
  Protection protection_max = Protection::sign;
  Duration timeout = 5s;
  Duration clock_skew_warned = kClockSkewWarned;
  Duration clock_skew_max = kClockSkewMax;  ///< between nodes; a client's clock is not judged
};

/// What the driver of a handshake must do, in order.
struct SendRecord {
  Bytes bytes;
};
/// The peer's HELLO was read (nothing is proven): answer with `proceed` or `refuse`.
struct Greeted {};
/// Listener only: the dialler has the cookie and is who `peer()` says: answer with `proceed` or `refuse`.
struct Proven {};
/// Both are proven; what follows in the stream are frames.
struct Established {
  SessionKeys keys;
  std::uint8_t version = 0;
  Protection protection = Protection::sign;
  bool clock_warning = false;  ///< the clocks are further apart than clock_skew_warned
  KeyId key = 0;               ///< of the keyring: both sides proved that they have it
};
/// It is over: send what came before in the list, then close.
/// Codes: wrong_cookie, timeout, incompatible (version, protection, clocks), duplicate_id, already_exists
/// (the other connection of a simultaneous dial), not_found (another id than expected), corrupt (not this
/// protocol), refused (this node itself).
struct HandshakeFailed {
  Error error;
  bool said_by_peer = false;
  bool keyed = false;  ///< said by a peer that has the cookie, in its verdict; anybody can forge the rest
  bool certificate = false;       ///< the peer's is not good, or not that of the node that it says it is
  std::optional<NodeId> found{};  ///< another than expected, by its HELLO, which proves nothing
};
using HandshakeActions = std::vector<std::variant<SendRecord, Greeted, Proven, Established, HandshakeFailed>>;

/// One side of one handshake, without socket or clock.
///
///     dialler:  start -> [hello] -> deciding -> [verdict] -> done
///     listener: [hello] -> deciding -> [proof] -> deciding -> done
///
/// [x]: waits for record x. deciding: waits for the driver; no bytes are consumed meanwhile.
class Handshake {
 public:
  Handshake(Instant now, HandshakeConfig config, HandshakeSecrets secrets);

  /// It travels in this session. To be said before `start` and the first bytes.
  void bind(TlsChannel channel) { channel_ = std::move(channel); }
  /// The dialler's HELLO; nothing for a listener.
  [[nodiscard]] HandshakeActions start();
  /// Consumes records from the front of `bytes`: as many as are complete, up to the next decision or the
  /// end. What is left must be given again, with more behind it. Never needs more than kRecordBytesMax.
  [[nodiscard]] HandshakeActions on_bytes(ByteView& bytes);
  /// Fails with `timeout` once `now` has reached the deadline.
  [[nodiscard]] HandshakeActions on_time(Instant now);
  [[nodiscard]] Instant next_deadline() const noexcept;

  /// The driver's answer to Greeted or Proven. Then give the bytes left over.
  [[nodiscard]] HandshakeActions proceed();
  /// Ends it, at any time before it is done, and tells the peer why: under the key if both are proven.
  [[nodiscard]] HandshakeActions refuse(Error why);

  /// The peer's HELLO; valid from Greeted on.
  [[nodiscard]] const Hello& peer() const noexcept { return peer_; }
  [[nodiscard]] bool done() const noexcept { return state_ == State::done; }
  /// Whether bytes that are not empty begin with a record REFUSED.
  [[nodiscard]] static bool is_refusal(ByteView bytes) noexcept {
    return bytes[0] == static_cast<std::uint8_t>(Record::refused);
  }

 private:
  enum class State : std::uint8_t {
    dialler_awaits_hello,
    dialler_awaits_verdict,
    listener_awaits_hello,
    listener_awaits_proof,
    dialler_decides,
    listener_decides_hello,
    listener_decides_proof,
    done,
  };
  enum class Record : std::uint8_t { hello = 1, proof = 2, verdict = 3, refused = 4 };
  using Handler = void (Handshake::*)(ByteView record, HandshakeActions& out);
  struct Row;
  static const Row kTable[];

  void on_hello(ByteView record, HandshakeActions& out);
  void on_proof(ByteView record, HandshakeActions& out);
  void on_verdict(ByteView record, HandshakeActions& out);
  void on_refused(ByteView record, HandshakeActions& out);
  void on_unexpected(ByteView record, HandshakeActions& out);

  [[nodiscard]] std::optional<Error> judge(const Hello& peer);
  [[nodiscard]] std::optional<Error> judge_protection(const Hello& peer);
  [[nodiscard]] bool has_certificate(const Identity& peer) const;
  [[nodiscard]] crypto::SecretBytes derive(ByteView cookie_key, std::string_view label) const;
  void establish(HandshakeActions& out);
  void fail(Error error, HandshakeActions& out, bool said_by_peer = false, bool keyed = false);
  void refuse_with(Error error, HandshakeActions& out);

  HandshakeConfig config_;
  HandshakeSecrets secrets_;
  Instant deadline_;
  State state_;
  Hello own_;
  Hello peer_;
  Bytes own_record_;  // the HELLOs as they travelled: both are part of every key
  Bytes peer_record_;
  std::optional<TlsChannel> channel_;
  crypto::SecretBytes shared_;
  std::size_t key_index_ = 0;
  std::uint8_t version_ = 0;
  Protection protection_ = Protection::sign;
  bool clock_warning_ = false;
};

}  // namespace cluster::proto
