#pragma once
#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "cluster/base/endpoint.hpp"
#include "cluster/base/result.hpp"
#include "cluster/base/rng.hpp"
#include "cluster/base/time.hpp"

namespace cluster::proto {

/// The addresses of a text with one HOST:PORT a line. What is behind a `#` is a comment.
struct AddressList {
  static constexpr std::size_t kBytesMax = 256u << 10;  ///< of the text

  std::vector<Endpoint> addresses{};
  std::vector<std::string> faults{};  ///< "line 3: 'x' is not HOST:PORT"; the first few of them
};
[[nodiscard]] AddressList parse_address_list(std::string_view text);

struct DiscoveryConfig {
  Endpoint self{};           ///< where this node says that it listens: not met
  std::size_t sources = 0;   ///< names and files that list addresses, known by their numbers
  Duration period_min = 2s;  ///< between two rounds while no other member is here
  Duration period_max =
      30s;  ///< the periods double up to it while there are others; also the wait after a refusal
  std::size_t meets_max = 8;  ///< addresses met in one round, chosen at random
};

/// Where the other members are, as far as the ring knows.
struct Company {
  std::vector<Endpoint> members{};  ///< of the others, as they say
  bool is_here = false;             ///< one of them answers
};

// Actions: all that a driver must do, in order.

/// Find the addresses of this source, and answer with `on_found`, be it late.
struct FindAddresses {
  std::size_t source = 0;
};
/// Meet the ring of the node there without undoing a removal, and answer with `on_met`.
struct MeetAt {
  Endpoint endpoint{};
};
/// For the log: something is not as it was in the last round.
struct Finding {
  std::string text{};
  bool is_fault = false;
};
using DiscoveryAction = std::variant<FindAddresses, MeetAt, Finding>;
using DiscoveryActions = std::vector<DiscoveryAction>;

/// Finds the ring of a started node, and goes on looking: asks its sources in rounds, and meets some of the
/// addresses that it has not met. A node alone asks every 2 s, one with others every 30 s, so that nodes that
/// start all at once become one ring although each found only some, and a node that was first is found or
/// finds the others later. Each meets some 8 random others, which joins them all with near certainty and
/// costs a large cluster O(1) meets a node and round. An address that was met is left alone until it is
/// listed no more or this node is alone again; one that refused waits 30 s.
///
/// Time, chance and answers come in, actions come out; `now` never goes backwards. One thread at a time.
class Discovery {
 public:
  static constexpr std::size_t kAddressesMax = 1024;  ///< of one source; more are left out

  Discovery(DiscoveryConfig config, Rng rng);

  /// Begins a round if one is due. `company` is what holds now.
  [[nodiscard]] DiscoveryActions on_time(Instant now, const Company& company);
  /// A source that fails keeps the addresses that it gave before.
  [[nodiscard]] DiscoveryActions on_found(Instant now, std::size_t source,
                                          Result<std::vector<Endpoint>> found, const Company& company);
  [[nodiscard]] DiscoveryActions on_met(Instant now, const Endpoint& endpoint, const Result<void>& met);
  /// When `on_time` is next needed.
  [[nodiscard]] Instant next_deadline() const noexcept { return next_round_; }

 private:
  struct Source {
    std::vector<Endpoint> addresses{};
    std::string fault{};
    bool is_asked = false;
  };
  struct Address {
    bool is_met = false;
    bool is_being_met = false;
    Instant not_before{};
    std::string fault{};
  };
  [[nodiscard]] DiscoveryActions meet_some(Instant now, const Company& company);
  void forget_unlisted();

  DiscoveryConfig config_;
  Rng rng_;
  std::vector<Source> sources_;
  std::map<Endpoint, Address> addresses_{};
  Duration period_{};
  Instant next_round_{};
  bool is_round_open_ = false;  // its meets are still to be chosen
};

}  // namespace cluster::proto
