#include "cluster/proto/chord_space.hpp"

#include <bit>
#include <stdexcept>

#include "cluster/crypto/sha1.hpp"
#include "cluster/crypto/sha256.hpp"

namespace cluster::proto {

ChordId ChordId::from_bytes(const std::array<std::uint8_t, kBytes>& bytes) noexcept {
  ChordId id;
  id.words_ = {load_be<std::uint32_t>(bytes.data()), load_be<std::uint64_t>(bytes.data() + 4),
               load_be<std::uint64_t>(bytes.data() + 12)};
  return id;
}

std::array<std::uint8_t, ChordId::kBytes> ChordId::bytes() const noexcept {
  std::array<std::uint8_t, kBytes> out;
  store_be(out.data(), static_cast<std::uint32_t>(words_[0]));
  store_be(out.data() + 4, words_[1]);
  store_be(out.data() + 12, words_[2]);
  return out;
}

unsigned ChordId::width() const noexcept {
  for (unsigned i = 0; i < 3; ++i)
    if (words_[i] != 0) return 64 * (2 - i) + static_cast<unsigned>(std::bit_width(words_[i]));
  return 0;
}

std::string_view name(ChordHash hash) noexcept { return hash == ChordHash::sha1 ? "sha1" : "sha256"; }

ChordSpace::ChordSpace(unsigned bits, ChordHash hash) : bits_(bits), hash_(hash) {
  if (bits < kBitsMin || bits > ChordId::kBitsMax)
    throw std::invalid_argument("a Chord identifier has 8 to 160 bits");
}

std::string ChordSpace::text(std::uint16_t code) {
  const auto hash = code >> 8;
  return std::to_string(code & 0xff) + " bits of " +
         (hash <= 1 ? std::string(name(static_cast<ChordHash>(hash))) : "an unknown hash");
}

ChordId ChordSpace::place(std::string_view text) const noexcept {
  std::array<std::uint8_t, ChordId::kBytes> leading;
  if (hash_ == ChordHash::sha1) {
    leading = crypto::sha1(as_bytes(text));
  } else {
    const auto digest = crypto::sha256(as_bytes(text));
    std::memcpy(leading.data(), digest.data(), leading.size());
  }
  ChordId id = ChordId::from_bytes(leading);
  unsigned surplus = ChordId::kBitsMax - bits_;
  auto& words = id.words_;
  for (; surplus >= 64; surplus -= 64) words = {0, words[0], words[1]};
  if (surplus != 0)
    words = {words[0] >> surplus, words[0] << (64 - surplus) | words[1] >> surplus,
             words[1] << (64 - surplus) | words[2] >> surplus};
  return id;
}

ChordId ChordSpace::wrapped(ChordId id) const noexcept {
  for (unsigned i = 0; i < 3; ++i) {
    const unsigned begin = 64 * (2 - i);  // the bit that this word begins with
    if (bits_ <= begin)
      id.words_[i] = 0;
    else if (bits_ < begin + 64)
      id.words_[i] &= (std::uint64_t{1} << (bits_ - begin)) - 1;
  }
  return id;
}

ChordId ChordSpace::add_power(const ChordId& id, unsigned exponent) const noexcept {
  ChordId sum = id;
  std::uint64_t carry = std::uint64_t{1} << exponent % 64;
  for (unsigned i = 2 - exponent / 64; carry != 0; --i) {
    sum.words_[i] += carry;
    carry = sum.words_[i] < carry ? 1 : 0;
    if (i == 0) break;
  }
  return wrapped(sum);
}

ChordId ChordSpace::distance(const ChordId& from, const ChordId& to) const noexcept {
  ChordId out;
  std::uint64_t borrow = 0;
  for (unsigned i = 3; i-- > 0;) {
    const std::uint64_t taken = from.words_[i] + borrow;
    // `taken` is 0 after an overflow, and the borrow stays.
    borrow = (taken < borrow || to.words_[i] < taken) ? 1 : 0;
    out.words_[i] = to.words_[i] - taken;
  }
  return wrapped(out);
}

bool ChordSpace::between(const ChordId& a, const ChordId& x, const ChordId& b) const noexcept {
  if (a < b) return a < x && x < b;
  return a < x || x < b || (a == b && x != a);
}

std::string ChordSpace::hex(const ChordId& id) const {
  auto text = cluster::hex(id.bytes());
  return text.substr(text.size() - (bits_ + 3) / 4);
}

Result<ChordId> ChordSpace::parse_hex(std::string_view text) const {
  constexpr std::size_t digits = 2 * ChordId::kBytes;
  if (text.empty() || text.size() > digits)
    return Error(Errc::invalid_argument, "an identifier has 1 to 40 hexadecimal digits");
  const auto bytes = from_hex(std::string(digits - text.size(), '0').append(text));
  if (!bytes) return Error(Errc::invalid_argument, "an identifier is written in hexadecimal digits");
  std::array<std::uint8_t, ChordId::kBytes> array;
  std::memcpy(array.data(), bytes->data(), array.size());
  const auto id = ChordId::from_bytes(array);
  if (!contains(id))
    return Error(Errc::invalid_argument, "an identifier of this ring has " + std::to_string(bits_) + " bits");
  return id;
}

}  // namespace cluster::proto
