#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "cluster/node/node.hpp"

namespace cluster::gateway {

/// Calls servers from threads that are not the node's, without waiting for the answers: through a server of
/// the node, named `gateway`, that waits for all of them side by side. Thread-safe.
class Caller {
 public:
  using Done = std::function<void(Result<wire::Value>)>;

  /// `node` outlives the caller.
  [[nodiscard]] static Result<std::unique_ptr<Caller>> start(Node& node);
  ~Caller();

  /// `done` is called once, on any thread: it must not block. As Node::call.
  void call(std::string address, std::string event, wire::Value message, Duration timeout, Done done);
  /// What is open ends as `stopped`, what comes later too. Ends the server.
  void stop();

  class Desk;

 private:
  Caller(Node& node, std::shared_ptr<Desk> desk);

  Node& node_;
  std::shared_ptr<Desk> desk_;
  std::function<Result<void>(std::uint64_t)> send_;
  std::function<void()> end_server_;
};

}  // namespace cluster::gateway
