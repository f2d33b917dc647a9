#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cluster/base/endpoint.hpp"
#include "cluster/base/log.hpp"
#include "cluster/base/node_id.hpp"
#include "cluster/base/result.hpp"
#include "cluster/base/time.hpp"
#include "cluster/crypto/tls.hpp"
#include "cluster/proto/chord.hpp"
#include "cluster/proto/kv_bucket.hpp"
#include "cluster/proto/partition_policy.hpp"
#include "cluster/wire/frame_protection.hpp"

namespace cluster::cli {

/// What both programs take: -I, -H, -p, -a, --cookie-file, --tls-cert, --tls-key, --tls-ca.
struct CommonOptions {
  std::optional<NodeId> instance{};
  Endpoint endpoint{"localhost", 7022};
  std::optional<std::string> key{};
  std::optional<std::string> cookie_file{};
  crypto::TlsFiles tls{};  ///< all of them or none
};

struct CliOptions {
  CommonOptions common{};
  bool json = false;                 ///< at a terminal too
  bool table = false;                ///< into a pipe too
  Duration timeout = 10s;            ///< to connect, and then for each answer
  std::vector<std::string> words{};  ///< the command; none: a session
  std::string notice{};              ///< not empty: print this and exit 0 (--help, --version)
};

/// --http and what goes with it.
struct HttpOptions {
  Endpoint endpoint{};                 ///< port 0: any free one
  std::string token_file{};            ///< empty: the token is that of the cookie
  std::vector<std::string> names{};    ///< under which the node may be asked for, "*": any
  std::vector<std::string> origins{};  ///< of web pages elsewhere that may use it, "*": any
};

struct NodeOptions {
  CommonOptions common{};
  std::string ring{};                     ///< empty: in no ring
  std::uint32_t rfactor = 128;            ///< the default weight
  std::uint32_t pfactor = 2;              ///< the default number of neighbours
  std::optional<std::uint32_t> weight{};  ///< this node's; default: rfactor
  std::string zone{};                     ///< this node's; empty: none
  std::vector<std::string> bind{};
  std::vector<Endpoint> meet{};
  std::vector<Endpoint> discover{};
  std::string discover_file{};  ///< empty: none
  std::string data_dir{};       ///< empty: nothing is saved
  std::uint32_t mesh_max = 64;
  wire::Protection protection = wire::Protection::sign;
  wire::Protection protection_min = wire::Protection::sign;
  proto::PartitionPolicyConfig partition_policy{};
  log::Level log_level = log::Level::info;
  bool allow_drills = false;
  std::optional<HttpOptions> http{};
  std::optional<proto::ChordConfig> chord{};
  std::vector<Endpoint> chord_join{};
  bool leave_on_stop = false;
  Duration drain_time = 60s;  ///< for which it hands over before it leaves
  bool demo_actors = false;
  std::vector<std::pair<std::string, proto::KvBucket>> kv_buckets{};  ///< "*": those not named
  Duration kv_sync_rest{};                                            ///< as KvStoreConfig::sync_rest
  bool kv = false;       ///< runs its part of the key-value store, under data_dir if there is one
  std::string notice{};  ///< not empty: print this and exit 0
};

/// `arguments` without the program's name. Connection options may stand before or behind the command's
/// words. Errors are one line; they mean exit code 2.
[[nodiscard]] Result<CliOptions> parse_cli_options(const std::vector<std::string>& arguments);
[[nodiscard]] Result<NodeOptions> parse_node_options(const std::vector<std::string>& arguments);

}  // namespace cluster::cli
