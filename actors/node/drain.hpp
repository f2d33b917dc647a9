#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace cluster {

/// How far a server of this node is with what the others must have before this node leaves their ring.
struct DrainState {
  bool done = false;
  bool failed = false;     ///< it never will be
  std::uint64_t left = 0;  ///< how much is to be handed over yet, in what the server counts (keys)
  std::string text{};      ///< what is waited for, for a person
};

/// Asked of a server that registered with Node::drain_first: before a drain begins, whether it has failed,
/// and then, again and again, while the weight of this node in the ring is 0: no key is placed on it any
/// more.
struct AskDrained {
  static constexpr std::string_view event = "drained";
  using reply = DrainState;
};

/// Sets the weight of this node in its ring to 0, and answers when all of its servers that hold something for
/// the ring have handed it over, or after `wait_ms`. The weight stays 0 for 10 s more, in which the node is
/// to leave, to be removed, or to be asked again in the same name; then it is what it was, unless the node
/// drains in another name as well. One with a server that has failed says so, and its weight is not touched.
/// A node that is in no ring, or alone in one, is done. One whose fellow members all leave as well is done
/// after 16 s: by then those that stay after all have their weights again.
struct DrainNode {
  std::uint32_t wait_ms = 0;
  std::uint64_t by = 0;  ///< in whose name: a number that each who has it drain draws; 0: the node's own
  using reply = DrainState;
};

/// It stays after all, as far as that one is concerned. The weight is what it was when nobody has it drain.
struct EndDrain {
  std::uint64_t by = 0;
};

}  // namespace cluster
