#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "cluster/base/node_id.hpp"
#include "cluster/base/result.hpp"
#include "cluster/proto/kv_placement.hpp"
#include "cluster/proto/kv_record.hpp"

/// What the key-value stores of two nodes say to each other. Any message may be lost, doubled, late or out of
/// order.
namespace cluster::proto {

/// What is asked of a key.
enum class KvVerb : std::uint8_t { get = 0, put = 1, del = 2 };
[[nodiscard]] constexpr bool is_known(KvVerb verb) noexcept { return verb <= KvVerb::del; }
/// When a write is carried out. Judged by the coordinator after a read of R replicas; two coordinators that
/// do not reach each other may both find it fulfilled, and what they wrote are siblings.
enum class KvCondition : std::uint8_t {
  none = 0,
  absent = 1,   ///< no value can be read
  matches = 2,  ///< the context given has seen all values that can be read, and there are some
  replace = 3,  ///< always, and with the context of that read, too: what can be read is replaced
  present = 4,  ///< some value can be read; then as `replace`
};
[[nodiscard]] constexpr bool is_known(KvCondition condition) noexcept {
  return condition <= KvCondition::present;
}

struct KvRequest {
  static constexpr bool wire_positional = true;

  KvVerb verb = KvVerb::get;
  KvKey key{};
  Bytes value{};
  VersionVector context{};  ///< of the read that the write follows; empty: of none
  KvCondition condition = KvCondition::none;
  std::uint64_t ttl_ms = 0;      ///< 0: for ever
  std::uint32_t timeout_ms = 0;  ///< 0: the store's own
};
[[nodiscard]] Result<void> check(const KvRequest& request);

/// What came of it. Of a write: no values, and the context to follow it with.
struct KvAnswer {
  static constexpr bool wire_positional = true;

  std::vector<Bytes> values{};  ///< none: not there. More than one: siblings
  VersionVector context{};
  std::uint64_t ttl_ms = 0;  ///< until the last of the values goes; 0: never
  friend bool operator==(const KvAnswer&, const KvAnswer&) = default;
};

struct KvFailure {
  static constexpr bool wire_positional = true;

