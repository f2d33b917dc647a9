#pragma once
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cluster/proto/kv.hpp"
#include "cluster/sim/host.hpp"
#include "cluster/sim/network.hpp"
#include "cluster/sim/simulator.hpp"

namespace cluster::sim {

/// A disk under a store: what was written is there after a crash up to some point behind the last sync.
class KvDisk final : public proto::KvStorage {
 public:
  [[nodiscard]] Result<proto::KvRecord> read(const proto::KvKey& key) const override {
    return live_->read(key);
  }
  [[nodiscard]] Result<proto::KvOutline> outline(const proto::KvKey& key) const override {
    return live_->outline(key);
  }
  [[nodiscard]] Result<std::uint64_t> hash_of(std::uint64_t position,
                                              const proto::KvKey& key) const override {
    return live_->hash_of(position, key);
  }
  Result<void> write(const Entry& entry, const proto::KvRecord& record) override;
  [[nodiscard]] Result<std::vector<Entry>> scan(std::uint64_t position, std::size_t limit) const override {
    return live_->scan(position, limit);
  }
  Result<void> visit(std::string_view bucket, std::string_view from, const Visitor& visitor) const override {
    return live_->visit(bucket, from, visitor);
  }
  [[nodiscard]] Result<Bytes> note() const override { return live_->note(); }
  Result<void> set_note(ByteView note) override;

  /// How much has been written; `sync` to there.
  [[nodiscard]] std::uint64_t written() const noexcept { return base_ + log_.size(); }
  void sync(std::uint64_t to);
  /// Of what was not synced, some first part is there.
  void crash(Rng& rng);
  void wipe();
  /// It takes nothing any more, until the crash that follows.
  void fill() { fault_ = "no space left"; }
  [[nodiscard]] std::string fault() const override { return fault_; }
  [[nodiscard]] const proto::KvMemory& live() const noexcept { return *live_; }

 private:
  struct Step {
    Entry entry{};
    proto::KvRecord record{};
    std::optional<Bytes> note{};
  };
  static void play(proto::KvMemory& to, const Step& step);

  static constexpr std::size_t kGreatBytes = 2;  // most values of a run have more, some fewer

  std::unique_ptr<proto::KvMemory> live_ = std::make_unique<proto::KvMemory>(kGreatBytes);
  std::unique_ptr<proto::KvMemory> durable_ = std::make_unique<proto::KvMemory>();
  std::deque<Step> log_{};  // in live_, not in durable_
  std::uint64_t base_ = 0;
  std::string fault_{};
};

/// A mistake in what surrounds the state machines, or in how they are set, that the checker must find.
enum class KvBug : std::uint8_t {
  none,
  early_ack,      ///< writes are acknowledged by one replica
  quick_read,     ///< reads are answered by one replica
  lying_disk,     ///< what is called durable is not
  amnesia,        ///< a node that lost its records believes that it has them
  repeated_dots,  ///< a process begins its dots anew under the name of the last one
  lost_siblings,  ///< of siblings on their way one arrives
  no_condition,   ///< conditions of writes are not heeded
  hasty_forget,   ///< deleted keys are forgotten without asking the others, nor heeding who is away
  lost_times,     ///< when a value was written does not travel with it
  lost_expiry,    ///< nor when its time to live is over
  hasty_expiry,   ///< half of the time to live gets lost on the way
  half_merge,     ///< of two values that are merged the first is what comes of it
  hasty_leave,    ///< a member that leaves does not wait until the others have what it holds
};

struct KvClusterConfig {
  std::uint64_t seed = 1;
  NetworkFaults faults{};
  proto::KvConfig kv{};  ///< `self` and `boot` are each process's own
  Duration disk_min = 100us;
  Duration disk_max = 3ms;
  Duration ring_delay_max = 1s;  ///< until a node hears of a change of the ring
  KvBug bug = KvBug::none;
};

/// Processes that run proto::Kv as a node does. Every message is encoded, carried by the network and decoded.
class KvCluster {
 public:
  using Done = std::function<void(Result<proto::KvAnswer>)>;

