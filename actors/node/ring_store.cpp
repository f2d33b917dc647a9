#include "cluster/node/ring_store.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include "cluster/base/log.hpp"

namespace cluster {

Result<std::optional<proto::SavedRing>> load_ring(DataFolder& folder, const NodeId& self) {
  const auto file = folder.read(kRingFileName, proto::kRingFileBytesMax);
  if (!file && file.error().code() == Errc::not_found) return std::optional<proto::SavedRing>();
  if (!file && file.error().code() != Errc::too_large) return file.error();
  auto saved = file ? proto::decode_ring_file(*file)
                    : Result<proto::SavedRing>(Error(Errc::corrupt, "is longer than any ring"));
  if (saved && saved->self != self)
    return Error(Errc::invalid_argument,
                 "the data directory " + folder.path() + " belongs to node '" + saved->self.str() + "'");
  if (saved) return std::optional(std::move(saved).value());

  const auto aside = folder.put_aside(kRingFileName);
  log::error("disk", "the ring file in ", folder.path(), ' ', saved.error().message(),
             "; this node starts without it",
             aside ? ", and keeps it as " + *aside : "; nothing is saved: " + aside.error().message());
  return std::optional<proto::SavedRing>();
}

std::uint64_t next_boot(const std::optional<proto::SavedRing>& saved, WallTime now) noexcept {
  const auto ms = std::chrono::floor<std::chrono::milliseconds>(now.time_since_epoch()).count();
  const auto by_time = static_cast<std::uint64_t>(std::max<std::int64_t>(ms, 1));
  return std::min(std::max(by_time, saved ? saved->boot + 1 : 0), proto::kCountMax);
}

void SaveSchedule::on_change(Instant now, bool urgent) {
  const auto due = urgent ? now : std::max(now, not_before_);
  due_ = changed_ ? std::min(due_, due) : due;
  changed_ = true;
}

bool SaveSchedule::begin(Instant now) {
  if (!changed_ || writing_ || now < due_) return false;
  changed_ = false;
  writing_ = true;
  ++begun_;
  not_before_ = now + kPeriod;
  return true;
}

void SaveSchedule::on_end(Instant now, bool succeeded) {
  if (!std::exchange(writing_, false) || succeeded) return;
  not_before_ = now + kRetryPeriod;
  on_change(now, false);
}

}  // namespace cluster
