#pragma once
#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/node/drain.hpp"
#include "cluster/node/gossip_ring.hpp"
#include "cluster/node/member_board.hpp"
#include "cluster/node/ring_board.hpp"

namespace cluster {

/// One more server that must be done before this node leaves.
struct DrainFirst {
  static constexpr bool local = true;

  std::string server{};
};

/// The server named `drain`, on nodes with something to hand over before they leave: has it handed over,
/// while they are still members. Others ask it before they remove this node.
class DrainServer : public GenServer<DrainServer, DrainNode, EndDrain, DrainFirst> {
 public:
  static constexpr bool system = true;
  static constexpr bool reentrant = true;
  static constexpr std::string_view kName = "drain";

  DrainServer(NodeId id, Ref<GossipRing> ring, std::shared_ptr<const RingBoard> board,
              std::shared_ptr<const MemberBoard> members)
      : id_(std::move(id)), ring_(std::move(ring)), board_(std::move(board)), members_(std::move(members)) {}

  Task<DrainState> handle_call(DrainNode ask);
  void handle_cast(const EndDrain& end);
  void handle_cast(const DrainFirst& first) {
    if (std::ranges::count(servers_, first.server) == 0) servers_.push_back(first.server);
  }

 private:
  /// The other members, as far as they can take what is handed over.
  enum class Others : std::uint8_t {
    none,    ///< there are none
    stay,    ///< one at least answers, and stays
    silent,  ///< none does; one at least does not answer
    leave,   ///< all answer, and all leave as well
  };
  [[nodiscard]] bool drains_for(std::uint64_t by) const;
  bool extend(std::uint64_t by);
  [[nodiscard]] Others others() const;
  [[nodiscard]] bool all_have_left_long(Others others);
  Task<DrainState> look();

  NodeId id_;
  Ref<GossipRing> ring_;
  std::shared_ptr<const RingBoard> board_;
  std::shared_ptr<const MemberBoard> members_;
  std::vector<std::string> servers_{};
  std::map<std::uint64_t, Instant> drains_{};  // in whose name, and until when unless asked again
  Instant all_leave_since_{};                  // while that is so
  Instant all_leave_until_ = Instant::min();   // if nobody asks again
};

}  // namespace cluster
