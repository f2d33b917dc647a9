#pragma once
#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace cluster {

/// How a text becomes a position. Positions of different policies have nothing to do with each other.
enum class HashPolicy : std::uint8_t {
  sha256,  ///< SHA-256, ordered as the base64 texts of the digests are: nobody can choose a key's position
  xxh3,    ///< XXH3 of 64 bits, seed 0: many times as fast, for keys that nobody forges
};
/// "sha256" or "xxh3".
[[nodiscard]] std::string_view name(HashPolicy policy) noexcept;
[[nodiscard]] std::optional<HashPolicy> hash_policy_from_name(std::string_view name) noexcept;

/// A place on a hash ring: a number of 256 bits. `xxh3` uses the first word alone.
struct Position {
  std::array<std::uint64_t, 4> words{};  ///< the most significant first
  friend auto operator<=>(const Position&, const Position&) = default;
};

/// Where `text` lies. Any thread.
[[nodiscard]] Position position_of(HashPolicy policy, std::string_view text) noexcept;
/// The position as JSON has it, in an order-preserving text: sha256: base64 of the digest, 44 characters;
/// xxh3: 16 hexadecimal digits.
[[nodiscard]] std::string position_text(HashPolicy policy, const Position& position);
/// The inverse; nothing on any deviation from that form.
[[nodiscard]] std::optional<Position> position_from_text(HashPolicy policy, std::string_view text);

/// The positions from `begin` up to `end`, which is not one of them. The ring is round: an arc whose end is
/// below its begin goes on past the greatest position to 0, and one that ends where it begins is all of it.
struct Arc {
  Position begin{};
  Position end{};

  [[nodiscard]] bool contains(const Position& position) const noexcept;
  /// Its share of the ring, from the first words: to 2^-64.
  [[nodiscard]] double fraction() const noexcept;
  friend bool operator==(const Arc&, const Arc&) = default;
};

}  // namespace cluster
