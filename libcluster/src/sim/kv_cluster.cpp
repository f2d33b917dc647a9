#include "cluster/sim/kv_cluster.hpp"

#include <algorithm>

#include "cluster/wire/codec.hpp"

namespace cluster::sim {
namespace {

constexpr Duration kWatchInterval = 100ms;
constexpr Duration kWatchMax = 2s;  // a silent node is called unreachable after at most so long
constexpr std::int64_t kWallStart = 1'700'000'000'000'000;

}  // namespace

Result<void> KvDisk::write(const Entry& entry, const proto::KvRecord& record) {
  if (!fault_.empty()) return Error(Errc::io, fault_);
  log_.push_back({entry, record, {}});
  play(*live_, log_.back());
  return {};
}

Result<void> KvDisk::set_note(ByteView note) {
  if (!fault_.empty()) return Error(Errc::io, fault_);
  log_.push_back({{}, {}, Bytes(note.begin(), note.end())});
  play(*live_, log_.back());
  return {};
}

void KvDisk::sync(std::uint64_t to) {
  for (; base_ < to && !log_.empty(); ++base_) {
    play(*durable_, log_.front());
    log_.pop_front();
  }
}

void KvDisk::crash(Rng& rng) {
  sync(base_ + rng.below(log_.size() + 1));
  fault_.clear();
  base_ += log_.size();
  log_.clear();
  live_ = std::make_unique<proto::KvMemory>(kGreatBytes);
  for (const auto& [key, record] : durable_->records())
    static_cast<void>(live_->write({proto::kv_position(key), key, proto::fingerprint(key, record)}, record));
  static_cast<void>(live_->set_note(*durable_->note()));
}

void KvDisk::wipe() {
  base_ += log_.size();
  log_.clear();
  live_ = std::make_unique<proto::KvMemory>(kGreatBytes);
  durable_ = std::make_unique<proto::KvMemory>();
}

void KvDisk::play(proto::KvMemory& to, const Step& step) {
  static_cast<void>(step.note ? to.set_note(*step.note) : to.write(step.entry, step.record));
}

KvCluster::KvCluster(KvClusterConfig config)
    : config_(std::move(config)),
      simulator_(config_.seed),
      network_(simulator_, config_.faults),
      rng_(simulator_.rng().split()) {
  if (config_.bug == KvBug::early_ack) config_.kv.bucket.w = 1;
  if (config_.bug == KvBug::quick_read) config_.kv.bucket.r = 1;
  if (config_.bug == KvBug::half_merge)
    config_.kv.bucket.merge = [](ByteView a, ByteView) { return Bytes(a.begin(), a.end()); };
  simulator_.after(kWatchInterval, [this] { watch(); });
}

std::size_t KvCluster::add() {
  const auto place = processes_.size();
  processes_.emplace_back(simulator_, [this, place] { tick(place); });
  start(place);
  return place;
}

void KvCluster::start(std::size_t place) {
  auto& process = processes_.at(place);
  ++process.life;
  auto config = config_.kv;
  config.self = id(place);
  const bool repeats = config_.bug == KvBug::repeated_dots;
  config.boot = {repeats ? 1 : static_cast<std::uint64_t>(micros(wall(place)) / 1000) + process.life,
                 repeats ? 1 : rng_.next()};
  process.kv = std::make_unique<proto::Kv>(config, process.disk, Rng(repeats ? place : rng_.next()));
  process.missing_since.clear();
  process.told_down.clear();
  perform(place, process.kv->on_start(simulator_.now(), wall(place)));
  perform(place, process.kv->on_ring(simulator_.now(), process.ring_name, process.edition, process.ring,
                                     process.leaving));
  hear_ring(place, ring_version_);
}

void KvCluster::set_ring(std::map<std::size_t, std::uint32_t> members) {
  const bool only_joins = std::ranges::includes(members, ring_);
  ring_ = std::move(members);
  announce_ring(!only_joins);
}

void KvCluster::set_zone(std::size_t place, std::string zone) {
  processes_.at(place).zone = std::move(zone);
  announce_ring(false);
}

/// `has_time`: not so of joins, nor of a zone that is stated by a clock that is behind.
void KvCluster::announce_ring(bool has_time) {
  ++ring_version_;
  if (has_time) ring_time_ = ring_version_;
  for (std::size_t place = 0; place < processes_.size(); ++place)
    if (running(place)) hear_ring(place, ring_version_);
}

void KvCluster::hear_ring(std::size_t place, std::uint64_t version) {
  if (version == 0) return;
  const auto life = processes_.at(place).life;
  simulator_.after(Duration(rng_.between(0, config_.ring_delay_max.count())), [this, place, life, version] {
    auto& process = processes_.at(place);
    if (process.life != life || !process.kv || process.ring_version >= version) return;
    process.ring_version = ring_version_;  // the newest, as gossip has it
    process.edition = {ring_time_, ring_version_};
    process.ring = CHash();
    process.leaving.clear();
    if (ring_.contains(place)) {
      process.ring_name = "ring";
      for (const auto& [member, weight] : ring_)
        if (weight == 0)
          process.leaving.push_back(id(member));
        else
          static_cast<void>(
              process.ring.insert({.id = id(member), .zone = processes_.at(member).zone}, weight));
    } else {
      process.ring_name.clear();
      static_cast<void>(process.ring.insert({.id = id(place)}));
    }
    process.host.submit([this, place, life] {
      auto& host = processes_.at(place);
      if (host.life == life && host.kv)
        perform(place,
                host.kv->on_ring(simulator_.now(), host.ring_name, host.edition, host.ring, host.leaving));
    });
  });
}

void KvCluster::kill(std::size_t place) {
  auto& process = processes_.at(place);
  if (!process.kv) return;
  process.kv.reset();
  process.host.clear();
  process.disk.crash(rng_);
  auto asked = std::exchange(process.asked, {});
  for (auto& [request, done] : asked) done(Error(Errc::peer_lost, "the node is gone", Executed::unknown));
}

void KvCluster::restart(std::size_t place, bool keep_disk) {
  auto& process = processes_.at(place);
  if (process.kv) return;
  if (!keep_disk) {
    const auto note = process.disk.note();
    process.disk.wipe();
    if (config_.bug == KvBug::amnesia) static_cast<void>(process.disk.set_note(*note));
  }
  start(place);
}

void KvCluster::request(std::size_t place, proto::KvRequest request, Done done) {
  auto& process = processes_.at(place);
  if (!process.kv) return done(Error(Errc::unreachable, "the node does not run"));
  if (config_.bug == KvBug::no_condition) request.condition = proto::KvCondition::none;
  const auto number = ++requests_;
  process.asked.emplace(number, std::move(done));
  auto shared = std::make_shared<proto::KvRequest>(std::move(request));
  process.host.submit([this, place, number, shared, life = process.life] {
    auto& host = processes_.at(place);
    if (host.kv && host.life == life)
      perform(place, host.kv->on_request(simulator_.now(), wall(place), number, *shared));
  });
}

void KvCluster::perform(std::size_t place, proto::KvActions actions) {
  auto& process = processes_.at(place);
  for (auto& action : actions) {
    if (auto* message = std::get_if<proto::KvSend>(&action)) {
      carry(place, *message);
    } else if (auto* reply = std::get_if<proto::KvReply>(&action)) {
      if (auto done = process.asked.extract(reply->id)) done.mapped()(std::move(reply->answer));
    } else if (auto* wanted = std::get_if<proto::KvSync>(&action)) {
      sync(place, wanted->ticket);
    } else if (const auto* refused = std::get_if<proto::KvRefused>(&action); refused && refusal_.empty()) {
      refusal_ = id(place).str() + " does not take what " + refused->from.str() +
                 " sends: " + refused->why.message();
    }
  }
  if (process.kv) process.host.wake_at(process.kv->next_deadline());
}

void KvCluster::carry(std::size_t place, proto::KvSend& send) {
  if (auto* write = std::get_if<proto::KvWrite>(&send.message)) damage(write->record);
  if (config_.bug == KvBug::hasty_forget)
    if (const auto* ask = std::get_if<proto::KvForget>(&send.message); ask != nullptr && !ask->now)
      return agree_for(place, send.to, *ask);
  const auto bytes = std::make_shared<const Bytes>(wire::encode(send.message));
  const auto to = static_cast<std::size_t>(std::stoul(send.to.str().substr(1)));
  network_.send(place, to, bytes->size(), [this, bytes](std::size_t from, std::size_t target) {
    auto& process = processes_.at(target);
    process.host.submit([this, bytes, from, target, life = process.life] {
      auto& host = processes_.at(target);
      if (!host.kv || host.life != life) return;
      auto message = wire::decode<proto::KvMessage>(*bytes);
      CLUSTER_ASSERT(message.has_value());
      perform(target, host.kv->on_message(simulator_.now(), wall(target), id(from), std::move(*message)));
    });
  });
}

void KvCluster::damage(proto::KvRecord& record) const {
  if (config_.bug == KvBug::lost_siblings && record.siblings.size() > 1) record.keep(0);
  for (auto& [dot, value] : record.siblings) {
    if (config_.bug == KvBug::lost_times) value.written = {};
    if (config_.bug == KvBug::lost_expiry) value.expires = {};
    if (config_.bug == KvBug::hasty_expiry && value.expires != WallTime{})
      value.expires -= (value.expires - value.written) / 2;
  }
}

void KvCluster::agree_for(std::size_t place, const NodeId& other, const proto::KvForget& ask) {
  proto::KvForgetReply yes{.id = ask.id, .agreed = std::vector<bool>(ask.entries.size(), true)};
  const auto answer = std::make_shared<const std::pair<NodeId, proto::KvForgetReply>>(other, std::move(yes));
  processes_.at(place).host.submit([this, place, answer, life = processes_.at(place).life] {
    auto& host = processes_.at(place);
    if (host.kv && host.life == life)
      perform(place, host.kv->on_message(simulator_.now(), wall(place), answer->first, answer->second));
  });
}

void KvCluster::sync(std::size_t place, std::uint64_t ticket) {
  auto& process = processes_.at(place);
  const auto to = process.disk.written();
  const auto wait = Duration(rng_.between(config_.disk_min.count(), config_.disk_max.count()));
  const bool lies = config_.bug == KvBug::lying_disk;
  if (lies)
    simulator_.after(wait + 500ms, [this, place, to, life = process.life] {
      if (processes_.at(place).life == life) processes_.at(place).disk.sync(to);
    });
  simulator_.after(wait, [this, place, ticket, to, lies, life = process.life] {
    auto& disk_of = processes_.at(place);
    if (!disk_of.kv || disk_of.life != life) return;
    if (!lies && !has_full_disk(place)) disk_of.disk.sync(to);
    const bool is_full = has_full_disk(place);
    disk_of.host.submit([this, place, ticket, is_full, life] {
      auto& host = processes_.at(place);
      if (host.kv && host.life == life)
        perform(place, host.kv->on_synced(
                           simulator_.now(), ticket,
                           is_full ? Result<void>(Error(Errc::io, "no space left")) : Result<void>()));
    });
  });
}

void KvCluster::tick(std::size_t place) {
  auto& process = processes_.at(place);
  if (process.kv) perform(place, process.kv->on_time(simulator_.now(), wall(place)));
}

/// Stands for the links and the failure detector: who was silent for a while is unreachable.
void KvCluster::watch() {
  const auto now = simulator_.now();
  for (std::size_t a = 0; a < processes_.size(); ++a) {
    auto& process = processes_[a];
    if (!process.kv || process.host.paused()) continue;
    for (std::size_t b = 0; b < processes_.size(); ++b) {
      if (a == b) continue;
      const bool answers = processes_[b].kv && !processes_[b].host.paused() && network_.reaches(a, b) &&
                           network_.reaches(b, a);
      auto& down = process.told_down[b];
      if (answers) {
        process.missing_since.erase(b);
        if (!down) continue;
        down = false;
        perform(a, process.kv->on_peer(now, id(b), true));
      } else if (!down && config_.bug != KvBug::hasty_forget) {
        const auto patience = Duration(rng_.between(0, kWatchMax.count()));
        const auto since = process.missing_since.emplace(b, now).first->second;
        if (now - since < patience) continue;
        down = true;
        perform(a, process.kv->on_peer(now, id(b), false));
      }
    }
  }
  simulator_.after(kWatchInterval, [this] { watch(); });
}

WallTime KvCluster::wall(std::size_t place) const {
  if (config_.bug == KvBug::repeated_dots) return wall_from_micros(kWallStart);  // numbers go by the clock
  const auto since = simulator_.now().time_since_epoch() + processes_.at(place).skew;
  return wall_from_micros(kWallStart + std::chrono::duration_cast<std::chrono::microseconds>(since).count());
}

bool KvCluster::settled() const {
  return std::ranges::all_of(ring_, [this](const auto& member) {
    const auto& process = processes_.at(member.first);
    return process.kv && process.ring_version == ring_version_ && process.kv->settled() &&
           !process.kv->is_broken();
  });
}

bool KvCluster::drained(std::size_t place) const {
  const auto& process = processes_.at(place);
  if (!process.kv || process.host.paused() || process.ring_version != ring_version_) return false;
  return config_.bug == KvBug::hasty_leave || process.kv->has_drained();
}

std::string KvCluster::differences() const {
  if (!refusal_.empty()) return refusal_;
  if (!settled()) return "not all members have what they are to hold";
  std::map<proto::KvKey, std::uint64_t> known;
  for (const auto& [place, weight] : ring_)
    for (const auto& [key, record] : held(place).records()) {
      const auto hash = proto::fingerprint(key, record);
      if (!at(place).replicas(key).has(id(place)))
        return id(place).str() + " holds a key of others, " + key.key;
      if (known.emplace(key, hash).first->second != hash) return "two replicas differ in " + key.key;
    }
  for (const auto& [key, hash] : known)
    for (const auto& node : at(ring_.begin()->first).replicas(key).nodes) {
      const auto place = static_cast<std::size_t>(std::stoul(node.str().substr(1)));
      if (!held(place).records().contains(key)) return node.str() + " lacks " + key.key;
    }
  return {};
}

}  // namespace cluster::sim
