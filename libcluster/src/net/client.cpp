#include "cluster/net/client.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "cluster/crypto/random.hpp"
#include "cluster/wire/message.hpp"

namespace cluster::net {
namespace {

constexpr Duration kPollMax = 50ms;  // how soon `cancelled` is noticed
constexpr Duration kClientGoodbye = 200ms;

NodeId random_id() {
  Bytes bytes(8);
  crypto::random_bytes(bytes);
  return NodeId("client-" + hex(bytes));
}

Boot new_boot() { return {static_cast<std::uint64_t>(micros(wall_now()) / 1'000), crypto::random_u64()}; }

std::string in_seconds(Duration time) {
  auto text = std::to_string(std::chrono::duration<double>(time).count());
  text.erase(text.find_last_not_of('0') + 1);
  if (text.ends_with('.')) text.pop_back();
  return text + " s";
}

Error interrupted(Executed executed) { return {Errc::cancelled, "interrupted", executed}; }

}  // namespace

struct Client::Impl final : NetEvents {
  ClientConfig config;
  std::unique_ptr<NetKernel> kernel;
  PeerInfo peer;
  struct Call {
    Answered answered;
    Instant deadline;
    Duration timeout;
  };
  std::map<std::uint64_t, Call> calls;
  std::uint64_t last_call = 0;
  Instant earliest = kNever;  // no deadline of a call is before this
  std::optional<Error> down;

  ~Impl() override {
    if (kernel) kernel->stop(kClientGoodbye);
  }

  void on_message(const PeerInfo&, Lane, ByteView message) override {
    auto decoded = wire::decode_message(message);
    if (!decoded) return;
    if (const auto* reply = std::get_if<wire::ReplyView>(&*decoded))
      answer(reply->id, Bytes(reply->payload.begin(), reply->payload.end()));
    if (const auto* error = std::get_if<wire::ErrorView>(&*decoded)) answer(error->id, error->error());
  }
  void on_peer_up(const PeerInfo&) override {}
  void on_peer_down(const PeerInfo&, PeerDownReason reason, std::string_view text) override {
    std::string why = "the connection ended (" + std::string(name(reason)) + ")";
    if (!text.empty()) why += ": " + std::string(text);
    down = Error(Errc::peer_lost, std::move(why));
    answer_all();
  }
  void on_peer_lost(const NodeId&, const Error& why) override {
    down = why;
    answer_all();
  }

  void answer(std::uint64_t id, Result<Bytes> result) {
    if (auto call = calls.extract(id)) call.mapped().answered(std::move(result));
  }
  void answer_all() {
    for (auto& [id, call] : std::exchange(calls, {})) call.answered(*down);
  }
  void answer_late(Instant now) {
    if (now < earliest) return;
    std::vector<std::uint64_t> late;
    earliest = kNever;
    for (const auto& [id, call] : calls) {
      if (call.deadline <= now)
        late.push_back(id);
      else
        earliest = std::min(earliest, call.deadline);
    }
    for (const auto id : late)
      if (const auto at = calls.find(id); at != calls.end()) answer(id, no_answer(at->second.timeout));
  }

  bool cancelled() const { return config.cancelled && config.cancelled(); }

  /// Drives the connection until `done`; false at the deadline or when cancelled.
  template <class Done>
  bool poll_until(Instant deadline, Done done) {
    while (!done()) {
      const auto now = MonotonicClock::now();
      if (now >= deadline || cancelled()) return false;
      kernel->poll(std::min<Duration>(deadline - now, kPollMax));
    }
    return true;
  }

  Result<void> open() {
    NetConfig net;
    net.id = random_id();
    net.boot = new_boot();
    net.role = Role::client;
    net.keyring = config.keyring;
    net.protection = config.tls ? Protection::tls : config.protection;
    net.tls = config.tls;
    net.protection_min = config.protection_min;
    net.limits.message_bytes_max = config.message_bytes_max;
    net.seed = crypto::random_u64();
    auto started = NetKernel::start(std::move(net), *this);
    if (!started) return std::move(started).error();
    kernel = std::move(started).value();

    std::optional<Result<PeerInfo>> dialled;
    const auto on_dialled = [&dialled](Result<PeerInfo> result) { dialled = std::move(result); };
    if (config.expected.empty())
      kernel->dial(config.endpoint, config.timeout, on_dialled);
    else
      kernel->dial(config.endpoint, config.expected, config.timeout, on_dialled);
    // The kernel ends a dial by itself; a little more time lets it say why.
    const auto deadline = saturated_add(MonotonicClock::now(), config.timeout + kPollMax);
    const bool done = poll_until(deadline, [&] { return dialled.has_value(); });
    if (!done) {
      kernel.reset();  // so that `dialled` is not called back any more
      if (cancelled()) return interrupted(Executed::no);
      return Error(Errc::timeout, "no answer within " + in_seconds(config.timeout), Executed::no);
    }
    if (!*dialled) return dialled->error();
    peer = std::move(*dialled).value();
    return {};
  }

  Error no_answer(Duration timeout) const {
    if (cancelled()) return interrupted(Executed::unknown);
    if (down) return *down;
    return {Errc::timeout, "no answer from " + peer.id.str() + " within " + in_seconds(timeout)};
  }
};

Client::Client(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Client::~Client() = default;

Result<std::unique_ptr<Client>> Client::connect(ClientConfig config) {
  auto impl = std::make_unique<Impl>();
  impl->config = std::move(config);
  if (const auto opened = impl->open(); !opened) {
    const auto& error = opened.error();
    const auto address = impl->config.endpoint.to_string();
    const bool names_it = error.message().starts_with(address);
    return Error(error.code(), (names_it ? "" : "cannot connect to " + address + ": ") + error.message(),
                 error.executed());
  }
  return std::unique_ptr<Client>(new Client(std::move(impl)));
}

const PeerInfo& Client::peer() const noexcept { return impl_->peer; }

Result<Bytes> Client::call(std::string_view server, std::string_view event, ByteView payload,
                           Duration timeout) {
  const auto answer = std::make_shared<std::optional<Result<Bytes>>>();  // may outlive this call
  begin_call(server, event, payload, timeout,
             [answer](Result<Bytes> result) { *answer = std::move(result); });
  while (!*answer) {
    if (impl_->cancelled()) return interrupted(Executed::unknown);
    poll(kPollMax);
  }
  return std::move(**answer);
}

void Client::begin_call(std::string_view server, std::string_view event, ByteView payload, Duration timeout,
                        Answered answered) {
  auto& impl = *impl_;
  if (impl.down) return answered(Error(impl.down->code(), impl.down->message(), Executed::no));
  if (server.empty() || server.size() > wire::kNameBytesMax || event.empty() ||
      event.size() > wire::kNameBytesMax)
    return answered(Error(Errc::invalid_argument, "names of servers and events have 1..255 bytes"));
  Bytes message;
  wire::CallHead head;
  head.id = ++impl.last_call;
  head.to = server;
  head.event = event;
  head.ttl = std::max(std::chrono::ceil<std::chrono::milliseconds>(timeout), 1ms);
  wire::begin_call(message, head);
  message.insert(message.end(), payload.begin(), payload.end());
  const auto sent =
      impl.kernel->send(impl.peer.id, std::move(message), {.flush_now = false, .wait_max = Duration::zero()});
  if (!sent) return answered(sent.error());
  const auto deadline = saturated_add(MonotonicClock::now(), timeout);
  impl.calls.emplace(head.id, Impl::Call{std::move(answered), deadline, timeout});
  impl.earliest = std::min(impl.earliest, deadline);
}

void Client::poll(Duration wait) {
  auto& impl = *impl_;
  const auto left = std::max(Duration::zero(), impl.earliest - MonotonicClock::now());
  impl.kernel->poll(std::min(wait, left));
  impl.answer_late(MonotonicClock::now());
}

Result<Duration> Client::ping(Duration timeout) {
  auto& impl = *impl_;
  if (impl.down) return *impl.down;
  const auto answer = std::make_shared<std::optional<Result<Duration>>>();  // may outlive this call
  impl.kernel->ping(impl.peer.id, timeout,
                    [answer](Result<Duration> result) { *answer = std::move(result); });
  const auto deadline = saturated_add(MonotonicClock::now(), timeout + kPollMax);
  impl.poll_until(deadline, [&] { return answer->has_value() || impl.down.has_value(); });
  if (*answer) return std::move(**answer);
  return impl.no_answer(timeout);
}

}  // namespace cluster::net
