#pragma once
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "cluster/base/bytes.hpp"
#include "cluster/base/node_id.hpp"
#include "cluster/base/result.hpp"
#include "cluster/base/time.hpp"
#include "cluster/proto/command.hpp"

namespace cluster::cli {

/// The node at the other end, as a session needs it; tests have a fake one.
class Connection {
 public:
  virtual ~Connection() = default;
  /// The node's id.
  [[nodiscard]] virtual std::string node() const = 0;
  /// The process that it is.
  [[nodiscard]] virtual Boot boot() const = 0;
  /// The server's reply {"ok": ...} to a checked request. An error is one of the way there and back.
  [[nodiscard]] virtual Result<nlohmann::ordered_json> run(const proto::CommandRequest& request,
                                                           Duration timeout) = 0;
  /// Adds a key to the node's keyring: sealed on its way, so that no record of the connection tells it.
  [[nodiscard]] virtual Result<nlohmann::ordered_json> add_key(ByteView key, Duration timeout) = 0;
  /// Calls a server of the node; `payload` and the answer are one MessagePack value each.
  [[nodiscard]] virtual Result<Bytes> call(std::string_view server, std::string_view event, ByteView payload,
                                           Duration timeout) = 0;
  /// A round trip to the node's network kernel.
  [[nodiscard]] virtual Result<Duration> ping(Duration timeout) = 0;
};

/// Opens a connection, or says why it cannot.
using Connector = std::function<Result<std::unique_ptr<Connection>>()>;

}  // namespace cluster::cli
