#include "cluster/crypto/hmac_lanes.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "cluster/base/assert.hpp"
#include "cluster/crypto/secret.hpp"
#include "hmac_pads.hpp"
#include "sha256_lanes.hpp"

namespace cluster::crypto {
namespace {

constexpr std::size_t kBlockBytes = HmacPads::kBlockBytes;
constexpr std::size_t kLengthBytes = 8;  // of the padding: the number of bits hashed
using Block = HmacPads::Block;

// FIPS 180-4 section 5.3.3.
constexpr std::array<std::uint32_t, 8> kInitial{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                                0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

std::array<std::uint32_t, 8> absorb(const Block& pad) noexcept {
  Sha256Lane lane{.words = kInitial, .next = pad.data()};
  compress(&lane, 1, 1);
  return lane.words;
}

void store(const std::array<std::uint32_t, 8>& words, std::uint8_t* to) noexcept {
  for (std::size_t i = 0; i < words.size(); ++i) store_be(to + 4 * i, words[i]);
}

/// A message under way, as runs of whole blocks: the first block (the head and what of the body fits), the
/// body's middle where it lies, and the end with its padding (FIPS 180-4 section 5.1.1).
class Cut {
 public:
  struct Run {
    const std::uint8_t* from = nullptr;
    std::size_t blocks = 0;
  };

  Cut() = default;
  Cut(const Cut&) = delete;  // the runs point into it
  Cut& operator=(const Cut&) = delete;

  void begin(const HmacLanes::Message& message, const std::array<std::uint32_t, 8>& start) noexcept {
    const auto [head, body] = message;
    CLUSTER_ASSERT(head.size() < HmacLanes::kHeadBytesMax);
    words = start;
    const std::size_t beside = std::min(kBlockBytes - head.size(), body.size());
    std::copy_n(body.begin(), beside, std::copy(head.begin(), head.end(), first_.begin()));
    const std::size_t filled = head.size() + beside;
    const std::uint64_t bits = 8 * (kBlockBytes + head.size() + body.size());  // the key's pad counts too
    if (filled < kBlockBytes) {
      runs_ = {Run{}, Run{}, pad(ByteView(first_).first(filled), bits)};
    } else {
      const ByteView rest = body.subspan(beside);
      const std::size_t middle = rest.size() / kBlockBytes;
      runs_ = {Run{first_.data(), 1}, Run{rest.data(), middle},
               pad(rest.subspan(middle * kBlockBytes), bits)};
    }
  }

  /// The blocks that come next; null at the end.
  [[nodiscard]] Run* run() noexcept {
    const auto next =
        std::find_if(runs_.begin(), runs_.end(), [](const Run& run) { return run.blocks != 0; });
    return next == runs_.end() ? nullptr : &*next;
  }

  std::array<std::uint32_t, 8> words{};

 private:
  Run pad(ByteView rest, std::uint64_t bits) noexcept {
    const std::size_t blocks = rest.size() + 1 + kLengthBytes <= kBlockBytes ? 1 : 2;
    const auto end = std::copy(rest.begin(), rest.end(), last_.begin());
    *end = 0x80;
    std::fill(end + 1, last_.end(), std::uint8_t{0});
    store_be(last_.data() + blocks * kBlockBytes - kLengthBytes, bits);
    return {last_.data(), blocks};
  }

  Block first_{};
  std::array<std::uint8_t, 2 * kBlockBytes> last_{};
  std::array<Run, 3> runs_{};
};

}  // namespace

HmacLanes::HmacLanes(ByteView key) : alone_(key), side_by_side_(has_sha256_lanes()) {
  static_assert(kLanes == kSha256LanesMax);
  if (!side_by_side_) return;
  const HmacPads pads(key);
  inner_ = absorb(pads.inner());
  outer_ = absorb(pads.outer());
}

HmacLanes::~HmacLanes() {
  wipe({reinterpret_cast<std::uint8_t*>(inner_.data()), sizeof inner_});
  wipe({reinterpret_cast<std::uint8_t*>(outer_.data()), sizeof outer_});
}

void HmacLanes::sign(std::span<const Message> messages, std::span<Digest> codes) noexcept {
  CLUSTER_ASSERT(messages.size() == codes.size());
  if (!side_by_side_) {
    for (std::size_t i = 0; i < messages.size(); ++i)
      codes[i] = alone_.sign({messages[i].head, messages[i].body});
    return;
  }
  for (std::size_t at = 0; at < messages.size(); at += kLanes) {
    const std::size_t count = std::min(kLanes, messages.size() - at);
    sign_group(messages.subspan(at, count), codes.subspan(at, count));
  }
}

void HmacLanes::sign_group(std::span<const Message> messages, std::span<Digest> codes) noexcept {
  std::array<Cut, kLanes> cuts;
  std::array<Sha256Lane, kLanes> lanes;
  for (std::size_t i = 0; i < messages.size(); ++i) cuts[i].begin(messages[i], inner_);
  for (;;) {
    std::array<std::pair<Cut*, Cut::Run*>, kLanes> active;
    std::size_t count = 0;
    std::size_t blocks = std::numeric_limits<std::size_t>::max();
    for (Cut& cut : std::span(cuts).first(messages.size())) {
      Cut::Run* const run = cut.run();
      if (run == nullptr) continue;
      lanes[count] = {.words = cut.words, .next = run->from};
      active[count++] = {&cut, run};
      blocks = std::min(blocks, run->blocks);
    }
    if (count == 0) break;
    compress(lanes.data(), count, blocks);
    for (std::size_t i = 0; i < count; ++i) {
      const auto [cut, run] = active[i];
      cut->words = lanes[i].words;
      *run = {.from = lanes[i].next, .blocks = run->blocks - blocks};
    }
  }
  std::array<Block, kLanes> outer{};
  for (std::size_t i = 0; i < messages.size(); ++i) {
    store(cuts[i].words, outer[i].data());
    outer[i][Digest().size()] = 0x80;
    store_be(outer[i].data() + kBlockBytes - kLengthBytes,
             std::uint64_t{8 * (kBlockBytes + Digest().size())});
    lanes[i] = {.words = outer_, .next = outer[i].data()};
  }
  compress(lanes.data(), messages.size(), 1);
  for (std::size_t i = 0; i < messages.size(); ++i) store(lanes[i].words, codes[i].data());
}

}  // namespace cluster::crypto
