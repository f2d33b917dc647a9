#include "cluster/crypto/hmac.hpp"

#include <openssl/crypto.h>

#include <algorithm>
#include <array>

#include "cluster/base/assert.hpp"
#include "cluster/crypto/secret.hpp"
#include "evp.hpp"

namespace cluster::crypto {
namespace {

constexpr std::size_t kBlockBytes = 64;
using Block = std::array<std::uint8_t, kBlockBytes>;

MdContext absorb_pad(const Block& key, std::uint8_t fill) noexcept {
  Block pad;
  std::transform(key.begin(), key.end(), pad.begin(),
                 [fill](std::uint8_t byte) { return static_cast<std::uint8_t>(byte ^ fill); });
  auto context = make_md_context();
  CLUSTER_ASSERT(EVP_DigestInit_ex2(context.get(), sha256_method(), nullptr) == 1 &&
                 EVP_DigestUpdate(context.get(), pad.data(), pad.size()) == 1);
  wipe(pad);
  return context;
}

}  // namespace

struct Hmac::State {
  MdContext inner;  // has taken the inner pad
  MdContext outer;  // has taken the outer pad
  MdContext work = make_md_context();
};

Hmac::Hmac(ByteView key) : state_(std::make_unique<State>()) {
  Block block{};
  if (key.size() > block.size()) {
    auto shortened = sha256(key);
    std::copy(shortened.begin(), shortened.end(), block.begin());
    wipe(shortened);
  } else {
    std::copy(key.begin(), key.end(), block.begin());
  }
  state_->inner = absorb_pad(block, 0x36);
  state_->outer = absorb_pad(block, 0x5c);
  wipe(block);
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
  CLUSTER_ASSERT(EVP_MD_CTX_copy_ex(state_->work.get(), state_->inner.get()) == 1);
}

void Hmac::update(ByteView part) noexcept {
  CLUSTER_ASSERT(EVP_DigestUpdate(state_->work.get(), part.data(), part.size()) == 1);
}

Digest Hmac::finish() noexcept {
  EVP_MD_CTX* const work = state_->work.get();
  Digest digest;
  CLUSTER_ASSERT(EVP_DigestFinal_ex(work, digest.data(), nullptr) == 1 &&
                 EVP_MD_CTX_copy_ex(work, state_->outer.get()) == 1 &&
                 EVP_DigestUpdate(work, digest.data(), digest.size()) == 1 &&
                 EVP_DigestFinal_ex(work, digest.data(), nullptr) == 1);
  return digest;
}

bool equal_in_constant_time(ByteView a, ByteView b) noexcept {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace cluster::crypto
