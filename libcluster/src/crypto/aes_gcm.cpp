#include "cluster/crypto/aes_gcm.hpp"

#include <algorithm>
#include <limits>

#include "cluster/base/assert.hpp"
#include "evp.hpp"

namespace cluster::crypto {

struct AesGcm::State {
  Direction direction;
  CipherContext context;
};

AesGcm::AesGcm(Direction direction, ByteView key)
    : state_(std::make_unique<State>(State{direction, make_cipher_context()})) {
  CLUSTER_ASSERT(key.size() == kGcmKeyBytes);
  CLUSTER_ASSERT(EVP_CipherInit_ex2(state_->context.get(), aes_256_gcm_method(), key.data(), nullptr,
                                    direction == Direction::encrypt ? 1 : 0, nullptr) == 1);
}

AesGcm::AesGcm(AesGcm&&) noexcept = default;
AesGcm& AesGcm::operator=(AesGcm&&) noexcept = default;
AesGcm::~AesGcm() = default;

void AesGcm::begin(const GcmNonce& nonce, ByteView associated) noexcept {
  EVP_CIPHER_CTX* const context = state_->context.get();
  CLUSTER_ASSERT(EVP_CipherInit_ex2(context, nullptr, nullptr, nonce.data(), -1, nullptr) == 1);
  if (associated.empty()) return;
  int done = 0;
  CLUSTER_ASSERT(
      EVP_CipherUpdate(context, nullptr, &done, associated.data(), static_cast<int>(associated.size())) == 1);
}

void AesGcm::update(ByteView from, std::uint8_t* to) noexcept {
  if (from.empty()) return;
  CLUSTER_ASSERT(from.size() <= static_cast<std::size_t>(std::numeric_limits<int>::max()));
  int done = 0;
  CLUSTER_ASSERT(
      EVP_CipherUpdate(state_->context.get(), to, &done, from.data(), static_cast<int>(from.size())) == 1);
}

GcmTag AesGcm::finish() noexcept {
  CLUSTER_ASSERT(state_->direction == Direction::encrypt);
  GcmTag tag;
  int done = 0;
  CLUSTER_ASSERT(EVP_EncryptFinal_ex(state_->context.get(), tag.data(), &done) == 1 &&
                 EVP_CIPHER_CTX_ctrl(state_->context.get(), EVP_CTRL_AEAD_GET_TAG,
                                     static_cast<int>(tag.size()), tag.data()) == 1);
  return tag;
}

bool AesGcm::finish(ByteView tag) noexcept {
  CLUSTER_ASSERT(state_->direction == Direction::decrypt);
  GcmTag given;
  if (tag.size() != given.size()) return false;
  std::copy(tag.begin(), tag.end(), given.begin());
  CLUSTER_ASSERT(EVP_CIPHER_CTX_ctrl(state_->context.get(), EVP_CTRL_AEAD_SET_TAG,
                                     static_cast<int>(given.size()), given.data()) == 1);
  std::uint8_t none = 0;
  int done = 0;
  return EVP_DecryptFinal_ex(state_->context.get(), &none, &done) == 1;
}

}  // namespace cluster::crypto
