// The functions that OpenSSL 3 calls deprecated, as in sha256.cpp: 150 ns for a message of 64 bytes, and 205
// with contexts of EVP that are copied.
#define OPENSSL_SUPPRESS_DEPRECATED
#include "cluster/crypto/hmac.hpp"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include "cluster/base/assert.hpp"
#include "cluster/crypto/secret.hpp"
#include "hmac_pads.hpp"

namespace cluster::crypto {
namespace {

SHA256_CTX absorb(const HmacPads::Block& pad) noexcept {
  SHA256_CTX context;
  CLUSTER_ASSERT(SHA256_Init(&context) == 1 && SHA256_Update(&context, pad.data(), pad.size()) == 1);
  return context;
}

}  // namespace

/// Each on cache lines of its own: measured, 151 ns against 188 where the pieces lie across lines.
struct Hmac::State {
  alignas(64) SHA256_CTX inner;  // has taken the inner pad
  alignas(64) SHA256_CTX outer;  // has taken the outer pad
  alignas(64) SHA256_CTX work;
  ~State() { wipe({reinterpret_cast<std::uint8_t*>(this), sizeof *this}); }
};

Hmac::Hmac(ByteView key) : state_(std::make_unique<State>()) {
  const HmacPads pads(key);
  state_->inner = absorb(pads.inner());
  state_->outer = absorb(pads.outer());
}

Hmac::Hmac(Hmac&&) noexcept = default;
Hmac& Hmac::operator=(Hmac&&) noexcept = default;
Hmac::~Hmac() = default;

Digest Hmac::sign(std::span<const ByteView> parts) noexcept {
  begin();
  for (const auto& part : parts) update(part);
  return finish();
}

void Hmac::begin() noexcept {
  CLUSTER_ASSERT(state_ != nullptr);  // moved from
  state_->work = state_->inner;
}

void Hmac::update(ByteView part) noexcept {
  CLUSTER_ASSERT(SHA256_Update(&state_->work, part.data(), part.size()) == 1);
}

Digest Hmac::finish() noexcept {
  SHA256_CTX& work = state_->work;
  Digest digest;
  CLUSTER_ASSERT(SHA256_Final(digest.data(), &work) == 1);
  work = state_->outer;
  CLUSTER_ASSERT(SHA256_Update(&work, digest.data(), digest.size()) == 1 &&
                 SHA256_Final(digest.data(), &work) == 1);
  return digest;
}

bool equal_in_constant_time(ByteView a, ByteView b) noexcept {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace cluster::crypto
