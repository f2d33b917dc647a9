#pragma once
#include <vector>

#include "cluster/chord/chord_server.hpp"
#include "cluster/node/node.hpp"

namespace cluster {

/// Runs the Chord overlay on `node`, in a ring of its own until it joins another: the servers `chord` and
/// `chord_commands`. `config.self` is the node's. While it is alone on its ring, it asks the nodes of
/// `through`, one after the other, for theirs. Errors: `invalid_argument`, `already_exists`.
///
///   auto chord = cluster::start_chord(node).value();
///   auto owner = node.call(chord, FindOwner{"user-17"});  // Result<proto::ChordAnswer>
[[nodiscard]] Result<Ref<ChordServer>> start_chord(Node& node, proto::ChordConfig config = {},
                                                   std::vector<Endpoint> through = {});

}  // namespace cluster
