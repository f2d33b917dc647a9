#include "cluster/wire/frame_protection.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>

#include "cluster/base/assert.hpp"
#include "cluster/crypto/hkdf.hpp"

namespace cluster::wire {
namespace {

constexpr std::size_t kSecretBytes = 32;
constexpr std::string_view kLabelKey = "seal key";
constexpr std::string_view kLabelNextSecret = "seal next";

}  // namespace

std::string_view name(Protection level) noexcept {
  switch (level) {
    case Protection::sign:
      return "sign";
    case Protection::seal:
      return "seal";
    case Protection::tls:
      return "tls";
  }
  return "unknown";
}

Result<Protection> parse_protection(std::string_view text) {
  for (const auto level : {Protection::sign, Protection::seal, Protection::tls})
    if (text == name(level)) return level;
  return Error(Errc::invalid_argument,
               "'" + std::string(text) + "' is no protection level; there are sign, seal and tls");
}

FrameGuard::FrameGuard(Protection level, crypto::AesGcm::Direction direction, ByteView secret,
                       std::uint64_t ratchet_bytes)
    : direction_(direction), ratchet_bytes_(ratchet_bytes) {
  CLUSTER_ASSERT(secret.size() == kSecretBytes);
  CLUSTER_ASSERT(level == Protection::sign || level == Protection::seal);
  if (level == Protection::sign) {
    hmac_.emplace(secret);
    lanes_.emplace(secret);
  } else {
    secret_ = crypto::SecretBytes(secret);
    use_next_key();
  }
}

void FrameGuard::use_next_key() {
  gcm_.emplace(direction_, crypto::hkdf_expand(secret_, as_bytes(kLabelKey), crypto::kGcmKeyBytes));
  secret_ = crypto::hkdf_expand(secret_, as_bytes(kLabelNextSecret), kSecretBytes);
  bytes_under_key_ = 0;
}

void FrameGuard::begin(ByteView header) noexcept {
  CLUSTER_ASSERT(header.size() == kFrameHeaderBytes);
  if (gcm_) {
    if (bytes_under_key_ >= ratchet_bytes_) use_next_key();
    bytes_under_key_ += kFrameHeaderBytes + kFrameTagBytes;
    crypto::GcmNonce nonce{};
    store_be<std::uint64_t>(nonce.data() + 4, sequence_);
    gcm_->begin(nonce, header);
  } else {
    std::array<std::uint8_t, 8 + kFrameHeaderBytes> head;
    store_be<std::uint64_t>(head.data(), sequence_);
    std::copy(header.begin(), header.end(), head.begin() + 8);
    hmac_->begin();
    hmac_->update(head);
  }
}

void FrameGuard::add(ByteView part) noexcept {
  CLUSTER_ASSERT(hmac_.has_value());
  hmac_->update(part);
}

void FrameGuard::add(ByteView part, std::uint8_t* to) noexcept {
  if (gcm_) {
    bytes_under_key_ += part.size();
    gcm_->update(part, to);
  } else {
    hmac_->update(part);
    if (to != part.data() && !part.empty()) std::memcpy(to, part.data(), part.size());
  }
}

FrameTag FrameGuard::finish_signed() noexcept {
  const crypto::Digest whole = hmac_->finish();
  FrameTag tag;
  std::copy_n(whole.begin(), tag.size(), tag.begin());
  return tag;
}

void FrameGuard::sign_next(std::span<const SignedFrame> frames, std::span<FrameTag> tags) noexcept {
  constexpr std::size_t kLanes = crypto::HmacLanes::kLanes;
  constexpr std::size_t kSequenceBytes = sizeof(std::uint64_t);
  static_assert(kSequenceBytes + kSignedHeadBytesMax < crypto::HmacLanes::kHeadBytesMax);
  CLUSTER_ASSERT(lanes_.has_value() && frames.size() == tags.size());
  std::array<std::array<std::uint8_t, kSequenceBytes + kSignedHeadBytesMax>, kLanes> heads;
  std::array<crypto::HmacLanes::Message, kLanes> messages;
  std::array<crypto::Digest, kLanes> codes;
  for (std::size_t at = 0; at < frames.size(); at += kLanes) {
    const std::size_t count = std::min(kLanes, frames.size() - at);
    for (std::size_t i = 0; i < count; ++i) {
      const auto [head, body] = frames[at + i];
      CLUSTER_ASSERT(head.size() <= kSignedHeadBytesMax);
      store_be<std::uint64_t>(heads[i].data(), sequence_++);
      std::copy(head.begin(), head.end(), heads[i].begin() + kSequenceBytes);
      messages[i] = {ByteView(heads[i]).first(kSequenceBytes + head.size()), body};
    }
    lanes_->sign(std::span(messages).first(count), std::span(codes).first(count));
    for (std::size_t i = 0; i < count; ++i)
      std::copy_n(codes[i].begin(), kFrameTagBytes, tags[at + i].begin());
  }
}

std::size_t FrameOpener::check(std::span<const SignedFrame> frames, std::span<const ByteView> tags) noexcept {
  constexpr std::size_t kLanes = crypto::HmacLanes::kLanes;
  std::array<FrameTag, kLanes> expected;
  for (std::size_t at = 0; at < frames.size(); at += kLanes) {
    const std::size_t count = std::min(kLanes, frames.size() - at);
    sign_next(frames.subspan(at, count), std::span(expected).first(count));
    for (std::size_t i = 0; i < count; ++i)
      if (!crypto::equal_in_constant_time(expected[i], tags[at + i])) return at + i;
  }
  return frames.size();
}

FrameTag FrameSealer::finish() noexcept {
  ++sequence_;
  return gcm_ ? gcm_->finish() : finish_signed();
}

FrameTag FrameSealer::seal(ByteView header, std::span<std::uint8_t> body) noexcept {
  begin(header);
  add(body, body.data());
  return finish();
}

bool FrameOpener::finish(ByteView tag) noexcept {
  ++sequence_;
  return gcm_ ? gcm_->finish(tag) : crypto::equal_in_constant_time(finish_signed(), tag);
}

bool FrameOpener::open(ByteView header, std::span<std::uint8_t> body, ByteView tag) noexcept {
  begin(header);
  add(body, body.data());
  return finish(tag);
}

}  // namespace cluster::wire
