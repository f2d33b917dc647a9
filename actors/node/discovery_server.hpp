#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/base/log.hpp"
#include "cluster/net/name_lookup.hpp"
#include "cluster/node/gossip_ring.hpp"
#include "cluster/node/member_board.hpp"
#include "cluster/node/node.hpp"
#include "cluster/proto/discovery.hpp"
#include "cluster/runtime/actor_system.hpp"

namespace cluster {

/// The resolver has answered for a name. `code` 0: with these addresses.
struct NameFound {
  static constexpr bool local = true;

  std::size_t source = 0;
  std::vector<Endpoint> addresses{};
  std::uint16_t code = 0;
  std::string text{};
};

/// Where a node looks for others: docs/deployment.md.
struct DiscoveryOptions {
  std::vector<Endpoint> names{};  ///< each may stand for many addresses
  std::string file{};             ///< with one address a line; empty: none
};

/// The server named `discovery`, on nodes that have names or a file to find others by: looks names up, reads
/// the file again in each round, and has the ring server meet what was found (proto::Discovery). Not one of
/// the system's: the disk of the file may keep it waiting.
class DiscoveryServer : public GenServer<DiscoveryServer, NameFound> {
 public:
  static constexpr bool reentrant = true;
  static constexpr std::string_view kName = "discovery";

  DiscoveryServer(DiscoveryOptions options, ActorSystem* system, Ref<GossipRing> ring,
                  std::shared_ptr<const MemberBoard> members);

  Result<void> init() override;
  void handle_cast(const NameFound& found);

  struct Tick {};
  void handle_info(const Tick&);
  struct MeetOut {
    Endpoint endpoint;
  };
  Task<> handle_info(MeetOut out);

 private:
  [[nodiscard]] proto::Company company() const;
  void perform(const proto::DiscoveryActions& actions);
  void find(std::size_t source);
  [[nodiscard]] Result<std::vector<Endpoint>> read_file();

  DiscoveryOptions options_;
  ActorSystem* system_;
  Ref<GossipRing> ring_;
  std::shared_ptr<const MemberBoard> members_;
  proto::Discovery discovery_;
  net::NameLookup names_;
  std::vector<std::string> file_faults_;  // that were logged
  log::Limit fault_lines_;
};

/// Has `node` find others from now on, for as long as it runs. `already_exists` if it does so already.
Result<void> discover(Node& node, DiscoveryOptions options);

}  // namespace cluster
