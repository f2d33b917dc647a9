#pragma once
#include <functional>
#include <memory>
#include <utility>

#include "cluster/runtime/behaviour.hpp"
#include "cluster/runtime/server_host.hpp"

namespace cluster::runtime {

/// A ServerHost on the engine.
class ServerBehaviour final : public Behaviour {
 public:
  /// `on_end` runs once, when the server has ended and its mailbox refuses messages: whoever is refused and
  /// looks the name up again finds no dead server.
  ServerBehaviour(HostConfig config, Services& services, ServerFactory factory,
                  std::unique_ptr<ServerBase> server, std::function<void()> on_end)
      : host_(std::move(config), services, std::move(factory), std::move(server),
              [this](const ExitReason& reason) { self_.stop(reason); }),
        on_end_(std::move(on_end)) {}

  ~ServerBehaviour() override { on_end_(); }

  void on_start(ActorRef self) override {
    self_ = std::move(self);
    host_.start(self_);
  }
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
  ActorRef self_;
  ServerHost host_;
  std::function<void()> on_end_;
};

}  // namespace cluster::runtime
