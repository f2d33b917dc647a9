#include "inbound_gate.hpp"

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

void InboundGate::count_cast(const NodeId& from, const Error& why) {
  const auto count = [&](Count& number, log::Limit& limit) {
    add(number);
    log::limited(limit, log::Level::warn, "router", "a cast of '", from.str(),
                 "' was dropped: ", why.to_string());
  };
  if (why.code() == Errc::overloaded) return count(casts_overloaded_, overloaded_lines_);
  if (why.code() == Errc::no_server) return count(casts_no_server_, no_server_lines_);
  count(casts_bad_, bad_lines_);
}

void InboundGate::count_malformed(const NodeId& from, const Error& why) {
  add(messages_malformed_);
  log::limited(malformed_lines_, log::Level::warn, "router", "a message of '", from.str(),
               "' was dropped: ", why.message());
}

void InboundGate::count_forged(const NodeId& from, const Error& why) {
  add(messages_forged_);
  log::limited(forged_lines_, log::Level::warn, "router", "a message of '", from.str(),
               "' was refused: ", why.message());
}

InboundCounters InboundGate::counters() const noexcept {
  const auto read = [](const Count& count) { return count.load(std::memory_order_relaxed); };
  return {.waiting_bytes = total_.waiting(),
          .calls_refused = read(calls_refused_),
          .casts_overloaded = read(casts_overloaded_),
          .casts_no_server = read(casts_no_server_),
          .casts_bad = read(casts_bad_),
          .messages_malformed = read(messages_malformed_),
          .messages_forged = read(messages_forged_)};
}

}  // namespace cluster::runtime
