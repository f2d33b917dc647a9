#include "remote_calls.hpp"

#include <utility>

#include "cluster/crypto/random.hpp"

namespace cluster::runtime {

RemoteCalls::RemoteCalls() : RemoteCalls(crypto::random_u64()) {}

std::uint64_t RemoteCalls::open(const NodeId& node, ReplyTo to) {
  const std::lock_guard lock(mutex_);
  if (++last_ == 0) ++last_;  // 0 means "no call"
  const auto breaks = breaks_.find(node);
  calls_.emplace(last_,
                 Call{node, std::move(to), std::nullopt, breaks == breaks_.end() ? 0 : breaks->second});
  return last_;
}

std::optional<RemoteCalls::Call> RemoteCalls::set_ticket(std::uint64_t id, net::Ticket ticket,
                                                         const std::function<bool(net::Ticket)>& is_queued) {
  const std::lock_guard lock(mutex_);
  const auto call = calls_.find(id);
  if (call == calls_.end()) return std::nullopt;
  call->second.ticket = ticket;
  const auto breaks = breaks_.find(call->second.node);
  if (breaks == breaks_.end() || breaks->second == call->second.breaks || is_queued(ticket))
    return std::nullopt;
  std::optional<Call> orphan(std::move(call->second));
  calls_.erase(call);
  return orphan;
}

std::optional<RemoteCalls::Call> RemoteCalls::close(std::uint64_t id) {
  const std::lock_guard lock(mutex_);
  const auto call = calls_.find(id);
  if (call == calls_.end()) return std::nullopt;
  std::optional<Call> closed(std::move(call->second));
  calls_.erase(call);
  return closed;
}

std::optional<RemoteCalls::Call> RemoteCalls::close_at(std::uint64_t id, const NodeId& node) {
  const std::lock_guard lock(mutex_);
  const auto call = calls_.find(id);
  if (call == calls_.end() || call->second.node != node) return std::nullopt;
  std::optional<Call> closed(std::move(call->second));
  calls_.erase(call);
  return closed;
}

std::vector<RemoteCalls::Call> RemoteCalls::close_all(const NodeId& node,
                                                      const std::function<bool(net::Ticket)>& ends) {
  std::vector<Call> closed;
  const std::lock_guard lock(mutex_);
  ++breaks_[node];
  for (auto call = calls_.begin(); call != calls_.end();) {
    if (call->second.node == node && call->second.ticket && ends(*call->second.ticket)) {
      closed.push_back(std::move(call->second));
      call = calls_.erase(call);
    } else {
      ++call;
    }
  }
  return closed;
}

}  // namespace cluster::runtime
