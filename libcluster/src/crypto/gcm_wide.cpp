#include "gcm_wide.hpp"

#include <algorithm>
#include <span>

#include "cluster/base/assert.hpp"
#include "cluster/crypto/secret.hpp"

#if defined(__x86_64__)
#include <cpuid.h>
#if defined(__GNUC__) && !defined(__clang__)
// GCC 12 warns of the operands that its own header leaves undefined on purpose.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop
#else
#include <immintrin.h>
#endif

#define CLUSTER_WIDE __attribute__((target("aes,pclmul,avx512f,avx512bw,avx512vl,vaes,vpclmulqdq")))
#define CLUSTER_WIDE_INLINE CLUSTER_WIDE __attribute__((always_inline)) inline

namespace cluster::crypto {
namespace {

constexpr std::size_t kBlockBytes = 16;
constexpr std::size_t kRoundKeys = 15;
constexpr std::size_t kLanes = 4;  // blocks to a register

// ---- AES-256 (FIPS 197)

/// The next round key but one, from that and `assist`, a word of the one between.
CLUSTER_WIDE_INLINE __m128i next_round_key(__m128i key, __m128i assist) {
  key = _mm_xor_si128(key, _mm_slli_si128(key, 4));
  key = _mm_xor_si128(key, _mm_slli_si128(key, 8));
  return _mm_xor_si128(key, assist);
}

template <int Constant>
CLUSTER_WIDE_INLINE void expand(__m128i* keys) {
  keys[2] = next_round_key(keys[0], _mm_shuffle_epi32(_mm_aeskeygenassist_si128(keys[1], Constant), 0xff));
  keys[3] = next_round_key(keys[1], _mm_shuffle_epi32(_mm_aeskeygenassist_si128(keys[2], 0), 0xaa));
}

CLUSTER_WIDE void expand_key(const std::uint8_t* key, std::uint8_t* to) noexcept {
  __m128i keys[kRoundKeys + 1];
  keys[0] = _mm_loadu_si128(reinterpret_cast<const __m128i*>(key));
  keys[1] = _mm_loadu_si128(reinterpret_cast<const __m128i*>(key + 16));
  expand<0x01>(keys);
  expand<0x02>(keys + 2);
  expand<0x04>(keys + 4);
  expand<0x08>(keys + 6);
  expand<0x10>(keys + 8);
  expand<0x20>(keys + 10);
  expand<0x40>(keys + 12);
  for (std::size_t i = 0; i < kRoundKeys; ++i) _mm_store_si128(reinterpret_cast<__m128i*>(to) + i, keys[i]);
  wipe({reinterpret_cast<std::uint8_t*>(keys), sizeof keys});
}

CLUSTER_WIDE __m128i encrypt_block(const std::uint8_t* round_keys, __m128i block) noexcept {
  const auto* keys = reinterpret_cast<const __m128i*>(round_keys);
  block = _mm_xor_si128(block, keys[0]);
  for (std::size_t i = 1; i < 14; ++i) block = _mm_aesenc_si128(block, keys[i]);
  return _mm_aesenclast_si128(block, keys[14]);
}

// ---- GHASH (SP 800-38D section 6.4), on reversed bytes

CLUSTER_WIDE_INLINE __m128i reversal() { return _mm_set_epi64x(0x0001020304050607, 0x08090a0b0c0d0e0f); }
CLUSTER_WIDE_INLINE __m512i reversed(__m512i blocks) {
  return _mm512_shuffle_epi8(blocks, _mm512_broadcast_i32x4(reversal()));
}
CLUSTER_WIDE_INLINE __m512i xor3(__m512i a, __m512i b, __m512i c) {
  return _mm512_ternarylogic_epi64(a, b, c, 0x96);
}

/// A sum of products of 128 by 128 bits, in four lanes, not reduced.
struct Products {
  __m512i low, middle, high;
};

CLUSTER_WIDE_INLINE void add_product(Products& sum, __m512i a, __m512i b) {
  sum.low = _mm512_xor_si512(sum.low, _mm512_clmulepi64_epi128(a, b, 0x00));
  sum.middle = xor3(sum.middle, _mm512_clmulepi64_epi128(a, b, 0x01), _mm512_clmulepi64_epi128(a, b, 0x10));
  sum.high = _mm512_xor_si512(sum.high, _mm512_clmulepi64_epi128(a, b, 0x11));
}

/// Modulo x^128 + x^127 + x^126 + x^121 + 1 (the field's polynomial, reflected), the lanes added up.
CLUSTER_WIDE_INLINE __m128i reduced(const Products& sum) {
  const __m512i polynomial =
      _mm512_broadcast_i32x4(_mm_set_epi64x(static_cast<long long>(0xc200000000000000), 1));
  const __m512i middle = xor3(sum.middle, _mm512_clmulepi64_epi128(polynomial, sum.low, 0x01),
                              _mm512_shuffle_epi32(sum.low, _MM_PERM_BADC));
  const __m512i lanes = xor3(sum.high, _mm512_clmulepi64_epi128(polynomial, middle, 0x01),
                             _mm512_shuffle_epi32(middle, _MM_PERM_BADC));
  const __m256i halves = _mm256_xor_si256(_mm512_castsi512_si256(lanes), _mm512_extracti64x4_epi64(lanes, 1));
  return _mm_xor_si128(_mm256_castsi256_si128(halves), _mm256_extracti128_si256(halves, 1));
}

CLUSTER_WIDE_INLINE __m128i multiplied(__m128i a, __m128i b) {
  Products product{};
  add_product(product, _mm512_zextsi128_si512(a), _mm512_zextsi128_si512(b));
  return reduced(product);
}

/// The hash key as `powers_` keeps it.
CLUSTER_WIDE_INLINE __m128i reflected_times_x(__m128i key) {
  const auto low = static_cast<std::uint64_t>(_mm_cvtsi128_si64(key));
  const auto high = static_cast<std::uint64_t>(_mm_extract_epi64(key, 1));
  const std::uint64_t carry = 0 - (high >> 63);  // all ones if the product is to be reduced
  return _mm_set_epi64x(static_cast<long long>((high << 1 | low >> 63) ^ (carry & 0xc200000000000000)),
                        static_cast<long long>(low << 1 ^ (carry & 1)));
}

CLUSTER_WIDE_INLINE __m128i load(const std::uint8_t* from) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
}
CLUSTER_WIDE_INLINE void store(std::uint8_t* to, __m128i value) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), value);
}
CLUSTER_WIDE_INLINE __m128i reversed(__m128i block) { return _mm_shuffle_epi8(block, reversal()); }

