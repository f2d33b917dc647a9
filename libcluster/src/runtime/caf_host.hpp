#pragma once
#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>

namespace cluster::runtime {

/// The CAF actor system behind an engine: ids, links, monitors and exits of actors are its own. It has no
/// threads, reads no command line, files or environment, and logs nothing: the engine's Scheduler takes the
/// place of CAF's.
class CafHost {
 public:
  CafHost();
  /// All actors must have ended.
  ~CafHost();
  CafHost(const CafHost&) = delete;
  CafHost& operator=(const CafHost&) = delete;

  [[nodiscard]] caf::actor_system& system() noexcept { return system_; }

 private:
  caf::actor_system_config config_;
  caf::actor_system system_;
};

}  // namespace cluster::runtime
