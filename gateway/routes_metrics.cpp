#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <utility>

#include "cluster/gateway/routes.hpp"
#include "cluster/kv/kv_server.hpp"
#include "metrics_text.hpp"

namespace cluster::gateway {
namespace {

using wire::Value;
using Kind = MetricsText::Kind;

constexpr Duration kInfoTimeout = 2s;

void add_members(MetricsText& metrics, Node& node) {
  const auto view = node.ring();
  metrics.family("cluster_node_info", Kind::gauge, "This node and the ring that it is in.")
      .sample({{"id", node.id().str()}, {"ring", view->ring}}, std::uint64_t{1});
  metrics.gauge("cluster_ring_members", "Members of the ring.", static_cast<double>(view->members.size()));
  metrics.gauge("cluster_ring_virtual_nodes", "Virtual nodes of all members.",
                static_cast<double>(view->hash.size()));
  metrics.gauge("cluster_quorum", "1 while the partition policy finds enough members on this side.",
                node.has_quorum() ? 1 : 0);
  metrics.family("cluster_members", Kind::gauge, "Members by the state that this node holds them in.");
  const auto members = node.members();
  for (const auto state : {MemberState::unknown, MemberState::alive, MemberState::suspect,
                           MemberState::unreachable, MemberState::stopped, MemberState::left}) {
    const auto count = std::ranges::count(members, state, &NodeMember::state);
    metrics.sample({{"state", proto::name(state)}}, static_cast<std::uint64_t>(count));
  }
}

void add_network(MetricsText& metrics, net::NetKernel& kernel) {
  const auto of = kernel.counters();
  metrics.counter("cluster_network_frames_in_total", "Frames received.", of.frames_in)
      .counter("cluster_network_frames_out_total", "Frames sent.", of.frames_out)
      .counter("cluster_network_messages_in_total", "Messages received.", of.messages_in)
      .counter("cluster_network_messages_out_total", "Messages sent.", of.messages_out)
      .counter("cluster_network_bytes_in_total", "Bytes received on proven connections.", of.bytes_in)
      .counter("cluster_network_bytes_out_total", "Bytes sent on proven connections.", of.bytes_out)
      .counter("cluster_network_connections_in_total", "Proven connections that others made.",
               of.connections_in)
      .counter("cluster_network_connections_out_total", "Proven connections made.", of.connections_out)
      .counter("cluster_network_handshakes_failed_total", "Handshakes that failed.", of.handshakes_failed)
      .counter("cluster_network_proofs_failed_total", "Wrong cookies met.", of.proofs_failed)
      .counter("cluster_network_certificates_refused_total",
               "Peers without a certificate that is good and theirs.", of.certificates_refused)
      .counter("cluster_network_evicted_total", "Half-open connections closed for newer ones.", of.evicted)
      .counter("cluster_network_throttled_total",
               "Connections slowed, or closed, for failed proofs of their address.", of.throttled)
      .counter("cluster_network_accept_failures_total", "Connections that could not be accepted.",
               of.accept_failures)
      .counter("cluster_network_bad_frames_total", "Frames with a wrong tag or header.", of.bad_frames)
      .counter("cluster_network_frames_timed_out_total", "Frames begun and never finished.",
               of.frames_timed_out)
      .counter("cluster_network_overloaded_total", "Sends refused by a full queue.", of.overloaded)
      .counter("cluster_network_dropped_total", "Queued messages that will never be sent.", of.dropped)
      .counter("cluster_network_uncertain_total",
               "Messages on a connection that broke, not known to have arrived.", of.uncertain);
  std::uint64_t nodes = 0, clients = 0, queued_messages = 0, queued_bytes = 0;
  for (const auto& peer : kernel.peers()) {
    if (peer.connected) ++(peer.role == net::Role::node ? nodes : clients);
    queued_messages += peer.queued_messages;
    queued_bytes += peer.queued_bytes;
  }
  metrics.family("cluster_network_connections", Kind::gauge, "Connections now.")
      .sample({{"role", "node"}}, nodes)
      .sample({{"role", "client"}}, clients);
  metrics.gauge("cluster_network_queued_messages", "Messages that wait for a peer.",
                static_cast<double>(queued_messages));
  metrics.gauge("cluster_network_queued_bytes", "Bytes that wait for a peer.",
                static_cast<double>(queued_bytes));
}

void add_actors(MetricsText& metrics, ActorSystem& actors) {
  const auto of = actors.inbound();
  metrics.gauge("cluster_actors", "Servers with a name.", static_cast<double>(actors.actors().size()))
      .gauge("cluster_inbound_waiting_bytes", "Messages of the network that wait for their servers.",
             static_cast<double>(of.waiting_bytes))
      .counter("cluster_inbound_calls_refused_total", "Calls answered 'overloaded'.", of.calls_refused)
      .family("cluster_inbound_casts_dropped_total", Kind::counter, "Casts that no handler got.")
      .sample({{"why", "overloaded"}}, of.casts_overloaded)
      .sample({{"why", "no_server"}}, of.casts_no_server)
      .sample({{"why", "bad"}}, of.casts_bad)
      .counter("cluster_inbound_malformed_total", "Messages that were none.", of.messages_malformed)
      .counter("cluster_inbound_forged_total", "Messages in the name of another node.", of.messages_forged);
}

/// The counters that a server tells of itself, each as a family.
void add_counters(MetricsText& metrics, const std::string& prefix, const Value* counters) {
  if (counters == nullptr || counters->map() == nullptr) return;
  for (const auto& [name, count] : *counters->map())
    if (const auto* number = count.integer())
      metrics.counter(prefix + name + "_total", "As 'cluster-cli status' tells it.",
                      static_cast<std::uint64_t>(*number));
}

/// The key-value store, as far as this node sees and holds it.
void add_store(MetricsText& metrics, const KvInfo::Answer& of) {
  metrics.family("cluster_kv_requests_total", Kind::counter, "Requests to the store that came to this node.");
  for (const auto& kind : of.operations)
    metrics.sample({{"operation", kind.operation}, {"outcome", "ok"}}, kind.ok)
        .sample({{"operation", kind.operation}, {"outcome", "absent"}}, kind.absent)
        .sample({{"operation", kind.operation}, {"outcome", "refused"}}, kind.refused)
        .sample({{"operation", kind.operation}, {"outcome", "failed"}}, kind.failed)
        .sample({{"operation", kind.operation}, {"outcome", "unknown"}}, kind.unknown);
  metrics.family("cluster_kv_request_duration_seconds", Kind::histogram, "From a request to its answer.");
  std::uint64_t siblings = 0;
  for (const auto& kind : of.operations) {
    siblings += kind.siblings;
    metrics.histogram({{"operation", kind.operation}}, kKvTimeBounds, kind.times,
                      static_cast<double>(kind.total_us) / 1e6);
  }
  const auto& counters = of.counters;
  const auto& progress = of.progress;
  metrics.counter("cluster_kv_reads_with_siblings_total", "Reads answered with several values.", siblings)
      .gauge("cluster_kv_keys", "Keys held here, deleted ones too; on a disk about so many.",
             static_cast<double>(of.keys))
      .gauge("cluster_kv_stored_bytes", "Bytes of their values; on a disk those of its files, about.",
             static_cast<double>(of.bytes))
      .family("cluster_kv_replica_requests_total", Kind::counter,
              "Answered as a replica, here or elsewhere asked.")
      .sample({{"operation", "read"}}, counters.reads)
      .sample({{"operation", "write"}}, counters.writes)
      .counter("cluster_kv_read_repairs_total", "Replicas that a read found behind, and mended.",
               counters.repairs)
      .gauge("cluster_kv_hints", "Writes kept for nodes that missed them.",
             static_cast<double>(progress.hints))
      .counter("cluster_kv_hints_delivered_total", "Writes that such nodes have taken since.",
               counters.hinted)
      .family("cluster_kv_comparisons_total", Kind::counter, "Rounds of anti-entropy with another node.")
      .sample({{"outcome", "ok"}}, counters.sessions_completed)
      .sample({{"outcome", "failed"}}, counters.sessions_failed)
      .counter("cluster_kv_compared_records_received_total", "Records that comparison brought here.",
               counters.records_received)
      .gauge("cluster_kv_settled", "1 while this node holds all that it is to hold.",
             progress.settled ? 1 : 0)
      .gauge("cluster_kv_failed", "1 once its disk has failed: it takes part in nothing any more.",
             progress.fault.empty() ? 0 : 1)
      .gauge("cluster_kv_nodes_to_compare", "Nodes to be compared with before that.",
             static_cast<double>(progress.to_compare))
      .gauge("cluster_kv_handing_over", "1 while keys are handed to the nodes that they belong to.",
             progress.handing_over ? 1 : 0)
      .gauge("cluster_kv_keys_to_hand_over", "Keys held here that belong to others.",
             static_cast<double>(progress.left))
      .gauge("cluster_kv_hand_over_ratio", "How much of the keys this pass has looked at.",
             progress.handed_over)
      .counter("cluster_kv_handed_over_keys_total", "Keys handed over, and removed here.",
               counters.handed_over)
      .counter("cluster_kv_handed_over_bytes_total", "Bytes of their values.", counters.handed_over_bytes)
      .counter("cluster_kv_tombstones_forgotten_total",
               "Deleted keys that no node needs to remember any more.", counters.forgotten)
      .counter("cluster_kv_misplaced_total", "Requests of nodes that placed the key by another ring.",
               counters.views)
      .counter("cluster_kv_messages_refused_total", "Messages of other nodes that were not taken.",
               counters.refused);
}

void add_http(MetricsText& metrics, const HttpCounters& of) {
  constexpr std::array<std::string_view, 5> kClasses{"1xx", "2xx", "3xx", "4xx", "5xx"};
  metrics.family("cluster_http_responses_total", Kind::counter, "Responses by the class of their status.");
  for (std::size_t i = 0; i < kClasses.size(); ++i)
    metrics.sample({{"status", kClasses[i]}}, of.responses[i]);
  metrics.counter("cluster_http_connections_total", "Connections accepted.", of.connections)
      .counter("cluster_http_evicted_total", "Connections without a request, closed for newer ones.",
               of.evicted)
      .counter("cluster_http_turned_away_total", "Connections closed because all others were in use.",
               of.turned_away)
      .counter("cluster_http_malformed_total", "What was no HTTP.", of.malformed)
      .counter("cluster_http_unauthorized_total", "Requests without the token.", of.unauthorized)
      .counter("cluster_http_events_sent_total", "Events sent to streams.", of.events_sent)
      .counter("cluster_http_body_bytes_in_total", "Bytes of bodies received.", of.body_bytes_in)
      .counter("cluster_http_body_bytes_out_total", "Bytes of bodies sent.", of.body_bytes_out)
      .gauge("cluster_http_connections", "Connections now.", static_cast<double>(of.open_connections))
      .gauge("cluster_http_streams", "Event streams now.", static_cast<double>(of.open_feeds));
}

/// What Prometheus' own client libraries tell of a process, under their names.
void add_process(MetricsText& metrics) {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  metrics.family("process_cpu_seconds_total", Kind::counter, "Processor time used, user and system.")
      .sample({}, seconds(usage.ru_utime) + seconds(usage.ru_stime));
  std::uint64_t total = 0, resident = 0;
  if (std::ifstream("/proc/self/statm") >> total >> resident)
    metrics.gauge("process_resident_memory_bytes", "Resident memory.",
                  static_cast<double>(resident) * static_cast<double>(::sysconf(_SC_PAGESIZE)));
  std::error_code fault;
  const std::filesystem::directory_iterator open("/proc/self/fd", fault);
  if (!fault)
    metrics.gauge("process_open_fds", "Open file descriptors.",
                  static_cast<double>(std::distance(begin(open), end(open))));
}

Response metrics_page(const Toolbox& tools, const Result<Value>& ring, const Result<Value>& detector,
                      const Result<Value>& store) {
  MetricsText metrics;
  add_members(metrics, *tools.node);
  add_network(metrics, tools.node->actors().kernel());
  add_actors(metrics, tools.node->actors());
  if (ring) add_counters(metrics, "cluster_gossip_", ring->find("gossip"));
  if (detector) add_counters(metrics, "cluster_detector_", detector->find("counters"));
  if (store)
    if (const auto info = store->to<KvInfo::Answer>()) add_store(metrics, *info);
  add_http(metrics, tools.server->counters());
  add_process(metrics);
  return {.type = "text/plain; version=0.0.4; charset=utf-8", .body = metrics.text()};
}

void handle_metrics(const Toolbox& tools, const Answer& answer) {
  tools.caller->call("ring", "ring_info", {}, kInfoTimeout, [tools, answer](const Result<Value>& ring) {
    tools.caller->call("detector", "detector_info", {}, kInfoTimeout, [=](const Result<Value>& detector) {
      tools.caller->call(std::string(KvServer::kName), std::string(KvInfo::event), {}, kInfoTimeout,
                         [=](const Result<Value>& store) {  // there may be none
                           tools.server->post([=] { answer(metrics_page(tools, ring, detector, store)); });
                         });
    });
  });
}

}  // namespace

void add_metrics_routes(Router& router, const Toolbox& tools) {
  router.add({.pattern = "/metrics",
              .handle = [tools](const Request&, const Answer& answer) { handle_metrics(tools, answer); }});
}

}  // namespace cluster::gateway
