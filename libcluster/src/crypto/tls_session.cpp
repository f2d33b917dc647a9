#include <openssl/err.h>

#include <optional>
#include <utility>

#include "cluster/base/assert.hpp"
#include "cluster/crypto/tls.hpp"
#include "tls_context.hpp"

namespace cluster::crypto {
namespace {

constexpr std::string_view kBindingLabel = "EXPORTER-libcluster";
// All that a peer may send before it is believed: its certificates, and what goes with them.
constexpr std::size_t kShakeBytesMax = 64 * 1024;
// What the session itself has to say while it only reads (answers to changes of keys).
constexpr std::size_t kAnswersBytesMax = 16 * 1024;
// Messages of TLS itself (changes of keys, tickets) without any data between them: each costs the reader some
// 20 us.
constexpr std::size_t kMessagesInARowMax = 16;
// 2^22 records of full size under one key, a sixth of what RFC 8446 section 5.5 allows.
constexpr std::uint64_t kBytesPerKey = std::uint64_t{64} << 30;

// OpenSSL takes the memory for a message when its length is there. A ClientHello has some 300 bytes.
constexpr std::size_t kHelloBytesMax = 16 * 1024;

/// Looks at what a stranger says of the length of his ClientHello, the only message of his that is not
/// encrypted. (None of ours is asked for a second one: it offers the group that each listener takes.)
class HelloGuard {
 public:
  /// Of the next bytes; false: they are not to be believed.
  bool accepts(ByteView bytes) noexcept {
    for (const std::uint8_t byte : bytes)
      if (!accepts(byte)) return false;
    return true;
  }

 private:
  static constexpr std::uint8_t kHandshakeRecord = 22;
  static constexpr std::size_t kRecordHeaderBytes = 5;   // type, version u16, length u16
  static constexpr std::size_t kMessageHeaderBytes = 4;  // type, length u24

  bool accepts(std::uint8_t byte) noexcept {
    if (header_ < kRecordHeaderBytes) {
      if (header_ == 0) type_ = byte;
      if (header_ >= 3) left_ = left_ << 8 | byte;
      if (++header_ == kRecordHeaderBytes && left_ == 0) header_ = 0;
      return true;
    }
    if (--left_ == 0) header_ = 0;
    if (type_ != kHandshakeRecord) return true;
    if (++hello_bytes_ <= kMessageHeaderBytes) {
      if (hello_bytes_ > 1) hello_length_ = hello_length_ << 8 | byte;
      return hello_length_ <= kHelloBytesMax;
    }
    return hello_bytes_ <= kMessageHeaderBytes + hello_length_;
  }

  std::size_t header_ = 0;  // bytes of a record's header that were seen
  std::uint8_t type_ = 0;
  std::size_t left_ = 0;  // bytes of the record that are to come
  std::size_t hello_bytes_ = 0;
  std::size_t hello_length_ = 0;
};

}  // namespace

struct TlsSession::State {
  std::unique_ptr<SSL, Freer<&SSL_free>> ssl;
  BIO* in = nullptr;  // both belong to ssl
  BIO* out = nullptr;
  std::optional<HelloGuard> guard;  // of the listening side
  std::size_t shaken_bytes = 0;
  std::uint64_t bytes_under_key = 0;
  bool said_by_peer = false;
  bool shaken = false;
  std::size_t messages_in_a_row = 0;  // of the handshake protocol, after it
  std::optional<Error> problem;

  void take(ByteView bytes) {
    std::size_t taken = 0;
    CLUSTER_ASSERT(bytes.empty() || BIO_write_ex(in, bytes.data(), bytes.size(), &taken) == 1);
  }
  [[nodiscard]] Error failure();

