#include "inbound_gate.hpp"

#include "cluster/base/log.hpp"

namespace cluster::runtime {

InboundAccount* InboundGate::admit(ActorCore& server, std::uint64_t bytes) {
  InboundAccount& account = server.inbound(total_);
  const std::uint64_t waiting = account.waiting();
  // Small ones for an idle server do not look at the node's total: a stuck server must not cut off the
  // others.
  if (waiting == 0 && bytes < LargestWaiting::kLargeBytesMin) return &account;
  const bool fits = account.largest().rest_with(bytes, waiting) <= limits_.server_bytes_max &&
                    total_.largest().rest_with(bytes, total_.waiting()) <= limits_.node_bytes_max;
  return fits ? &account : nullptr;
}

void InboundGate::count_cast(Errc why) {
  if (why == Errc::no_server) return add(casts_no_server_);
  if (why != Errc::overloaded) return add(casts_bad_);
  add(casts_overloaded_);
  const Instant now = MonotonicClock::now();
  if (now < warn_at_) return;
  warn_at_ = now + kWarningPause;
  log::warn("router", "casts are dropped: their servers do not keep up; ",
            casts_overloaded_.load(std::memory_order_relaxed), " so far");
}

InboundCounters InboundGate::counters() const noexcept {
  const auto read = [](const Count& count) { return count.load(std::memory_order_relaxed); };
  return {.waiting_bytes = total_.waiting(),
          .calls_refused = read(calls_refused_),
          .casts_overloaded = read(casts_overloaded_),
          .casts_no_server = read(casts_no_server_),
          .casts_bad = read(casts_bad_),
          .messages_malformed = read(messages_malformed_)};
}

}  // namespace cluster::runtime
