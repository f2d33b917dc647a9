#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/base/bytes.hpp"
#include "cluster/base/result.hpp"
#include "cluster/base/time.hpp"
#include "cluster/ds/dotted_set.hpp"
#include "cluster/wire/codec.hpp"

/// [number, nonce, count]: contexts travel with every read.
template <>
struct cluster::wire::Codec<cluster::Dot> {
  static std::string type() { return "dot"; }
  static void encode(Writer& to, const Dot& dot) {
    to.array(3);
    to.unsigned_integer(dot.actor.number);
    to.unsigned_integer(dot.actor.nonce);
    to.unsigned_integer(dot.count);
  }
  static bool decode(Reader& from, Dot& dot) {
    return detail::exactly(from, 3) && from.integer(dot.actor.number) && from.integer(dot.actor.nonce) &&
           from.integer(dot.count);
  }
};

/// What the key-value store holds of a key, and how the keys of a bucket are treated.
namespace cluster::proto {

inline constexpr std::size_t kKvKeyBytesMax = 1024;
inline constexpr std::size_t kKvBucketBytesMax = 64;
inline constexpr std::size_t kKvValueBytesMax = 64u << 20;
/// All siblings of a key together; a write that would make them more is refused, on each replica.
inline constexpr std::size_t kKvRecordBytesMax = kKvValueBytesMax + (1u << 20);
inline constexpr std::size_t kKvSiblingsMax = 64;
inline constexpr std::uint32_t kKvReplicasMax = 16;

/// A bucket's name is 1..64 letters, digits, '.', '_' and '-'; a key 1..1024 bytes, whatever they are.
struct KvKey {
  static constexpr bool wire_positional = true;

  std::string bucket{};
  std::string key{};
  friend auto operator<=>(const KvKey&, const KvKey&) = default;
};
[[nodiscard]] Result<void> check(const KvKey& key);
[[nodiscard]] bool is_bucket_name(std::string_view name) noexcept;
/// The text that CHash places: "bucket/key".
[[nodiscard]] std::string ring_text(const KvKey& key);

/// One version of a value. A deleted one is kept until all have heard of it.
struct KvValue {
  static constexpr bool wire_positional = true;

  Bytes data{};
  bool deleted = false;
  WallTime written{};  ///< by its coordinator's clock
  WallTime expires{};  ///< zero: never
  [[nodiscard]] bool is_dead(WallTime now) const noexcept {
    return deleted || (expires != WallTime{} && expires <= now);
  }
  friend bool operator==(const KvValue&, const KvValue&) = default;
};

using KvRecord = DottedSet<KvValue>;

/// The same for two records only if they are the same: a dot stands for its value. Zero for an empty record.
[[nodiscard]] std::uint64_t fingerprint(const KvKey& key, const KvRecord& record);
/// Bytes of all its values.
[[nodiscard]] std::size_t bytes_of(const KvRecord& record) noexcept;
/// For what came from elsewhere.
[[nodiscard]] Result<void> check(const KvRecord& record);
/// Nothing in it can be read any more.
[[nodiscard]] bool is_dead(const KvRecord& record, WallTime now) noexcept;
/// The latest that was written in it.
[[nodiscard]] WallTime written_last(const KvRecord& record) noexcept;
/// When the last of the values that can be read goes; zero: never.
[[nodiscard]] WallTime expires_last(const KvRecord& record, WallTime now) noexcept;

/// What becomes of values whose writers did not know of each other.
enum class KvResolve : std::uint8_t {
  siblings = 0,  ///< a reader gets all of them, and writes what they mean together
  last = 1,      ///< the one written last by the clocks; of equal times the greater dot. The others are lost
  merge = 2,     ///< a function makes one of them
};
[[nodiscard]] constexpr bool is_known(KvResolve how) noexcept { return how <= KvResolve::merge; }

/// Makes one value of two. Commutative, associative and idempotent, and the same on all nodes.
using KvMerge = std::function<Bytes(ByteView, ByteView)>;

/// How the keys of a bucket are kept; the same on all nodes, which refuse each other otherwise.
struct KvBucket {
  std::uint32_t n = 3;  ///< replicas; fewer if the ring has fewer members
  std::uint32_t r = 2;  ///< that must answer a read
  std::uint32_t w = 2;  ///< that must have a write on their disks before it is acknowledged
  KvResolve resolve = KvResolve::siblings;
  KvMerge merge{};           ///< of `merge`
  std::string merge_name{};  ///< of the function, by which nodes see that they have the same
};
[[nodiscard]] Result<void> check(const KvBucket& bucket);

/// Leaves in `record` what the bucket's rule keeps of its siblings. All replicas that hold the same leave the
/// same.
void prune(const KvBucket& bucket, KvRecord& record);

}  // namespace cluster::proto
