// What Redis does where libcluster keeps keys on one node: SET and GET of 100 B by 64 clients, each on a
// connection of its own (kv-node). Starts redis-server on a free port of loopback, in memory alone, with its
// log synced each second, and with its log synced before each answer, on the disk that TMPDIR names, or /tmp.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <string_view>

#include "peer.hpp"

namespace {

constexpr int kClients = 64;
constexpr int kKeys = 10'000;
constexpr std::size_t kValueBytes = 100;
constexpr double kWarmUpSeconds = 0.2;
constexpr double kSeconds = 2;

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

std::uint16_t free_port() {
  const int probe = socket(AF_INET, SOCK_STREAM, 0);
  auto address = loopback(0);
  socklen_t length = sizeof address;
  if (bind(probe, reinterpret_cast<sockaddr*>(&address), length) != 0 ||
      getsockname(probe, reinterpret_cast<sockaddr*>(&address), &length) != 0)
    peer::fail("bind");
  close(probe);
  return ntohs(address.sin_port);
}

int connect_to(std::uint16_t port) {
  const int made = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const auto address = loopback(port);
  if (connect(made, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    close(made);
    return -1;
  }
  const int on = 1;
  setsockopt(made, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return made;
}

/// redis-server with its data in a folder of its own, gone with this.
class Server {
 public:
  explicit Server(const std::string& sync) : port_(free_port()) {
    folder_ = (std::filesystem::temp_directory_path() / "redis-peer-XXXXXX").string();
    if (mkdtemp(folder_.data()) == nullptr) peer::fail("mkdtemp");
    child_ = std::make_unique<peer::Child>([&](int to) {
      peer::Child::say_ready(to, "begun");
      freopen("/dev/null", "w", stdout);
      const auto port = std::to_string(port_);
      execlp("redis-server", "redis-server", "--port", port.c_str(), "--bind", "127.0.0.1", "--save", "",
             "--dir", folder_.c_str(), "--appendonly", sync.empty() ? "no" : "yes", "--appendfsync",
             sync.empty() ? "no" : sync.c_str(), nullptr);
      _exit(127);
    });
    for (int tries = 0; tries < 500; ++tries) {
      if (const int made = connect_to(port_); made >= 0) {
        close(made);
        return;
      }
      usleep(10'000);
    }
    peer::fail("redis-server did not start (Debian package redis-server)");
  }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  ~Server() {
    child_->end();
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  [[nodiscard]] std::uint16_t port() const { return port_; }

 private:
  std::uint16_t port_;
  std::string folder_;
  std::unique_ptr<peer::Child> child_;
};

std::string key_of(int number) {
  char text[32];
  std::snprintf(text, sizeof text, "key:%012d", number);
  return text;
}
std::string word(std::string_view text) {
  return "$" + std::to_string(text.size()) + "\r\n" + std::string(text) + "\r\n";
}
std::string set_of(int number, char fill) {
  return "*3\r\n" + word("SET") + word(key_of(number)) + word(std::string(kValueBytes, fill));
}
std::string get_of(int number) { return "*2\r\n" + word("GET") + word(key_of(number)); }

/// The bytes of the answer that `text` begins with; 0: it is not whole yet.
std::size_t answer_bytes(std::string_view text) {
  const auto end = text.find("\r\n");
  if (end == std::string_view::npos) return 0;
  if (text[0] == '+') return end + 2;
  if (text[0] != '$' || text[1] == '-') peer::fail("redis answered " + std::string(text.substr(0, 80)));
  const auto whole = end + 2 + std::stoul(std::string(text.substr(1, end - 1))) + 2;
  return text.size() < whole ? 0 : whole;
}

/// A connection with `depth` requests under way.
struct Connection {
  int socket = -1;
  std::string came{};
  std::vector<peer::Instant> begun{};  // oldest first
};

/// What was answered, in us.
std::vector<double> drive(const Server& server, int connections, int depth, int reads_percent,
                          double seconds) {
  std::mt19937 chance(1);
  const int events = epoll_create1(EPOLL_CLOEXEC);
  std::vector<Connection> all(static_cast<std::size_t>(connections));
  const auto from = peer::Clock::now() + std::chrono::duration_cast<peer::Clock::duration>(
                                             std::chrono::duration<double>(kWarmUpSeconds));
  const auto until =
      from + std::chrono::duration_cast<peer::Clock::duration>(std::chrono::duration<double>(seconds));
  std::vector<double> took;
  std::string out;
  const auto add_request = [&](Connection& connection) {
    const int number = static_cast<int>(chance() % kKeys);
    const bool reads = static_cast<int>(chance() % 100) < reads_percent;
    out += reads ? get_of(number) : set_of(number, static_cast<char>('a' + chance() % 26));
    connection.begun.push_back(peer::Clock::now());
  };
  const auto send_out = [&](const Connection& connection) {
    if (!out.empty() && write(connection.socket, out.data(), out.size()) != static_cast<ssize_t>(out.size()))
      peer::fail("write");
    out.clear();
  };
  for (auto& connection : all) {
    connection.socket = connect_to(server.port());
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = &connection;
    epoll_ctl(events, EPOLL_CTL_ADD, connection.socket, &event);
    for (int i = 0; i < depth; ++i) add_request(connection);
    send_out(connection);
  }
  int under_way = connections * depth;
  while (under_way > 0) {
    std::array<epoll_event, kClients> ready{};
    const int count = epoll_wait(events, ready.data(), static_cast<int>(ready.size()), 10'000);
    if (count <= 0) peer::fail("redis does not answer");
    for (int i = 0; i < count; ++i) {
      auto& connection = *static_cast<Connection*>(ready[static_cast<std::size_t>(i)].data.ptr);
      std::array<char, 64 << 10> bytes;
      const ssize_t got = read(connection.socket, bytes.data(), bytes.size());
      if (got <= 0) peer::fail("read");
      connection.came.append(bytes.data(), static_cast<std::size_t>(got));
      const auto now = peer::Clock::now();
      std::size_t used = 0;
      while (const auto whole = answer_bytes(std::string_view(connection.came).substr(used))) {
        used += whole;
        const auto begun = connection.begun.front();
        connection.begun.erase(connection.begun.begin());
        --under_way;
        if (begun >= from && now <= until)
          took.push_back(std::chrono::duration<double, std::micro>(now - begun).count());
        if (now < until) add_request(connection), ++under_way;
      }
      connection.came.erase(0, used);
      send_out(connection);
    }
  }
  for (const auto& connection : all) close(connection.socket);
  close(events);
  if (took.empty()) peer::fail("nothing was answered in time");
  return took;
}

void fill(const Server& server) {
  const int made = connect_to(server.port());
  std::string came;
  for (int number = 0; number < kKeys; ++number) {
    const auto request = set_of(number, 'a');
    if (write(made, request.data(), request.size()) != static_cast<ssize_t>(request.size()))
      peer::fail("write");
    if (number % 100 != 99) continue;
    for (std::size_t left = 100 * 5; left > 0;) {  // +OK\r\n each
      std::array<char, 512> bytes;
      const ssize_t got = read(made, bytes.data(), std::min(left, bytes.size()));
      if (got <= 0) peer::fail("read");
      left -= static_cast<std::size_t>(got);
    }
  }
  close(made);
}

void kv_node(peer::Scale scale) {
  const peer::Results result("Redis");
  const auto measure = [&](const Server& server, const std::string& metric, int connections, int depth,
                           int reads) {
    auto took = drive(server, connections, depth, reads, kSeconds * scale.factor);
    result("kv-node", metric, "1/s", static_cast<double>(took.size()) / (kSeconds * scale.factor));
    result("kv-node", metric + " p50", "us", peer::percentile(took, 0.5));
    result("kv-node", metric + " p99", "us", peer::percentile(took, 0.99));
  };
  for (const std::string sync : {"", "everysec", "always"}) {
    const Server server(sync);
    fill(server);
    const auto name = sync.empty() ? "memory" : sync;
    measure(server, name + " put 64", kClients, 1, 0);
    measure(server, name + " get 64", kClients, 1, 100);
    measure(server, name + " 50/50 64", kClients, 1, 50);
    measure(server, name + " put 64 (one connection)", 1, kClients, 0);
  }
}

}  // namespace

int main(int argc, char** argv) { return peer::run(argc, argv, {{"kv-node", kv_node}}); }