  explicit KvCluster(KvClusterConfig config);

  [[nodiscard]] Simulator& simulator() noexcept { return simulator_; }
  [[nodiscard]] Network& network() noexcept { return network_; }

  /// A new place with a process that is in no ring. Gives the place.
  std::size_t add();
  /// The members, by place, and their weights, 0 of those that are leaving; each process hears of it after a
  /// while.
  void set_ring(std::map<std::size_t, std::uint32_t> members);
  [[nodiscard]] const std::map<std::size_t, std::uint32_t>& ring() const noexcept { return ring_; }
  /// In which zone a place is; its process and all others hear of it after a while.
  void set_zone(std::size_t place, std::string zone);
  [[nodiscard]] const std::string& zone(std::size_t place) const { return processes_.at(place).zone; }

  void kill(std::size_t place);
  void restart(std::size_t place, bool keep_disk);
  void fill_disk(std::size_t place) { processes_.at(place).disk.fill(); }
  [[nodiscard]] bool has_full_disk(std::size_t place) const {
    return !processes_.at(place).disk.fault().empty();
  }
  void pause(std::size_t place) { processes_.at(place).host.pause(); }
  void resume(std::size_t place) { processes_.at(place).host.resume(); }
  [[nodiscard]] WallTime wall(std::size_t place) const;
  void set_skew(std::size_t place, Duration skew) { processes_.at(place).skew = skew; }
  void request(std::size_t place, proto::KvRequest request, Done done);

  [[nodiscard]] std::size_t size() const noexcept { return processes_.size(); }
  [[nodiscard]] bool running(std::size_t place) const { return processes_.at(place).kv != nullptr; }
  [[nodiscard]] bool paused(std::size_t place) const { return processes_.at(place).host.paused(); }
  [[nodiscard]] const proto::Kv& at(std::size_t place) const { return *processes_.at(place).kv; }
  [[nodiscard]] const proto::KvMemory& held(std::size_t place) const {
    return processes_.at(place).disk.live();
  }
  [[nodiscard]] NodeId id(std::size_t place) const { return NodeId("n" + std::to_string(place)); }
  /// All members run, know the ring, and have what they are to hold.
  [[nodiscard]] bool settled() const;
  /// Of a member that is leaving: whether it can go.
  [[nodiscard]] bool drained(std::size_t place) const;
  /// Settled, and no two members differ in a key, nor does anybody hold a key of others, nor did anybody
  /// refuse another's message. Empty, or what is not so.
  [[nodiscard]] std::string differences() const;

 private:
  struct Process {
    Process(Simulator& simulator, std::function<void()> tick) : host(simulator, std::move(tick)) {}
    Host host;
    KvDisk disk{};
    std::unique_ptr<proto::Kv> kv{};
    std::uint32_t life = 0;
    std::uint64_t ring_version = 0;
    proto::KvEdition edition{};
    std::string ring_name{};
    CHash ring{};
    std::string zone{};
    std::vector<NodeId> leaving{};
    Duration skew{};
    std::map<std::uint64_t, Done> asked{};
    std::map<std::size_t, Instant> missing_since{};  // by place, who does not answer
    std::map<std::size_t, bool> told_down{};
  };

  void start(std::size_t place);
  void hear_ring(std::size_t place, std::uint64_t version);
  void announce_ring(bool has_time);
  void perform(std::size_t place, proto::KvActions actions);
  void carry(std::size_t place, proto::KvSend& send);
  void damage(proto::KvRecord& record) const;
  void agree_for(std::size_t place, const NodeId& other, const proto::KvForget& ask);
  void sync(std::size_t place, std::uint64_t ticket);
  void tick(std::size_t place);
  void watch();

  KvClusterConfig config_;
  Simulator simulator_;
  Network network_;
  Rng rng_;
  std::deque<Process> processes_{};
  std::map<std::size_t, std::uint32_t> ring_{};
  std::uint64_t ring_version_ = 0;
  std::uint64_t ring_time_ = 0;
  std::uint64_t requests_ = 0;
  std::string refusal_{};  // the first
};

}  // namespace cluster::sim
