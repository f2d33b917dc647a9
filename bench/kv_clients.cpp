#include "kv_clients.hpp"

#include <algorithm>
#include <exception>
#include <memory>
#include <string_view>
#include <thread>

#include "cluster/base/rng.hpp"
#include "cluster/kv/kv_server.hpp"
#include "cluster/net/client.hpp"
#include "cluster/proto/command.hpp"
#include "cluster/wire/codec.hpp"

namespace cluster::bench {
namespace {

constexpr std::int64_t kFillPage = 500;

std::string key_of(std::int64_t number) {
  auto digits = std::to_string(number);
  return "key:" + std::string(12 - digits.size(), '0') + digits;
}

proto::KvRequest put(const std::string& bucket, std::int64_t number, std::uint64_t seed) {
  Bytes value(KvClients::kValueBytes, static_cast<std::uint8_t>('a' + seed % 26));
  return {.verb = proto::KvVerb::put, .key = {bucket, key_of(number)}, .value = std::move(value)};
}

std::unique_ptr<net::Client> connect(const Endpoint& node, const std::string& cookie,
                                     wire::Protection protection) {
  auto keyring = take(net::Keyring::from_cookies({cookie}), "the cookie");
  return take(net::Client::connect({.endpoint = node,
                                    .keyring = std::move(keyring),
                                    .protection = protection,
                                    .protection_min = protection}),
              "connect to the store");
}

template <class Ask>
auto ask(net::Client& client, const Ask& what) {
  const auto answer =
      take(client.call(KvServer::kName, Ask::event, wire::encode(what), 10s), "ask the store");
  return take(wire::decode<typename Ask::reply>(answer), "the store's answer");
}

/// Of the ring, as that node has it.
std::size_t members(net::Client& client) {
  const auto payload = wire::encode(proto::CommandRequest{.name = "nodes"});
  const auto answer =
      take(client.call("command", proto::CommandRequest::event, payload, 10s), "ask for nodes");
  const auto reply = take(wire::decode<wire::Value>(answer), "the answer to 'nodes'");
  const auto* data = reply.find("data");
  return data != nullptr && data->array() != nullptr ? data->array()->size() : 0;
}

/// The clients of one connection, all on the thread that drives it.
class Crowd {
 public:
  Crowd(std::unique_ptr<net::Client> connection, const KvWork& work, std::uint64_t seed)
      : connection_(std::move(connection)), work_(work), rng_(seed) {}

  void run(std::int64_t clients) {
    const Instant begun = MonotonicClock::now();
    counted_from_ = begun + work_.time / 10;
    ends_ = counted_from_ + work_.time;
    for (std::int64_t i = 0; i < clients; ++i) begin();
    while (under_way_ > 0) connection_->poll(1s);
  }
  [[nodiscard]] const std::vector<std::int64_t>& took() const noexcept { return took_; }

 private:
  void begin() {
    const auto number = static_cast<std::int64_t>(rng_.below(KvClients::kKeys));
    const bool reads = static_cast<int>(rng_.below(100)) < work_.reads_percent;
    KvAsk what;
    if (reads)
      what.request = {.verb = proto::KvVerb::get, .key = {work_.bucket, key_of(number)}};
    else
      what.request = put(work_.bucket, number, rng_.next());
    ++under_way_;
    const Instant begun = MonotonicClock::now();
    connection_->begin_call(KvServer::kName, KvAsk::event, wire::encode(what), 10s,
                            [this, begun, reads](auto answer) { end(begun, reads, std::move(answer)); });
  }

  void end(Instant begun, bool reads, Result<Bytes> answer) {
    const auto outcome = take(wire::decode<KvOutcome>(take(std::move(answer), "ask the store")), "an answer");
    if (outcome.failure) throw Failure("the store: " + outcome.failure->text);
    if (reads && outcome.answer.values.size() != 1) throw Failure("the store has lost a value");
    --under_way_;
    const Instant now = MonotonicClock::now();
    if (begun >= counted_from_ && now <= ends_) took_.push_back((now - begun).count());
    if (now < ends_) begin();
  }

  std::unique_ptr<net::Client> connection_;
  KvWork work_;
  Rng rng_;
  Instant counted_from_{};
  Instant ends_{};
  std::int64_t under_way_ = 0;
  std::vector<std::int64_t> took_;
};

}  // namespace

void KvClients::fill(const std::string& bucket) const {
  for (const auto& node : nodes_) {
    const auto client = connect(node, cookie_, protection_);
    const Stopwatch watch;
    while (members(*client) < nodes_.size() || !ask(*client, KvInfo{}).progress.settled) {
      if (watch.seconds() > 60) throw Failure("the store did not settle");
      std::this_thread::sleep_for(20ms);
    }
  }
  const auto client = connect(nodes_.front(), cookie_, protection_);
  for (std::int64_t number = 0; number < kKeys;) {
    KvBatch batch;
    for (std::int64_t i = 0; i < kFillPage && number < kKeys; ++i)
      batch.requests.push_back(put(bucket, number++, 0));
    for (const auto& outcome : ask(*client, batch))
      if (outcome.failure) throw Failure("the store: " + outcome.failure->text);
  }
}

KvOutcomes KvClients::run(const KvWork& work) const {
  const auto crowds = std::min<std::int64_t>(static_cast<std::int64_t>(nodes_.size()), work.clients);
  std::vector<std::unique_ptr<Crowd>> all;
  for (std::int64_t i = 0; i < crowds; ++i)
    all.push_back(std::make_unique<Crowd>(connect(nodes_[static_cast<std::size_t>(i)], cookie_, protection_),
                                          work, static_cast<std::uint64_t>(i) + 1));
  std::vector<std::exception_ptr> failed(all.size());
  std::vector<std::thread> threads;
  for (std::int64_t i = 0; i < crowds; ++i)
    threads.emplace_back([&, i] {
      const auto at = static_cast<std::size_t>(i);
      try {
        all[at]->run(work.clients / crowds + (i < work.clients % crowds ? 1 : 0));
      } catch (...) {
        failed[at] = std::current_exception();
      }
    });
  for (auto& thread : threads) thread.join();
  for (const auto& each : failed)
    if (each) std::rethrow_exception(each);
  KvOutcomes outcomes;
  for (const auto& crowd : all)
    outcomes.took.insert(outcomes.took.end(), crowd->took().begin(), crowd->took().end());
  outcomes.per_second =
      static_cast<double>(outcomes.took.size()) / std::chrono::duration<double>(work.time).count();
  return outcomes;
}

}  // namespace cluster::bench
