#pragma once
#include <functional>
#include <memory>
#include <string_view>

#include "cluster/base/bytes.hpp"
#include "cluster/base/endpoint.hpp"
#include "cluster/base/node_id.hpp"
#include "cluster/base/result.hpp"
#include "cluster/base/time.hpp"
#include "cluster/net/net_kernel.hpp"

namespace cluster::net {

struct ClientConfig {
  Endpoint endpoint;
  Keyring keyring;
  Duration timeout = 5s;                     ///< for the connection and its handshake
  NodeId expected{};                         ///< not empty: another node there is an error
  Protection protection = Protection::seal;  ///< the node decides between the most and the least
  Protection protection_min = Protection::sign;
  std::shared_ptr<const crypto::TlsContext> tls{};  ///< with it, tls is the most
  std::size_t message_bytes_max = NetLimits{}.message_bytes_max;
  std::function<bool()> cancelled{};  ///< asked about every 50 ms while waiting; true ends the wait
};

/// A connection to one node, for programs that are not nodes: calls and waits, or has many calls under way.
/// It has the role `client`, so it is no member of any ring, and a random id. No thread: the connection is
/// driven only inside these functions. Not synchronised.
class Client {
 public:
  using Answered = std::function<void(Result<Bytes>)>;

  /// Errors as NetKernel::dial, with the address in the text; `cancelled`.
  [[nodiscard]] static Result<std::unique_ptr<Client>> connect(ClientConfig config);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  /// The node at the other end.
  [[nodiscard]] const PeerInfo& peer() const noexcept;

  /// Calls a server of that node; `payload` and the answer are one MessagePack value each. The server's
  /// error as it is; `timeout` and `peer_lost` leave open whether the call ran; `cancelled` too.
  [[nodiscard]] Result<Bytes> call(std::string_view server, std::string_view event, ByteView payload,
                                   Duration timeout);
  /// Begins such a call; any number may be under way. `answered` runs once, inside a later function of this
  /// client or at once if it cannot begin, and may begin others; it is dropped with the client.
  void begin_call(std::string_view server, std::string_view event, ByteView payload, Duration timeout,
                  Answered answered);
  /// Drives the connection until something came, `wait` at most.
  void poll(Duration wait);
  /// The round trip to the node's network kernel.
  [[nodiscard]] Result<Duration> ping(Duration timeout);

 private:
  struct Impl;
  explicit Client(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace cluster::net
