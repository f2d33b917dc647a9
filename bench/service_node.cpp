#include "service_node.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>

#include "harness.hpp"

namespace cluster::bench {
namespace {

/// A port that was free a moment ago.
std::uint16_t free_port() {
  const int probe = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  const bool bound = ::bind(probe, reinterpret_cast<sockaddr*>(&address), length) == 0 &&
                     ::getsockname(probe, reinterpret_cast<sockaddr*>(&address), &length) == 0;
  ::close(probe);
  if (!bound) throw Failure("no free port on loopback");
  return ntohs(address.sin_port);
}

std::vector<std::string> command(const std::string& id, std::uint16_t port,
                                 std::vector<std::string> options) {
  std::vector<std::string> words{program("cluster-node"), "-I",          id,     "-H", "127.0.0.1", "-p",
                                 std::to_string(port),    "--log-level", "error"};
  words.insert(words.end(), options.begin(), options.end());
  return words;
}

}  // namespace

std::string program(const std::string& name) {
  auto path = program_folder() + "/" + name;
  if (!std::filesystem::exists(path)) throw Failure("this workload needs " + path + ": build it first");
  return path;
}

ServiceNode::ServiceNode(const std::string& id, const std::string& cookie, std::vector<std::string> options)
    : port_(free_port()), process_(command(id, port_, std::move(options)), {"CLUSTER_COOKIE=" + cookie}) {
  static_cast<void>(process_.read_line());  // "... listens on ..."
}

}  // namespace cluster::bench
