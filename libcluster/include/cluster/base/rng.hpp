#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace cluster {

/// A seeded random generator with the same output on every platform and in every build: what
/// simulations and protocol code draw from. Not for secrets. xoshiro256** (Blackman, Vigna 2018),
/// seeded by splitmix64.
class Rng {
 public:
  using result_type = std::uint64_t;

  explicit Rng(std::uint64_t seed) noexcept;

  [[nodiscard]] std::uint64_t next() noexcept;
  /// Uniform in [0, bound); 0 for bound 0. Unbiased (Lemire 2019).
  [[nodiscard]] std::uint64_t below(std::uint64_t bound) noexcept;
  /// Uniform in [low, high], low <= high.
  [[nodiscard]] std::int64_t between(std::int64_t low, std::int64_t high) noexcept;
  /// Uniform in [0, 1).
  [[nodiscard]] double uniform() noexcept;
  [[nodiscard]] bool chance(double probability) noexcept { return uniform() < probability; }
  /// An independent generator, so that parts of a simulation do not disturb each other's draws.
  [[nodiscard]] Rng split() noexcept { return Rng(next()); }

  /// Fisher-Yates, from the back; `std::shuffle` differs between libraries.
  template <class Range>
  void shuffle(Range& range) noexcept {
    using std::swap;
    for (auto i = range.size(); i > 1; --i) swap(range[i - 1], range[static_cast<std::size_t>(below(i))]);
  }

 private:
  std::array<std::uint64_t, 4> state_;
};

}  // namespace cluster
