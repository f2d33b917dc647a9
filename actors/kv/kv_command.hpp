#pragma once
#include <memory>
#include <string>
#include <string_view>

#include "cluster/kv/kv_server.hpp"
#include "cluster/kv/kv_watch.hpp"
#include "cluster/node/ring_board.hpp"
#include "cluster/proto/command.hpp"

namespace cluster {

/// The server named `kv_command`: what `cluster-cli kv ...` asks, as the command server hands it on.
class KvCommand : public GenServer<KvCommand, proto::CommandRequest> {
 public:
  static constexpr bool reentrant = true;
  static constexpr std::string_view kName = "kv_command";

  KvCommand(NodeId id, Ref<KvServer> store, Ref<KvWatcher> watcher, std::shared_ptr<const RingBoard> ring)
      : id_(std::move(id)), store_(std::move(store)), watcher_(std::move(watcher)), ring_(std::move(ring)) {}

  Task<wire::Value> handle_call(proto::CommandRequest request);

 private:
  Task<wire::Value> get(const proto::CommandRequest& request);
  /// `put` and `del`, with the context of a read before.
  Task<wire::Value> write(const proto::CommandRequest& request);
  Task<wire::Value> batch(const proto::CommandRequest& request);
  Task<wire::Value> list(const proto::CommandRequest& request);
  Task<wire::Value> watch(const proto::CommandRequest& request);
  Task<wire::Value> status();
  Task<Result<proto::KvAnswer>> ask(const proto::KvRequest& request, Duration time);

  NodeId id_;
  Ref<KvServer> store_;
  Ref<KvWatcher> watcher_;
  std::shared_ptr<const RingBoard> ring_;
};

}  // namespace cluster
