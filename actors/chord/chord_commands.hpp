#pragma once
#include <string_view>
#include <vector>

#include "cluster/chord/chord_server.hpp"
#include "cluster/proto/command.hpp"

namespace cluster {

/// The server named `chord_commands`: what `cluster-cli chord ...` asks, answered as the server `command`
/// does. Takes other commands while one waits.
class ChordCommands : public GenServer<ChordCommands, proto::CommandRequest> {
 public:
  static constexpr bool system = true;
  static constexpr bool reentrant = true;
  static constexpr std::string_view kName = "chord_commands";

  explicit ChordCommands(Ref<ChordServer> chord) : chord_(std::move(chord)) {}

  Task<wire::Value> handle_call(proto::CommandRequest asked);

 private:
  // These run inside handle_call, which keeps what they refer to.
  Task<wire::Value> join(const proto::CommandRequest& request);
  Task<wire::Value> lookup(const proto::CommandRequest& request, const proto::ChordSpace& space);
  Task<wire::Value> graph(const proto::CommandRequest& request, const ChordView::Answer& own);

  Ref<ChordServer> chord_;
};

}  // namespace cluster