  Errc code = Errc::internal;
  std::string text{};
  Executed executed = Executed::no;
};

/// To a replica: coordinate this for me.
struct KvForward {
  static constexpr bool wire_positional = true;
  static constexpr std::string_view event = "forward";
  std::uint64_t id = 0;
  KvRequest request{};
};
struct KvForwarded {
  static constexpr bool wire_positional = true;
  static constexpr std::string_view event = "forwarded";
  std::uint64_t id = 0;
  KvAnswer answer{};
  std::optional<KvFailure> failure{};
};
/// To who forwarded a write, before it is begun: is it still this node's to do?
struct KvClaim {
  static constexpr bool wire_positional = true;
  static constexpr std::string_view event = "claim";
  std::uint64_t id = 0;         ///< of the KvForward
  std::uint64_t operation = 0;  ///< the coordinator's own number
};
/// It is, and nobody else's; or another replica has it by now, or nobody waits for it any more.
struct KvGrant {
  static constexpr bool wire_positional = true;
  static constexpr std::string_view event = "grant";
  std::uint64_t operation = 0;
  bool granted = false;
};

enum class KvStatus : std::uint8_t {
  ok = 0,
  view = 1,    ///< the two place the key differently: ask again
  failed = 2,  ///< the store cannot
  large = 3,   ///< of a read: it is there, and large; ask for the whole
};
[[nodiscard]] constexpr bool is_known(KvStatus status) noexcept { return status <= KvStatus::large; }

struct KvRead {
  static constexpr bool wire_positional = true;
  static constexpr std::string_view event = "read";
  std::uint64_t id = 0;
  KvKey key{};
  std::uint64_t view = 0;
  bool whole = false;  ///< send it however large it is
};
/// `ready`: the replica has all that it ever was to hold of this key, so it counts.
struct KvReadReply {
  static constexpr bool wire_positional = true;
  static constexpr std::string_view event = "read_reply";
  std::uint64_t id = 0;
  KvStatus status = KvStatus::ok;
  bool ready = false;
  KvRecord record{};
  std::uint64_t hash = 0;   ///< of a large one: its fingerprint,
  std::uint64_t bytes = 0;  ///< and of its values
};
/// Take what this record knows.
struct KvWrite {
  static constexpr bool wire_positional = true;
  static constexpr std::string_view event = "write";
  std::uint64_t id = 0;
  KvKey key{};
  std::uint64_t view = 0;
  KvRecord record{};
};
/// `ok`: it is on the replica's disk.
struct KvWriteReply {
  static constexpr bool wire_positional = true;
  static constexpr std::string_view event = "write_reply";
  std::uint64_t id = 0;
  KvStatus status = KvStatus::ok;
  bool ready = false;
};

/// What a node says of itself to the others in its ring.
struct KvHello {
  static constexpr bool wire_positional = true;
  static constexpr std::string_view event = "hello";
  std::uint64_t ring = 0;         ///< KvPlacement::fingerprint
  std::uint64_t life = 0;         ///< of its process: one that started again may have lost its disk
  bool verified = false;          ///< it has heard which rings there were since its bases
  bool settled = false;           ///< it has all that it is to hold in this ring
  std::vector<KvRing> bases{};    ///< when it came into this ring it had what all of these gave it
  bool asks = false;              ///< for the same of the other
  bool tells = false;             ///< what it was asked; with both the next two count
  std::vector<KvRing> history{};  ///< the rings that it was in before this one, the newest last
  bool gap = false;               ///< there were others before these
  KvEdition edition{};            ///< of `ring`
  bool failed = false;            ///< its disk: nothing is to be had of this process any more
};
inline constexpr std::size_t kKvHistoryMax = 64;

// Comparing what two nodes both hold, by a hash tree over the key space: a root, kKvBranches branches of it,
// kKvBranches leaves of each. Who asks (A) ends up with all that the other (B) has, and the other way round.

inline constexpr std::size_t kKvBranches = 64;
inline constexpr std::size_t kKvLeaves = kKvBranches * kKvBranches;

/// A to B: my hashes.
struct KvSyncAsk {
  static constexpr bool wire_positional = true;
  static constexpr std::string_view event = "sync_ask";
  std::uint64_t session = 0;
  std::uint64_t ring = 0;
  std::vector<std::uint64_t> branches{};  ///< kKvBranches of them
};
/// B to A: these leaves may differ. None: we hold the same.
struct KvSyncDiffer {
  static constexpr bool wire_positional = true;
  static constexpr std::string_view event = "sync_differ";
  struct Branch {
    static constexpr bool wire_positional = true;
    std::uint16_t index = 0;
    std::vector<std::uint64_t> leaves{};  ///< kKvBranches of them
  };
  std::uint64_t session = 0;
  std::uint64_t life = 0;  ///< as in KvHello
  KvStatus status = KvStatus::ok;
  std::vector<Branch> branches{};
};
/// A to B: what I hold of the leaf from `from` (a position) on; send what else you have of it, and say which
/// of mine you want.
struct KvSyncLeaf {
  static constexpr bool wire_positional = true;
  static constexpr std::string_view event = "sync_leaf";
  struct Held {
    static constexpr bool wire_positional = true;
    std::uint64_t position = 0;
    std::uint64_t hash = 0;
    friend auto operator<=>(const Held&, const Held&) = default;
  };
  std::uint64_t session = 0;
  std::uint64_t ring = 0;
  std::uint16_t leaf = 0;
  std::uint64_t from = 0;
  std::vector<Held> held{};  ///< by position, kKvHeldMax at most: then the page ends at the last
  bool all = true;           ///< `held` goes to the end of the leaf
};
inline constexpr std::size_t kKvHeldMax = 4096;
/// Records for the other to take; it tells when they are on its disk.
struct KvSyncRecords {
  static constexpr bool wire_positional = true;
  static constexpr std::string_view event = "sync_records";
  struct Entry {
    static constexpr bool wire_positional = true;
    KvKey key{};
    KvRecord record{};
  };
  std::uint64_t session = 0;
  std::uint64_t ring = 0;
  KvStatus status = KvStatus::ok;
  std::uint16_t leaf = 0;
  std::vector<Entry> entries{};
  std::vector<std::uint64_t> wanted{};  ///< positions of what A is to send
  std::uint64_t next = 0;               ///< where the next page begins
  bool end = true;                      ///< there is no next page in this leaf
};
struct KvSyncTaken {
  static constexpr bool wire_positional = true;
  static constexpr std::string_view event = "sync_taken";
  std::uint64_t session = 0;
  std::uint16_t leaf = 0;
};

/// "May these deleted keys be forgotten?" Yes from all members: they are.
struct KvForget {
  static constexpr bool wire_positional = true;
  static constexpr std::string_view event = "forget";
  struct Entry {
    static constexpr bool wire_positional = true;
    KvKey key{};
    std::uint64_t hash = 0;
  };
  std::uint64_t id = 0;
  std::uint64_t ring = 0;
  std::vector<Entry> entries{};
  bool now = false;  ///< all have agreed: do it
};
inline constexpr std::size_t kKvForgetMax = 256;
/// For each entry whether this node holds nothing else of it.
struct KvForgetReply {
  static constexpr bool wire_positional = true;
  static constexpr std::string_view event = "forget_reply";
  std::uint64_t id = 0;
  KvStatus status = KvStatus::ok;
  std::vector<bool> agreed{};
};

using KvMessage = std::variant<KvForward, KvForwarded, KvRead, KvReadReply, KvWrite, KvWriteReply, KvHello,
                               KvSyncAsk, KvSyncDiffer, KvSyncLeaf, KvSyncRecords, KvSyncTaken, KvForget,
                               KvForgetReply, KvClaim, KvGrant>;

/// Whether all content is within its bounds. Run on everything that arrives.
[[nodiscard]] Result<void> check(const KvMessage& message);

}  // namespace cluster::proto
