#pragma once
// Protects chunks of a stream the way libcluster's levels do, with OpenSSL alone: `sign` adds the first 16
// bytes of HMAC-SHA256(key, sequence | chunk), its pads hashed once; `seal` encrypts with AES-256-GCM under a
// counting nonce.
#include <openssl/evp.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <memory>

#include "peer.hpp"

namespace peer {

enum class Protection { none, sign, seal };
inline constexpr std::size_t kTagBytes = 16;

/// One direction of one connection.
class Protector {
 public:
  explicit Protector(Protection protection) : protection_(protection) {
    std::array<unsigned char, 64> inner_pad{}, outer_pad{};
    for (std::size_t i = 0; i < 64; ++i) {
      const unsigned char key = i < 32 ? 0x42 : 0;
      inner_pad[i] = key ^ 0x36;
      outer_pad[i] = key ^ 0x5c;
    }
    start(inner_.get(), inner_pad);
    start(outer_.get(), outer_pad);
    const std::array<unsigned char, 32> key{0x42};
    if (EVP_EncryptInit_ex(encrypt_.get(), EVP_aes_256_gcm(), nullptr, key.data(), nullptr) != 1)
      fail("AES-GCM");
    if (EVP_DecryptInit_ex(decrypt_.get(), EVP_aes_256_gcm(), nullptr, key.data(), nullptr) != 1)
      fail("AES-GCM");
  }
  [[nodiscard]] Protection protection() const { return protection_; }

  /// Signs `from`, or encrypts it into `to` (which may be `from`); writes the tag.
  void protect(const char* from, char* to, std::size_t bytes, char* tag) {
    if (protection_ == Protection::sign) return sign(from, bytes, tag);
    const auto nonce = next_nonce();
    int done = 0;
    EVP_EncryptInit_ex(encrypt_.get(), nullptr, nullptr, nullptr, nonce.data());
    EVP_EncryptUpdate(encrypt_.get(), u(to), &done, u(from), static_cast<int>(bytes));
    EVP_EncryptFinal_ex(encrypt_.get(), u(to) + done, &done);
    EVP_CIPHER_CTX_ctrl(encrypt_.get(), EVP_CTRL_GCM_GET_TAG, kTagBytes, tag);
  }
  /// Checks the tag; decrypts in place. Ends the program if the tag is wrong.
  void open(char* chunk, std::size_t bytes, char* tag) {
    if (protection_ == Protection::sign) {
      std::array<char, kTagBytes> expected{};
      sign(chunk, bytes, expected.data());
      if (std::memcmp(expected.data(), tag, kTagBytes) != 0) fail("a wrong tag");
      return;
    }
    const auto nonce = next_nonce();
    int done = 0;
    EVP_DecryptInit_ex(decrypt_.get(), nullptr, nullptr, nullptr, nonce.data());
    EVP_DecryptUpdate(decrypt_.get(), u(chunk), &done, u(chunk), static_cast<int>(bytes));
    EVP_CIPHER_CTX_ctrl(decrypt_.get(), EVP_CTRL_GCM_SET_TAG, kTagBytes, tag);
    if (EVP_DecryptFinal_ex(decrypt_.get(), u(chunk) + done, &done) != 1) fail("a wrong tag");
  }

 private:
  static unsigned char* u(char* p) { return reinterpret_cast<unsigned char*>(p); }
  static const unsigned char* u(const char* p) { return reinterpret_cast<const unsigned char*>(p); }
  void start(EVP_MD_CTX* context, const std::array<unsigned char, 64>& pad) {
    if (EVP_DigestInit_ex(context, EVP_sha256(), nullptr) != 1) fail("SHA-256");
    EVP_DigestUpdate(context, pad.data(), pad.size());
  }
  void sign(const char* from, std::size_t bytes, char* tag) {
    std::array<unsigned char, 32> digest{};
    const std::uint64_t sequence = sequence_++;
    EVP_MD_CTX_copy_ex(work_.get(), inner_.get());
    EVP_DigestUpdate(work_.get(), &sequence, sizeof sequence);
    EVP_DigestUpdate(work_.get(), from, bytes);
    EVP_DigestFinal_ex(work_.get(), digest.data(), nullptr);
    EVP_MD_CTX_copy_ex(work_.get(), outer_.get());
    EVP_DigestUpdate(work_.get(), digest.data(), digest.size());
    EVP_DigestFinal_ex(work_.get(), digest.data(), nullptr);
    std::memcpy(tag, digest.data(), kTagBytes);
  }
  std::array<unsigned char, 12> next_nonce() {
    std::array<unsigned char, 12> nonce{};
    const std::uint64_t sequence = sequence_++;
    std::memcpy(nonce.data() + 4, &sequence, sizeof sequence);
    return nonce;
  }

  struct Free {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
    void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
  };
  using Digest = std::unique_ptr<EVP_MD_CTX, Free>;
  using Cipher = std::unique_ptr<EVP_CIPHER_CTX, Free>;
  Protection protection_;
  std::uint64_t sequence_ = 0;
  Digest inner_{EVP_MD_CTX_new()}, outer_{EVP_MD_CTX_new()}, work_{EVP_MD_CTX_new()};
  Cipher encrypt_{EVP_CIPHER_CTX_new()}, decrypt_{EVP_CIPHER_CTX_new()};
};

}  // namespace peer
