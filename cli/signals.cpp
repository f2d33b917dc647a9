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
  return signal >= 0;
}

void StopSignals::let_end() {
  const auto set = stop_signals();
  ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

void StopSignals::raise() { ::kill(::getpid(), SIGTERM); }

}  // namespace cluster::cli
