// cluster-node: runs one node until SIGTERM.
#include <malloc.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <iostream>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "cluster/base/log.hpp"
#include "cluster/chord/overlay.hpp"
#include "cluster/files/file_store.hpp"
#include "cluster/gateway/gateway.hpp"
#include "cluster/node/discovery_server.hpp"
#include "cluster/node/node.hpp"
#include "cookie.hpp"
#include "demo_actors.hpp"
#include "log_sink.hpp"
#include "options.hpp"
#include "session.hpp"
#include "signals.hpp"
#include "text.hpp"

namespace cluster::cli {
namespace {

std::string machine_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 && name[0] != '\0' ? name.data() : "node";
}

int fail(const Error& error, Exit code) {
  std::cerr << "cluster-node: " << printable(error.message()) << '\n';
  return static_cast<int>(code);
}

NodeConfig node_config(const NodeOptions& options, std::string cookie) {
  NodeConfig config;
  config.id = options.common.instance ? options.common.instance->str() : machine_name();
  config.host = options.common.endpoint.host;
  config.port = options.common.endpoint.port;
  config.cookie = std::move(cookie);
  config.ring = options.ring;
  config.rfactor = options.rfactor;
  config.pfactor = options.pfactor;
  config.weight = options.weight.value_or(0);
  config.zone = options.zone;
  config.bind = options.bind;
  config.protection = options.protection;
  config.protection_min = options.protection_min;
  config.tls = options.common.tls;
  config.meet = options.meet;
  config.data_dir = options.data_dir;
  config.mesh_max = options.mesh_max;
  if (options.kv) {
    config.limits.message_bytes_max = kKvMessageBytesMax;
    config.drain_first = {std::string(KvServer::kName)};
  }
  config.partition_policy = options.partition_policy;
  config.allow_drills = options.allow_drills;
  return config;
}

bool discovers(const NodeOptions& options) {
  return !options.discover.empty() || !options.discover_file.empty();
}

Result<void> start_demo_actors(Node& node) {
  auto counter = node.spawn<demo::Counter>({.name = "counter", .restart = Restart::on_failure});
  if (!counter) return counter.error();
  auto echo = node.spawn<demo::EchoServer>({.name = "echo", .restart = Restart::on_failure});
  if (!echo) return echo.error();
  return {};
}

/// What `--http` asks for, if it does; the token's file has been read.
Result<std::optional<gateway::GatewayConfig>> gateway_config(const NodeOptions& options) {
  if (!options.http) return std::optional<gateway::GatewayConfig>();
  gateway::GatewayConfig config;
  config.endpoint = options.http->endpoint;
  config.access = {options.http->names, options.http->origins};
  config.needs_ring = !options.meet.empty() || discovers(options);
  if (!options.http->token_file.empty()) {
    auto token = read_token_file(options.http->token_file);
    if (token) token = gateway::Tokens::checked(std::move(token).value());
    if (!token) return Error(Errc::invalid_argument, "--http-token-file: " + token.error().message());
    config.token = std::move(token).value();
  }
  return std::optional(std::move(config));
}

Result<KvStoreConfig> kv_config(const NodeOptions& options) {
  KvStoreConfig config;
  if (!options.data_dir.empty()) config.folder = options.data_dir + "/kv";
  config.sync_rest = options.kv_sync_rest;
  for (const auto& [name, bucket] : options.kv_buckets) {
    if (name == "*")
      config.kv.bucket = bucket;
    else
      config.kv.buckets[name] = bucket;
  }
  if (auto added = files::add_buckets(config.kv); !added)
    return Error(Errc::invalid_argument, "--kv-bucket: " + added.error().message());
  return config;
}

Result<void> start_kv(Node& node, KvStoreConfig config) {
  auto store = KvStore::start(node, std::move(config));
  if (!store) return store.error();
  if (const auto files = start_file_store(node, *store); !files) return files.error();
  return {};
}

/// Many handshakes and long messages at once leave free memory behind in the allocator: gives it back when
/// the ring has been the same for a while.
void wait_and_tidy(StopSignals& stop, const Node& node) {
  constexpr std::chrono::seconds kRest{3};
  auto seen = node.ring();
  bool tidy = false;
  while (!stop.wait(kRest)) {
    auto now = node.ring();
    const bool changed = now != seen;
    seen = std::move(now);
    if (!changed && !tidy) ::malloc_trim(0);
    tidy = !changed;
  }
}

/// What the others are to have before this node leaves. Another signal ends the wait.
void hand_over(Node& node, StopSignals& stop, Duration most) {
  constexpr Duration kSlice = 200ms;
  constexpr Duration kTellPeriod = 5s;
  const Instant deadline = MonotonicClock::now() + most;
  Instant told = MonotonicClock::now();
  while (true) {
    const auto state = node.drain(kSlice);
    if (!state) return log::warn("node", "drain: ", state.error().message());
    if (state->done) return;
    const Instant now = MonotonicClock::now();
    const bool is_late = now >= deadline;
    if (is_late || state->failed || stop.wait(0s))
      return log::warn("node",
                       state->failed ? "leaves now, as not all can be handed over: "
                       : is_late     ? "leaves now, though not all is handed over in time: "
                                     : "told again to stop, leaves now, though not all is handed over: ",
                       state->text);
    if (now - told < kTellPeriod) continue;
    told = now;
    log::info("node", "handing over: ", state->text);
  }
}

int run(const NodeOptions& options) {
  log_to_stderr();
  log::set_level(options.log_level);
  auto cookie = find_cookie(
      {.key = options.common.key, .file = options.common.cookie_file, .environment = environment_variable});
  if (!cookie) return fail(cookie.error(), Exit::usage);

  auto http_config = gateway_config(options);
  if (!http_config) return fail(http_config.error(), Exit::usage);

  auto kv = kv_config(options);
  if (!kv) return fail(kv.error(), Exit::usage);

  ::signal(SIGXFSZ, SIG_IGN);  // a file that may not grow any more is as a full disk
  StopSignals stop;
  std::atomic<bool> id_taken = false;  // another living process has this node's id
  const auto give_up = [&id_taken] {
    if (!id_taken.exchange(true)) StopSignals::raise();  // a second signal would end us at once
  };
  auto config = node_config(options, std::move(cookie).value());
  config.on_ring_event = [give_up, id = config.id](const proto::GossipEvent& event) {
    const auto* duplicate = std::get_if<proto::DuplicateId>(&event);
    if (duplicate && duplicate->refused && duplicate->id.str() == id) give_up();
  };
  auto node = Node::start(std::move(config));
  if (!node) {
    const bool wrong_usage = node.error().code() == Errc::invalid_argument;
    return fail(node.error(), wrong_usage ? Exit::usage : Exit::refused);
  }
  node->actors().listen_to_peers([give_up](const PeerEvent& event) {
    if (event.kind == PeerEvent::Kind::lost && event.code == Errc::duplicate_id) give_up();
  });
  if (options.demo_actors)
    if (const auto started = start_demo_actors(*node); !started) return fail(started.error(), Exit::refused);
  if (discovers(options))
    if (const auto begun = discover(*node, {options.discover, options.discover_file}); !begun)
      return fail(begun.error(), Exit::refused);
  if (options.chord)
    if (const auto started = start_chord(*node, *options.chord, options.chord_join); !started)
      return fail(started.error(), Exit::refused);
  if (options.kv)
    if (const auto started = start_kv(*node, *std::move(kv)); !started)
      return fail(started.error(), Exit::refused);
  std::optional<gateway::Gateway> http;
  if (*http_config) {
    auto started = gateway::Gateway::start(*node, **std::move(http_config));
    if (!started) return fail(started.error(), Exit::refused);
    http.emplace(std::move(started).value());
  }
  const auto ring = node->ring()->ring;
  std::cout << printable(node->id().str()) << " listens on " << printable(node->endpoint().to_string())
            << (ring.empty() ? ", in no ring" : ", in ring '" + printable(ring) + "'") << std::endl;

  if (http) std::cout << "HTTP at http://" << printable(http->endpoint().to_string()) << "/" << std::endl;

  wait_and_tidy(stop, *node);
  const bool leaves = options.leave_on_stop && !id_taken && !node->ring()->ring.empty();
  if (leaves) {
    log::info("node", "leaving the ring");
    hand_over(*node, stop, options.drain_time);
  }
  StopSignals::let_end();
  if (http) http->stop();
  if (leaves)
    if (const auto left = node->change(proto::LeaveCommand{}); !left)
      log::warn("node", "it has not left, and stays a member: ", left.error().message());
  log::info("node", "stopping");
  static_cast<void>(node->stop());  // this is no handler
  if (!id_taken) return static_cast<int>(Exit::ok);
  return fail(Error(Errc::duplicate_id, "another living process is '" + node->id().str() + "'"),
              Exit::refused);
}

}  // namespace
}  // namespace cluster::cli

int main(int argc, char** argv) {
  using namespace cluster::cli;
  const auto options = parse_node_options(std::vector<std::string>(argv + 1, argv + argc));
  if (!options) return fail(options.error(), Exit::usage);
  if (!options->notice.empty()) {
    std::cout << options->notice;
    return static_cast<int>(Exit::ok);
  }
  return run(*options);
}
