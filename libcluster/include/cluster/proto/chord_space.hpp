#pragma once
#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "cluster/base/bytes.hpp"
#include "cluster/base/result.hpp"
#include "cluster/wire/codec.hpp"

namespace cluster::proto {

/// A place on Chord's circle: a number below 2^m, for an m of at most 160. What m is, `ChordSpace` knows.
class ChordId {
 public:
  static constexpr unsigned kBitsMax = 160;
  static constexpr std::size_t kBytes = kBitsMax / 8;

  constexpr ChordId() = default;
  constexpr explicit ChordId(std::uint64_t value) noexcept : words_{0, 0, value} {}
  /// From a big-endian number.
  [[nodiscard]] static ChordId from_bytes(const std::array<std::uint8_t, kBytes>& bytes) noexcept;
  [[nodiscard]] std::array<std::uint8_t, kBytes> bytes() const noexcept;

  /// The least significant 64 bits.
  [[nodiscard]] constexpr std::uint64_t low() const noexcept { return words_[2]; }
  /// How many bits the number takes: 0 for 0, 160 for the greatest.
  [[nodiscard]] unsigned width() const noexcept;

  friend constexpr bool operator==(const ChordId&, const ChordId&) = default;
  friend constexpr auto operator<=>(const ChordId&, const ChordId&) = default;

 private:
  friend class ChordSpace;
  std::array<std::uint64_t, 3> words_{};  // most significant first
};

enum class ChordHash : std::uint8_t { sha1 = 0, sha256 = 1 };
[[nodiscard]] std::string_view name(ChordHash hash) noexcept;

/// Chord's circle of 2^m identifiers: arithmetic modulo 2^m, and the hash that gives nodes and keys their
/// places. All nodes of a Chord ring have the same. Source: Stoica et al., ToN 2003, section IV-B.
class ChordSpace {
 public:
  static constexpr unsigned kBitsMin = 8;

  /// Throws std::invalid_argument unless `bits` is 8..160.
  explicit ChordSpace(unsigned bits = ChordId::kBitsMax, ChordHash hash = ChordHash::sha1);

  [[nodiscard]] unsigned bits() const noexcept { return bits_; }
  [[nodiscard]] ChordHash hash() const noexcept { return hash_; }
  /// Names the space in messages.
  [[nodiscard]] std::uint16_t code() const noexcept {
    return static_cast<std::uint16_t>(bits_ | static_cast<unsigned>(hash_) << 8);
  }
  /// "160 bits of sha1"; for any code.
  [[nodiscard]] static std::string text(std::uint16_t code);

  /// The place of a key or a node id: the m leading bits of its hash.
  [[nodiscard]] ChordId place(std::string_view text) const noexcept;
  [[nodiscard]] bool contains(const ChordId& id) const noexcept { return id.width() <= bits_; }
  /// (id + 2^exponent) mod 2^m; `exponent` < m.
  [[nodiscard]] ChordId add_power(const ChordId& id, unsigned exponent) const noexcept;
  /// How far `to` is from `from`, clockwise: (to - from) mod 2^m.
  [[nodiscard]] ChordId distance(const ChordId& from, const ChordId& to) const noexcept;
  /// Whether x lies in the open interval (a, b), clockwise. (a, a) is the whole circle but a.
  [[nodiscard]] bool between(const ChordId& a, const ChordId& x, const ChordId& b) const noexcept;
  /// Whether x lies in (a, b]. (a, a] is the whole circle.
  [[nodiscard]] bool between_or_end(const ChordId& a, const ChordId& x, const ChordId& b) const noexcept {
    return x == b || between(a, x, b);
  }
  /// Hexadecimal, of one length for all identifiers of the space.
  [[nodiscard]] std::string hex(const ChordId& id) const;
  /// The inverse of `hex`; leading zeros may be left out.
  [[nodiscard]] Result<ChordId> parse_hex(std::string_view text) const;

 private:
  [[nodiscard]] ChordId wrapped(ChordId id) const noexcept;

  unsigned bits_;
  ChordHash hash_;
};

}  // namespace cluster::proto

template <>
struct cluster::wire::Codec<cluster::proto::ChordId> {
  using Bytes = std::array<std::uint8_t, proto::ChordId::kBytes>;
  static std::string type() { return "chord_id"; }
  static void encode(Writer& to, const proto::ChordId& value) { Codec<Bytes>::encode(to, value.bytes()); }
  static bool decode(Reader& from, proto::ChordId& value) {
    Bytes bytes{};
    if (!Codec<Bytes>::decode(from, bytes)) return false;
    value = proto::ChordId::from_bytes(bytes);
    return true;
  }
};
