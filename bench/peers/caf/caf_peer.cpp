// CAF as it comes (Debian's 0.17.6): event-based actors, `request(...).then(...)` and `send`; between
// processes the middleman of caf::io over loopback TCP, without signatures. The scheduler gets as many
// threads as there are cores (its own default is at least four). What is measured:
//   W1           one actor calls another, one request after the other, an int32 each way
//   thread-call  the same from a plain thread, through a scoped_actor
//   W2           one actor sends to another, until that one has counted all
//   W3, callers  as W1 with strings of 64 B between two processes; `callers` with 1, 8, 64 and 512 calling
//   actors W4           64 calling actors W5, sizes    as W2 with strings between two processes; `sizes` also
//   the latency, as W3 W6           100,000 actors without state: time and resident bytes of each
#include <atomic>
#include <condition_variable>
#include <cstring>
#include <fstream>
#include <memory>
#include <mutex>
#include <thread>

#include "caf/all.hpp"
#include "caf/io/all.hpp"
#include "peer.hpp"

namespace {
using peer::Clock;
using peer::Scale;

using Cast = caf::atom_constant<caf::atom("cast")>;
using Seen = caf::atom_constant<caf::atom("seen")>;
using Reset = caf::atom_constant<caf::atom("reset")>;
using Go = caf::atom_constant<caf::atom("go")>;
using Quit = caf::atom_constant<caf::atom("quit")>;

const peer::Results result("CAF " + std::to_string(CAF_VERSION / 10'000) + "." +
                           std::to_string(CAF_VERSION / 100 % 100) + "." + std::to_string(CAF_VERSION % 100));

struct LocalConfig : caf::actor_system_config {
  LocalConfig() {
    set("scheduler.max-threads", static_cast<std::size_t>(std::thread::hardware_concurrency()));
  }
};
struct NetConfig : LocalConfig {
  NetConfig() { load<caf::io::middleman>(); }
};

// Answers what it is called with, and counts what is cast.
struct EchoState {
  std::int64_t seen = 0;
};
caf::behavior echo(caf::stateful_actor<EchoState>* self) {
  return {
      [](std::int32_t number) { return number; },
      [](const std::string& text) { return text; },
      [self](Cast, std::int32_t) { ++self->state.seen; },
      [self](Cast, const std::string&) { ++self->state.seen; },
      [self](Seen) { return self->state.seen; },
      [self](Reset) { return self->state.seen = 0; },
      [self](Quit) { self->quit(); },
  };
}

class Countdown {
 public:
  explicit Countdown(int from) : left_(from) {}
  void hit() {
    const std::lock_guard lock(mutex_);
    if (--left_ == 0) zero_.notify_all();
  }
  void wait() {
    std::unique_lock lock(mutex_);
    zero_.wait(lock, [this] { return left_ == 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable zero_;
  int left_;
};

/// Calls `server` so many times, one call after the other, keeps what each took (if `each` is given), and
/// hits `done`.
template <class T>
class Caller : public caf::event_based_actor {
 public:
  Caller(caf::actor_config& config, caf::actor server, T value, long calls, std::vector<double>* each,
         Countdown* done)
      : event_based_actor(config),
        server_(std::move(server)),
        value_(std::move(value)),
        left_(calls),
        each_(each),
        done_(done) {}
  caf::behavior make_behavior() override {
    return {[this](Go) {
      sent_ = Clock::now();
      call();
    }};
  }

 private:
  void call() {
    request(server_, caf::infinite, value_)
        .then([this](const T&) { on_reply(); },
              [](const caf::error&) {
                std::fprintf(stderr, "a call failed\n");
                _exit(1);
              });
  }
  void on_reply() {
    if (each_ != nullptr) {
      const auto now = Clock::now();
      each_->push_back(std::chrono::duration<double, std::micro>(now - sent_).count());
      sent_ = now;
    }
    if (--left_ > 0) return call();
    done_->hit();
    quit();
  }

  caf::actor server_;
  T value_;
  long left_;
  std::vector<double>* each_;
  Countdown* done_;
  peer::Instant sent_;
};

struct Latency {
  double p50_us = 0, p99_us = 0, calls_per_second = 0;
};

/// `calls` by `callers` actors together.
template <class T>
Latency measure_calls(caf::actor_system& system, const caf::actor& server, const T& value, int callers,
                      long calls, bool keep_each = true) {
  Countdown done(callers);
  std::vector<std::vector<double>> each(static_cast<std::size_t>(callers));
  std::vector<caf::actor> actors;
  for (auto& kept : each) {
    if (keep_each) kept.reserve(static_cast<std::size_t>(calls / callers));
    actors.push_back(
        system.spawn<Caller<T>>(server, value, calls / callers, keep_each ? &kept : nullptr, &done));
  }
  const auto start = Clock::now();
  for (const auto& actor : actors) caf::anon_send(actor, Go::value);
  done.wait();
  Latency latency{.calls_per_second =
                      static_cast<double>(calls / callers * callers) / peer::seconds_since(start)};
  if (!keep_each) return latency;
  std::vector<double> all;
  for (const auto& kept : each) all.insert(all.end(), kept.begin(), kept.end());
  latency.p50_us = peer::percentile(all, .5);
  latency.p99_us = peer::percentile(all, .99);
  return latency;
}

std::int64_t ask(caf::scoped_actor& self, const caf::actor& server, const caf::message& question) {
  std::int64_t answer = -1;
  self->request(server, caf::infinite, question)
      .receive([&](std::int64_t number) { answer = number; },
               [](const caf::error&) { peer::fail("a call failed"); });
  return answer;
}

/// Messages a second that one actor sends, until the server has counted all.
template <class T>
double measure_casts(caf::actor_system& system, const caf::actor& server, const T& value, long casts) {
  caf::scoped_actor self{system};
  ask(self, server, caf::make_message(Reset::value));
  const auto start = Clock::now();
  const auto flood = system.spawn([=](caf::event_based_actor* sender) {
    for (long i = 0; i < casts; ++i) sender->send(server, Cast::value, value);
  });
  self->wait_for(flood);
  const auto seen = ask(self, server, caf::make_message(Seen::value));
  const double seconds = peer::seconds_since(start);
  if (seen != casts) {
    std::fprintf(stderr, "%ld casts were sent, %ld seen\n", casts, static_cast<long>(seen));
    std::exit(1);
  }
  return static_cast<double>(casts) / seconds;
}

void w1(Scale scale) {
  LocalConfig config;
  caf::actor_system system{config};
  const auto server = system.spawn(echo);
  measure_calls(system, server, std::int32_t{7}, 1, scale(50'000), false);
  const auto rate = measure_calls(system, server, std::int32_t{7}, 1, scale(500'000), false).calls_per_second;
  result("W1", "call", "ns/call", 1e9 / rate);
  caf::anon_send(server, Quit::value);
}
void thread_call(Scale scale) {
  LocalConfig config;
  caf::actor_system system{config};
  const auto server = system.spawn(echo);
  caf::scoped_actor self{system};
  std::vector<double> each;
  for (long i = scale(30'000); i > 0; --i) {
    const auto sent = Clock::now();
    self->request(server, caf::infinite, std::int32_t{7})
        .receive([](std::int32_t) {}, [](const caf::error&) { peer::fail("a call failed"); });
    each.push_back(peer::seconds_since(sent) * 1e9);
  }
  result("thread-call", "p50", "ns", peer::percentile(each, .5));
  result("thread-call", "p99", "ns", peer::percentile(each, .99));
  caf::anon_send(server, Quit::value);
}
void w2(Scale scale) {
  LocalConfig config;
  caf::actor_system system{config};
  const auto server = system.spawn(echo);
  result("W2", "cast", "msg/s", measure_casts(system, server, std::int32_t{7}, scale(2'000'000)));
  caf::anon_send(server, Quit::value);
}

double resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  double total = 0, resident = 0;
  statm >> total >> resident;
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE));
}
caf::behavior idle(caf::event_based_actor*) {
  return {[](std::int32_t) {}};
}
void w6(Scale scale) {
  LocalConfig config;
  caf::actor_system system{config};
  const long count = scale(100'000);
  std::vector<caf::actor> actors;
  actors.reserve(static_cast<std::size_t>(count));
  const double before = resident_bytes();
  const auto start = Clock::now();
  for (long i = 0; i < count; ++i) actors.push_back(system.spawn(idle));
  const double seconds = peer::seconds_since(start);
  usleep(200'000);  // their first turns
  result("W6", "spawn", "ns/actor", seconds / static_cast<double>(count) * 1e9);
  result("W6", "RSS", "B/actor", (resident_bytes() - before) / static_cast<double>(count));
  for (const auto& actor : actors) caf::anon_send_exit(actor, caf::exit_reason::kill);
}

/// An echo server in a process of its own, and what reaches it from here.
class Remote {
 public:
  Remote()
      : child_([](int ready) {
          NetConfig config;
          caf::actor_system system{config};
          const auto port = system.middleman().publish(system.spawn(echo), 0, "127.0.0.1");
          if (!port) peer::fail("publish");
          peer::Child::say_ready(ready, std::to_string(*port));
          pause();  // the caller ends this process
        }),
        system_(config_) {
    const auto found =
        system_.middleman().remote_actor("127.0.0.1", static_cast<std::uint16_t>(std::stoi(child_.ready())));
    if (!found) peer::fail("remote_actor");
    server = *found;
    measure_calls(system_, server, std::string(64, 'x'), 1, 1'000, false);
  }
  caf::actor_system& system() { return system_; }
  void end_server() { child_.end(); }
  caf::actor server;

 private:
  peer::Child child_;  // forked before the threads below
  NetConfig config_;
  caf::actor_system system_;
};

/// Ends the server, then this process without its system's goodbyes to a peer that is gone.
[[noreturn]] void leave(std::unique_ptr<Remote> remote) {
  remote.release()->end_server();
  std::fflush(stdout);
  _exit(0);
}

double megabytes(double messages_per_second, std::size_t bytes) {
  return messages_per_second * static_cast<double>(bytes) / 1e6;
}
double casts_of(Remote& remote, std::size_t bytes, long casts) {
  return measure_casts(remote.system(), remote.server, std::string(bytes, 'x'), casts);
}
void print_latency(const std::string& workload, const std::string& prefix, const Latency& latency) {
  result(workload, prefix + "p50", "us", latency.p50_us);
  result(workload, prefix + "p99", "us", latency.p99_us);
}

void w3(Scale scale) {
  auto remote = std::make_unique<Remote>();
  const auto latency =
      measure_calls(remote->system(), remote->server, std::string(64, 'x'), 1, scale(10'000));
  print_latency("W3", "", latency);
  result("W3", "calls", "1/s", latency.calls_per_second);
  leave(std::move(remote));
}
void w4(Scale scale) {
  auto remote = std::make_unique<Remote>();
  result("W4", "calls", "1/s",
         measure_calls(remote->system(), remote->server, std::string(64, 'x'), 64, scale(200'000, 64), false)
             .calls_per_second);
  leave(std::move(remote));
}
void w5(Scale scale) {
  auto remote = std::make_unique<Remote>();
  result("W5", "64B", "msg/s", casts_of(*remote, 64, scale(500'000)));
  result("W5", "1KiB", "MB/s", megabytes(casts_of(*remote, 1 << 10, scale(200'000)), 1 << 10));
  result("W5", "1MiB", "MB/s", megabytes(casts_of(*remote, 1 << 20, scale(300)), 1 << 20));
  leave(std::move(remote));
}
void callers(Scale scale) {
  auto remote = std::make_unique<Remote>();
  for (const int count : peer::kCallers) {
    const auto latency = measure_calls(remote->system(), remote->server, std::string(64, 'x'), count,
                                       peer::calls_of_callers(count, scale));
    result("callers", std::to_string(count), "1/s", latency.calls_per_second);
    print_latency("callers", std::to_string(count) + ' ', latency);
  }
  leave(std::move(remote));
}
void sizes(Scale scale) {
  auto remote = std::make_unique<Remote>();
  for (const std::size_t bytes : peer::kSizes) {
    const auto name = std::to_string(bytes);
    result("sizes", name, "MB/s",
           megabytes(casts_of(*remote, bytes, peer::casts_of_size(bytes, scale)), bytes));
    print_latency("sizes", name + ' ',
                  measure_calls(remote->system(), remote->server, std::string(bytes, 'x'), 1,
                                peer::calls_of_size(bytes, scale)));
  }
  leave(std::move(remote));
}

}  // namespace

int main(int argc, char** argv) {
  return peer::run(argc, argv,
                   {{"W1", w1},
                    {"thread-call", thread_call},
                    {"W2", w2},
                    {"W3", w3},
                    {"W4", w4},
                    {"W5", w5},
                    {"W6", w6},
                    {"callers", callers},
                    {"sizes", sizes}});
}
