// ZeroMQ between two processes over loopback TCP: no signatures, no actors, no names; one I/O thread a
// process, as by default. What is measured:
//   W3       REQ to REP, one call after the other, 64 B each way
//   W4       one DEALER keeps 64 requests in flight to one ROUTER that echoes them (there are no callers to
//   count) W5       PUSH to PULL, until the receiver has the last message and says so callers  as W4 with 1,
//   8, 64 and 512 in flight; latency from a request's send to its reply sizes    as W3 and W5, by message
//   size
#include <zmq.h>

#include <cstring>
#include <deque>

#include "peer.hpp"

namespace {
using peer::Child;
using peer::Clock;
using peer::Scale;

const peer::Results& result() {
  static const peer::Results results = [] {
    int major = 0, minor = 0, patch = 0;
    zmq_version(&major, &minor, &patch);
    return peer::Results("ZeroMQ " + std::to_string(major) + "." + std::to_string(minor) + "." +
                         std::to_string(patch));
  }();
  return results;
}

void check(int outcome, const char* what) {
  if (outcome < 0) peer::fail(what);
}

class Context {
 public:
  Context() = default;
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  ~Context() { zmq_ctx_term(context_); }
  [[nodiscard]] void* get() const { return context_; }

 private:
  void* context_ = zmq_ctx_new();
};

class Socket {
 public:
  /// `high_water`: messages that may wait in it; ZeroMQ's default is 1000.
  Socket(const Context& context, int kind, int high_water = 1000) : socket_(zmq_socket(context.get(), kind)) {
    if (socket_ == nullptr) peer::fail("zmq_socket");
    check(zmq_setsockopt(socket_, ZMQ_SNDHWM, &high_water, sizeof high_water), "ZMQ_SNDHWM");
    check(zmq_setsockopt(socket_, ZMQ_RCVHWM, &high_water, sizeof high_water), "ZMQ_RCVHWM");
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  ~Socket() { zmq_close(socket_); }

  /// Takes a free port; returns the address to connect to.
  std::string bind() {
    check(zmq_bind(socket_, "tcp://127.0.0.1:*"), "zmq_bind");
    std::array<char, 256> address{};
    std::size_t length = address.size();
    check(zmq_getsockopt(socket_, ZMQ_LAST_ENDPOINT, address.data(), &length), "ZMQ_LAST_ENDPOINT");
    return address.data();
  }
  void connect(const std::string& address) { check(zmq_connect(socket_, address.c_str()), "zmq_connect"); }
  void send(const std::vector<char>& message) {
    check(zmq_send(socket_, message.data(), message.size(), 0), "zmq_send");
  }
  void receive(std::vector<char>& message) {
    check(zmq_recv(socket_, message.data(), message.size(), 0), "zmq_recv");
  }
  /// Sends back what comes, envelope parts included.
  [[noreturn]] void echo_forever() {
    for (;;) {
      zmq_msg_t part;
      zmq_msg_init(&part);
      check(zmq_msg_recv(&part, socket_, 0), "zmq_msg_recv");
      const int more = zmq_msg_more(&part);
      check(zmq_msg_send(&part, socket_, more != 0 ? ZMQ_SNDMORE : 0), "zmq_msg_send");
    }
  }
  void drop(long messages) {
    for (long i = 0; i < messages; ++i) {
      zmq_msg_t message;
      zmq_msg_init(&message);
      check(zmq_msg_recv(&message, socket_, 0), "zmq_msg_recv");
      zmq_msg_close(&message);
    }
  }

 private:
  void* socket_;
};

/// A process that echoes on a socket of this kind.
struct EchoServer : Child {
  explicit EchoServer(int kind)
      : Child([kind](int ready) {
          const Context context;
          Socket socket(context, kind);
          say_ready(ready, socket.bind());
          socket.echo_forever();
        }) {}
};

struct Latency {
  double p50_us, p99_us, calls_per_second;
};

Latency sequential_calls(std::size_t bytes, long calls) {
  const EchoServer server(ZMQ_REP);
  const Context context;
  Socket socket(context, ZMQ_REQ);
  socket.connect(server.ready());
  std::vector<char> message(bytes, 1);
  std::vector<double> each;
  each.reserve(static_cast<std::size_t>(calls));
  const auto call = [&] {
    const auto sent = Clock::now();
    socket.send(message);
    socket.receive(message);
    each.push_back(peer::seconds_since(sent) * 1e6);
  };
  for (long i = 0; i < calls / 10 + 1; ++i) call();
  each.clear();
  const auto start = Clock::now();
  for (long i = 0; i < calls; ++i) call();
  const double seconds = peer::seconds_since(start);
  return {peer::percentile(each, .5), peer::percentile(each, .99), static_cast<double>(calls) / seconds};
}

Latency calls_in_flight(int in_flight, long calls) {
  const EchoServer server(ZMQ_ROUTER);
  const Context context;
  Socket socket(context, ZMQ_DEALER);
  socket.connect(server.ready());
  std::vector<char> message(64, 1);
  std::deque<peer::Instant> sent;  // replies come in the order of the requests
  std::vector<double> each;
  each.reserve(static_cast<std::size_t>(calls));
  const auto send = [&] {
    sent.push_back(Clock::now());
    socket.send(message);
  };
  const auto start = Clock::now();
  for (int i = 0; i < in_flight; ++i) send();
  for (long done = 1; done <= calls; ++done) {
    socket.receive(message);
    each.push_back(peer::seconds_since(sent.front()) * 1e6);
    sent.pop_front();
    if (done + in_flight <= calls) send();
  }
  const double seconds = peer::seconds_since(start);
  return {peer::percentile(each, .5), peer::percentile(each, .99), static_cast<double>(calls) / seconds};
}

/// Messages a second, from the first send until the sender knows that the receiver has the last.
double flood(std::size_t bytes, long messages) {
  // At most 64 MiB in each queue: a thousand large messages would take gigabytes.
  const int high_water = static_cast<int>(std::clamp<std::size_t>((64u << 20) / bytes, 16, 1000));
  const Child server([&](int ready) {
    const Context context;
    Socket in(context, ZMQ_PULL, high_water);
    Socket out(context, ZMQ_PUSH);
    Child::say_ready(ready, in.bind() + ' ' + out.bind());
    in.drop(1);  // the connection stands
    out.send({1});
    in.drop(messages);
    out.send({1});
    pause();  // the sender ends this process when it has the answer
  });
  const auto space = server.ready().find(' ');
  const Context context;
  Socket out(context, ZMQ_PUSH, high_water);
  Socket in(context, ZMQ_PULL);
  out.connect(server.ready().substr(0, space));
  in.connect(server.ready().substr(space + 1));
  std::vector<char> answer(1);
  out.send({1});
  in.receive(answer);
  const std::vector<char> message(bytes, 2);
  const auto start = Clock::now();
  for (long i = 0; i < messages; ++i) out.send(message);
  in.receive(answer);
  return static_cast<double>(messages) / peer::seconds_since(start);
}

double megabytes(double messages_per_second, std::size_t bytes) {
  return messages_per_second * static_cast<double>(bytes) / 1e6;
}

void w3(Scale scale) {
  const Latency latency = sequential_calls(64, scale(20'000));
  result()("W3", "p50", "us", latency.p50_us);
  result()("W3", "p99", "us", latency.p99_us);
  result()("W3", "calls", "1/s", latency.calls_per_second);
}
void w4(Scale scale) {
  result()("W4", "calls", "1/s", calls_in_flight(64, scale(500'000, 64)).calls_per_second);
}
void w5(Scale scale) {
  result()("W5", "64B", "msg/s", flood(64, scale(2'000'000)));
  result()("W5", "1KiB", "MB/s", megabytes(flood(1 << 10, scale(500'000)), 1 << 10));
  result()("W5", "1MiB", "MB/s", megabytes(flood(1 << 20, scale(1'000)), 1 << 20));
}
void callers(Scale scale) {
  for (const int in_flight : peer::kCallers) {
    const Latency latency = calls_in_flight(in_flight, peer::calls_of_callers(in_flight, scale));
    const auto name = std::to_string(in_flight);
    result()("callers", name, "1/s", latency.calls_per_second);
    result()("callers", name + " p50", "us", latency.p50_us);
    result()("callers", name + " p99", "us", latency.p99_us);
  }
}
void sizes(Scale scale) {
  for (const std::size_t bytes : peer::kSizes) {
    const auto name = std::to_string(bytes);
    result()("sizes", name, "MB/s", megabytes(flood(bytes, peer::casts_of_size(bytes, scale)), bytes));
    const Latency latency = sequential_calls(bytes, peer::calls_of_size(bytes, scale));
    result()("sizes", name + " p50", "us", latency.p50_us);
    result()("sizes", name + " p99", "us", latency.p99_us);
  }
}

}  // namespace

int main(int argc, char** argv) {
  return peer::run(argc, argv, {{"W3", w3}, {"W4", w4}, {"W5", w5}, {"callers", callers}, {"sizes", sizes}});
}