  /// Of each message of the protocol, `ours` and the peer's. (RFC 8446 section 4: 22 is a handshake message.)
  static void on_message(int ours, int, int type, const void*, std::size_t, SSL*, void* of) noexcept {
    auto& state = *static_cast<State*>(of);
    if (ours == 0 && type == SSL3_RT_HANDSHAKE && state.shaken) ++state.messages_in_a_row;
  }
};

/// What OpenSSL has just complained of; from now on that is the answer.
Error TlsSession::State::failure() {
  const unsigned long code = ERR_peek_error();
  const int reason = ERR_GET_LIB(code) == ERR_LIB_SSL ? ERR_GET_REASON(code) : 0;
  const std::string text = take_openssl_error();
  if (const long verified = SSL_get_verify_result(ssl.get()); verified != X509_V_OK) {
    problem = Error(
        Errc::refused,
        std::string("the peer's certificate is not accepted: ") + X509_verify_cert_error_string(verified),
        Executed::no);
  } else if (reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE) {
    problem = Error(Errc::refused, "the peer shows no certificate", Executed::no);
  } else if (reason >= SSL_AD_REASON_OFFSET) {
    const auto alert = text.rfind("alert ");
    said_by_peer = true;
    problem = Error(Errc::refused,
                    "the peer refuses TLS with this certificate: " +
                        (alert == std::string::npos ? text : text.substr(alert + std::size("alert"))),
                    Executed::no);
  } else {
    problem = Error(Errc::corrupt, "TLS: " + text);
  }
  return *problem;
}

TlsSession::TlsSession(const TlsContext& context, Side side) : state_(std::make_unique<State>()) {
  state_->ssl.reset(SSL_new(context.state_->context.get()));
  state_->in = BIO_new(BIO_s_mem());
  state_->out = BIO_new(BIO_s_mem());
  CLUSTER_ASSERT(state_->ssl && state_->in != nullptr && state_->out != nullptr);
  SSL_set_bio(state_->ssl.get(), state_->in, state_->out);
  if (side == Side::dials)
    SSL_set_connect_state(state_->ssl.get());
  else
    SSL_set_accept_state(state_->ssl.get());
  if (side == Side::listens) state_->guard.emplace();
  SSL_set_msg_callback(state_->ssl.get(), &State::on_message);
  SSL_set_msg_callback_arg(state_->ssl.get(), state_.get());
}
TlsSession::TlsSession(TlsSession&&) noexcept = default;
TlsSession& TlsSession::operator=(TlsSession&&) noexcept = default;
TlsSession::~TlsSession() = default;

Result<bool> TlsSession::shake(ByteView received) {
  State& state = *state_;
  if (state.problem) return *state.problem;
  state.shaken_bytes += received.size();
  if (state.shaken_bytes > kShakeBytesMax) {
    state.problem =
        Error(Errc::corrupt, "TLS: a handshake over " + std::to_string(kShakeBytesMax) + " bytes");
    return *state.problem;
  }
  if (state.guard && !state.guard->accepts(received)) {
    state.problem = Error(Errc::corrupt, "TLS: a ClientHello that is too long, or a second one");
    return *state.problem;
  }
  state.take(received);
  ERR_clear_error();
  const int done = SSL_do_handshake(state.ssl.get());
  state.shaken = done == 1;
  if (done == 1) return true;
  if (SSL_get_error(state.ssl.get(), done) == SSL_ERROR_WANT_READ) return false;
  return state.failure();
}

void TlsSession::feed(ByteView received) { state_->take(received); }

Result<std::size_t> TlsSession::read(std::span<std::uint8_t> to) {
  State& state = *state_;
  if (state.problem) return *state.problem;
  ERR_clear_error();
  std::size_t got = 0;
  const int done = SSL_read_ex(state.ssl.get(), to.data(), to.size(), &got);
  if (done == 1) state.messages_in_a_row = 0;
  if (BIO_ctrl_pending(state.out) > kAnswersBytesMax || state.messages_in_a_row > kMessagesInARowMax) {
    state.problem = Error(Errc::corrupt, "TLS: more changes of keys than data");
    return *state.problem;
  }
  if (done == 1) return got;
  const int why = SSL_get_error(state.ssl.get(), done);
  if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_ZERO_RETURN) return std::size_t{0};
  return state.failure();
}

Result<void> TlsSession::write(ByteView plain) {
  State& state = *state_;
  if (state.problem) return *state.problem;
  if (plain.empty()) return {};
  ERR_clear_error();
  if (state.bytes_under_key >= kBytesPerKey) {
    if (SSL_key_update(state.ssl.get(), SSL_KEY_UPDATE_NOT_REQUESTED) != 1) return state.failure();
    state.bytes_under_key = 0;
  }
  state.bytes_under_key += plain.size();
  std::size_t wrote = 0;
  if (SSL_write_ex(state.ssl.get(), plain.data(), plain.size(), &wrote) != 1) return state.failure();
  return {};
}

Bytes TlsSession::take_output() {
  Bytes output(BIO_ctrl_pending(state_->out));
  std::size_t got = 0;
  CLUSTER_ASSERT(output.empty() ||
                 (BIO_read_ex(state_->out, output.data(), output.size(), &got) == 1 && got == output.size()));
  return output;
}

bool TlsSession::has_rest() const noexcept {
  return SSL_has_pending(state_->ssl.get()) == 1 || BIO_ctrl_pending(state_->in) > 0;
}
bool TlsSession::is_over() const noexcept {
  return (SSL_get_shutdown(state_->ssl.get()) & SSL_RECEIVED_SHUTDOWN) != 0;
}
const Error& TlsSession::problem() const noexcept { return *state_->problem; }
bool TlsSession::said_by_peer() const noexcept { return state_->said_by_peer; }

TlsBinding TlsSession::binding() const {
  TlsBinding binding;
  CLUSTER_ASSERT(SSL_export_keying_material(state_->ssl.get(), binding.data(), binding.size(),
                                            kBindingLabel.data(), kBindingLabel.size(), nullptr, 0, 0) == 1);
  return binding;
}

std::vector<std::string> TlsSession::peer_uris() const {
  const Certificate certificate{SSL_get1_peer_certificate(state_->ssl.get())};
  return certificate ? uris_of(*certificate) : std::vector<std::string>{};
}

}  // namespace cluster::crypto
