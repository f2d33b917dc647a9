#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "cluster/base/result.hpp"
#include "registry.hpp"

namespace cluster::runtime {

/// Finds the server and the event that a message from the network names, and remembers what it found: most
/// messages are for the same few. Of the polling thread alone.
class Deliveries {
 public:
  struct Way {
    std::string server;
    std::string event;
    ActorRef actor;
    const Event* known = nullptr;
    bool system = false;  ///< a server that the node itself needs
  };

  explicit Deliveries(const Registry& registry) noexcept : registry_(registry) {}
  /// `no_server`, or `bad_message` if the server has no such event. Valid until the next `find`.
  [[nodiscard]] Result<const Way*> find(std::string_view server, std::string_view event);

 private:
  [[nodiscard]] Result<const Way*> look_up(Way& way, std::string_view server, std::string_view event) const;

  static constexpr std::size_t kWays = 64;
  const Registry& registry_;
  std::uint64_t version_ = 0;  // of the registry, when the ways were found
  std::array<Way, kWays> ways_;
};

}  // namespace cluster::runtime
