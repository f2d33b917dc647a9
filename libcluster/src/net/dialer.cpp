#include "dialer.hpp"

#include <boost/asio/ip/address.hpp>
#include <boost/asio/post.hpp>
#include <utility>

namespace cluster::net {

void Dialer::start(Done done) {
  done_ = std::move(done);
  boost::system::error_code not_numeric;
  const auto address = boost::asio::ip::make_address(to_.host, not_numeric);
  if (!not_numeric) {
    addresses_.push_back(Address(address, to_.port));
    boost::asio::post(shared_.io, [self = shared_from_this()] { self->connect_next(); });
    return;
  }
  timer_ =
      shared_.timers.add(MonotonicClock::now() + shared_.limits.connect_timeout, [self = shared_from_this()] {
        self->timer_ = {};
        self->finish(Error(Errc::unreachable, "the name '" + self->to_.host + "' was not resolved in time"));
      });
  resolver_.async_resolve(
      to_.host, std::to_string(to_.port), boost::asio::ip::tcp::resolver::numeric_service,
      [self = shared_from_this()](const boost::system::error_code& fault, const auto& results) {
        if (!self->done_) return;
        self->shared_.timers.cancel(self->timer_);
        if (fault)
          return self->finish(
              Error(Errc::unreachable, "the name '" + self->to_.host + "' is not known: " + fault.message()));
        for (const auto& result : results) self->addresses_.push_back(result.endpoint());
        self->connect_next();
      });
}

void Dialer::cancel() {
  done_ = nullptr;
  shared_.timers.cancel(timer_);
  resolver_.cancel();
  socket_.reset();
}

void Dialer::connect_next() {
  if (!done_) return;
  if (next_ == addresses_.size())
    return finish(Error(Errc::unreachable, to_.to_string() + " cannot be reached: " + last_fault_));
  const Address& address = addresses_[next_++];
  socket_ = std::make_unique<Socket>(shared_.io);
  timer_ =
      shared_.timers.add(MonotonicClock::now() + shared_.limits.connect_timeout, [self = shared_from_this()] {
        self->timer_ = {};
        self->last_fault_ = "no answer in time";
        self->socket_.reset();
        self->connect_next();
      });
  socket_->async_connect(
      address, [self = shared_from_this(), attempt = next_](const boost::system::error_code& fault) {
        if (self->done_ && self->next_ == attempt && self->socket_) self->on_connected(fault);
      });
}

void Dialer::on_connected(const boost::system::error_code& fault) {
  shared_.timers.cancel(timer_);
  if (!fault) return finish(std::move(*socket_));
  last_fault_ = fault.message();
  socket_.reset();
  connect_next();
}

void Dialer::finish(Result<Socket> result) {
  const Done done = std::exchange(done_, nullptr);
  cancel();
  if (done) done(std::move(result));
}

}  // namespace cluster::net
