#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

namespace cluster::net {

/// A connection that is given room for messages which come in fragments.
class RoomHolder {
 public:
  virtual ~RoomHolder() = default;
  /// There is room now: what the holder announced is granted.
  virtual void on_room() = 0;
  /// Others wait, and this one brings next to nothing. It is to give up its room.
  virtual void on_stalled() = 0;
  /// How much of messages in fragments it has brought in all.
  [[nodiscard]] virtual std::uint64_t fragment_bytes() const = 0;
};

/// The room that all connections together have for messages which come in fragments. Who begins one takes
/// room for all that it announces, so whoever was given room can come to the end; where there is none, it
/// waits, and nothing is read from it meanwhile. If all who have room wait for more, the first of them gets
/// it over the bound, so that at each time one at least goes on. One thread.
class FragmentRoom {
 public:
  /// More that wait are turned away.
  static constexpr std::size_t kWaitingMax = 64;
  /// Who brings less than this in each of so many ticks, while others wait, has stalled.
  static constexpr std::uint64_t kBytesPerTick = 64 * 1024;
  static constexpr unsigned kTicksMax = 5;

  explicit FragmentRoom(std::size_t bytes_max) : bytes_max_(bytes_max) {}

  enum class Answer { granted, wait, too_many };
  /// `holder` now has messages of so many bytes under way; 0: none, and it is forgotten.
  Answer claim(RoomHolder& holder, std::size_t bytes);
  /// To be called about once a second while `anybody_waits`.
  void tick();
  [[nodiscard]] bool anybody_waits() const noexcept { return !waiting_.empty(); }
  [[nodiscard]] std::size_t taken() const noexcept { return taken_; }

 private:
  struct Holding {
    std::size_t granted = 0;
    std::size_t wanted = 0;
    bool waits = false;
    std::uint64_t brought = 0;  // at the last tick
    unsigned idle_ticks = 0;
  };
  void grant(Holding& holding) noexcept;
  void hand_out();
  void begin_watch();

  std::size_t bytes_max_;
  std::size_t taken_ = 0;
  std::size_t active_ = 0;  // holders with room that do not wait
  std::map<RoomHolder*, Holding> holdings_;
  std::vector<RoomHolder*> waiting_;  // in the order in which they began to
};

}  // namespace cluster::net
