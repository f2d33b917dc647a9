#include "cluster/chord/chord_server.hpp"

#include <algorithm>
#include <utility>
#include <variant>

#include "cluster/crypto/random.hpp"
#include "cluster/wire/message.hpp"

namespace cluster {
namespace {

constexpr Duration kDialTimeout = 2s;
constexpr Duration kViewTimeout = 1s;
constexpr Duration kMailWait = 1s;       // for a link that has to be opened first
constexpr Duration kLookPeriod = 10s;    // between questions to members of the gossip ring, give or take half
constexpr Duration kAlonePeriod = 2s;    // the same for a node that is alone on its Chord ring
constexpr Duration kStrangerTime = 60s;  // without a message, until a peer is forgotten
constexpr std::size_t kJoinsMax = 64;    // under way
constexpr Duration kSilence = 2s;        // then a peer may have moved

/// Of a lookup, which changes nothing, or of a join that has ended without a ring.
Error not_done(const Error& error) { return Error(error.code(), error.message(), Executed::no); }

}  // namespace

ChordServer::ChordServer(proto::ChordConfig config, ActorSystem* system,
                         std::shared_ptr<const RingBoard> board, std::vector<Endpoint> through)
    : system_(system),
      board_(std::move(board)),
      through_(std::move(through)),
      rng_(crypto::random_u64()),
      chord_(std::move(config), Rng(crypto::random_u64())) {}

Result<void> ChordServer::init() {
  perform(chord_.create(now()));
  std::erase(through_, chord_.config().self.endpoint);  // all nodes may be given the same list
  send_after(through_.empty() ? 1s : 0s, Look{});  // soon: who starts with its ring finds the overlay at once
  return {};
}

void ChordServer::terminate(const runtime::ExitReason&) {
  was_member_ = false;
  auto actions = chord_.leave(now());
  for (auto& action : actions) std::visit([this](auto& what) { perform(what); }, action);
}

void ChordServer::handle_cast(const ChordMail& mail) {
  if (const auto known = introduced_.find(mail.from); known != introduced_.end()) known->second.heard = now();
  if (const auto linked = linked_.find(mail.from); linked != linked_.end())
    perform(chord_.on_contact(now(), {linked->first, linked->second}));
  perform(chord_.on_message(now(), mail.from, mail.message));
}

void ChordServer::handle_call(const FindOwner& find, From<proto::ChordAnswer> from) {
  const auto command = ++command_last_;
  lookups_.emplace(command, std::move(from));
  perform(chord_.lookup(now(), command, chord_.space().place(find.key),
                        find.recursive ? proto::ChordMode::recursive : proto::ChordMode::iterative));
}

void ChordServer::handle_call(const JoinChord& join, From<> from) {
  if (!join.endpoint) {
    perform(chord_.create(now()));
    return from.reply();
  }
  if (joins_.size() >= kJoinsMax)
    return from.fail(Error(Errc::overloaded, "too many joins are under way", Executed::no));
  const auto command = ++command_last_;
  joins_.emplace(command, std::move(from));
  dial(*join.endpoint, command);
}

void ChordServer::dial(const Endpoint& endpoint, std::uint64_t command) {
  system_->kernel().dial(endpoint, kDialTimeout,
                         [system = system_, ref = self(), command](Result<net::PeerInfo> peer) {
                           ChordDialed dialed{.command = command};
                           if (peer) {
                             dialed.node = proto::ChordContact{peer->id, peer->endpoint};
                           } else {
                             dialed.code = static_cast<std::uint16_t>(peer.error().code());
                             dialed.text = peer.error().message();
                           }
                           static_cast<void>(system->cast(ref, std::move(dialed)));
                         });
}

/// Asks `contact` whether it is in a ring that this node can be in.
Task<Result<void>> ChordServer::check_ring_of(const proto::ChordContact& contact) {
  const Ref<ChordServer> there(runtime::Target{std::string(kName), contact.id});
  const auto view = co_await call_within<ChordView>(kViewTimeout, there);
  const auto name = "'" + contact.id.str() + "'";
  if (!view && view.error().code() == Errc::no_server)
    co_return Error(Errc::refused, name + " runs no Chord: start it with --chord");
  if (!view) co_return view.error();
  if (!view->member) co_return Error(Errc::refused, name + " is in no Chord ring");
  if (view->bits == chord_.space().bits() && view->hash == chord_.space().hash()) co_return Result<void>();
  const auto code = static_cast<std::uint16_t>((view->bits & 0xff) | static_cast<unsigned>(view->hash) << 8);
  co_return Error(Errc::incompatible, "the Chord ring of " + name + " has " + proto::ChordSpace::text(code) +
                                          ", this node " + proto::ChordSpace::text(chord_.space().code()));
}

/// The ring that this node is in is given up only if there is one to join.
Task<void> ChordServer::handle_cast(ChordDialed dialed) {
  const auto command = dialed.command;
  if (!dialed.node) co_return fail_join(command, Error(static_cast<Errc>(dialed.code), dialed.text));
  if (dialed.node->id == chord_.self().id)
    co_return fail_join(command, Error(Errc::invalid_argument, "this is the node itself"));
  if (const auto checked = co_await check_ring_of(*dialed.node); !checked)
    co_return fail_join(command, checked.error());
  if (command == 0) co_return perform(chord_.meet(now(), *dialed.node));
  if (chord_.state() != proto::Chord::State::joining)  // else that of the join which this one ends
    was_member_ = chord_.state() == proto::Chord::State::member;
  perform(chord_.join(now(), command, *dialed.node));
}

void ChordServer::fail_join(std::uint64_t command, const Error& why) {
  auto waiting = joins_.extract(command);
  if (!waiting.empty()) waiting.mapped().fail(not_done(why));
  if (command == 0)
    log::limited(meet_lines_, log::Level::warn, "chord",
                 "no ring is found through the nodes that were named: ", why.message());
}

Result<void> ChordServer::handle_call(const LeaveChord&) {
  if (chord_.state() == proto::Chord::State::idle)
    return Error(Errc::refused, "this node is in no Chord ring", Executed::no);
  was_member_ = false;  // of a join that this ends
  perform(chord_.leave(now()));
  return {};
}

ChordView::Answer ChordServer::handle_call(const ChordView&) {
  ChordView::Answer view{.self = chord_.self().contact(),
                         .member = chord_.state() == proto::Chord::State::member,
                         .bits = chord_.space().bits(),
                         .hash = chord_.space().hash(),
                         .counters = chord_.counters()};
  if (chord_.predecessor()) view.predecessor = chord_.predecessor()->contact();
  for (const auto& peer : chord_.successors()) view.successors.push_back(peer.contact());
  for (const auto& run : chord_.fingers().runs())
    view.fingers.push_back({run.first, run.last, run.peer.contact()});
  return view;
}

void ChordServer::handle_call(const IntroduceChord& introduced) {
  introduce(introduced.node.id, introduced.node.endpoint);
}

void ChordServer::handle_cast(const ChordLinked& linked) {
  linked_[linked.peer.id] = linked.peer.endpoint;
  perform(chord_.on_contact(now(), linked.peer));
}

void ChordServer::handle_cast(const ChordLinkLost& lost) {
  linked_.erase(lost.peer);
  if (!lost.expected) perform(chord_.on_unanswered(now(), lost.peer));
}

void ChordServer::handle_info(const Tick&) {
  tick_.fired();
  perform(chord_.on_time(now()));
}

/// A node that was named, or a member of the gossip ring, may be in another part of the overlay: then both
/// become one.
Task<void> ChordServer::handle_info(Look) {
  const bool is_alone = chord_.successors().empty();
  const auto period = is_alone ? kAlonePeriod : kLookPeriod;
  send_after(period / 2 + std::chrono::nanoseconds(rng_.below(static_cast<std::uint64_t>(period.count()))),
             Look{});
  forget_strangers();
  if (chord_.state() != proto::Chord::State::member) co_return;
  if (is_alone && !through_.empty()) dial(through_[through_next_++ % through_.size()], 0);
  const auto view = board_->read();
  if (view->members.size() < 2) co_return;
  const auto& chosen = view->members[rng_.below(view->members.size())];
  const proto::ChordContact member{chosen.id, chosen.endpoint};
  if (member.id == chord_.self().id) co_return;
  if (const auto checked = co_await check_ring_of(member); !checked) co_return;  // such as: it runs no Chord
  perform(chord_.meet(now(), member));
}

void ChordServer::perform(proto::ChordActions actions) {
  for (auto& action : actions) std::visit([this](auto& what) { perform(what); }, action);
  set_alarm(tick_, chord_.next_deadline(), Tick{});
}

/// Tells the kernel where a peer listens, unless somebody else has. Lists of others may be older than the
/// link.
void ChordServer::introduce(const NodeId& id, const Endpoint& endpoint) {
  auto& kernel = system_->kernel();
  const auto found = introduced_.find(id);
  const bool is_known = kernel.peer(id) != nullptr;
  if (found == introduced_.end()) {
    if (is_known) return;
    if (introduced_.size() >= kPeersMax)
      forget(
          std::ranges::min_element(introduced_, {}, [](const auto& entry) { return entry.second.seen(); }));
    kernel.add_peer(id, endpoint, net::Keep::on_demand);
    introduced_.emplace(id, Introduced{endpoint, {}, now()});
    return;
  }
  if (is_known && is_member(id)) {  // since it was introduced: it is the ring's to say where it is
    introduced_.erase(found);
    return;
  }
  auto& known = found->second;
  if (is_known && (known.endpoint == endpoint || now() - known.heard < kSilence)) return;
  known.endpoint = endpoint;
  kernel.add_peer(id, endpoint, net::Keep::on_demand);
}

bool ChordServer::is_member(const NodeId& id) const {
  const auto view = board_->read();
  const auto member = std::ranges::lower_bound(view->members, id, {}, &proto::MemberView::id);
  return member != view->members.end() && member->id == id;
}

ChordServer::Strangers::iterator ChordServer::forget(Strangers::iterator stranger) {
  if (!is_member(stranger->first)) system_->kernel().remove_peer(stranger->first, false);
  return introduced_.erase(stranger);
}

/// Those that were not heard of late: that others name them does not keep them.
void ChordServer::forget_strangers() {
  for (auto at = introduced_.begin(); at != introduced_.end();)
    at = now() - at->second.seen() < kStrangerTime ? std::next(at) : forget(at);
}

void ChordServer::perform(proto::ChordSend& send) {
  if (!send.endpoint.host.empty()) introduce(send.to, send.endpoint);
  Bytes bytes;
  wire::begin_cast(bytes, {.to = kName, .from = 0, .event = wire::event_name<ChordMail>()});
  wire::encode_to(bytes, ChordMail{chord_.self().id, std::move(send.message)});
  static_cast<void>(system_->kernel().send(
      send.to, std::move(bytes), {.lane = net::Lane::control, .flush_now = false, .wait_max = kMailWait}));
}

void ChordServer::perform(proto::ChordLookupDone& done) {
  auto waiting = lookups_.extract(done.command);
  if (waiting.empty()) return;
  if (!done.answer) return waiting.mapped().fail(not_done(done.answer.error()));
  waiting.mapped().reply(std::move(done.answer));
}

void ChordServer::perform(proto::ChordJoinDone& done) {
  auto waiting = joins_.extract(done.command);
  if (!waiting.empty())
    waiting.mapped().reply(done.result ? done.result : Result<void>(not_done(done.result.error())));
  if (done.result)
    log::info("chord", "joined a Chord ring");
  else if (was_member_ && chord_.state() == proto::Chord::State::idle)
    perform(chord_.create(now()));  // alone again, and reachable
}

void ChordServer::perform(proto::ChordChanged&) {
  const auto& successors = chord_.successors();
  log::debug("chord", "predecessor '", chord_.predecessor() ? chord_.predecessor()->id.str() : "",
             "', successor '", successors.empty() ? "" : successors.front().id.str(), "'");
}

void ChordServer::perform(proto::ChordRefused& refused) {
  log::limited(refusal_lines_, log::Level::warn, "chord", "a message of '", refused.from.str(),
               "' was refused: ", refused.why.message());
}

}  // namespace cluster
