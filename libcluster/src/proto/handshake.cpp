#include "cluster/proto/handshake.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "cluster/base/assert.hpp"
#include "cluster/base/utf8.hpp"
#include "cluster/crypto/hkdf.hpp"
#include "cluster/crypto/hmac.hpp"
#include "cluster/crypto/random.hpp"

namespace cluster::proto {
namespace {

// Record: type u8 | length u16 | body. PROOF: proof. VERDICT: code u16 | text | proof. REFUSED: code u16 |
// text. A proof is HMAC-SHA256 over the record in front of it. Code 0 is yes; the others are Errc numbers.
constexpr std::size_t kProofBytes = 32;
constexpr std::size_t kCodeBytes = 2;
constexpr std::size_t kReasonBytesMax = 300;
constexpr std::uint16_t kCodeYes = 0;

constexpr std::string_view kLabelProofDialler = "proof d";
constexpr std::string_view kLabelProofListener = "proof l";
/// Labels of the secrets that protect the frames of a session.
struct DirectionLabels {
  std::string_view to_listener;
  std::string_view to_dialler;
};
constexpr DirectionLabels labels_of(Protection level) {
  return level == Protection::seal ? DirectionLabels{"seal d→l", "seal l→d"}
                                   : DirectionLabels{"key d→l", "key l→d"};
}

Bytes record_header(std::uint8_t type, std::size_t body_bytes) {
  Bytes record(kRecordHeaderBytes);
  record[0] = type;
  store_be<std::uint16_t>(record.data() + 1, static_cast<std::uint16_t>(body_bytes));
  return record;
}

void append(Bytes& to, ByteView bytes) { to.insert(to.end(), bytes.begin(), bytes.end()); }

/// code u16 | text, cut to kReasonBytesMax.
Bytes reason(std::uint16_t code, std::string_view text) {
  Bytes out(kCodeBytes);
  store_be<std::uint16_t>(out.data(), code);
  append(out, as_bytes(text.substr(0, kReasonBytesMax)));
  return out;
}

/// A stranger's reason as an Error of ours; text that is no text is left out.
Error read_reason(ByteView body) {
  const auto code = load_be<std::uint16_t>(body.data());
  const std::string_view text = as_text(body.subspan(kCodeBytes));
  const bool readable = !text.empty() && is_utf8(text) && !has_control_character(text);
  const auto known = code >= 1 && code <= static_cast<std::uint16_t>(kErrcLast);
  return Error(known ? static_cast<Errc>(code) : Errc::refused,
               readable ? std::string(text) : "the peer refused the connection", Executed::no);
}

/// The levels from `min` to `max`, a bit each.
std::uint8_t protection_bits(Protection min, Protection max) {
  unsigned bits = 0;
  for (auto level = static_cast<unsigned>(min); level <= static_cast<unsigned>(max); ++level)
    bits |= 1u << level;
  return static_cast<std::uint8_t>(bits);
}

/// The greatest level of `bits`; nothing if there is none that we know.
std::optional<Protection> greatest_of(unsigned bits) {
  for (const auto level : {Protection::tls, Protection::seal, Protection::sign})
    if ((bits >> static_cast<unsigned>(level) & 1u) != 0) return level;
  return std::nullopt;
}

/// "'bar' offers sign and accepts no less than sign"
std::string describe_protection(const Hello& hello) {
  const auto most = greatest_of(hello.protections);
  return "'" + hello.identity.id.str() + "' offers " + std::string(most ? name(*most) : "nothing known") +
         " and accepts no less than " + std::string(name(hello.protection_min));
}

std::uint64_t distance(WallTime a, WallTime b) {
  const auto x = static_cast<std::uint64_t>(micros(a));
  const auto y = static_cast<std::uint64_t>(micros(b));
  return micros(a) > micros(b) ? x - y : y - x;
}
std::uint64_t micros_of(Duration d) {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(d).count());
}

}  // namespace

std::string certificate_uri(const NodeId& id) {
  constexpr std::string_view kHexDigits = "0123456789ABCDEF";
  std::string uri = "lcluster:node:";
  for (const char c : id.str()) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       std::string_view("-._~@:").find(c) != std::string_view::npos;
    if (plain)
      uri += c;
    else
      uri.append({'%', kHexDigits[byte >> 4], kHexDigits[byte & 15]});
  }
  return uri;
}

HandshakeSecrets HandshakeSecrets::fresh() {
  HandshakeSecrets secrets{.key_pair = crypto::x25519_generate(), .nonce = {}};
  crypto::random_bytes(secrets.nonce);
  return secrets;
}

