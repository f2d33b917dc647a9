// What TCP over loopback can do on this machine: two processes with one blocking socket and nothing else: no
// actors, no codec, no names. Bounds, not rivals. What is measured:
//   W3       64 B there and back, one after the other: blocking; also with both processes pinned to one
//            core and to two, and spinning on two
//   W4       64 messages of 64 B in flight; as many new ones go out in one write as replies came in one read
//   W5       length-prefixed messages, small ones in writes of 64 KiB, counted one by one at the receiver,
//            each process on a core of its own; also with one HMAC-SHA256 tag for each 64 KiB and under
//            AES-256-GCM, as peers of their own
//   callers  as W4 with 1, 8, 64 and 512 in flight; latency from a message's write to its reply
//   sizes    as W3 (blocking) and W5 (plain), by message size
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>
#include <cstring>
#include <deque>

#include "peer.hpp"
#include "protection.hpp"

namespace {
using namespace peer;

const Results result("raw sockets");

class Stream {
 public:
  /// `spin`: never blocks in the kernel.
  Stream(int socket, bool spin) : socket_(socket), flags_(MSG_NOSIGNAL | (spin ? MSG_DONTWAIT : 0)) {
    const int on = 1;
    setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  ~Stream() { close(socket_); }

  static Stream connect(const std::string& port, bool spin = false) {
    const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
    auto address = loopback();
    address.sin_port = htons(static_cast<std::uint16_t>(std::stoi(port)));
    if (::connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) fail("connect");
    return Stream(socket, spin);
  }
  /// Binds a free port, says it, and takes the one connection.
  static Stream accept(int ready, bool spin = false) {
    const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
    auto address = loopback();
    socklen_t length = sizeof address;
    if (bind(listener, reinterpret_cast<sockaddr*>(&address), length) != 0 || listen(listener, 1) != 0)
      fail("listen");
    getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length);
    Child::say_ready(ready, std::to_string(ntohs(address.sin_port)));
    const int socket = ::accept(listener, nullptr, nullptr);
    if (socket < 0) fail("accept");
    close(listener);
    return Stream(socket, spin);
  }

  /// Bytes read, at least one; ends the process when the other end is gone.
  std::size_t read_some(char* to, std::size_t room) {
    for (;;) {
      const ssize_t got = recv(socket_, to, room, flags_);
      if (got > 0) return static_cast<std::size_t>(got);
      if (got == 0) _exit(0);
      if (errno != EAGAIN && errno != EINTR) fail("recv");
    }
  }
  void read_all(char* to, std::size_t bytes) {
    for (std::size_t at = 0; at < bytes;) at += read_some(to + at, bytes - at);
  }
  void write_all(const char* from, std::size_t bytes) {
    iovec part{const_cast<char*>(from), bytes};
    write_all(&part, 1);
  }
  void write_all(iovec* parts, std::size_t count) {
    while (count > 0) {
      msghdr message{};
      message.msg_iov = parts;
      message.msg_iovlen = count;
      ssize_t put = sendmsg(socket_, &message, flags_);
      if (put < 0 && errno != EAGAIN && errno != EINTR) fail("sendmsg");
      for (; put > 0;) {
        const auto some = std::min(parts->iov_len, static_cast<std::size_t>(put));
        parts->iov_base = static_cast<char*>(parts->iov_base) + some;
        parts->iov_len -= some;
        put -= static_cast<ssize_t>(some);
        if (parts->iov_len == 0) ++parts, --count;
      }
    }
  }

 private:
  static sockaddr_in loopback() {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
  }
  int socket_;
  int flags_;
};

void pin(int core) {
  if (core < 0) return;
  cpu_set_t cores;
  CPU_ZERO(&cores);
  CPU_SET(core, &cores);
  sched_setaffinity(0, sizeof cores, &cores);
}

/// Where this process may run is again as it was when this ends.
class Unpin {
 public:
  Unpin() { sched_getaffinity(0, sizeof before_, &before_); }
  Unpin(const Unpin&) = delete;
  Unpin& operator=(const Unpin&) = delete;
  ~Unpin() { sched_setaffinity(0, sizeof before_, &before_); }

