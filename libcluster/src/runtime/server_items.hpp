#pragma once
#include "cluster/base/time.hpp"
#include "cluster/runtime/message.hpp"
#include "cluster/runtime/server_host.hpp"

namespace cluster::runtime {

struct TimerItem final : Item {
  explicit TimerItem(ServerHost::Timer which) noexcept : Item(Kind::timer), timer(which) {}
  ServerHost::Timer timer;
};

/// The time by which the first of a server's open calls wants its answer.
struct DeadlineItem final : Item {
  explicit DeadlineItem(Instant due) noexcept : Item(Kind::deadline), at(due) {}
  Instant at;
};

struct PauseItem final : Item {
  explicit PauseItem(bool pause) noexcept : Item(pause ? Kind::pause : Kind::resume) {}
};

}  // namespace cluster::runtime
