#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "cluster/base/endpoint.hpp"
#include "process.hpp"

namespace cluster::bench {

/// The path of another program of this build. Throws Failure if it was not built.
[[nodiscard]] std::string program(const std::string& name);

/// A cluster-node, as it runs in service, on loopback; it listens.
class ServiceNode {
 public:
  ServiceNode(const std::string& id, const std::string& cookie, std::vector<std::string> options);
  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
  [[nodiscard]] Endpoint endpoint() const { return {"127.0.0.1", port_}; }
  /// A file of its in /proc.
  [[nodiscard]] std::string file(const std::string& name) const {
    return "/proc/" + std::to_string(process_.pid()) + "/" + name;
  }

 private:
  std::uint16_t port_;
  Process process_;
};

}  // namespace cluster::bench
