#include "cluster/node/drill_server.hpp"

#include <algorithm>
#include <array>
#include <utility>
#include <variant>

#include "cluster/base/log.hpp"
#include "cluster/crypto/random.hpp"
#include "cluster/node/command_replies.hpp"

// No aggregate is made inside a co_await expression here: GCC 12 would destroy it twice.

namespace cluster {
namespace {

using wire::Value;

constexpr Duration kAnswerTimeout = 1s;    // for a member to answer
constexpr Duration kOfferTime = 5s;        // that a member holds itself ready
constexpr Duration kProbeTimeout = 800ms;  // of a call, so that it ends before the drill does
constexpr Duration kWaitPeriod = 50ms;     // between two looks at how far a drill is
constexpr std::size_t kRingNameBytes = 8;  // of the hash of a ring's state

std::string new_id() {
  std::array<std::uint8_t, 8> bytes{};
  store_be(bytes.data(), crypto::random_u64());
  return hex(ByteView(bytes).first(4));
}

bool is_here(const MemberBoard::View& members, const NodeId& id) {
  const auto found = std::ranges::lower_bound(members, id, {}, &NodeMember::id);
  return found != members.end() && found->id == id && found->state <= MemberState::suspect;
}

std::uint64_t number_of(const Value& event) {
  const auto* number = event.find("seq");
  return number != nullptr && number->integer() != nullptr ? static_cast<std::uint64_t>(*number->integer())
                                                           : 0;
}

/// Why a drill cannot begin, as the member at fault.
Error refusal(const NodeId& node, const Error& error) {
  if (error.code() == Errc::no_server)
    return Error(Errc::refused, "node '" + node.str() + "' does not allow drills", Executed::no);
  return Error(error.code(), "node '" + node.str() + "': " + error.message(), Executed::no);
}

proto::DrillAnswer outcome_of(const Result<void>& answer) {
  if (answer) return proto::DrillAnswer::answered;
  const auto& error = answer.error();
  if (error.code() == Errc::not_found || error.code() == Errc::no_server) return proto::DrillAnswer::left;
  return error.executed() == Executed::unknown ? proto::DrillAnswer::unknown : proto::DrillAnswer::failed;
}

Error running(const proto::Drill& drill) {
  return Error(Errc::refused, "the drill " + drill.plan().id + " is still running", Executed::no);
}

}  // namespace

void DrillServer::terminate(const runtime::ExitReason&) { system_->kernel().heal(); }

Task<Value> DrillServer::handle_call(RunDrill command) {
  const auto& what = command.request.args.front();
  if (what == "partition") co_return co_await partition(command.request);
  if (what == "heal") co_return heal();
  co_return co_await report(command.request.wait, command.time);
}

// ---- beginning

Task<Value> DrillServer::partition(const proto::CommandRequest& request) {
  if (is_running()) co_return replies::failure(running(*drill_));
  const auto made = plan_for(request);
  if (!made) co_return replies::failure(made.error());
  const auto asked = co_await ask_all(*made);
  if (!asked) co_return replies::failure(asked.error());
  const auto begun = co_await begin_all(*made);
  if (!begun) co_return replies::failure(begun.error());
  Value::Array absent;
  for (const auto& member : views_.ring->read()->members)
    if (member.id != system_->id() && std::ranges::count(made->others(system_->id()), member.id) == 0)
      absent.emplace_back(member.id.str());
  auto reply = replies::answer(Value::map({{"drill", made->id},
                                           {"partition", proto::to_text(made->sides)},
                                           {"uncut", replies::ids(made->uncut)},
                                           {"absent", std::move(absent)},
                                           {"cut_in_ms", made->before_ms},
                                           {"for_ms", made->cut_ms}}));
  reply.set("note", "the links heal by themselves, or by 'drill heal'; 'drill report' shows what it did");
  co_return reply;
}

/// All members take part, but for those that are not there and not named.
Result<proto::DrillPlan> DrillServer::plan_for(const proto::CommandRequest& request) const {
  auto sides = proto::parse_drill_sides(request.args.at(1));
  if (!sides) return std::move(sides).error();
  proto::DrillPlan plan{.id = new_id(), .sides = std::move(sides).value()};
  plan.cut_ms = request.for_ms.value_or(static_cast<std::uint32_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(proto::kDrillCutDefault).count()));
  const auto members = views_.ring->read()->members;
  const auto healths = views_.members->read();
  std::vector<NodeId> named;
  for (const auto& side : plan.sides) named.insert(named.end(), side.begin(), side.end());
  for (const auto& id : named) {
    if (!std::ranges::binary_search(members, id, {}, &proto::MemberView::id))
      return replies::not_in_ring(id.str());
    if (id != system_->id() && !is_here(*healths, id))
      return Error(Errc::unreachable, "node '" + id.str() + "' does not answer");
  }
  for (const auto& member : members)
    if (std::ranges::count(named, member.id) == 0 &&
        (member.id == system_->id() || is_here(*healths, member.id)))
      plan.uncut.push_back(member.id);
  if (auto checked = proto::check(plan); !checked) return std::move(checked).error();
  return plan;
}

