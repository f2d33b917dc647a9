// What a look-up in a consistent-hash ring costs at least: 100 nodes of 160 points each, keys of 16 bytes,
// one thread, look-ups that do not wait for each other. Workload `chash`: the hash alone, and with each kind
// of search.
#define XXH_INLINE_ALL
#include <openssl/evp.h>
#include <xxhash.h>

#include <cstdint>
#include <cstring>
#include <random>

#include "peer.hpp"

namespace {
using namespace peer;

const Results result("raw hash ring");

constexpr int kBucketBits = 14;  // about one point a bucket

struct Ring {
  std::vector<std::uint64_t> points;  // sorted
  std::vector<std::uint16_t> owners;
  std::vector<std::uint32_t> buckets;  // by a point's top bits: the first point that is not below
  std::vector<std::uint64_t> tree;     // the points in Eytzinger order, from 1
  std::vector<std::uint32_t> tree_at;  // where each stands in `points`

  Ring() {
    std::vector<std::pair<std::uint64_t, std::uint16_t>> made;
    for (std::uint16_t node = 0; node < 100; ++node) {
      for (int point = 1; point <= 160; ++point) {
        const std::string text = "node" + std::to_string(node) + "_" + std::to_string(point);
        made.emplace_back(XXH3_64bits(text.data(), text.size()), node);
      }
    }
    std::sort(made.begin(), made.end());
    for (const auto& [point, node] : made) {
      points.push_back(point);
      owners.push_back(node);
    }
    for (std::uint64_t bucket = 0; bucket < 1u << kBucketBits; ++bucket)
      buckets.push_back(static_cast<std::uint32_t>(
          std::lower_bound(points.begin(), points.end(), bucket << (64 - kBucketBits)) - points.begin()));
    tree.resize(points.size() + 1);
    tree_at.resize(points.size() + 1);
    fill_tree(0, 1);
  }
  std::size_t fill_tree(std::size_t next, std::size_t at) {
    if (at >= tree.size()) return next;
    next = fill_tree(next, 2 * at);
    tree[at] = points[next];
    tree_at[at] = static_cast<std::uint32_t>(next);
    return fill_tree(next + 1, 2 * at + 1);
  }
  [[nodiscard]] std::uint16_t owner(std::size_t at) const { return owners[at == points.size() ? 0 : at]; }

  [[nodiscard]] std::uint16_t by_binary_search(std::uint64_t hash) const {
    return owner(
        static_cast<std::size_t>(std::upper_bound(points.begin(), points.end(), hash) - points.begin()));
  }
  [[nodiscard]] std::uint16_t by_buckets(std::uint64_t hash) const {
    std::size_t at = buckets[hash >> (64 - kBucketBits)];
    while (at < points.size() && points[at] <= hash) ++at;
    return owner(at);
  }
  [[nodiscard]] std::uint16_t by_eytzinger(std::uint64_t hash) const {
    std::size_t at = 1;
    while (at < tree.size()) {
      __builtin_prefetch(tree.data() + std::min(at * 16, tree.size() - 1));
      at = 2 * at + (tree[at] <= hash ? 1 : 0);
    }
    at >>= __builtin_ffsll(static_cast<long long>(~at));
    return at == 0 ? owners[0] : owners[tree_at[at]];
  }
};

using Key = std::array<char, 16>;

void chash(Scale scale) {
  const Ring ring;
  std::vector<Key> keys(1 << 18);
  std::mt19937_64 random(1);
  for (auto& key : keys) {
    const std::array<std::uint64_t, 2> halves{random(), random()};
    std::memcpy(key.data(), halves.data(), key.size());
  }
  EVP_MD* const sha256 = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  EVP_MD_CTX* const context = EVP_MD_CTX_new();
  const auto by_xxh3 = [](const Key& key) { return XXH3_64bits(key.data(), key.size()); };
  const auto by_sha256 = [&](const Key& key) {
    std::array<unsigned char, 32> digest{};
    EVP_DigestInit_ex2(context, sha256, nullptr);
    EVP_DigestUpdate(context, key.data(), key.size());
    EVP_DigestFinal_ex(context, digest.data(), nullptr);
    std::uint64_t hash = 0;
    std::memcpy(&hash, digest.data(), sizeof hash);
    return hash;
  };
  const auto measure = [&](const char* name, long times, auto hash, auto find) {
    std::uint64_t sum = 0;
    const auto start = Clock::now();
    for (long i = 0; i < times; ++i) sum += find(hash(keys[static_cast<std::size_t>(i) & (keys.size() - 1)]));
    const double seconds = seconds_since(start);
    asm volatile("" : : "r"(sum));
    result("chash", name, "ns", seconds / static_cast<double>(times) * 1e9);
  };
  for (const auto& key : keys) {
    const auto hash = by_xxh3(key);
    const auto owner = ring.by_binary_search(hash);
    if (ring.by_buckets(hash) != owner || ring.by_eytzinger(hash) != owner) fail("the searches disagree");
  }
  const auto nothing = [](std::uint64_t hash) { return hash; };
  const auto binary = [&](std::uint64_t hash) { return ring.by_binary_search(hash); };
  const auto buckets = [&](std::uint64_t hash) { return ring.by_buckets(hash); };
  const auto eytzinger = [&](std::uint64_t hash) { return ring.by_eytzinger(hash); };
  const long many = scale(4 << 20), fewer = scale(1 << 20);
  measure("xxh3 alone", many, by_xxh3, nothing);
  measure("xxh3, binary search", many, by_xxh3, binary);
  measure("xxh3, Eytzinger search", many, by_xxh3, eytzinger);
  measure("xxh3, bucket index", many, by_xxh3, buckets);
  measure("sha256 alone", fewer, by_sha256, nothing);
  measure("sha256, bucket index", fewer, by_sha256, buckets);
  EVP_MD_CTX_free(context);
  EVP_MD_free(sha256);
}

}  // namespace

int main(int argc, char** argv) { return run(argc, argv, {{"chash", chash}}); }
