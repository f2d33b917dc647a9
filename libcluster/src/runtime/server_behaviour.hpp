#pragma once
#include <cstdint>
#include <memory>
#include <utility>

#include "cluster/runtime/behaviour.hpp"
#include "cluster/runtime/server_host.hpp"
#include "registry.hpp"
#include "router.hpp"

namespace cluster::runtime {

/// A ServerHost on the engine.
class ServerBehaviour final : public Behaviour, private ServerHost {
 public:
  /// When the server has ended and its mailbox refuses messages, its name's reservation (0: it has no name)
  /// is removed: whoever is refused and looks the name up again finds no dead server.
  ServerBehaviour(HostConfig config, Router& router, ServerFactory factory,
                  std::unique_ptr<ServerBase> server, Registry::Token reservation)
      : ServerHost(std::move(config), router, std::move(factory), std::move(server)),
        reservation_(reservation) {}

  ~ServerBehaviour() override {
    if (reservation_ != 0) static_cast<Router&>(services()).registry().remove(name(), reservation_);
  }

  void on_start(ActorRef self) override { ServerHost::start(std::move(self)); }
  void on_message(EnvelopePtr message) override {
    on_item(std::unique_ptr<Item>(static_cast<Item*>(message.release())));
  }
  void on_stop(const ExitReason& reason) noexcept override { ServerHost::on_stop(reason); }
  void on_undelivered(EnvelopePtr envelope) noexcept override {
    auto& item = static_cast<Item&>(*envelope);
    if (item.kind() == Item::Kind::message)
      static_cast<Message&>(item).reply_to.fail(Error(Errc::stopped, "the server stopped", Executed::no));
  }

 private:
  void on_exit_wanted(const ExitReason& reason) override { self().stop(reason); }

  const Registry::Token reservation_;
};

}  // namespace cluster::runtime
