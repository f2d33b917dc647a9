#include "cluster/crypto/aes_gcm.hpp"

#include <algorithm>
#include <limits>
#include <optional>

#include "cluster/base/assert.hpp"
#include "cluster/crypto/hmac.hpp"
#include "evp.hpp"
#include "gcm_wide.hpp"

namespace cluster::crypto {

struct AesGcm::State {
  Direction direction;
  std::optional<WideGcm> wide;
  CipherContext context;  // without `wide`
};

AesGcm::AesGcm(Direction direction, ByteView key, Engine engine) : state_(std::make_unique<State>()) {
  CLUSTER_ASSERT(key.size() == kGcmKeyBytes);
  state_->direction = direction;
  if (engine == Engine::fastest && has_wide_gcm()) {
    state_->wide.emplace(key);
    return;
  }
  state_->context = make_cipher_context();
  CLUSTER_ASSERT(EVP_CipherInit_ex2(state_->context.get(), aes_256_gcm_method(), key.data(), nullptr,
                                    direction == Direction::encrypt ? 1 : 0, nullptr) == 1);
}

AesGcm::AesGcm(AesGcm&&) noexcept = default;
AesGcm& AesGcm::operator=(AesGcm&&) noexcept = default;
AesGcm::~AesGcm() = default;

void AesGcm::begin(const GcmNonce& nonce, ByteView associated) noexcept {
  if (state_->wide) return state_->wide->begin(nonce, associated);
  EVP_CIPHER_CTX* const context = state_->context.get();
  CLUSTER_ASSERT(EVP_CipherInit_ex2(context, nullptr, nullptr, nonce.data(), -1, nullptr) == 1);
  if (associated.empty()) return;
  int done = 0;
  CLUSTER_ASSERT(
      EVP_CipherUpdate(context, nullptr, &done, associated.data(), static_cast<int>(associated.size())) == 1);
}

void AesGcm::update(ByteView from, std::uint8_t* to) noexcept {
  if (from.empty()) return;
  if (state_->wide) return state_->wide->update(state_->direction, from, to);
  CLUSTER_ASSERT(from.size() <= static_cast<std::size_t>(std::numeric_limits<int>::max()));
  int done = 0;
  CLUSTER_ASSERT(
      EVP_CipherUpdate(state_->context.get(), to, &done, from.data(), static_cast<int>(from.size())) == 1);
}

GcmTag AesGcm::finish() noexcept {
  CLUSTER_ASSERT(state_->direction == Direction::encrypt);
  if (state_->wide) return state_->wide->finish();
  GcmTag tag;
  int done = 0;
  CLUSTER_ASSERT(EVP_EncryptFinal_ex(state_->context.get(), tag.data(), &done) == 1 &&
                 EVP_CIPHER_CTX_ctrl(state_->context.get(), EVP_CTRL_AEAD_GET_TAG,
                                     static_cast<int>(tag.size()), tag.data()) == 1);
  return tag;
}

bool AesGcm::finish(ByteView tag) noexcept {
  CLUSTER_ASSERT(state_->direction == Direction::decrypt);
  if (state_->wide) return equal_in_constant_time(state_->wide->finish(), tag);
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