/// The counters of four blocks from `counter` on, all reversed.
CLUSTER_WIDE_INLINE __m512i four_counters(__m128i counter) {
  return _mm512_add_epi32(_mm512_broadcast_i32x4(counter),
                          _mm512_set_epi32(0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0));
}
CLUSTER_WIDE_INLINE __m128i counter_plus(__m128i counter, std::size_t blocks) {
  return _mm_add_epi32(counter, _mm_cvtsi32_si128(static_cast<int>(blocks)));
}

/// The powers of the hash key, the greatest first.
CLUSTER_WIDE void write_powers(const std::uint8_t* round_keys, std::uint8_t* to) noexcept {
  const __m128i first = reflected_times_x(reversed(encrypt_block(round_keys, _mm_setzero_si128())));
  __m128i power = first;
  for (std::size_t i = kGcmStride; i-- > 0;) {
    store(to + kBlockBytes * i, power);
    power = multiplied(power, first);
  }
}

struct Keys {
  const std::uint8_t* round;
  const std::uint8_t* powers;
};

/// Encrypts or decrypts whole blocks, and takes what is encrypted into the hash.
template <AesGcm::Direction Way>
CLUSTER_WIDE_INLINE void crypt(const Keys& given_keys, std::uint8_t* counter, std::uint8_t* hash_at,
                               const std::uint8_t* from, std::uint8_t* to, std::size_t blocks) {
  constexpr std::size_t kRegisters = kGcmStride / kLanes;
  __m512i keys[kRoundKeys];
#pragma GCC unroll 16
  for (std::size_t i = 0; i < kRoundKeys; ++i)
    keys[i] = _mm512_broadcast_i32x4(load(given_keys.round + kBlockBytes * i));
  const __m512i four = _mm512_broadcast_i32x4(_mm_cvtsi32_si128(kLanes));
  __m512i counters = four_counters(load(counter));
  store(counter, counter_plus(load(counter), blocks));
  __m128i hash = load(hash_at);

  for (; blocks >= kGcmStride;
       blocks -= kGcmStride, from += kGcmStride * kBlockBytes, to += kGcmStride * kBlockBytes) {
    __m512i stream[kRegisters];
#pragma GCC unroll 8
    for (auto& blocks_of_stream : stream) {
      blocks_of_stream = _mm512_xor_si512(reversed(counters), keys[0]);
      counters = _mm512_add_epi32(counters, four);
    }
#pragma GCC unroll 16
    for (std::size_t round = 1; round + 1 < kRoundKeys; ++round)
#pragma GCC unroll 8
      for (auto& blocks_of_stream : stream)
        blocks_of_stream = _mm512_aesenc_epi128(blocks_of_stream, keys[round]);
    Products products{};
#pragma GCC unroll 8
    for (std::size_t i = 0; i < kRegisters; ++i) {
      const __m512i given = _mm512_loadu_si512(from + 64 * i);
      // The last round key may be added to the text as well as to the state: a shorter chain.
      const __m512i other =
          _mm512_aesenclast_epi128(stream[i], _mm512_xor_si512(keys[kRoundKeys - 1], given));
      _mm512_storeu_si512(to + 64 * i, other);
      __m512i hashed = reversed(Way == AesGcm::Direction::encrypt ? other : given);
      if (i == 0) hashed = _mm512_xor_si512(hashed, _mm512_zextsi128_si512(hash));
      add_product(products, hashed, _mm512_loadu_si512(given_keys.powers + 64 * i));
    }
    hash = reduced(products);
  }

  if (blocks > 0) {
    Products products{};
    for (std::size_t power = kGcmStride - blocks; power < kGcmStride; power += kLanes) {
      const std::size_t count = std::min(kLanes, kGcmStride - power);
      const __mmask64 bytes = ~__mmask64{0} >> (64 - kBlockBytes * count);
      __m512i stream = _mm512_xor_si512(reversed(counters), keys[0]);
      counters = _mm512_add_epi32(counters, four);
#pragma GCC unroll 16
      for (std::size_t round = 1; round + 1 < kRoundKeys; ++round)
        stream = _mm512_aesenc_epi128(stream, keys[round]);
      const __m512i given = _mm512_maskz_loadu_epi8(bytes, from);
      const __m512i other = _mm512_aesenclast_epi128(stream, _mm512_xor_si512(keys[kRoundKeys - 1], given));
      _mm512_mask_storeu_epi8(to, bytes, other);
      __m512i hashed = reversed(Way == AesGcm::Direction::encrypt ? other : given);
      hashed = _mm512_xor_si512(hashed, _mm512_zextsi128_si512(hash));
      hash = _mm_setzero_si128();
      add_product(products, hashed, _mm512_loadu_si512(given_keys.powers + kBlockBytes * power));
      from += 64;
      to += 64;
    }
    hash = reduced(products);
  }
  store(hash_at, hash);
}

}  // namespace

