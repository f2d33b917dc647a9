#include <algorithm>
#include <charconv>

#include "cluster/base/utf8.hpp"
#include "cluster/proto/command.hpp"
#include "cluster/proto/ring_records.hpp"
#include "option_parsing.hpp"
#include "version.hpp"

namespace cluster::cli {
namespace {

Result<std::uint32_t> parse_count(const std::string& text, const char* what, std::uint32_t min,
                                  std::uint32_t max) {
  std::uint32_t value = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (fault != std::errc{} || end != text.data() + text.size() || value < min || value > max)
    return usage_error("'" + text + "' is not " + what + " (" + std::to_string(min) + ".." +
                       std::to_string(max) + ")");
  return value;
}

Result<std::vector<Endpoint>> parse_endpoints(const std::string& option,
                                              const std::vector<std::string>& texts) {
  std::vector<Endpoint> endpoints;
  for (const auto& text : texts) {
    auto endpoint = Endpoint::parse(text);
    if (!endpoint) return usage_error(option + ": " + endpoint.error().message());
    endpoints.push_back(std::move(endpoint).value());
  }
  return endpoints;
}

constexpr std::size_t kDiscoverMax = 64;
constexpr std::int64_t kPolicyTimeMax = 30 * 86'400;  // seconds

/// The options of the partition policy as text.
struct PolicyTexts {
  std::string kind = "mark";
  std::string quorum;
  std::string remove_after = "600";
  std::string stable_after = "20";

  void add_to(CLI::App& app) {
    app.add_option(
           "--partition-policy", kind,
           "what the silence of members means: mark (no more than that they are silent), remove-after\n"
           "(the greater side removes them from the ring), or one of three by which a side that is too\n"
           "small must not change the ring: keep-majority, static-quorum, keep-oldest. The same on all\n"
           "nodes")
        ->type_name("POLICY")
        ->capture_default_str();
    app.add_option(
           "--quorum", quorum,
           "of static-quorum: so many members must be on a side; more than half of all that will ever be")
        ->type_name("N");
    app.add_option("--remove-after", remove_after, "of remove-after: how long a member must be unreachable")
        ->type_name("SECONDS")
        ->capture_default_str();
    app.add_option("--stable-after", stable_after,
                   "of all but mark: how long what was found must stay the same before anything follows")
        ->type_name("SECONDS")
        ->capture_default_str();
  }

  Result<proto::PartitionPolicyConfig> checked(const CLI::App& app) const {
    using Kind = proto::PartitionPolicyConfig::Kind;
    const auto policy = proto::parse_partition_policy(kind);
    if (!policy) return usage_error("--partition-policy: " + policy.error().message());
    const auto without_use = [&](const char* option, bool used) { return app.count(option) > 0 && !used; };
    if (without_use("--quorum", *policy == Kind::static_quorum))
      return usage_error("--quorum goes with --partition-policy static-quorum, not " + kind);
    if (without_use("--remove-after", *policy == Kind::remove_after))
      return usage_error("--remove-after goes with --partition-policy remove-after, not " + kind);
    if (without_use("--stable-after", *policy != Kind::mark))
      return usage_error("--stable-after goes with a --partition-policy that does more than mark");
    proto::PartitionPolicyConfig config{.kind = *policy};
    if (*policy == Kind::static_quorum) {
      if (quorum.empty()) return usage_error("--partition-policy static-quorum needs --quorum N");
      const auto members = parse_count(quorum, "a quorum", 1, 16'384);
      if (!members) return members.error();
      config.quorum = *members;
    }
    const auto removal = parse_seconds("--remove-after", remove_after, kPolicyTimeMax);
    if (!removal) return removal.error();
    config.remove_after = *removal;
    const auto stable = parse_seconds("--stable-after", stable_after, kPolicyTimeMax);
    if (!stable) return stable.error();
    config.stable_after = *stable;
    return config;
  }
};

/// --protection and --protection-min.
Result<void> read_protection(const CLI::App& app, const std::string& most, const std::string& least,
                             NodeOptions& options) {
  const auto checked_most = wire::parse_protection(most);
  if (!checked_most) return usage_error("--protection: " + checked_most.error().message());
  const auto checked_least = wire::parse_protection(least);
  if (!checked_least) return usage_error("--protection-min: " + checked_least.error().message());
  if (*checked_least > *checked_most && app.count("--protection") > 0)
    return usage_error("--protection-min " + least + " is more than --protection " + most);
  options.protection = std::max(*checked_most, *checked_least);
  options.protection_min = *checked_least;
  const bool has_certificate = !options.common.tls.empty();
  if (options.protection == wire::Protection::tls && !has_certificate)
    return usage_error("level tls needs --tls-cert, --tls-key and --tls-ca");
  if (options.protection != wire::Protection::tls && has_certificate && app.count("--protection") > 0)
    return usage_error("--tls-cert means --protection tls, not " + most);
  return {};
}

/// --http and what goes with it, as text.
struct HttpTexts {
  std::string at;
  HttpOptions options;

