#pragma once
#include <cstddef>

#include "actor_list.hpp"
#include "cluster/runtime/engine.hpp"
#include "cluster/runtime/io_driver.hpp"
#include "detached_threads.hpp"
#include "links.hpp"
#include "monitors.hpp"
#include "scheduler.hpp"

namespace cluster::runtime {

/// What the actors of one engine share.
struct EngineShared {
  EngineShared(const EngineConfig& config, IoDriver& driver)
      : slice_messages_max(config.slice_messages_max), io(driver), scheduler(config, driver) {}

  const std::size_t slice_messages_max;
  IoDriver& io;
  Links links;
  Monitors monitors;
  ActorList actors;
  Scheduler scheduler;
  DetachedThreads detached;
};

}  // namespace cluster::runtime
