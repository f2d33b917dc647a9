#include "cluster/gateway/gateway.hpp"

#include <arpa/inet.h>

#include <array>
#include <utility>

#include "cluster/base/log.hpp"
#include "cluster/gateway/caller.hpp"

namespace cluster::gateway {

struct Gateway::Impl {
  ~Impl() { stop(Duration::zero()); }
  void stop(Duration drain) {
    server->stop(drain);
    if (caller) caller->stop();
  }

  std::unique_ptr<Caller> caller;  // ends last: uploads that end with the server still give theirs up
  std::unique_ptr<HttpServer> server;
};

Gateway::Gateway(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Gateway::Gateway(Gateway&&) noexcept = default;
Gateway& Gateway::operator=(Gateway&&) noexcept = default;
Gateway::~Gateway() = default;

bool is_loopback(const std::string& host) {
  std::array<unsigned char, sizeof(in_addr)> address{};
  const bool is_v4 = ::inet_pton(AF_INET, host.c_str(), address.data()) == 1;
  return host == "localhost" || host == "::1" || (is_v4 && address[0] == 127);
}

Result<Gateway> Gateway::start(Node& node, GatewayConfig config) {
  auto tokens = Tokens::of([&node] { return node.actors().kernel().keyring(); });
  if (!config.token.empty()) {
    auto checked = Tokens::checked(std::move(config.token));
    if (!checked) return std::move(checked).error();
    tokens = Tokens::given(std::move(checked).value());
  }
  auto server = HttpServer::listen(config.endpoint, config.limits);
  if (!server) return std::move(server).error();
  auto impl = std::make_unique<Impl>();
  impl->server = std::move(server).value();
  auto caller = Caller::start(node);
  if (!caller) return std::move(caller).error();
  impl->caller = std::move(caller).value();

  const Toolbox tools{&node, impl->caller.get(), impl->server.get(), config.needs_ring};
  Router router;
  add_ring_routes(router, tools);
  add_node_routes(router, tools);
  add_call_routes(router, tools);
  add_chord_routes(router, tools);
  add_kv_routes(router, tools);
  add_kv_watch_routes(router, tools);
  add_event_routes(router, tools);
  add_file_routes(router, tools);
  add_watch_routes(router, tools);
  add_metrics_routes(router, tools);
  add_page_routes(router, tools);
  if (config.extend) config.extend(router, tools);
  config.access.hosts.push_back(node.endpoint().host);
  config.access.hosts.push_back(config.endpoint.host);
  if (!is_loopback(config.endpoint.host))
    log::warn(
        "http", "serving at ", config.endpoint.host,
        ", which other machines may reach: all that is said there, the token too, can be read on the way");
  impl->server->serve(Front(std::move(config.access), std::move(router), std::move(tokens)));
  return Gateway(std::move(impl));
}

void Gateway::stop(Duration drain) { impl_->stop(drain); }
Endpoint Gateway::endpoint() const { return impl_->server->endpoint(); }

}  // namespace cluster::gateway