  void add_to(CLI::App& app) {
    app.add_option(
           "--http", at,
           "serve the HTTP API (docs/http.md) at this address, by default one that only this machine\n"
           "reaches; port 0 is any free one")
        ->type_name("[HOST:]PORT");
    app.add_option("--http-token-file", options.token_file,
                   "file with the token that clients show; without it, that of 'cluster-cli token'")
        ->type_name("FILE");
    app.add_option(
           "--http-name", options.names,
           "serve requests for this name too, besides --host, localhost and addresses (repeatable; '*':\n"
           "any)")
        ->type_name("NAME")
        ->expected(1)
        ->take_all();
    app.add_option(
           "--http-cors", options.origins,
           "let web pages of this origin use the API, such as https://example.org (repeatable; '*': any)")
        ->type_name("ORIGIN")
        ->expected(1)
        ->take_all();
  }

  Result<std::optional<HttpOptions>> checked(const CLI::App& app) const {
    if (app.count("--http") == 0) {
      for (const char* name : {"--http-token-file", "--http-name", "--http-cors"})
        if (app.count(name) > 0) return usage_error(std::string(name) + " needs --http");
      return std::optional<HttpOptions>();
    }
    auto http = options;
    const bool any_port = at == "0" || at.ends_with(":0");
    const auto text = any_port ? at.substr(0, at.size() - 1) + '1' : at;  // of an endpoint that can be parsed
    const bool port_only = text.find(':') == text.npos;
    auto endpoint = Endpoint::parse(port_only ? "localhost:" + text : text);
    if (!endpoint) return usage_error("--http: " + endpoint.error().message());
    http.endpoint = std::move(endpoint).value();
    if (any_port) http.endpoint.port = 0;
    if (app.count("--http-token-file") > 0 && http.token_file.empty())
      return usage_error("--http-token-file: no file");
    return std::optional(std::move(http));
  }
};

/// --chord and what goes with it, as text.
struct ChordTexts {
  bool is_on = false;
  std::string bits = "160";
  std::string hash = "sha1";
  std::string successors = "8";
  std::vector<std::string> join{};

  void add_to(CLI::App& app) {
    app.add_flag("--chord", is_on, "run the Chord overlay (docs/chord.md), which finds the owners of keys");
    app.add_option(
           "--chord-join", join,
           "the Chord ring of this node is joined, also after all others were lost (repeatable, or a\n"
           "list with commas); members of one ring find together without it")
        ->type_name("HOST:PORT")
        ->expected(1)
        ->take_all()
        ->delimiter(',');
    app.add_option("--chord-bits", bits, "length of its identifiers, 8 to 160; the same on all nodes")
        ->type_name("N")
        ->capture_default_str();
    app.add_option("--chord-hash", hash, "what makes them, sha1 or sha256; the same on all nodes")
        ->type_name("HASH")
        ->capture_default_str();
    app.add_option("--chord-successors", successors, "how many successors this node knows, 1 to 32")
        ->type_name("N")
        ->capture_default_str();
  }

