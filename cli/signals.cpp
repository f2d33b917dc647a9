#include "signals.hpp"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>

namespace cluster::cli {
namespace {

sigset_t stop_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  return set;
}

}  // namespace

StopSignals::StopSignals() {
  const auto set = stop_signals();
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

bool StopSignals::wait(std::chrono::seconds most) {
  const auto set = stop_signals();
  const timespec time{.tv_sec = most.count(), .tv_nsec = 0};
  int signal = -1;
  do {
    signal = ::sigtimedwait(&set, nullptr, &time);
  } while (signal < 0 && errno == EINTR);
  if (signal < 0) return false;
  ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
  return true;
}

void StopSignals::raise() { ::kill(::getpid(), SIGTERM); }

}  // namespace cluster::cli