 private:
  cpu_set_t before_{};
};

// ---- There and back

struct Latency {
  double p50_us, p99_us, calls_per_second;
};
Latency latency_of(std::vector<double>& each, double seconds) {
  const auto calls = static_cast<double>(each.size());
  return {percentile(each, .5), percentile(each, .99), calls / seconds};
}

struct Placement {
  int client_core = -1, server_core = -1;  ///< -1: where the kernel puts it
  bool spin = false;
};
Latency ping_pong(std::size_t bytes, long calls, Placement placement = {}) {
  const Child server([&](int ready) {
    pin(placement.server_core);
    Stream stream = Stream::accept(ready, placement.spin);
    std::vector<char> message(bytes);
    for (;;) {
      stream.read_all(message.data(), bytes);
      stream.write_all(message.data(), bytes);
    }
  });
  pin(placement.client_core);
  Stream stream = Stream::connect(server.ready(), placement.spin);
  std::vector<char> message(bytes, 7);
  std::vector<double> each;
  each.reserve(static_cast<std::size_t>(calls));
  const auto call = [&] {
    const auto sent = Clock::now();
    stream.write_all(message.data(), bytes);
    stream.read_all(message.data(), bytes);
    each.push_back(seconds_since(sent) * 1e6);
  };
  for (long i = 0; i < calls / 10 + 1; ++i) call();
  each.clear();
  const auto start = Clock::now();
  for (long i = 0; i < calls; ++i) call();
  return latency_of(each, seconds_since(start));
}

/// `in_flight` messages of 64 B; with `keep_each` also how long each took.
Latency pipelined(int in_flight, long calls, bool keep_each) {
  constexpr std::size_t kBytes = 64;
  const Child server([](int ready) {
    Stream stream = Stream::accept(ready);
    std::vector<char> buffer(256 << 10);
    for (std::size_t have = 0;;) {
      have += stream.read_some(buffer.data() + have, buffer.size() - have);
      const std::size_t whole = have / kBytes * kBytes;
      if (whole == 0) continue;
      stream.write_all(buffer.data(), whole);
      std::memmove(buffer.data(), buffer.data() + whole, have -= whole);
    }
  });
  Stream stream = Stream::connect(server.ready());
  std::vector<char> buffer(static_cast<std::size_t>(in_flight) * kBytes, 1);
  std::deque<Instant> sent;
  std::vector<double> each;
  const auto send = [&](long messages) {
    if (keep_each) sent.insert(sent.end(), static_cast<std::size_t>(messages), Clock::now());
    stream.write_all(buffer.data(), static_cast<std::size_t>(messages) * kBytes);
  };
  const auto start = Clock::now();
  send(in_flight);
  std::size_t part = 0;
  for (long done = 0; done < calls;) {
    part += stream.read_some(buffer.data(), buffer.size());
    const auto replies = static_cast<long>(part / kBytes);
    part %= kBytes;
    const auto now = Clock::now();
    for (long i = 0; keep_each && i < replies; ++i) {
      each.push_back(std::chrono::duration<double, std::micro>(now - sent.front()).count());
      sent.pop_front();
    }
    const long more = std::min(replies, calls - done - in_flight);
    done += replies;
    if (more > 0) send(more);
  }
  const double seconds = seconds_since(start);
  if (!keep_each) return {0, 0, static_cast<double>(calls) / seconds};
  return latency_of(each, seconds);
}

// ---- One way: chunks of  u32 length | body | tag, the length's top bit set if the body is a piece of one
// message, clear if it holds whole messages, each after its u32 length.

constexpr std::size_t kChunkBytes = 64 << 10;
constexpr std::uint32_t kPiece = 1u << 31;

class ChunkWriter {
 public:
  ChunkWriter(Stream& stream, Protection protection) : stream_(&stream), protector_(protection) {
    body_.reserve(kChunkBytes);
  }
  void send(const std::vector<char>& message) {
    if (message.size() + 4 > kChunkBytes) {
      const std::size_t piece = protector_.protection() == Protection::none ? message.size() : kChunkBytes;
      for (std::size_t at = 0; at < message.size(); at += piece)
        write(message.data() + at, std::min(piece, message.size() - at), kPiece);
      return;
    }
    if (body_.size() + 4 + message.size() > kChunkBytes) flush();
    const auto length = static_cast<std::uint32_t>(message.size());
    const auto* prefix = reinterpret_cast<const char*>(&length);
    body_.insert(body_.end(), prefix, prefix + sizeof length);
    body_.insert(body_.end(), message.begin(), message.end());
  }
  void flush() {
    if (!body_.empty()) write(body_.data(), body_.size(), 0);
    body_.clear();
  }

