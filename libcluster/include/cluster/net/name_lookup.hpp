#pragma once
#include <functional>
#include <memory>
#include <vector>

#include "cluster/base/endpoint.hpp"
#include "cluster/base/result.hpp"

namespace cluster::net {

/// Asks the system's resolver (files, DNS, whatever it is told to use) for all addresses of a name, on a
/// thread of its own: getaddrinfo blocks for as long as it likes, and nobody else shall wait for it, neither
/// dials nor who destroys this. The thread starts with the first question; questions wait for each other.
/// Thread-safe.
class NameLookup {
 public:
  using Answer = std::function<void(Result<std::vector<Endpoint>>)>;

  NameLookup();
  /// Does not wait for the resolver. No answer comes after it.
  ~NameLookup();
  NameLookup(const NameLookup&) = delete;
  NameLookup& operator=(const NameLookup&) = delete;

  /// Each address with the name's port, no one twice; an address stands for itself. `answer` is called once,
  /// on the other thread, and must not destroy this. `unreachable` with the resolver's words if there is
  /// none.
  void look_up(Endpoint name, Answer answer);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace cluster::net
