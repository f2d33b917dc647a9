#pragma once
#include <cstdint>
#include <memory>
#include <utility>

#include "cluster/runtime/behaviour.hpp"
#include "cluster/runtime/server_host.hpp"
#include "registry.hpp"

namespace cluster::runtime {

/// A ServerHost on the engine.
class ServerBehaviour final : public Behaviour, private ServerHost::Owner {
 public:
  /// When the server has ended and its mailbox refuses messages, its name's reservation (0: it has no name)
  /// is removed: whoever is refused and looks the name up again finds no dead server.
  ServerBehaviour(HostConfig config, Services& services, ServerFactory factory,
                  std::unique_ptr<ServerBase> server, Registry& registry, Registry::Token reservation)
      : host_(std::move(config), services, std::move(factory), std::move(server), *this),
        registry_(registry),
        reservation_(reservation) {}

  ~ServerBehaviour() override {
    if (reservation_ != 0) registry_.remove(host_.name(), reservation_);
  }

  void on_start(ActorRef self) override { host_.start(std::move(self)); }
  void on_message(EnvelopePtr message) override {
    host_.on_item(std::unique_ptr<Item>(static_cast<Item*>(message.release())));
  }
  void on_stop(const ExitReason& reason) noexcept override { host_.on_stop(reason); }
  void on_undelivered(EnvelopePtr envelope) noexcept override {
    auto& item = static_cast<Item&>(*envelope);
    if (item.kind() == Item::Kind::message)
      static_cast<Message&>(item).reply_to.fail(Error(Errc::stopped, "the server stopped", Executed::no));
  }

 private:
  void on_exit_wanted(const ExitReason& reason) override { host_.self().stop(reason); }

  ServerHost host_;
  Registry& registry_;
  const Registry::Token reservation_;
};

}  // namespace cluster::runtime