/// Nothing is cut before each has agreed. If one has not, the others need not wait.
Task<Result<void>> DrillServer::ask_all(const proto::DrillPlan& plan) {
  const DrillOffer offer{system_->id(), plan};
  if (auto own = handle_call(offer); !own) co_return own;
  const auto others = plan.others(system_->id());
  std::vector<PendingCall<void>> asked;
  for (const auto& id : others) asked.push_back(call(at(id), DrillOffer(offer), kAnswerTimeout));
  Result<void> all;
  for (std::size_t i = 0; i < asked.size(); ++i) {
    const auto answer = co_await asked[i];
    if (!answer && all) all = refusal(others[i], answer.error());
  }
  if (all) co_return all;
  const DrillWithdraw withdraw{system_->id(), plan.id};
  handle_cast(withdraw);
  for (const auto& id : others) static_cast<void>(cast(at(id), withdraw));
  co_return all;
}

/// This node goes first, so that it can call the others off by its probes if one does not follow.
Task<Result<void>> DrillServer::begin_all(const proto::DrillPlan& plan) {
  const DrillBegin begin{system_->id(), plan.id};
  if (auto own = handle_call(begin); !own) co_return own;
  const auto others = plan.others(system_->id());
  std::vector<PendingCall<void>> asked;
  for (const auto& id : others) asked.push_back(call(at(id), DrillBegin(begin), kAnswerTimeout));
  Result<void> all;
  for (std::size_t i = 0; i < asked.size(); ++i) {
    const auto answer = co_await asked[i];
    if (!answer && all) all = refusal(others[i], answer.error());
  }
  if (!all && drill_ && drill_->plan().id == plan.id) perform(drill_->on_heal(now()));
  co_return all;
}

Result<void> DrillServer::handle_call(const DrillOffer& offer) {
  if (auto checked = proto::check(offer.plan); !checked) return checked;
  if (is_running()) return running(*drill_);
  if (offered_ && offered_by_ != offer.from && now() < offer_ends_)
    return Error(Errc::refused, "'" + offered_by_.str() + "' is beginning a drill", Executed::no);
  const auto& sides = offer.plan.sides;
  const auto has_self = [&](const std::vector<NodeId>& some) {
    return std::ranges::count(some, system_->id()) != 0;
  };
  if (!has_self(offer.plan.uncut) && std::ranges::none_of(sides, has_self))
    return Error(Errc::invalid_argument, "the drill has no part for this node");
  offered_ = offer.plan;
  offered_by_ = offer.from;
  offer_ends_ = now() + kOfferTime;
  return {};
}

void DrillServer::handle_cast(const DrillWithdraw& withdraw) {
  if (offered_ && offered_by_ == withdraw.from && offered_->id == withdraw.drill) offered_.reset();
}

Result<void> DrillServer::handle_call(const DrillBegin& begin) {
  if (begin_offered(begin.drill)) return {};
  return Error(Errc::refused, "the drill was not offered, or too long ago", Executed::no);
}

/// Whether this drill is or was under way here. One that was offered begins with the first that is heard of
/// it: a probe of a member that began earlier may be here before the word of who offered it.
bool DrillServer::begin_offered(const std::string& drill) {
  if (drill_ && drill_->plan().id == drill) return true;
  if (!offered_ || offered_->id != drill || now() >= offer_ends_) return false;
  log::warn("drill", "the drill ", drill, " of '", offered_by_.str(),
            "' begins: ", proto::to_text(offered_->sides), " for ", offered_->cut_ms, " ms");
  drill_.emplace(now(), *std::exchange(offered_, std::nullopt), system_->id());
  seen_ = {};
  const auto events = views_.events->after(0);
  event_last_ = events.empty() ? 0 : number_of(events.back());
  set_tick();
  return true;
}

// ---- running

void DrillServer::handle_info(const Tick&) {
  tick_.fired();
  if (!drill_) return;
  note_events();
  perform(drill_->on_time(now(), sight()));
}

void DrillServer::perform(const proto::DrillActions& actions) {
  for (const auto& action : actions) {
    if (const auto* cut = std::get_if<proto::DrillCut>(&action)) {
      log::warn("drill", "the links to ", cut->peers.size(), " members are cut");
      system_->kernel().cut(cut->peers, cut->time);
      views_.events->add(DrillStep{drill_->plan().id, cut->peers});
    } else if (std::holds_alternative<proto::DrillHeal>(action)) {
      log::warn("drill", "the links are healed");
      system_->kernel().heal();
      views_.events->add(DrillStep{drill_->plan().id, {}});
    } else if (const auto* out = std::get_if<proto::DrillCast>(&action)) {
      if (!cast(at(out->to), DrillPing{system_->id(), out->probe})) drill_->on_cast_refused(out->to);
    } else if (const auto* asked = std::get_if<proto::DrillCall>(&action)) {
      send_after(Duration::zero(), CallOut{asked->to, asked->probe});
    }
  }
  set_tick();
}