  Result<std::optional<proto::ChordConfig>> checked(const CLI::App& app) const {
    if (!is_on) {
      for (const char* name : {"--chord-bits", "--chord-hash", "--chord-successors", "--chord-join"})
        if (app.count(name) > 0) return usage_error(std::string(name) + " needs --chord");
      return std::optional<proto::ChordConfig>();
    }
    proto::ChordConfig config;
    const auto checked_bits =
        parse_count(bits, "a length of identifiers", proto::ChordSpace::kBitsMin, proto::ChordId::kBitsMax);
    if (!checked_bits) return checked_bits.error();
    config.bits = *checked_bits;
    if (hash != "sha1" && hash != "sha256")
      return usage_error("--chord-hash: '" + hash + "' is no hash; there are sha1 and sha256");
    config.hash = hash == "sha1" ? proto::ChordHash::sha1 : proto::ChordHash::sha256;
    const auto checked_successors =
        parse_count(successors, "a number of successors", 1, proto::kChordSuccessorsMax);
    if (!checked_successors) return checked_successors.error();
    config.successors = *checked_successors;
    return std::optional(std::move(config));
  }
};

}  // namespace

Result<NodeOptions> parse_node_options(const std::vector<std::string>& arguments) {
  CLI::App app("Runs one node of a cluster until SIGTERM.", "cluster-node");
  CommonTexts texts;
  texts.add_to(app, "id of this node (default: the name of the machine)",
               "host at which other nodes reach this one",
               "PEM file with this node's certificate, which names it as URI:lcluster:node:ID\n"
               "(docs/security.md): TLS with all who have one");
  NodeOptions options;
  std::string rfactor = "128";
  std::string pfactor = "2";
  std::string weight;
  std::string mesh_max = "64";
  std::string log_level = "info";
  std::vector<std::string> meets;
  std::vector<std::string> discovers;
  std::string protection = "sign";
  std::string protection_min = "sign";
  app.add_option("--ring", options.ring, "ring to be in from the start")->type_name("RING");
  app.add_option("--weight", weight, "virtual nodes of this node (default: rfactor)")->type_name("N");
  app.add_option(
         "--zone", options.zone,
         "what this node fails together with, such as a rack or a data centre: the copies of a key are\n"
         "spread over zones")
      ->type_name("ZONE");
  app.add_option("--rfactor", rfactor, "default weight of members")->type_name("N")->capture_default_str();
  app.add_option("--pfactor", pfactor, "default number of neighbours")->type_name("N")->capture_default_str();
  app.add_option("--bind", options.bind, "listen at this address (repeatable; default: those of --host)")
      ->type_name("ADDRESS")
      ->expected(1)
      ->take_all();
  app.add_option("--meet", meets,
                 "meet the ring of this node at the start (repeatable, or a list with commas)")
      ->type_name("HOST:PORT")
      ->expected(1)
      ->take_all()
      ->delimiter(',');
  app.add_option(
         "--discover", discovers,
         "meet the nodes at all addresses that this name stands for, and look again from time to time\n"
         "(repeatable, or a list with commas)")
      ->type_name("NAME:PORT")
      ->expected(1)
      ->take_all()
      ->delimiter(',');
  app.add_option("--discover-file", options.discover_file,
                 "the same for the addresses in a file, one HOST:PORT a line, read again from time to time")
      ->type_name("FILE");
  app.add_option(
         "--mesh-max", mesh_max,
         "up to so many members each node stays connected to all; above, to a few, and to others while\n"
         "there is something to say. The same on all nodes")
      ->type_name("N")
      ->capture_default_str();
  app.add_option("--data-dir", options.data_dir,
                 "folder that keeps the ring over restarts; made if it is not there, for one node alone")
      ->type_name("DIR");
  app.add_option(
         "--protection", protection,
         "the most that a connection gets, if its other end offers it too: sign (frames are signed),\n"
         "seal (encrypted as well) or tls (with certificates; what --tls-cert means)")
      ->type_name("LEVEL")
      ->capture_default_str();
  app.add_option("--protection-min", protection_min,
                 "refuse connections that get less; seal (nothing travels unencrypted) implies\n"
                 "--protection seal, and tls (nobody without a certificate) --protection tls")
      ->type_name("LEVEL")
      ->capture_default_str();
  PolicyTexts policy;
  policy.add_to(app);
  HttpTexts http;
  http.add_to(app);
  app.add_option("--log-level", log_level, "trace, debug, info, warn, error or off")
      ->type_name("LEVEL")
      ->capture_default_str();
  app.add_flag("--allow-drills", options.allow_drills,
               "let 'cluster-cli drill' cut this node's links for a while, to rehearse a partition");
  app.add_flag("--leave-on-stop", options.leave_on_stop,
               "leave the ring before stopping, once the others have this node's keys");
  std::string drain_time = "60";
  app.add_option("--drain-timeout", drain_time,
                 "with --leave-on-stop: for how long keys are handed over at most. A second SIGTERM ends it")
      ->type_name("SECONDS")
      ->capture_default_str();
  app.add_flag("--kv", options.kv,
               "run this node's part of the key-value store, kept in the folder 'kv' of --data-dir if that\n"
               "is given, else in memory; on all nodes of a ring or on none");
  std::vector<std::string> kv_buckets;
  app.add_option(
         "--kv-bucket", kv_buckets,
         "how a bucket is kept (\"*\": all not named): N replicas, R that answer a read, W that have a\n"
         "write on their disks (3, 2, 2), and what becomes of values written without knowledge of each\n"
         "other (siblings). The same on all nodes; repeatable")
      ->type_name("NAME:n=N,r=R,w=W,siblings|last|max|union")
      ->take_all();
  std::string kv_sync = "always";
  app.add_option("--kv-sync", kv_sync,
                 "when writes go to the disk: always (before they are answered), or each second in the\n"
                 "background: a machine that crashes, though not a process, may then lose the last ones")
      ->type_name("always|second")
      ->capture_default_str();
  ChordTexts chord;
  chord.add_to(app);
  app.add_flag("--demo-actors", options.demo_actors, "start the servers 'counter' and 'echo'");
  app.footer(
      "An option that is not given may be in the environment: --data-dir as CLUSTER_DATA_DIR, and so on; a "
      "flag\n"
      "as 'true'.");
  if (const auto parsed = parse(app, arguments, app.get_options()); !parsed) return parsed.error();

  if (texts.help)
    options.notice = app.help();
  else if (texts.version)
    options.notice = std::string("cluster-node ") + kVersion + "\n";
  auto common = texts.checked(app);
  if (!common) return common.error();
  options.common = std::move(common).value();
  if (options.ring.size() > 255 || !is_utf8(options.ring) || has_control_character(options.ring))
    return usage_error("--ring: not a ring id");
  if (const auto zone = proto::check_zone(options.zone); !zone)
    return usage_error("--zone: " + zone.error().message());

  if (app.count("--data-dir") > 0 && options.data_dir.empty()) return usage_error("--data-dir: no folder");
  const auto checked_rfactor = parse_count(rfactor, "an rfactor", proto::kWeightMin, proto::kWeightMax);
  if (!checked_rfactor) return checked_rfactor.error();
  options.rfactor = *checked_rfactor;
  const auto checked_pfactor = parse_count(pfactor, "a pfactor", 0, proto::kWeightMax);
  if (!checked_pfactor) return checked_pfactor.error();
  options.pfactor = *checked_pfactor;
  const auto checked_mesh = parse_count(mesh_max, "a number of members", 0, 16'384);
  if (!checked_mesh) return checked_mesh.error();
  options.mesh_max = *checked_mesh;
  if (app.count("--weight") > 0) {
    const auto checked_weight = proto::parse_weight(weight);
    if (!checked_weight) return checked_weight.error();
    options.weight = *checked_weight;
  }
  auto checked_meets = parse_endpoints("--meet", meets);
  if (!checked_meets) return checked_meets.error();
  options.meet = std::move(checked_meets).value();
  auto checked_discovers = parse_endpoints("--discover", discovers);
  if (!checked_discovers) return checked_discovers.error();
  options.discover = std::move(checked_discovers).value();
  if (options.discover.size() > kDiscoverMax)
    return usage_error("--discover: more than " + std::to_string(kDiscoverMax) +
                       " names: use --discover-file");
  if (app.count("--discover-file") > 0 && options.discover_file.empty())
    return usage_error("--discover-file: no file");
  if (const auto checked = read_protection(app, protection, protection_min, options); !checked)
    return checked.error();
  const auto checked_policy = policy.checked(app);
  if (!checked_policy) return checked_policy.error();
  options.partition_policy = *checked_policy;
  auto checked_http = http.checked(app);
  if (!checked_http) return checked_http.error();
  options.http = std::move(checked_http).value();
  if (!kv_buckets.empty() && !options.kv) return usage_error("--kv-bucket needs --kv");
  if (app.count("--kv-sync") > 0 && !options.kv) return usage_error("--kv-sync needs --kv");
  if (kv_sync != "always" && kv_sync != "second") return usage_error("--kv-sync: always or second");
  if (kv_sync == "second") options.kv_sync_rest = std::chrono::seconds(1);
  std::ranges::stable_partition(kv_buckets, [](const std::string& text) { return text.starts_with("*:"); });
  for (const auto& text : kv_buckets) {
    const bool has_base = !options.kv_buckets.empty() && options.kv_buckets.front().first == "*";
    auto bucket =
        proto::parse_kv_bucket(text, has_base ? options.kv_buckets.front().second : proto::KvBucket());
    if (!bucket) return usage_error("--kv-bucket: " + bucket.error().message());
    options.kv_buckets.push_back(std::move(bucket).value());
  }
  auto checked_chord = chord.checked(app);
  if (!checked_chord) return checked_chord.error();
  options.chord = std::move(checked_chord).value();
  auto checked_join = parse_endpoints("--chord-join", chord.join);
  if (!checked_join) return checked_join.error();
  options.chord_join = std::move(checked_join).value();
  const auto checked_drain = parse_seconds("--drain-timeout", drain_time);
  if (!checked_drain) return checked_drain.error();
  options.drain_time = *checked_drain;
  const auto level = log::level_from_name(log_level);
  if (!level) return usage_error("--log-level: '" + log_level + "' is not a level");
  options.log_level = *level;
  return options;
}

}  // namespace cluster::cli
