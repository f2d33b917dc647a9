#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cluster/base/bytes.hpp"
#include "cluster/base/result.hpp"
#include "cluster/proto/ring_state.hpp"

/// The file in which a node keeps its ring over a restart. What it says is a hint whom to dial, and what this
/// node must not forget: its edits, its boot, and which rings it is no member of any more.
///
///     magic 8 bytes | format u32 | length u64 | SHA-256 of all other bytes, 32 | content
///
/// Integers are in network order; `length` is that of the content, which is MessagePack (wire/codec.hpp): a
/// map by field names, so that a field more or less needs no new format.
namespace cluster::proto {

inline constexpr std::uint32_t kRingFileFormat = 1;
inline constexpr std::size_t kRingFileHeaderBytes = 52;
/// More than the greatest ring takes: 32,768 records and 65,536 clock entries with the longest ids.
inline constexpr std::size_t kRingFileBytesMax = std::size_t{96} << 20;

/// A ring that this node left or was removed from, and what it was there: what answers its members, and what
/// keeps a restart from undoing it.
struct DepartedRing {
  std::string ring{};
  RingMember own{};

  friend bool operator==(const DepartedRing&, const DepartedRing&) = default;
};

struct SavedRing {
  static constexpr std::size_t kDepartedMax = 8;

  NodeId self{};
  std::uint64_t boot = 0;  ///< the greatest number that a process of this node has had
  std::string ring{};      ///< empty: in none
  RingImage state{};
  std::vector<DepartedRing> departed{};    ///< the oldest first
  std::optional<WeightRegister> weight{};  ///< of this node, when it last did not drain

  friend bool operator==(const SavedRing&, const SavedRing&) = default;
};

[[nodiscard]] Bytes encode_ring_file(const SavedRing& saved);
/// `incompatible` for a file of another format, `corrupt` for anything else that is not such a file, whole
/// and within all bounds. The text continues "The ring file ...".
[[nodiscard]] Result<SavedRing> decode_ring_file(ByteView file);

}  // namespace cluster::proto
