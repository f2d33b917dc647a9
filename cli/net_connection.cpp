#include "net_connection.hpp"

#include "cluster/net/client.hpp"
#include "cluster/wire/codec.hpp"
#include "cluster/wire/json.hpp"
#include "cookie.hpp"
#include "json_value.hpp"

namespace cluster::cli {
namespace {

using Json = nlohmann::ordered_json;
constexpr std::string_view kServer = "command";

class NetConnection final : public Connection {
 public:
  explicit NetConnection(std::unique_ptr<net::Client> client) : client_(std::move(client)) {}

  std::string node() const override { return client_->peer().id.str(); }

  Result<Json> run(const proto::CommandRequest& request, Duration timeout) override {
    auto sent = request;
    if ((sent.name == "call" || sent.name == "cast") && sent.args.size() == 3) {
      auto message = value_from_json(sent.args.back());
      if (!message) return message.error();
      sent.payload = std::move(message).value();
      sent.args.pop_back();
    }
    sent.timeout_ms =
        static_cast<std::uint32_t>(std::chrono::ceil<std::chrono::milliseconds>(timeout).count());
    const auto payload = wire::encode(sent);
    const auto answer = client_->call(kServer, proto::CommandRequest::event, payload, timeout);
    if (!answer) return answer.error();
    const auto reply = wire::decode<wire::Value>(*answer);
    if (!reply) return Error(Errc::bad_message, "the node's answer: " + reply.error().message());
    return wire::to_json(*reply);
  }

  Result<Duration> ping(Duration timeout) override { return client_->ping(timeout); }

 private:
  std::unique_ptr<net::Client> client_;
};

}  // namespace

Connector network_connector(CommonOptions options, Duration timeout, std::function<bool()> cancelled) {
  return [options = std::move(options), timeout,
          cancelled = std::move(cancelled)]() -> Result<std::unique_ptr<Connection>> {
    const auto cookie =
        find_cookie({.key = options.key, .file = options.cookie_file, .environment = environment_variable});
    if (!cookie) return Error(Errc::invalid_argument, cookie.error().message());
    auto keyring = net::Keyring::from_cookies({*cookie});
    if (!keyring) return keyring.error();
    auto client = net::Client::connect({.endpoint = options.endpoint,
                                        .keyring = std::move(keyring).value(),
                                        .timeout = timeout,
                                        .expected = options.instance.value_or(NodeId()),
                                        .cancelled = cancelled});
    if (!client) return client.error();
    return std::unique_ptr<Connection>(std::make_unique<NetConnection>(std::move(client).value()));
  };
}

}  // namespace cluster::cli
