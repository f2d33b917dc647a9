#include "cluster/chord/overlay.hpp"

#include <exception>

#include "cluster/chord/chord_commands.hpp"

namespace cluster {

Result<Ref<ChordServer>> start_chord(Node& node, proto::ChordConfig config, std::vector<Endpoint> through) {
  config.self = {node.id(), node.endpoint()};
  try {
    static_cast<void>(proto::Chord(config, Rng(0)));
  } catch (const std::exception& wrong) {
    return Error(Errc::invalid_argument, wrong.what());
  }
  auto& actors = node.actors();
  auto chord = actors.spawn<ChordServer>({.name = std::string(ChordServer::kName)}, std::move(config),
                                         &actors, node.ring_board(), std::move(through));
  if (!chord) return chord;
  auto commands = actors.spawn<ChordCommands>({.name = std::string(ChordCommands::kName)}, *chord);
  if (!commands) return std::move(commands).error();
  actors.listen_to_peers([system = &actors, to = *chord](const PeerEvent& event) {
    using net::PeerDownReason;
    if (event.peer.role != net::Role::node) return;
    const bool silent = event.reason == PeerDownReason::lost || event.reason == PeerDownReason::stopping;
    if (event.kind == PeerEvent::Kind::up)
      static_cast<void>(system->cast(to, ChordLinked{{event.peer.id, event.peer.endpoint}}));
    else if (event.kind == PeerEvent::Kind::down && event.reason != PeerDownReason::replaced)
      static_cast<void>(system->cast(to, ChordLinkLost{event.peer.id, !silent}));
  });
  return chord;
}

}  // namespace cluster
