// One connection from its first byte to its end.
#include <algorithm>
#include <utility>

#include "cluster/base/assert.hpp"
#include "connection.hpp"

namespace cluster::sim {
namespace {

constexpr Duration kDataAgain = 200ms;    // as TCP repeats what was not acknowledged
constexpr Duration kDataAgainMax = 1s;    // after an outage, too
constexpr Duration kPauseAgain = 100ms;   // a timer of a paused process
constexpr Duration kRemembered = 10s;     // after its end, for what is still on its way
constexpr std::size_t kControlBytes = 9;  // of a control record, its frame's header included

template <std::size_t Size>
void fill(std::array<std::uint8_t, Size>& bytes, Rng& rng) {
  for (std::size_t i = 0; i < Size; i += 8) store_be(bytes.data() + i, rng.next());
}

Error lost() { return Error(Errc::peer_lost, "the connection ended"); }

Error duplicate(const NodeId& id) {
  return Error(Errc::duplicate_id, "another living process is '" + id.str() + "'");
}

}  // namespace

Links::Side* Links::side(End end) {
  const auto found = connections_.find(end / 2);
  return found == connections_.end() ? nullptr : &found->second->sides[end % 2];
}

Links::Side& Links::other(End end) { return *side(end ^ 1); }

bool Links::lives(const Side& side) const { return user_.life(side.place) == side.life; }

Links::End Links::make_connection(Place dialler, Place listener) {
  const auto number = ++serial_;
  auto& sides = connections_.emplace(number, std::make_unique<Connection>()).first->second->sides;
  for (std::size_t i = 0; i < sides.size(); ++i) {
    sides[i].place = i == 0 ? dialler : listener;
    sides[i].life = user_.life(sides[i].place);
    sides[i].begun = ++serial_;
    port(sides[i].place).ends.insert(2 * number + i);
  }
  return 2 * number;
}

// --- what travels in order ---

void Links::write(End from, Record record) {
  const auto to = from ^ 1;
  auto* at = side(to);
  if (!at->open) return;
  const auto bytes = std::max(record.bytes.size(), kControlBytes);
  at->under_way.push_back(std::move(record));
  at->lands_last = std::max(at->lands_last, simulator_.now() + network_.draw_stream_delay(bytes, kDataAgain));
  simulator_.at(at->lands_last, [this, to] { land(to, kDataAgain); });
}

void Links::land(End to, Duration again) {
  auto* at = side(to);
  if (at == nullptr || !at->open || !lives(*at)) return;
  if (!network_.reaches(other(to).place, at->place)) {
    simulator_.after(again, [this, to, again] { land(to, std::min(2 * again, kDataAgainMax)); });
    return;
  }
  at->inbox.push_back(std::move(at->under_way.front()));
  at->under_way.erase(at->under_way.begin());
  user_.host(at->place).submit([this, to] { handle(to); });
}

void Links::handle(End at) {
  auto* own = side(at);
  if (own == nullptr || !own->open || !lives(*own) || own->inbox.empty()) return;
  const auto record = std::move(own->inbox.front());
  own->inbox.erase(own->inbox.begin());
  simulator_.trace(at);
  simulator_.trace(static_cast<std::uint64_t>(record.word) << 32 | record.bytes.size());
  using Word = Record::Word;
  switch (record.word) {
    case Word::handshake:
      own->unread.insert(own->unread.end(), record.bytes.begin(), record.bytes.end());
      return feed(at);
    case Word::hello:
      return on_proven(at);
    case Word::yes:
      return on_established(at);
    case Word::no:
      return on_failed(at, Error(record.why, "refused"), true);
    case Word::ping:
      return write(at, {.word = Word::pong, .ping = record.ping});
    case Word::pong:
      return on_answer(record.ping, Answer::came);
    case Word::idle_ask:
      return on_idle_asked(at);
    case Word::idle_stay:
      own->asked_idle = false;
      if (const auto peer = find(own->place, own->peer); peer && peer->link == at) flush(peer);
      return;
    case Word::leave:
      own->leaves = true;
      if (own->asked_idle) ++counters_.closed_idle;
      return own->up ? link_down(at, proto::PeerEnd::closed) : on_failed(at, lost(), false);
    case Word::stopping:
      return own->up ? link_down(at, proto::PeerEnd::goodbye) : on_failed(at, lost(), false);
    case Word::end:
      return own->up ? link_down(at, proto::PeerEnd::lost) : on_failed(at, lost(), false);
  }
}

// --- the handshake ---

proto::HandshakeSecrets Links::draw_secrets() {
  std::array<std::uint8_t, 32> secret{};
  fill(secret, rng_);
  proto::HandshakeSecrets secrets{.key_pair = crypto::x25519_from_secret(secret).value(), .nonce = {}};
  fill(secrets.nonce, rng_);
  return secrets;
}

/// Both ends of a connection that has just been opened.
void Links::greet(End dialler) {
  if (!config_.handshake) return write(dialler, {.word = Record::Word::hello});
  for (const auto at : {dialler, dialler + 1}) {
    auto* own = side(at);
    const bool dials = at == dialler;
    own->handshake = std::make_unique<proto::Handshake>(
        simulator_.now(),
        proto::HandshakeConfig{
            .dialler = dials,
            .self = user_.identity(own->place),
            .keyring = user_.keyring(own->place),
            .expected = dials && !own->peer.empty() ? std::optional(own->peer) : std::nullopt,
            .capabilities = proto::kCapabilityIdle,
            .wall = user_.wall_of(own->place)},
        draw_secrets());
    simulator_.at(own->handshake->next_deadline(), [this, at] { expire(at); });
  }
  apply(dialler, side(dialler)->handshake->start());
}

void Links::expire(End at) {
  auto* own = side(at);
  if (own == nullptr || !own->open || !lives(*own) || !own->handshake) return;
  if (!user_.host(own->place).paused()) return apply(at, own->handshake->on_time(simulator_.now()));
  simulator_.after(kPauseAgain, [this, at] { expire(at); });  // it reads before it looks at the time
}

void Links::feed(End at) {
  for (;;) {
    auto* own = side(at);
    if (!own->open || !own->handshake) return;
    ByteView unread = own->unread;
    auto actions = own->handshake->on_bytes(unread);
    own->unread.erase(own->unread.begin(), own->unread.end() - static_cast<std::ptrdiff_t>(unread.size()));
    if (actions.empty()) return;
    apply(at, std::move(actions));
  }
}

void Links::apply(End at, proto::HandshakeActions actions) {
  for (auto& action : actions) {
    if (auto* record = std::get_if<proto::SendRecord>(&action)) {
      write(at, {.word = Record::Word::handshake, .bytes = std::move(record->bytes)});
    } else if (std::holds_alternative<proto::Greeted>(action)) {
      on_greeted(at);
    } else if (std::holds_alternative<proto::Proven>(action)) {
      on_proven(at);
    } else if (std::holds_alternative<proto::Established>(action)) {
      on_established(at);
    } else {
      const auto& failed = std::get<proto::HandshakeFailed>(action);
      if (proofs_ignored_ && failed.error.code() == Errc::wrong_cookie)
        on_established(at);
      else
        on_failed(at, failed.error, failed.keyed, !failed.said_by_peer);
    }
  }
}

proto::Identity Links::peer_of(End at) {
  const auto* own = side(at);
  return own->handshake ? own->handshake->peer().identity : user_.identity(other(at).place);
}

/// Who dials finds out whom it has reached; a listener judges only who has proven itself.
void Links::on_greeted(End at) {
  auto* own = side(at);
  const auto who = peer_of(at);
  if (at % 2 == 1 || who.id == user_.identity(own->place).id) return proceed(at);
  own->peer = who.id;
  const auto peer = find(own->place, who.id);
  if (!peer || peer->link == 0) return proceed(at);
  if (side(peer->link)->peer_boot != who.boot) return ask_holder(at, peer->link);
  refuse(at, Error(Errc::already_exists, "there is a connection to '" + who.id.str() + "'"));
}

void Links::on_proven(End at) {
  const auto who = peer_of(at);
  if (who.id == user_.identity(side(at)->place).id) return refuse(at, duplicate(who.id));
  judge(at);
}

void Links::judge(End at) {
  const auto* own = side(at);
  const auto who = peer_of(at);
  const auto peer = find(own->place, who.id);
  const auto* link = peer ? side(peer->link) : nullptr;
  std::optional<proto::LinkInUse> in_use;
  if (link != nullptr) in_use = {.boot = link->peer_boot, .up_since = link->up_since};
  switch (proto::judge_newcomer(user_.identity(own->place).id, who.id, has_own_dial(own->place, who.id, at),
                                in_use, {.boot = who.boot, .begun = own->begun})) {
    case proto::NewcomerVerdict::accept:
      return proceed(at);
    case proto::NewcomerVerdict::refuse:
      return refuse(at, Error(Errc::already_exists, "the other of two simultaneous connections stays"));
    case proto::NewcomerVerdict::ask_holder:
      return ask_holder(at, peer->link);
  }
}

/// The id of the newcomer is held. If the holder answers, it stays.
void Links::ask_holder(End newcomer, End holder) {
  const auto number = ++serial_;
  pings_.emplace(number, Ping{newcomer, holder, side(holder)->peer_boot});
  write(holder, {.word = Record::Word::ping, .ping = number});
  simulator_.after(config_.duplicate_timeout, [this, number] { on_answer(number, Answer::did_not_come); });
}

void Links::on_answer(std::uint64_t number, Answer answer) {
  const auto found = pings_.find(number);
  if (found == pings_.end()) return;
  const auto ping = found->second;
  pings_.erase(found);
  const auto* newcomer = side(ping.newcomer);
  if (newcomer == nullptr || !newcomer->open || !lives(*newcomer)) return;
  const auto who = peer_of(ping.newcomer);
  if (answer == Answer::holder_gone)
    return ping.newcomer % 2 == 0 ? proceed(ping.newcomer) : judge(ping.newcomer);
  if (proto::newcomer_takes_id(answer == Answer::came, ping.holder_boot, who.boot,
                               user_.wall_of(newcomer->place)))
    return proceed(ping.newcomer);
  if (ping.holder_boot == who.boot)
    return refuse(ping.newcomer,
                  Error(Errc::already_exists, "there is a connection to '" + who.id.str() + "'"));
  refuse(ping.newcomer, duplicate(who.id));
}

void Links::end_pings(End holder) {
  std::vector<std::uint64_t> ended;
  for (const auto& [number, ping] : pings_)
    if (ping.holder == holder) ended.push_back(number);
  for (const auto number : ended) on_answer(number, Answer::holder_gone);
}

bool Links::has_own_dial(Place place, const NodeId& id, End but) {
  const auto peer = find(place, id);
  if (peer && peer->dialled != 0 && peer->dialled != but) return true;
  return std::ranges::any_of(port(place).requests, [&](const auto& entry) {
    const auto connection = entry.second.connection;
    const auto* dialled = side(connection);
    return dialled != nullptr && connection != but && dialled->peer == id;
  });
}

void Links::proceed(End at) {
  if (auto* own = side(at); own->handshake) {
    apply(at, own->handshake->proceed());
    return feed(at);
  }
  write(at, {.word = Record::Word::yes});
  on_established(at);
}

void Links::refuse(End at, const Error& why) {
  if (auto* own = side(at); own->handshake) return apply(at, own->handshake->refuse(why));
  write(at, {.word = Record::Word::no, .why = why.code()});
  on_failed(at, why, false, true);
}

void Links::on_established(End at) {
  auto* own = side(at);
  const auto place = own->place;
  const auto who = peer_of(at);
  own->handshake.reset();
  own->up = true;
  own->up_since = ++serial_;
  own->quiet_since = simulator_.now();
  own->peer = who.id;
  own->peer_boot = who.boot;
  const auto request = std::exchange(own->request, 0);
  if (at % 2 == 0) ++counters_.made;
  const auto peer = find_or_add(place, who.id);
  if (const auto old = std::exchange(peer->link, 0); old != 0) {
    write(old, {.word = Record::Word::end});
    close(old);
    user_.on_link_down(place, who.id, proto::PeerEnd::closed);
    end_pings(old);
  }
  peer->link = at;
  peer->relink = peer->says_taken = false;
  peer->backoff.reset();
  if (peer->dialled == at) peer->dialled = 0;
  end_other_dials(peer, at);
  if (!peer->endpoint) know_member(peer);
  user_.on_link_up(place, other(at).place, who.id, who.boot);
  if (request != 0) {
    if (auto* asked = find_request(place, request)) asked->connection = 0;
    finish_request(place, request, who.id);
  }
  for (const auto& [number, waiting] : Requests(port(place).requests))
    if (waiting.waits_for == who.id) finish_request(place, number, who.id);
  for (const auto& packet : std::exchange(side(at)->early, {})) read(at, *packet);
  if (peer->link == at) flush(peer);
}

/// The larger id of a simultaneous dial has begun a connection that lost.
void Links::end_other_dials(const PeerRef& peer, End winner) {
  stop_dialling(peer);
  for (const auto& [number, request] : Requests(port(peer->place).requests)) {
    const auto* dialled = side(request.connection);
    if (dialled == nullptr || request.connection == winner || dialled->peer != peer->id) continue;
    finish_request(peer->place, number, peer->id);
  }
}

void Links::on_failed(End at, const Error& why, bool keyed, bool own_finding) {
  auto* own = side(at);
  if (!own->open) return;
  if (own_finding) count(why.code());
  if (own->peer.empty()) own->peer = peer_of(at).id;  // without a handshake nobody has said it
  write(at, {.word = Record::Word::end});
  close(at);
  if (const auto number = std::exchange(own->request, 0); number != 0) {
    auto* request = find_request(own->place, number);
    if (request == nullptr) return;
    request->connection = 0;
    const auto peer = find(own->place, own->peer);
    if (why.code() == Errc::duplicate_id && !(keyed && id_is_taken(own->place, 1)))
      return finish_request(own->place, number, Error(Errc::refused, why.message()));
    if (why.code() != Errc::already_exists || own->peer.empty())
      return finish_request(own->place, number, why);
    if (peer && peer->link != 0) return finish_request(own->place, number, own->peer);
    request->waits_for = own->peer;
  } else if (const auto peer = find(own->place, own->peer); peer && peer->dialled == at) {
    on_dial_failed(peer, why, keyed && why.code() == Errc::duplicate_id);
  }
}

void Links::count(Errc failure) {
  if (failure == Errc::already_exists) {
    ++counters_.simultaneous;
    return;
  }
  ++counters_.handshakes_failed;
  counters_.wrong_cookies += failure == Errc::wrong_cookie ? 1 : 0;
  counters_.duplicate_ids += failure == Errc::duplicate_id ? 1 : 0;
  counters_.clocks_refused += failure == Errc::incompatible ? 1 : 0;
}

// --- the end ---

/// Nothing is sent from this end any more, and what is under way to it still arrives.
void Links::leave(End at) {
  side(at)->leaves = true;
  write(at, {.word = Record::Word::leave});
  link_down(at, proto::PeerEnd::closed);
}

void Links::on_idle_asked(End at) {
  const auto* own = side(at);
  const auto peer = find(own->place, own->peer);
  if (!peer || peer->link != at) return;
  if ((peer->endpoint && peer->standing) || !peer->queue.empty())
    return write(at, {.word = Record::Word::idle_stay});
  ++counters_.closed_idle;
  leave(at);
}

void Links::abort(End at) {
  write(at, {.word = Record::Word::end});
  close(at);
}

void Links::close(End at) {
  auto* own = side(at);
  own->open = false;
  port(own->place).ends.erase(at);
  if (!other(at).open) simulator_.after(kRemembered, [this, number = at / 2] { connections_.erase(number); });
}

void Links::link_down(End at, proto::PeerEnd how) {
  const auto* own = side(at);
  const auto place = own->place;
  const auto id = own->peer;
  const bool idle = own->asked_idle;
  close(at);
  if (const auto peer = find(place, id); peer && peer->link == at) {
    if (how == proto::PeerEnd::lost) ++counters_.lost;
    peer->link = 0;
    peer->relink = how == proto::PeerEnd::lost;
    user_.on_link_down(place, id, how);
    if (peer->link == 0 && peer->attempt == 0 && peer->dialled == 0 && peer->wants_link(simulator_.now()))
      redial(peer, idle ? Duration{} : peer->backoff.next(rng_));
    erase_if_unknown(peer);
  }
  end_pings(at);
}

}  // namespace cluster::sim
