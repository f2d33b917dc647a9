#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "cluster/base/bytes.hpp"
#include "cluster/base/result.hpp"
#include "cluster/base/time.hpp"

namespace cluster::crypto {

/// PEM files of one end of TLS connections.
struct TlsFiles {
  std::string certificate;  ///< and, behind it, those between it and the authority
  std::string key;          ///< of the certificate; not encrypted
  std::string authority;    ///< the certificates of those who are believed: no others are
  [[nodiscard]] bool empty() const noexcept {
    return certificate.empty() && key.empty() && authority.empty();
  }
};

/// Which ends of connections somebody is.
enum class TlsUse : std::uint8_t { dials, both };

/// A certificate, its key and whom to believe. Any thread.
class TlsContext {
 public:
  /// `invalid_argument` names the file: one that cannot be read, a key of another certificate, a certificate
  /// that has expired, that the authority has not signed, or that is not for this use. A key that others than
  /// its owner can read is warned of.
  [[nodiscard]] static Result<std::shared_ptr<const TlsContext>> load(const TlsFiles& files,
                                                                      TlsUse use = TlsUse::both);
  ~TlsContext();

  /// The URIs among the certificate's alternative names.
  [[nodiscard]] const std::vector<std::string>& uris() const noexcept;
  /// The last moment at which it is good.
  [[nodiscard]] WallTime expires() const noexcept;
  [[nodiscard]] const std::string& file() const noexcept;

 private:
  friend class TlsSession;
  struct State;
  explicit TlsContext(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// A value that the two ends of one TLS session share, and no other session has (RFC 8446 section 7.5).
using TlsBinding = std::array<std::uint8_t, 32>;

/// One end of one TLS 1.3 session, without a socket: bytes in, bytes out. Both ends show a certificate of the
/// authority. No tickets, resumption, early data or compression. One thread at a time.
///
///     shaking -> [shake: true] -> open -> [an error, or the peer's end] -> over
class TlsSession {
 public:
  enum class Side : std::uint8_t { dials, listens };
  TlsSession(const TlsContext& context, Side side);
  TlsSession(TlsSession&&) noexcept;
  TlsSession& operator=(TlsSession&&) noexcept;
  ~TlsSession();

  /// Takes received bytes; of the dialling side, the first time without. True when the session is open; bytes
  /// behind the handshake wait for `read`. Then, also after an error, there may be `output`.
  /// Errors: `refused` is about certificates; `corrupt`: no TLS 1.3.
  [[nodiscard]] Result<bool> shake(ByteView received);
  /// Of an open session: takes received bytes.
  void feed(ByteView received);
  /// Decrypts to `to`; 0: `feed` more, or it is over. `corrupt` again and again once something was altered.
  [[nodiscard]] Result<std::size_t> read(std::span<std::uint8_t> to);
  /// Encrypts to `output`.
  [[nodiscard]] Result<void> write(ByteView plain);
  /// Bytes to be sent.
  [[nodiscard]] Bytes take_output();

  /// Whether a record has begun and is not complete, or `read` has not taken all that is.
  [[nodiscard]] bool has_rest() const noexcept;
  /// Whether the peer has said that it sends no more.
  [[nodiscard]] bool is_over() const noexcept;
  // After an error.
  [[nodiscard]] const Error& problem() const noexcept;
  /// Whether the peer said it, of our certificate as a rule.
  [[nodiscard]] bool said_by_peer() const noexcept;
  // Of an open session.
  [[nodiscard]] TlsBinding binding() const;
  /// The URIs among the alternative names of the peer's certificate.
  [[nodiscard]] std::vector<std::string> peer_uris() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace cluster::crypto
