#pragma once
#include <cstdint>
#include <optional>
#include <string_view>

#include "cluster/node/data_folder.hpp"
#include "cluster/proto/ring_file.hpp"

/// The ring file of a node's data folder.
namespace cluster {

inline constexpr std::string_view kRingFileName = "ring";

/// What the last process of this node saved, if anything can be used. A file that is damaged or of another
/// version is put aside and warned of. `invalid_argument` if it is another node's, `io` if it is there and
/// cannot be read.
[[nodiscard]] Result<std::optional<proto::SavedRing>> load_ring(DataFolder& folder, const NodeId& self);

/// The number of a new process: greater than that of the last one, and else the time in ms.
[[nodiscard]] std::uint64_t next_boot(const std::optional<proto::SavedRing>& saved, WallTime now) noexcept;

/// When to write the ring. One write at a time, and what changes meanwhile waits for the next one: however
/// many edits come, the disk sets the pace. A change that somebody waits for is written at once, others up to
/// `period` later. Pure: the driver writes.
class SaveSchedule {
 public:
  static constexpr Duration kPeriod = 500ms;
  static constexpr Duration kRetryPeriod = 5s;  ///< after a failure

  /// What there is to save has changed. `urgent`: somebody waits until it is on the disk.
  void on_change(Instant now, bool urgent);
  /// Whether a write is due; if so it has begun, and holds all changes so far.
  [[nodiscard]] bool begin(Instant now);
  /// The write has ended.
  void on_end(Instant now, bool succeeded);
  /// The number of the write that will hold all changes so far.
  [[nodiscard]] std::uint64_t number() const noexcept { return changed_ ? begun_ + 1 : begun_; }
  /// Writes up to this number have ended.
  [[nodiscard]] std::uint64_t ended() const noexcept { return writing_ ? begun_ - 1 : begun_; }
  /// When `begin` is next to be asked; `kNever` while nothing is to be done but to wait for the end of a
  /// write.
  [[nodiscard]] Instant next_deadline() const noexcept { return changed_ && !writing_ ? due_ : kNever; }

 private:
  bool changed_ = false;
  bool writing_ = false;
  std::uint64_t begun_ = 0;
  Instant due_ = kNever;  // of the next write, if something changed
  Instant not_before_{};  // of a write that nobody waits for
};

}  // namespace cluster
