#pragma once
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <utility>

#include "cluster/base/time.hpp"

namespace cluster::net {

/// One-shot timers of the polling thread, on one timer of Asio's.
class Timers {
 public:
  using Id = std::pair<Instant, std::uint64_t>;  // default: no timer

  explicit Timers(boost::asio::io_context& io) : timer_(io) {}
  /// Calls `then` on the polling thread once `due` is reached.
  [[nodiscard]] Id add(Instant due, std::function<void()> then);
  /// Forgets a timer; harmless if it has fired. Resets `id`.
  void cancel(Id& id);
  void clear();

 private:
  void arm();
  void on_fired();

  boost::asio::steady_timer timer_;
  std::map<Id, std::function<void()>> timers_;
  std::uint64_t serial_ = 0;
  Instant armed_ = kNever;
};

}  // namespace cluster::net