struct Handshake::Row {
  State state;
  Record record;
  Handler handler;
};
/// What is expected where. Every other pair is on_unexpected.
const Handshake::Row Handshake::kTable[] = {
    {State::dialler_awaits_hello, Record::hello, &Handshake::on_hello},
    {State::dialler_awaits_hello, Record::refused, &Handshake::on_refused},
    {State::dialler_awaits_verdict, Record::verdict, &Handshake::on_verdict},
    {State::dialler_awaits_verdict, Record::refused, &Handshake::on_refused},
    {State::listener_awaits_hello, Record::hello, &Handshake::on_hello},
    {State::listener_awaits_proof, Record::proof, &Handshake::on_proof},
    {State::listener_awaits_proof, Record::refused, &Handshake::on_refused},
};

Handshake::Handshake(Instant now, HandshakeConfig config, HandshakeSecrets secrets)
    : config_(std::move(config)),
      secrets_(std::move(secrets)),
      deadline_(saturated_add(now, config_.timeout)),
      state_(config_.dialler ? State::dialler_awaits_hello : State::listener_awaits_hello) {
  CLUSTER_ASSERT(config_.keyring.size() > 0);
  CLUSTER_ASSERT(config_.protection_min <= config_.protection_max);
  own_.wall = config_.wall;
  own_.protections = protection_bits(config_.protection_min, config_.protection_max);
  own_.protection_min = config_.protection_min;
  own_.capabilities = config_.capabilities;
  own_.nonce = secrets_.nonce;
  own_.public_key = secrets_.key_pair.public_key;
  own_.identity = config_.self;
  const Bytes body = encode_hello(own_);
  own_record_ = record_header(static_cast<std::uint8_t>(Record::hello), body.size());
  append(own_record_, body);
  CLUSTER_ASSERT(own_record_.size() <= kRecordBytesMax);
}

HandshakeActions Handshake::start() {
  HandshakeActions out;
  if (state_ == State::dialler_awaits_hello) out.emplace_back(SendRecord{own_record_});
  return out;
}

HandshakeActions Handshake::on_bytes(ByteView& bytes) {
  HandshakeActions out;
  const auto awaits_record = [this] {
    return state_ == State::dialler_awaits_hello || state_ == State::dialler_awaits_verdict ||
           state_ == State::listener_awaits_hello || state_ == State::listener_awaits_proof;
  };
  while (awaits_record() && !bytes.empty()) {
    const auto row = std::find_if(std::begin(kTable), std::end(kTable), [&](const Row& r) {
      return r.state == state_ && static_cast<std::uint8_t>(r.record) == bytes[0];
    });
    if (row == std::end(kTable)) {
      on_unexpected(bytes, out);
      break;
    }
    if (bytes.size() < kRecordHeaderBytes) break;
    const std::size_t record_bytes = kRecordHeaderBytes + load_be<std::uint16_t>(bytes.data() + 1);
    if (record_bytes > kRecordBytesMax) {
      fail(Error(Errc::corrupt, "a handshake record over " + std::to_string(kRecordBytesMax) + " bytes"),
           out);
      break;
    }
    if (bytes.size() < record_bytes) break;
    const ByteView record = bytes.first(record_bytes);
    bytes = bytes.subspan(record_bytes);
    (this->*row->handler)(record, out);
  }
  return out;
}

HandshakeActions Handshake::on_time(Instant now) {
  HandshakeActions out;
  if (now >= next_deadline()) fail(Error(Errc::timeout, "no handshake in time", Executed::no), out);
  return out;
}

Instant Handshake::next_deadline() const noexcept { return state_ == State::done ? kNever : deadline_; }

HandshakeActions Handshake::proceed() {
  HandshakeActions out;
  switch (state_) {
    case State::dialler_decides: {
      Bytes record = record_header(static_cast<std::uint8_t>(Record::proof), kProofBytes);
      append(record, crypto::Hmac(derive(config_.keyring.key(0), kLabelProofDialler)).sign(record));
      out.emplace_back(SendRecord{std::move(record)});
      state_ = State::dialler_awaits_verdict;
      break;
    }
    case State::listener_decides_hello:
      out.emplace_back(SendRecord{own_record_});
      state_ = State::listener_awaits_proof;
      break;
    case State::listener_decides_proof: {
      Bytes record = record_header(static_cast<std::uint8_t>(Record::verdict), kCodeBytes + kProofBytes);
      append(record, reason(kCodeYes, {}));
      append(record, crypto::Hmac(derive(config_.keyring.key(key_index_), kLabelProofListener)).sign(record));
      out.emplace_back(SendRecord{std::move(record)});
      establish(out);
      break;
    }
    default: {
      constexpr bool kDecisionIsDue = false;
      CLUSTER_ASSERT(kDecisionIsDue);
    }
  }
  return out;
}

