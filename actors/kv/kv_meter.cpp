#include "cluster/kv/kv_meter.hpp"

#include <algorithm>

namespace cluster {
namespace {

std::uint64_t& outcome_of(KvOperations& of, proto::KvVerb verb, const Result<proto::KvAnswer>& answer) {
  if (answer) return verb == proto::KvVerb::get && answer->values.empty() ? of.absent : of.ok;
  switch (answer.error().code()) {
    case Errc::refused:
    case Errc::already_exists:
    case Errc::invalid_argument:
    case Errc::too_large:
      return of.refused;
    default:
      return answer.error().executed() == Executed::no ? of.failed : of.unknown;
  }
}

}  // namespace

KvMeter::KvMeter() : operations_(3) {
  operations_[static_cast<std::size_t>(proto::KvVerb::get)].operation = "get";
  operations_[static_cast<std::size_t>(proto::KvVerb::put)].operation = "put";
  operations_[static_cast<std::size_t>(proto::KvVerb::del)].operation = "del";
}

void KvMeter::count(proto::KvVerb verb, const Result<proto::KvAnswer>& answer, Duration time) {
  auto& of = operations_[std::min(static_cast<std::size_t>(verb), operations_.size() - 1)];
  ++outcome_of(of, verb, answer);
  if (verb == proto::KvVerb::get && answer && answer->values.size() > 1) ++of.siblings;
  const double seconds = std::chrono::duration<double>(time).count();
  const auto at = std::ranges::lower_bound(kKvTimeBounds, seconds) - kKvTimeBounds.begin();
  ++of.times[static_cast<std::size_t>(at)];
  of.total_us += static_cast<std::uint64_t>(std::max<std::int64_t>(time / 1us, 0));
}

}  // namespace cluster
