#include "sha256_lanes.hpp"

#include "cluster/base/assert.hpp"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

namespace cluster::crypto {

#if defined(__x86_64__)

namespace {

constexpr std::size_t kBlockBytes = 64;

alignas(16) constexpr std::array<std::uint32_t, 64> kRoundConstants{
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

#define CLUSTER_SHA_CODE __attribute__((target("sha,avx"), always_inline)) inline

/// One hash in the order of words that the instructions want, and four of its sixteen message words a
/// register.
struct Registers {
  __m128i abef, cdgh;
  __m128i words[4];
};

CLUSTER_SHA_CODE void load_block(Registers& lane, const std::uint8_t* from) {
  const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
  for (std::size_t i = 0; i < 4; ++i)
    lane.words[i] =
        _mm_shuffle_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from + 16 * i)), big_endian);
}

/// Rounds 4 * Step to 4 * Step + 3, and the message words of sixteen rounds later.
template <std::size_t Step>
CLUSTER_SHA_CODE void four_rounds(Registers& lane) {
  const auto* constants = reinterpret_cast<const __m128i*>(&kRoundConstants[4 * Step]);
  __m128i& words = lane.words[Step % 4];
  const __m128i sum = _mm_add_epi32(words, _mm_load_si128(constants));
  lane.cdgh = _mm_sha256rnds2_epu32(lane.cdgh, lane.abef, sum);
  lane.abef = _mm_sha256rnds2_epu32(lane.abef, lane.cdgh, _mm_shuffle_epi32(sum, 0x0e));
  if constexpr (Step < 12) {
    const __m128i last = lane.words[(Step + 3) % 4];
    words = _mm_sha256msg1_epu32(words, lane.words[(Step + 1) % 4]);
    words = _mm_add_epi32(words, _mm_alignr_epi8(last, lane.words[(Step + 2) % 4], 4));
    words = _mm_sha256msg2_epu32(words, last);
  }
}

template <std::size_t Step, std::size_t Lanes>
CLUSTER_SHA_CODE void rounds(Registers (&lane)[Lanes]) {
  if constexpr (Step < 16) {
    four_rounds<Step>(lane[0]);
    if constexpr (Lanes > 1) four_rounds<Step>(lane[1]);
    if constexpr (Lanes > 2) four_rounds<Step>(lane[2]);
    if constexpr (Lanes > 3) four_rounds<Step>(lane[3]);
    rounds<Step + 1>(lane);
  }
}

template <std::size_t Lanes>
__attribute__((target("sha,avx"))) void compress_lanes(Sha256Lane* lane, std::size_t blocks) noexcept {
  Registers state[Lanes];
  for (std::size_t i = 0; i < Lanes; ++i) {
    const auto* words = reinterpret_cast<const __m128i*>(lane[i].words.data());
    const __m128i badc = _mm_shuffle_epi32(_mm_loadu_si128(words), 0xb1);
    const __m128i efgh = _mm_shuffle_epi32(_mm_loadu_si128(words + 1), 0x1b);
    state[i].abef = _mm_alignr_epi8(badc, efgh, 8);
    state[i].cdgh = _mm_blend_epi16(efgh, badc, 0xf0);
  }
  for (std::size_t block = 0; block < blocks; ++block) {
    __m128i before[Lanes][2];
    for (std::size_t i = 0; i < Lanes; ++i) {
      before[i][0] = state[i].abef;
      before[i][1] = state[i].cdgh;
      load_block(state[i], lane[i].next + block * kBlockBytes);
    }
    rounds<0>(state);
    for (std::size_t i = 0; i < Lanes; ++i) {
      state[i].abef = _mm_add_epi32(state[i].abef, before[i][0]);
      state[i].cdgh = _mm_add_epi32(state[i].cdgh, before[i][1]);
    }
  }
  for (std::size_t i = 0; i < Lanes; ++i) {
    const __m128i feba = _mm_shuffle_epi32(state[i].abef, 0x1b);
    const __m128i dchg = _mm_shuffle_epi32(state[i].cdgh, 0xb1);
    auto* words = reinterpret_cast<__m128i*>(lane[i].words.data());
    _mm_storeu_si128(words, _mm_blend_epi16(feba, dchg, 0xf0));
    _mm_storeu_si128(words + 1, _mm_alignr_epi8(dchg, feba, 8));
    lane[i].next += blocks * kBlockBytes;
  }
}

#undef CLUSTER_SHA_CODE

bool ask_processor() noexcept {
  unsigned a = 0, b = 0, c = 0, d = 0;
  constexpr unsigned kShaBit = 1u << 29;  // leaf 7, EBX
  return __builtin_cpu_supports("avx") != 0 && __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 &&
         (b & kShaBit) != 0;
}

}  // namespace

bool has_sha256_lanes() noexcept {
  static const bool has = ask_processor();
  return has;
}

void compress(Sha256Lane* lane, std::size_t lanes, std::size_t blocks) noexcept {
  static_assert(kSha256LanesMax == 4);
  CLUSTER_ASSERT(lanes >= 1 && lanes <= kSha256LanesMax);
  switch (lanes) {
    case 1:
      return compress_lanes<1>(lane, blocks);
    case 2:
      return compress_lanes<2>(lane, blocks);
    case 3:
      return compress_lanes<3>(lane, blocks);
    default:
      return compress_lanes<4>(lane, blocks);
  }
}

#else

bool has_sha256_lanes() noexcept { return false; }
void compress(Sha256Lane*, std::size_t, std::size_t) noexcept { CLUSTER_ASSERT(false); }

#endif

}  // namespace cluster::crypto