bool has_wide_gcm() noexcept {
  static const bool has = [] {
    unsigned a = 0, b = 0, c = 0, d = 0;
    constexpr unsigned kVaes = 1u << 9;
    return __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
           __builtin_cpu_supports("avx512vl") != 0 && __builtin_cpu_supports("pclmul") != 0 &&
           __builtin_cpu_supports("vpclmulqdq") != 0 && __get_cpuid_count(7, 0, &a, &b, &c, &d) == 1 &&
           (c & kVaes) != 0;
  }();
  return has;
}

WideGcm::WideGcm(ByteView key) noexcept : round_keys_{}, powers_{} {
  CLUSTER_ASSERT(key.size() == kGcmKeyBytes && has_wide_gcm());
  expand_key(key.data(), round_keys_[0].data());
  write_powers(round_keys_[0].data(), powers_[0].data());
}

WideGcm::~WideGcm() {
  wipe({round_keys_[0].data(), sizeof round_keys_});
  wipe({powers_[0].data(), sizeof powers_});
  wipe(mask_of_tag_);
  wipe(stream_);
}

CLUSTER_WIDE void WideGcm::begin(const GcmNonce& nonce, ByteView associated) noexcept {
  Block first{};
  std::copy(nonce.begin(), nonce.end(), first.begin());
  first[kBlockBytes - 1] = 1;
  const __m128i first_counter = load(first.data());
  store(mask_of_tag_.data(), encrypt_block(round_keys_[0].data(), first_counter));
  store(counter_.data(), counter_plus(reversed(first_counter), 1));
  hash_ = {};
  begun_bytes_ = 0;
  text_bytes_ = 0;
  associated_bytes_ = associated.size();
  while (!associated.empty()) {
    Block block{};
    const std::size_t count = std::min(associated.size(), block.size());
    std::copy_n(associated.begin(), count, block.begin());
    hash_block(block);
    associated = associated.subspan(count);
  }
}