HandshakeActions Handshake::refuse(Error why) {
  HandshakeActions out;
  if (state_ == State::done) return out;
  if (state_ == State::listener_decides_proof) {
    const Bytes body = reason(static_cast<std::uint16_t>(why.code()), why.message());
    Bytes record = record_header(static_cast<std::uint8_t>(Record::verdict), body.size() + kProofBytes);
    append(record, body);
    append(record, crypto::Hmac(derive(config_.keyring.key(key_index_), kLabelProofListener)).sign(record));
    out.emplace_back(SendRecord{std::move(record)});
    fail(std::move(why), out);
  } else {
    refuse_with(std::move(why), out);
  }
  return out;
}

void Handshake::on_hello(ByteView record, HandshakeActions& out) {
  auto peer = decode_hello(record.subspan(kRecordHeaderBytes));
  if (!peer) return fail(Error(Errc::corrupt, peer.error().message()), out);
  const Identity& who = peer.value().identity;
  if (auto refusal = judge(peer.value())) {
    const bool is_other = refusal->code() == Errc::not_found;
    refuse_with(std::move(*refusal), out);
    if (is_other) std::get<HandshakeFailed>(out.back()).found = who.id;
    return;
  }
  if (channel_ && !has_certificate(who)) {
    refuse_with(Error(Errc::refused,
                      "the certificate is not that of node '" + who.id.str() + "': the URI " +
                          certificate_uri(who.id) + " is not among its alternative names",
                      Executed::no),
                out);
    std::get<HandshakeFailed>(out.back()).certificate = true;
    return;
  }
  auto shared = crypto::x25519(secrets_.key_pair.secret, peer.value().public_key);
  if (!shared) return fail(Error(Errc::corrupt, "HELLO: " + shared.error().message()), out);

  peer_ = std::move(peer).value();
  peer_record_.assign(record.begin(), record.end());
  shared_ = std::move(shared).value();
  state_ = config_.dialler ? State::dialler_decides : State::listener_decides_hello;
  out.emplace_back(Greeted{});
}

void Handshake::on_proof(ByteView record, HandshakeActions& out) {
  if (record.size() != kRecordHeaderBytes + kProofBytes)
    return fail(Error(Errc::corrupt, "a proof of odd length"), out);
  const ByteView signed_part = record.first(kRecordHeaderBytes);
  const ByteView proof = record.subspan(kRecordHeaderBytes);
  for (key_index_ = 0; key_index_ < config_.keyring.size(); ++key_index_) {
    crypto::Hmac hmac(derive(config_.keyring.key(key_index_), kLabelProofDialler));
    if (!crypto::equal_in_constant_time(hmac.sign(signed_part), proof)) continue;
    state_ = State::listener_decides_proof;
    out.emplace_back(Proven{});
    return;
  }
  refuse_with(Error(Errc::wrong_cookie, "the cookies differ"), out);
}

void Handshake::on_verdict(ByteView record, HandshakeActions& out) {
  if (record.size() < kRecordHeaderBytes + kCodeBytes + kProofBytes)
    return fail(Error(Errc::corrupt, "a verdict that is too short"), out);
  const ByteView signed_part = record.first(record.size() - kProofBytes);
  crypto::Hmac hmac(derive(config_.keyring.key(0), kLabelProofListener));
  if (!crypto::equal_in_constant_time(hmac.sign(signed_part), record.last(kProofBytes)))
    return fail(Error(Errc::wrong_cookie, "the listener does not have the cookie"), out);
  const ByteView body = signed_part.subspan(kRecordHeaderBytes);
  if (load_be<std::uint16_t>(body.data()) != kCodeYes) return fail(read_reason(body), out, true, true);
  establish(out);
}

void Handshake::on_refused(ByteView record, HandshakeActions& out) {
  if (record.size() < kRecordHeaderBytes + kCodeBytes)
    return fail(Error(Errc::corrupt, "a refusal that is too short"), out);
  fail(read_reason(record.subspan(kRecordHeaderBytes)), out, true);
}

void Handshake::on_unexpected(ByteView, HandshakeActions& out) {
  fail(Error(Errc::corrupt, "the peer does not speak this protocol"), out);
}

