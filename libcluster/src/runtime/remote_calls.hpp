#pragma once
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <vector>

#include "cluster/base/node_id.hpp"
#include "cluster/net/net_kernel.hpp"
#include "cluster/runtime/message.hpp"

namespace cluster::runtime {

/// The calls that this node has open at other nodes. Thread-safe. Ids start at a random number, so that an
/// earlier life's late reply finds nobody.
class RemoteCalls {
 public:
  struct Call {
    NodeId node;
    ReplyTo to;
    std::optional<net::Ticket> ticket;  ///< empty until the kernel took it
    std::uint64_t breaks = 0;           ///< of the node's links, when it was opened
  };

  explicit RemoteCalls(std::uint64_t first_id) : last_(first_id) {}
  RemoteCalls();

  std::uint64_t open(const NodeId& node, ReplyTo to);
  /// The kernel took the call. If a link to the node broke meanwhile and the message did not stay in its
  /// queue (`is_queued`), nobody else will end the call: it is handed out.
  std::optional<Call> set_ticket(std::uint64_t id, net::Ticket ticket,
                                 const std::function<bool(net::Ticket)>& is_queued);
  /// Ends the call and hands it out; nothing if it has ended.
  std::optional<Call> close(std::uint64_t id);
  /// The same, only if it is a call to `node`: nobody answers for another.
  std::optional<Call> close_at(std::uint64_t id, const NodeId& node);
  /// A link to `node` broke, or its queue was dropped: ends all calls to it for which `ends(ticket)`.
  std::vector<Call> close_all(const NodeId& node, const std::function<bool(net::Ticket)>& ends);

 private:
  std::mutex mutex_;
  std::unordered_map<std::uint64_t, Call> calls_;
  std::unordered_map<NodeId, std::uint64_t> breaks_;  // one entry a node that ever was a peer
  std::uint64_t last_;
};

}  // namespace cluster::runtime
