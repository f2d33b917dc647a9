#include "cluster/proto/ring_file.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "cluster/crypto/sha256.hpp"
#include "cluster/wire/codec.hpp"
#include "cluster/wire/codec_types.hpp"

namespace cluster::proto {
namespace {

// No text begins so, and a copy that changes line ends or drops the eighth bit does not keep it.
constexpr std::array<std::uint8_t, 8> kMagic{0x89, 'c', 'l', 'r', 'i', 'n', 'g', '\n'};
constexpr std::size_t kFormatAt = kMagic.size();
constexpr std::size_t kLengthAt = kFormatAt + 4;
constexpr std::size_t kChecksumAt = kLengthAt + 8;
static_assert(kChecksumAt + sizeof(crypto::Digest) == kRingFileHeaderBytes);

Error damaged(const std::string& how) { return Error(Errc::corrupt, how); }

crypto::Digest checksum(ByteView file) {
  Bytes covered(file.begin(), file.begin() + kChecksumAt);
  covered.insert(covered.end(), file.begin() + kRingFileHeaderBytes, file.end());
  return crypto::sha256(covered);
}

/// `ids` in strictly ascending order.
template <class Records, class Id>
bool ascends(const Records& records, Id id) {
  return std::ranges::adjacent_find(
             records, [](const auto& a, const auto& b) { return !(a < b); }, id) == records.end();
}

Result<void> check(const RingImage& state, const NodeId& self) {
  if (state.members.size() > RingState::kRecordsMax) return damaged("holds too many members");
  if (state.clock.size() > RingState::kEditorsMax) return damaged("holds too many clock entries");
  if (state.issued > kCountMax || state.latest < WallTime{} || state.latest > kTimeMax)
    return damaged("holds a count or time out of bounds");
  for (const auto& member : state.members)
    if (auto ok = check(member); !ok) return damaged("holds what it must not: " + ok.error().message());
  for (const auto& entry : state.clock)
    if (entry.count > kCountMax) return damaged("holds a clock entry out of bounds");
  if (!ascends(state.members, &RingMember::id) || !ascends(state.clock, &ClockEntry::editor))
    return damaged("is out of order");
  if (!std::ranges::binary_search(state.members, self, {}, &RingMember::id))
    return damaged("does not hold its own node '" + self.str() + "'");
  return {};
}

Result<void> check(const SavedRing& saved) {
  if (saved.boot > kCountMax) return damaged("holds a boot out of bounds");
  if (!saved.ring.empty() && !check_ring_id(saved.ring)) return damaged("names no ring");
  if (auto ok = check(saved.state, saved.self); !ok) return ok;
  if (saved.weight) {
    auto own = *std::ranges::lower_bound(saved.state.members, saved.self, {}, &RingMember::id);
    own.weight = *saved.weight;
    if (own.weight.value == 0 || !check(own)) return damaged("holds a weight out of bounds");
  }
  if (saved.departed.size() > SavedRing::kDepartedMax) return damaged("holds too many rings that were left");
  for (const auto& left : saved.departed)
    if (!check_ring_id(left.ring) || !check(left.own) || left.own.id != saved.self)
      return damaged("holds a ring that was left, and is none");
  return {};
}

}  // namespace

Bytes encode_ring_file(const SavedRing& saved) {
  Bytes file(kRingFileHeaderBytes);
  wire::encode_to(file, saved);
  std::ranges::copy(kMagic, file.begin());
  store_be<std::uint32_t>(file.data() + kFormatAt, kRingFileFormat);
  store_be<std::uint64_t>(file.data() + kLengthAt, file.size() - kRingFileHeaderBytes);
  std::ranges::copy(checksum(file), file.begin() + kChecksumAt);
  return file;
}

Result<SavedRing> decode_ring_file(ByteView file) {
  const auto magic = file.first(std::min(file.size(), kMagic.size()));
  if (file.empty()) return damaged("is empty");
  if (!std::ranges::equal(magic, std::span(kMagic).first(magic.size()))) return damaged("is no ring file");
  if (file.size() < kRingFileHeaderBytes)
    return damaged("is cut off in its header, after " + std::to_string(file.size()) + " bytes");
  const auto format = load_be<std::uint32_t>(file.data() + kFormatAt);
  if (format != kRingFileFormat)
    return Error(Errc::incompatible, "has format " + std::to_string(format) + ", of " +
                                         (format > kRingFileFormat ? "a newer" : "an older") +
                                         " version; this one reads format " +
                                         std::to_string(kRingFileFormat));
  const auto length = load_be<std::uint64_t>(file.data() + kLengthAt);
  const auto content = file.subspan(kRingFileHeaderBytes);
  if (file.size() > kRingFileBytesMax) return damaged("is longer than any ring");
  if (content.size() != length)
    return damaged((content.size() < length ? "is cut off: it has " : "is too long: it has ") +
                   std::to_string(content.size()) + " bytes of content, not " + std::to_string(length));
  if (!std::ranges::equal(checksum(file), file.subspan(kChecksumAt, sizeof(crypto::Digest))))
    return damaged("has a wrong checksum");
  auto saved = wire::decode<SavedRing>(content);
  if (!saved) return damaged("cannot be understood: " + saved.error().message());
  if (auto ok = check(*saved); !ok) return std::move(ok).error();
  return saved;
}

}  // namespace cluster::proto
