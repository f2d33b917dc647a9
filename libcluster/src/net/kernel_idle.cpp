#include <array>
#include <utility>
#include <vector>

#include "cluster/base/log.hpp"
#include "kernel.hpp"

// Closing connections that nobody uses: those to peers on demand.
namespace cluster::net {
namespace {

// Looked at so often in the time without traffic, so closed at most a quarter of it later.
constexpr int kLooksPerTimeout = 4;
// After the goodbye the peer has this long to close.
constexpr Duration kEndTimeout = 1s;

}  // namespace

void Kernel::watch_idle() {
  if (idle_watch_ != Timers::Id{} || stopping_) return;
  idle_watch_ =
      shared_.timers.add(MonotonicClock::now() + shared_.limits.idle_timeout / kLooksPerTimeout, [this] {
        idle_watch_ = {};
        look_for_idle();
        watch_idle();
      });
}

void Kernel::look_for_idle() {
  std::vector<ConnectionRef> links;
  {
    const std::shared_lock lock(peers_mutex_);
    for (const auto& [id, peer] : peers_)
      if (peer->on_demand())
        if (const ConnectionRef link = peer->link(); link && link->can_idle && !link->predecessor)
          links.push_back(link);
  }
  const Instant now = MonotonicClock::now();
  for (const auto& link : links) {
    const auto written = link->peer->frames_written(link);
    const std::uint64_t seen = written.value_or(0) + link->frames_read();
    if (!written || std::exchange(link->frames_seen, seen) != seen)
      link->quiet_since = now;
    else if (now - link->quiet_since >= shared_.limits.idle_timeout && events_.is_idle(link->info))
      link->peer->ask_idle(link, *written);
  }
}

void Kernel::on_idle(const ConnectionRef& link, wire::IdleWord word) {
  if (word == wire::IdleWord::stay) return link->peer->resume(link);
  on_idle_asked(link);
}

/// The peer sends nothing before it has an answer, and all that it sent before was read. So if nothing is to
/// be sent from here either, nothing can be lost.
void Kernel::on_idle_asked(const ConnectionRef& link) {
  if (link->leaving || link->reported_down) return;  // it hears our goodbye
  if (!events_.is_idle(link->info) || !link->peer->agree_idle(link)) {
    const std::array body{static_cast<std::uint8_t>(wire::IdleWord::stay)};
    if (!link->peer->send_own(link, wire::FrameKind::idle, body))
      on_broken(link, PeerDownReason::protocol_error, "the peer asks and does not read");
    return;
  }
  link->expect_end();
  link_down(link, PeerDownReason::idle, "idle");
  static_cast<void>(shared_.timers.add(MonotonicClock::now() + kEndTimeout, [this, link] { drop(link); }));
}

}  // namespace cluster::net