Task<> DrillServer::handle_info(CallOut out) {
  auto pending = call(at(out.to), DrillAsk{system_->id(), out.probe}, kProbeTimeout);
  const auto answer = co_await pending;
  if (!drill_ || drill_->plan().id != out.probe.drill) co_return;
  drill_->on_answer(out.to, outcome_of(answer));
}

void DrillServer::handle_cast(const DrillPing& ping) {
  if (!begin_offered(ping.probe.drill)) return;
  const auto actions = drill_->on_cast(now(), ping.from, ping.probe);
  if (!actions.empty()) perform(actions);
}

Result<void> DrillServer::handle_call(const DrillAsk& ask) {
  if (!begin_offered(ask.probe.drill))
    return Error(Errc::not_found, "'" + system_->id().str() + "' knows nothing of this drill");
  drill_->on_call(ask.from, ask.probe);
  return {};
}

proto::DrillSight DrillServer::sight() const {
  proto::DrillSight sight{.ring = hex(ByteView(views_.ring->read()->state).first(kRingNameBytes))};
  const auto healths = views_.members->read();
  for (const auto& id : drill_->plan().others(system_->id()))
    if (!is_here(*healths, id)) sight.missing.push_back(id);
  return sight;
}

void DrillServer::note_events() {
  for (const auto& event : views_.events->after(event_last_)) {
    seen_.add(event, drill_->phase());
    event_last_ = number_of(event);
  }
}

void DrillServer::set_tick() { set_alarm(tick_, drill_ ? drill_->next_deadline() : kNever, Tick{}); }

// ---- ending and telling

Value DrillServer::heal() {
  if (!drill_ || drill_->phase() > proto::DrillPhase::cut)
    return replies::failure(Error(Errc::not_found, "no drill is under way"));
  perform(drill_->on_heal(now()));
  auto reply = replies::done();
  reply.set("note", "members on other sides heal when they are reached again");
  return reply;
}

/// With `wait` it answers when the drill's phase changes, at its end, or when the time is over.
Task<Value> DrillServer::report(bool wait, Duration time) {
  if (!drill_)
    co_return replies::failure(Error(Errc::not_found, "there was no drill since this node's start"));
  const auto id = drill_->plan().id;
  const auto phase = drill_->phase();
  const Duration for_members = std::min(time / 3, kAnswerTimeout);  // and as much for the way back
  const Instant deadline = now() + time - 2 * for_members;
  while (wait && now() < deadline && drill_->plan().id == id && drill_->phase() == phase &&
         phase != proto::DrillPhase::done)
    co_await sleep(kWaitPeriod);
  while (true) {
    const auto plan = drill_->plan();
    const auto all = co_await stories(for_members);
    auto shown = drill_report(plan, all, system_->id());
    const bool others_last = *shown.find("phase")->text() == "done" && !*shown.find("finished")->boolean();
    if (!wait || !others_last || now() >= deadline) co_return replies::answer(std::move(shown));
    co_await sleep(kWaitPeriod);
  }
}

/// While links are cut nobody behind them is asked: no answer would come.
Task<std::vector<DrillStory>> DrillServer::stories(Duration time) {
  std::vector<DrillStory> all;
  all.push_back({system_->id(), told()});
  const auto plan = drill_->plan();
  std::vector<NodeId> ids;
  std::vector<DirectCall<DrillTold>> asked;
  for (const auto& id : plan.others(system_->id())) {
    if (drill_->phase() == proto::DrillPhase::cut && plan.cuts(system_->id(), id)) {
      all.push_back({id, Error(Errc::unreachable, "it is cut off from here")});
      continue;
    }
    ids.push_back(id);
    asked.push_back(call_within<DrillTell>(time, at(id), plan.id));
  }
  for (std::size_t i = 0; i < asked.size(); ++i) {
    auto answer = co_await asked[i];
    all.push_back({ids[i], std::move(answer)});
  }
  std::ranges::sort(all, {}, &DrillStory::node);
  co_return all;
}

Result<DrillTold> DrillServer::handle_call(const DrillTell& tell) {
  if (!drill_ || drill_->plan().id != tell.drill)
    return Error(Errc::not_found, "it knows nothing of this drill");
  return told();
}

DrillTold DrillServer::told() {
  note_events();
  return {drill_->account(now()), seen_};
}

bool DrillServer::is_running() const noexcept { return drill_ && drill_->phase() != proto::DrillPhase::done; }

Ref<DrillServer> DrillServer::at(const NodeId& node) const {
  return Ref<DrillServer>(runtime::Target{std::string(kName), node});
}

}  // namespace cluster
