#include "net_connection.hpp"

#include <algorithm>

#include "cluster/crypto/x25519.hpp"
#include "cluster/net/client.hpp"
#include "cluster/proto/key_box.hpp"
#include "cluster/proto/kv_record.hpp"
#include "cluster/wire/codec.hpp"
#include "cluster/wire/json.hpp"
#include "cookie.hpp"
#include "json_value.hpp"

namespace cluster::cli {
namespace {

using Json = nlohmann::ordered_json;
constexpr std::string_view kServer = "command";
// The greatest values of the key-value store, and what goes with them.
constexpr std::size_t kMessageBytesMax = proto::kKvRecordBytesMax + (3u << 20);

class NetConnection final : public Connection {
 public:
  explicit NetConnection(std::unique_ptr<net::Client> client) : client_(std::move(client)) {}

  std::string node() const override { return client_->peer().id.str(); }
  Boot boot() const override { return client_->peer().boot; }

  Result<Json> run(const proto::CommandRequest& request, Duration timeout) override {
    auto sent = request;
    if ((sent.name == "call" || sent.name == "cast") && sent.args.size() == 3) {
      auto message = value_from_json(sent.args.back());
      if (!message) return message.error();
      sent.payload = std::move(message).value();
      sent.args.pop_back();
    }
    return exchange(std::move(sent), timeout);
  }

  Result<Json> add_key(ByteView key, Duration timeout) override {
    proto::CommandRequest request{.name = "key", .args = {"add"}};
    const auto offer = exchange(request, timeout);
    if (!offer || !offer->value("ok", false)) return offer;
    const auto data = offer->value("data", Json::object());
    const auto public_key = from_hex(data.value("public_key", std::string()));
    crypto::X25519Public receiver{};
    if (!public_key || public_key->size() != receiver.size())
      return Error(Errc::bad_message, "the node's answer holds no public key");
    std::ranges::copy(*public_key, receiver.begin());
    const auto box = proto::seal_key(receiver, key);
    if (!box) return box.error();
    request.payload = wire::Value::of(*box);
    return exchange(std::move(request), timeout);
  }

  Result<Bytes> call(std::string_view server, std::string_view event, ByteView payload,
                     Duration timeout) override {
    return client_->call(server, event, payload, timeout);
  }

  Result<Duration> ping(Duration timeout) override { return client_->ping(timeout); }

 private:
  Result<Json> exchange(proto::CommandRequest sent, Duration timeout) {
    sent.timeout_ms =
        static_cast<std::uint32_t>(std::chrono::ceil<std::chrono::milliseconds>(timeout).count());
    const auto payload = wire::encode(sent);
    const auto answer = client_->call(kServer, proto::CommandRequest::event, payload, timeout);
    if (!answer) return answer.error();
    const auto reply = wire::decode<wire::Value>(*answer);
    if (!reply) return Error(Errc::bad_message, "the node's answer: " + reply.error().message());
    return wire::to_json(*reply);
  }

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
    std::shared_ptr<const crypto::TlsContext> tls;
    if (!options.tls.empty()) {
      auto loaded = crypto::TlsContext::load(options.tls, crypto::TlsUse::dials);
      if (!loaded) return loaded.error();
      tls = std::move(loaded).value();
    }
    auto client = net::Client::connect({.endpoint = options.endpoint,
                                        .keyring = std::move(keyring).value(),
                                        .timeout = timeout,
                                        .expected = options.instance.value_or(NodeId()),
                                        .protection_min = tls ? net::Protection::tls : net::Protection::sign,
                                        .tls = tls,
                                        .message_bytes_max = kMessageBytesMax,
                                        .cancelled = cancelled});
    if (!client) return client.error();
    return std::unique_ptr<Connection>(std::make_unique<NetConnection>(std::move(client).value()));
  };
}

}  // namespace cluster::cli
