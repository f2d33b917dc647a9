#include "cluster/node/gossip_ring.hpp"

#include <algorithm>
#include <exception>
#include <utility>
#include <variant>

#include "cluster/base/log.hpp"
#include "cluster/crypto/random.hpp"
#include "cluster/node/known_cast.hpp"

namespace cluster {
namespace {

// Longer than a silent process of the same id is waited for, or nobody could take its place.
constexpr Duration kDialTimeout = 3s;
// For a link that is not up: it may have to be opened first.
constexpr Duration kGossipWait = 2s;

template <class... Each>
struct Overloaded : Each... {
  using Each::operator()...;
};
template <class... Each>
Overloaded(Each...) -> Overloaded<Each...>;

}  // namespace

GossipRing::GossipRing(Options options, ActorSystem* system, std::shared_ptr<RingBoard> board)
    : options_(std::move(options)),
      system_(system),
      board_(std::move(board)),
      gossip_(options_.saved ? proto::Gossip(options_.gossip, Rng(crypto::random_u64()), moment(),
                                             *std::exchange(options_.saved, std::nullopt))
                             : proto::Gossip(options_.gossip, Rng(crypto::random_u64()), moment())),
      hash_(options_.hash) {
  const auto& asked = options_.gossip.ring;
  if (gossip_.has_departed(asked) && gossip_.ring().empty()) {
    system_->kernel().set_ring({});
    log::warn("ring", "not in ring '", asked,
              "', which this node left or was removed from: only join, meet, or an ",
              "insert by a member begins anew");
  }
  publish();
}

proto::Moment GossipRing::moment() noexcept { return {MonotonicClock::now(), wall_now()}; }

Result<void> GossipRing::init() {
  perform(gossip_.on_start(moment()));
  return {};
}

void GossipRing::terminate(const runtime::ExitReason&) {
  if (options_.data != nullptr && saves_.ended() != saves_.number())
    options_.data->write(kRingFileName, proto::encode_ring_file(gossip_.saved()));
}

void GossipRing::handle_cast(const RingGossip& gossip) {
  perform(gossip_.on_message(moment(), gossip.from, gossip.message));
}

void GossipRing::handle_call(const ChangeRing& change, From<> from) {
  const auto command = ++command_last_;
  waiting_.emplace(command, std::move(from));
  perform(gossip_.on_command(moment(), command, change.command));
}

RingInfo::Answer GossipRing::handle_call(const RingInfo& info) {
  const auto& state = gossip_.state();
  return {gossip_.ring(), hex(state.hash(proto::RingState::horizon(wall_now()))), state.present_count(),
          gossip_.counters(), info.with_clock ? state.clock_entries() : std::vector<proto::ClockEntry>()};
}

void GossipRing::handle_cast(const PeerChanged& change) {
  perform(change.up ? gossip_.on_peer_up(moment(), change.peer)
                    : gossip_.on_peer_down(moment(), change.peer));
}

void GossipRing::handle_cast(const DialEnded& ended) {
  const Result<NodeId> peer =
      ended.code == 0 ? Result<NodeId>(ended.peer) : Error(static_cast<Errc>(ended.code), ended.text);
  if (!peer && peer.error().code() == Errc::duplicate_id)  // the other end knows a living process of this id
    perform(proto::GossipEvent(proto::DuplicateId{gossip_.self(), true}));
  perform(gossip_.on_dialed(moment(), ended.command, peer));
}

void GossipRing::handle_cast(const RingSaved& saved) {
  saves_.on_end(now(), saved.succeeded);
  for (auto first = waiting_for_disk_.begin();
       first != waiting_for_disk_.end() && first->first <= saves_.ended();) {
    first->second.reply();
    first = waiting_for_disk_.erase(first);
  }
  save();
  set_tick();
}

void GossipRing::handle_info(const Tick&) {
  tick_.fired();
  perform(gossip_.on_time(moment()));
}

void GossipRing::perform(const proto::Actions& actions) {
  publish();  // first, so that who is told that a change is done finds it on the board
  note_changes(actions);
  for (const auto& action : actions) std::visit([this](const auto& what) { perform(what); }, action);
  save();
  set_tick();
}

void GossipRing::perform(const proto::Send& send) {
  // The next round says it again.
  static_cast<void>(
      system_->kernel().send(send.to, known_cast(wire::KnownCast::ring_gossip, send.message),
                             {.lane = net::Lane::control, .flush_now = false, .wait_max = kGossipWait}));
}

void GossipRing::perform(const proto::Connect& connect) {
  system_->kernel().add_peer(connect.peer, connect.endpoint,
                             connect.standing ? net::Keep::standing : net::Keep::on_demand);
}

void GossipRing::perform(const proto::Disconnect& disconnect) {
  system_->kernel().remove_peer(disconnect.peer, disconnect.force);
}

void GossipRing::perform(const proto::Dial& dial) {
  system_->kernel().dial(
      dial.endpoint, kDialTimeout,
      [system = system_, ref = self(), command = dial.command](Result<net::PeerInfo> peer) {
        DialEnded ended{.command = command};
        if (peer) {
          ended.peer = peer->id;
        } else {
          ended.code = static_cast<std::uint16_t>(peer.error().code());
          ended.text = peer.error().message();
        }
        static_cast<void>(system->cast(ref, std::move(ended)));
      });
}

void GossipRing::perform(const proto::Done& done) {
  const auto found = waiting_.find(done.command);
  if (found == waiting_.end()) return;
  if (!found->second.waiting() && !done.result) log::warn("ring", done.result.error().message());
  if (done.result && saves_.ended() != saves_.number())
    waiting_for_disk_.emplace(saves_.number(), std::move(found->second));
  else
    found->second.reply(done.result);
  waiting_.erase(found);
}

void GossipRing::perform(const proto::GossipEvent& event) {
  log_event(event);
  if (!options_.on_event) return;
  try {
    options_.on_event(event);
  } catch (const std::exception& thrown) {  // the ring goes on, whatever its listener does
    log::error("ring", "the listener to ring events threw: ", thrown.what());
  } catch (...) {
    log::error("ring", "the listener to ring events threw");
  }
}

/// What other nodes can cause is limited.
void GossipRing::log_event(const proto::GossipEvent& event) {
  std::visit(
      Overloaded{[](const proto::RingChanged& changed) {
                   for (const auto& member : changed.members)
                     log::debug("ring", "'", member.str(), "' changed");
                 },
                 [this](const proto::ConflictFound& found) {
                   const auto& conflict = found.conflict;
                   log::limited(conflict_lines_, log::Level::warn, "ring", "concurrent edits of the ",
                                conflict.field, " of '", conflict.member.str(), "': that of '",
                                conflict.kept.str(), "' holds, that of '", conflict.lost.str(), "' does not");
                 },
                 [](const proto::RingJoined& joined) { log::info("ring", "in ring '", joined.ring, "'"); },
                 [](const proto::RingLeft& left) {
                   log::info("ring", "left ring '", left.ring, "'",
                             left.acknowledged ? "" : ", no member acknowledged");
                 },
                 [](const proto::RingRemoved& removed) {
                   log::warn("ring", "removed from ring '", removed.ring, "' by '", removed.by.str(), "'");
                 },
                 [this](const proto::DuplicateId& duplicate) {
                   log::limited(duplicate_lines_, log::Level::error, "ring", "two processes have the id '",
                                duplicate.id.str(), "'");
                 },
                 [this](const proto::MessageRefused& refused) {
                   log::limited(refusal_lines_, log::Level::warn, "ring", "a message of '",
                                refused.from.str(), "' was refused: ", refused.why.message());
                 }},
      event);
}

void GossipRing::publish() {
  const auto& state = gossip_.state();
  const auto wall = wall_now();
  if (state.version() == version_posted_ && gossip_.ring() == ring_posted_ && wall < edition_until_) return;
  if (gossip_.ring() != ring_posted_) system_->kernel().set_ring(gossip_.ring());
  version_posted_ = state.version();
  ring_posted_ = gossip_.ring();
  const auto now = proto::edition_of(state, wall);
  edition_until_ = now.until;
  hash_ = state.chash(std::move(hash_));
  board_->post(
      {gossip_.ring(), hash_, state.members(), state.hash(proto::RingState::horizon(wall)), now.edition});
}

/// Written at once: what a command changed or may have been waiting for, and that this node entered or left a
/// ring.
void GossipRing::note_changes(const proto::Actions& actions) {
  if (options_.data == nullptr) return;
  const auto version = gossip_.state().version();
  const bool moved = gossip_.ring() != ring_noted_;
  const bool changed = version != version_noted_ || moved;
  const bool is_awaited = std::ranges::any_of(
      actions, [](const auto& action) { return std::holds_alternative<proto::Done>(action); });
  if (changed || (is_awaited && saves_.ended() != saves_.number()))
    saves_.on_change(now(), moved || is_awaited);
  version_noted_ = version;
  ring_noted_ = gossip_.ring();
}

void GossipRing::save() {
  if (!saves_.begin(now())) return;
  options_.data->write(kRingFileName, proto::encode_ring_file(gossip_.saved()),
                       [system = system_, ref = self()](const Result<void>& result) {
                         static_cast<void>(system->cast(ref, RingSaved{result.has_value()}));
                       });
}

void GossipRing::set_tick() {
  set_alarm(tick_, std::min(gossip_.next_deadline(), saves_.next_deadline()), Tick{});
}

}  // namespace cluster