 private:
  void write(const char* body, std::size_t bytes, std::uint32_t mark) {
    std::uint32_t header = static_cast<std::uint32_t>(bytes) | mark;
    std::array<char, kTagBytes> tag{};
    const char* leaving = body;
    if (protector_.protection() == Protection::seal) leaving = sealed_.data();
    if (protector_.protection() != Protection::none)
      protector_.protect(body, sealed_.data(), bytes, tag.data());
    std::array<iovec, 3> parts{iovec{&header, sizeof header}, iovec{const_cast<char*>(leaving), bytes},
                               iovec{tag.data(), tag.size()}};
    stream_->write_all(parts.data(), protector_.protection() == Protection::none ? 2 : 3);
  }

  Stream* stream_;
  Protector protector_;
  std::vector<char> body_;
  std::vector<char> sealed_ = std::vector<char>(kChunkBytes);
};

/// Reads until `messages` of `bytes` each have come.
void read_chunks(Stream& stream, Protection protection, std::size_t bytes, long messages) {
  Protector protector(protection);
  const std::size_t tag_bytes = protection == Protection::none ? 0 : kTagBytes;
  std::vector<char> buffer(512 << 10);
  std::size_t begin = 0, end = 0, piece_bytes = 0;
  std::size_t to_come = 0;  // of a piece without protection, which need not be whole to be used
  for (long seen = 0; seen < messages;) {
    if (begin > 0) std::memmove(buffer.data(), buffer.data() + begin, end - begin);
    end -= std::exchange(begin, 0);
    end += stream.read_some(buffer.data() + end, buffer.size() - end);
    if (to_come > 0) {
      begin = std::min(to_come, end);
      to_come -= begin;
      if (to_come == 0) ++seen;
    }
    for (std::uint32_t header = 0; end - begin >= sizeof header;) {
      std::memcpy(&header, buffer.data() + begin, sizeof header);
      const std::size_t length = header & ~kPiece;
      if (tag_bytes == 0 && (header & kPiece) != 0) {
        begin += sizeof header;
        to_come = length - std::min(length, end - begin);
        begin += length - to_come;
        if (to_come == 0) ++seen;
        continue;
      }
      if (end - begin < sizeof header + length + tag_bytes) break;
      char* body = buffer.data() + begin + sizeof header;
      begin += sizeof header + length + tag_bytes;
      if (tag_bytes != 0) protector.open(body, length, body + length);
      if ((header & kPiece) != 0) {
        piece_bytes += length;
        if (piece_bytes == bytes) ++seen, piece_bytes = 0;
        continue;
      }
      for (std::size_t at = 0; at < length; ++seen) {
        std::uint32_t one = 0;
        std::memcpy(&one, body + at, sizeof one);
        at += sizeof one + one;
      }
    }
  }
}

/// Messages a second, until the sender knows that the receiver has the last.
double flood(std::size_t bytes, long messages, Protection protection = Protection::none) {
  const Unpin afterwards;
  const Child server([&](int ready) {
    pin(1);
    Stream stream = Stream::accept(ready);
    read_chunks(stream, protection, bytes, messages);
    stream.write_all("k", 1);
    char never = 0;
    stream.read_all(&never, 1);
  });
  pin(0);
  Stream stream = Stream::connect(server.ready());
  ChunkWriter writer(stream, protection);
  const std::vector<char> message(bytes, 5);
  const auto start = Clock::now();
  for (long i = 0; i < messages; ++i) writer.send(message);
  writer.flush();
  char answer = 0;
  stream.read_all(&answer, 1);
  return static_cast<double>(messages) / seconds_since(start);
}

double megabytes(double messages_per_second, std::size_t bytes) {
  return messages_per_second * static_cast<double>(bytes) / 1e6;
}

// ---- The workloads

/// Nothing here is slow: more of the same takes little time and gives steadier figures.
Scale more(Scale scale) { return {scale.factor * 5}; }

void w3(Scale scale) {
  const Latency blocking = ping_pong(64, scale(30'000));
  result("W3", "p50", "us", blocking.p50_us);
  result("W3", "p99", "us", blocking.p99_us);
  result("W3", "calls", "1/s", blocking.calls_per_second);
  struct Variant {
    const char* name;
    Placement placement;
  };
  for (const Variant& variant : {Variant{"one core", {0, 0, false}}, Variant{"two cores", {0, 1, false}},
                                 Variant{"two cores, spinning", {0, 1, true}}}) {
    const std::string name = variant.name;
    const Unpin afterwards;
    const Latency latency = ping_pong(64, scale(20'000), variant.placement);
    result("W3", "p50 (" + name + ")", "us", latency.p50_us);
    result("W3", "p99 (" + name + ")", "us", latency.p99_us);
  }
}
void w4(Scale scale) {
  result("W4", "calls", "1/s", pipelined(64, scale(1'000'000, 64), false).calls_per_second);
}
void w5(Scale scale) {
  struct Variant {
    const Results& result;
    Protection protection;
  };
  const Results with_hmac("raw sockets + HMAC"), with_gcm("raw sockets + AES-GCM");
  for (const auto& [print, protection] :
       {Variant{result, Protection::none}, Variant{with_hmac, Protection::sign},
        Variant{with_gcm, Protection::seal}}) {
    print("W5", "64B", "msg/s", flood(64, scale(2'000'000), protection));
    print("W5", "1KiB", "MB/s", megabytes(flood(1 << 10, scale(500'000), protection), 1 << 10));
    print("W5", "1MiB", "MB/s", megabytes(flood(1 << 20, scale(1'000), protection), 1 << 20));
  }
}
void callers(Scale scale) {
  for (const int in_flight : kCallers) {
    const Latency latency = pipelined(in_flight, calls_of_callers(in_flight, more(scale)), true);
    const auto name = std::to_string(in_flight);
    result("callers", name, "1/s", latency.calls_per_second);
    result("callers", name + " p50", "us", latency.p50_us);
    result("callers", name + " p99", "us", latency.p99_us);
  }
}
void sizes(Scale scale) {
  for (const std::size_t bytes : kSizes) {
    const auto name = std::to_string(bytes);
    result("sizes", name, "MB/s", megabytes(flood(bytes, casts_of_size(bytes, more(scale))), bytes));
    const Latency latency = ping_pong(bytes, calls_of_size(bytes, scale));
    result("sizes", name + " p50", "us", latency.p50_us);
    result("sizes", name + " p99", "us", latency.p99_us);
  }
}

}  // namespace

int main(int argc, char** argv) {
  return run(argc, argv, {{"W3", w3}, {"W4", w4}, {"W5", w5}, {"callers", callers}, {"sizes", sizes}});
}
