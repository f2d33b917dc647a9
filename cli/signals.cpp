#include "signals.hpp"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

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

void StopSignals::wait() {
  const auto set = stop_signals();
  int signal = 0;
  while (::sigwait(&set, &signal) != 0) {
  }
  ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

void StopSignals::raise() { ::kill(::getpid(), SIGTERM); }

}  // namespace cluster::cli