CLUSTER_WIDE void WideGcm::hash_block(const Block& block) noexcept {
  const __m128i sum = _mm_xor_si128(load(hash_.data()), reversed(load(block.data())));
  store(hash_.data(), multiplied(sum, load(powers_[kGcmStride - 1].data())));
}

CLUSTER_WIDE WideGcm::Block WideGcm::key_stream_block() noexcept {
  const __m128i counter = load(counter_.data());
  Block block;
  store(block.data(), encrypt_block(round_keys_[0].data(), reversed(counter)));
  store(counter_.data(), counter_plus(counter, 1));
  return block;
}

void WideGcm::update(AesGcm::Direction direction, ByteView from, std::uint8_t* to) noexcept {
  text_bytes_ += from.size();
  if (begun_bytes_ != 0) {
    const std::size_t count = std::min(from.size(), kBlockBytes - begun_bytes_);
    part_of_block(direction, from.first(count), to);
    from = from.subspan(count);
    to += count;
  }
  const std::size_t blocks = from.size() / kBlockBytes;
  if (blocks != 0) whole_blocks(direction, from.data(), to, blocks);
  const ByteView rest = from.subspan(blocks * kBlockBytes);
  if (!rest.empty()) part_of_block(direction, rest, to + blocks * kBlockBytes);
}

/// Bytes that begin, continue or end one block.
void WideGcm::part_of_block(AesGcm::Direction direction, ByteView from, std::uint8_t* to) noexcept {
  if (begun_bytes_ == 0) stream_ = key_stream_block();
  for (std::size_t i = 0; i < from.size(); ++i, ++begun_bytes_) {
    const auto other = static_cast<std::uint8_t>(from[i] ^ stream_[begun_bytes_]);
    begun_[begun_bytes_] = direction == AesGcm::Direction::encrypt ? other : from[i];
    to[i] = other;
  }
  if (begun_bytes_ < kBlockBytes) return;
  hash_block(begun_);
  begun_bytes_ = 0;
}

CLUSTER_WIDE void WideGcm::whole_blocks(AesGcm::Direction direction, const std::uint8_t* from,
                                        std::uint8_t* to, std::size_t blocks) noexcept {
  const Keys keys{round_keys_[0].data(), powers_[0].data()};
  if (direction == AesGcm::Direction::encrypt)
    crypt<AesGcm::Direction::encrypt>(keys, counter_.data(), hash_.data(), from, to, blocks);
  else
    crypt<AesGcm::Direction::decrypt>(keys, counter_.data(), hash_.data(), from, to, blocks);
}

CLUSTER_WIDE GcmTag WideGcm::finish() noexcept {
  if (begun_bytes_ != 0) {
    std::fill(begun_.begin() + static_cast<std::ptrdiff_t>(begun_bytes_), begun_.end(), std::uint8_t{0});
    hash_block(begun_);
    begun_bytes_ = 0;
  }
  Block lengths;
  store_be(lengths.data(), associated_bytes_ * 8);
  store_be(lengths.data() + 8, text_bytes_ * 8);
  hash_block(lengths);
  GcmTag tag;
  store(tag.data(), _mm_xor_si128(reversed(load(hash_.data())), load(mask_of_tag_.data())));
  return tag;
}

}  // namespace cluster::crypto

#else

namespace cluster::crypto {

bool has_wide_gcm() noexcept { return false; }
WideGcm::WideGcm(ByteView) noexcept { CLUSTER_ASSERT(has_wide_gcm()); }
WideGcm::~WideGcm() = default;
void WideGcm::begin(const GcmNonce&, ByteView) noexcept {}
void WideGcm::update(AesGcm::Direction, ByteView, std::uint8_t*) noexcept {}
GcmTag WideGcm::finish() noexcept { return {}; }

}  // namespace cluster::crypto

#endif