/// Why `peer` is refused before any proof, or nothing. Sets what the two HELLOs agree on.
std::optional<Error> Handshake::judge(const Hello& peer) {
  const std::string& id = peer.identity.id.str();
  if (peer.identity.boot == config_.self.boot)
    return Error(Errc::refused, "'" + id + "' is this node itself", Executed::no);

  version_ = std::min(own_.version_max, peer.version_max);
  if (version_ < std::max(own_.version_min, peer.version_min))
    return Error(Errc::incompatible, "no common protocol version: " + std::to_string(own_.version_min) +
                                         ".." + std::to_string(own_.version_max) + " here, " +
                                         std::to_string(peer.version_min) + ".." +
                                         std::to_string(peer.version_max) + " there");
  if (auto refusal = judge_protection(peer)) return refusal;

  if (config_.dialler && peer.identity.role != Role::node)
    return Error(Errc::refused, "what listens there as '" + id + "' is no node", Executed::no);
  if (config_.expected && peer.identity.id != *config_.expected)
    return Error(Errc::not_found, "the node there is '" + id + "', not '" + config_.expected->str() + "'");

  if (peer.identity.role == Role::node && config_.self.role == Role::node) {
    const std::uint64_t skew = distance(peer.wall, config_.wall);
    clock_warning_ = skew > micros_of(config_.clock_skew_warned);
    if (skew >= micros_of(config_.clock_skew_max))
      return Error(Errc::incompatible, "the clocks are " + std::to_string(skew / 1'000'000) + " s apart");
  }
  return std::nullopt;
}

/// Level tls is used inside of TLS, and nowhere else: of two ends that both offer it none has come by without
/// TLS but by somebody on the way.
std::optional<Error> Handshake::judge_protection(const Hello& peer) {
  const auto level = greatest_of(own_.protections & peer.protections);
  if (!level || *level < std::max(own_.protection_min, peer.protection_min))
    return Error(Errc::incompatible, "no common protection level: " + describe_protection(own_) + ", " +
                                         describe_protection(peer));
  if ((*level == Protection::tls) != channel_.has_value())
    return Error(Errc::incompatible, channel_ ? "TLS, and a HELLO that does not offer it"
                                              : "both ends offer tls, but this connection is without");
  protection_ = *level;
  return std::nullopt;
}

/// Whether the holder of the peer's certificate may be who the peer says it is.
bool Handshake::has_certificate(const Identity& peer) const {
  if (peer.role == Role::client) return true;
  const auto& uris = channel_->peer_uris;
  return std::find(uris.begin(), uris.end(), certificate_uri(peer.id)) != uris.end();
}

/// HKDF over both HELLOs, in the same order on both sides.
crypto::SecretBytes Handshake::derive(ByteView cookie_key, std::string_view label) const {
  const Bytes& dialler = config_.dialler ? own_record_ : peer_record_;
  const Bytes& listener = config_.dialler ? peer_record_ : own_record_;
  Bytes transcript{version_};
  for (const Bytes* hello : {&dialler, &listener}) {
    const std::size_t at = transcript.size();
    transcript.resize(at + 4);
    store_be<std::uint32_t>(transcript.data() + at, static_cast<std::uint32_t>(hello->size()));
    append(transcript, *hello);
  }
  if (channel_) append(transcript, channel_->binding);
  crypto::SecretBytes input(cookie_key.size() + shared_.size());
  std::copy(cookie_key.begin(), cookie_key.end(), input.span().begin());
  std::copy_n(shared_.data(), shared_.size(),
              input.span().begin() + static_cast<std::ptrdiff_t>(cookie_key.size()));
  return crypto::hkdf_sha256(input, transcript, as_bytes(label), kProofBytes);
}

void Handshake::establish(HandshakeActions& out) {
  const std::size_t key = config_.dialler ? 0 : key_index_;
  const ByteView cookie_key = config_.keyring.key(key);
  const DirectionLabels labels = labels_of(protection_);
  auto to_listener = derive(cookie_key, labels.to_listener);
  auto to_dialler = derive(cookie_key, labels.to_dialler);
  SessionKeys keys;
  keys.send = std::move(config_.dialler ? to_listener : to_dialler);
  keys.receive = std::move(config_.dialler ? to_dialler : to_listener);
  state_ = State::done;
  shared_ = {};
  secrets_.key_pair.secret = {};
  out.emplace_back(
      Established{std::move(keys), version_, protection_, clock_warning_, config_.keyring.id(key)});
}

void Handshake::fail(Error error, HandshakeActions& out, bool said_by_peer, bool keyed) {
  state_ = State::done;
  out.emplace_back(HandshakeFailed{std::move(error), said_by_peer, keyed});
}

void Handshake::refuse_with(Error error, HandshakeActions& out) {
  const Bytes body = reason(static_cast<std::uint16_t>(error.code()), error.message());
  Bytes record = record_header(static_cast<std::uint8_t>(Record::refused), body.size());
  append(record, body);
  out.emplace_back(SendRecord{std::move(record)});
  fail(std::move(error), out);
}

}  // namespace cluster::proto
