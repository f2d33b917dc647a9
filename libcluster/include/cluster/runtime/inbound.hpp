#pragma once
#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace cluster::runtime {

/// How much may wait that came over the network, beside the largest message: that one is left out where it is
/// over LargestWaiting::kLargeBytesMin, so one large message keeps nobody else out. All that waits is so
/// bounded by a maximum and one message of the greatest size. Beyond the maxima a call is answered
/// `overloaded` and a cast is dropped and counted; the control lane and system servers are exempt. Bytes are
/// those of the payload plus InboundAccount::kMessageOverheadBytes a message.
struct InboundLimits {
  std::size_t server_bytes_max = 64u << 20;  ///< for one server
  std::size_t node_bytes_max = 256u << 20;   ///< for all servers together
  /// From here on connections are read in small pieces with pauses, so that senders feel it and servers
  /// catch up.
  std::size_t smooth_bytes = 8u << 20;
};

/// Messages from the network that no handler got, since the start.
struct InboundCounters {
  std::uint64_t waiting_bytes = 0;       ///< now, for all servers
  std::uint64_t calls_refused = 0;       ///< answered `overloaded`
  std::uint64_t casts_overloaded = 0;    ///< dropped: too much was waiting, or the mailbox was full
  std::uint64_t casts_no_server = 0;     ///< dropped
  std::uint64_t casts_bad = 0;           ///< dropped: unknown event, or a payload that is not the event's
  std::uint64_t messages_malformed = 0;  ///< dropped: not a message at all
  std::uint64_t messages_forged = 0;     ///< refused: between nodes, and not of the node that it names
};

/// The largest among the messages that wait, if it is a large one, so that it can be left out of what is held
/// against a limit. It is not told when that message goes: from then on it stands for as much as waits, at
/// most. Written by the polling thread alone.
class LargestWaiting {
 public:
  /// A message of fewer bytes comes whole in one frame, and is never left out.
  static constexpr std::uint64_t kLargeBytesMin = 64 * 1024;

  /// Of `waiting` bytes, those beside it.
  [[nodiscard]] std::uint64_t rest(std::uint64_t waiting) const noexcept {
    return waiting - std::min(waiting, bytes());
  }
  /// The same, with a message of `more` bytes.
  [[nodiscard]] std::uint64_t rest_with(std::uint64_t more, std::uint64_t waiting) const noexcept {
    return waiting + more - larger(more, waiting);
  }
  /// A message of `more` bytes comes to what waits; `waiting()` is asked only where it matters.
  template <class Waiting>
  void on_add(std::uint64_t more, Waiting&& waiting) noexcept {
    if (more >= kLargeBytesMin || bytes() != 0)
      bytes_.store(larger(more, waiting()), std::memory_order_relaxed);
  }

 private:
  [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t larger(std::uint64_t more, std::uint64_t waiting) const noexcept {
    const std::uint64_t known = std::min(waiting, bytes());
    return more < kLargeBytesMin ? known : std::max(known, more);
  }

  std::atomic<std::uint64_t> bytes_{0};
};

/// What waits for all servers of a node.
class InboundTotal {
 public:
  /// At most a little too much: InboundAccount::kReportBytes for each server that has messages.
  [[nodiscard]] std::uint64_t waiting() const noexcept {
    const std::uint64_t taken = taken_.load(std::memory_order_acquire);
    return added_.load(std::memory_order_relaxed) - taken;
  }
  [[nodiscard]] const LargestWaiting& largest() const noexcept { return largest_; }
  /// What limits are held against. Any thread.
  [[nodiscard]] std::uint64_t beside_largest() const noexcept { return largest_.rest(waiting()); }

 private:
  friend class InboundAccount;
  alignas(64) std::atomic<std::uint64_t> added_{0};  // written by the polling thread alone
  LargestWaiting largest_;
  alignas(64) std::atomic<std::uint64_t> taken_{0};
};

/// What waits for one server. The polling thread adds, the thread that runs the server takes: each number
/// has one writer at a time, so a message costs no locked instruction.
class InboundAccount {
 public:
  static constexpr std::size_t kMessageOverheadBytes = 128;
  static constexpr std::uint64_t kReportBytes = 16 * 1024;

  explicit InboundAccount(InboundTotal& total) noexcept : total_(total) {}

  [[nodiscard]] std::uint64_t waiting() const noexcept {
    const std::uint64_t taken = taken_.load(std::memory_order_acquire);
    return added_.load(std::memory_order_relaxed) - taken;
  }
  [[nodiscard]] const LargestWaiting& largest() const noexcept { return largest_; }
  /// Polling thread.
  void add(std::uint64_t bytes) noexcept {
    largest_.on_add(bytes, [this] { return waiting(); });
    total_.largest_.on_add(bytes, [this] { return total_.waiting(); });
    change_added(bytes);
  }
  /// Polling thread: what was added was refused by the mailbox.
  void take_back(std::uint64_t bytes) noexcept { change_added(-bytes); }
  /// Whoever runs the server.
  void take(std::uint64_t bytes) noexcept {
    const std::uint64_t taken = taken_.load(std::memory_order_relaxed) + bytes;
    taken_.store(taken, std::memory_order_release);
    unreported_ += bytes;
    if (unreported_ < kReportBytes && taken != added_.load(std::memory_order_relaxed)) return;
    total_.taken_.fetch_add(unreported_, std::memory_order_release);
    unreported_ = 0;
  }

 private:
  void change_added(std::uint64_t bytes) noexcept {
    added_.store(added_.load(std::memory_order_relaxed) + bytes, std::memory_order_relaxed);
    total_.added_.store(total_.added_.load(std::memory_order_relaxed) + bytes, std::memory_order_relaxed);
  }

  InboundTotal& total_;
  LargestWaiting largest_;
  std::atomic<std::uint64_t> added_{0};
  std::atomic<std::uint64_t> taken_{0};
  std::uint64_t unreported_ = 0;  // taken, and not yet in total_
};

/// One message's part of an account, from `begin` until the message is gone.
class InboundCharge {
 public:
  InboundCharge() noexcept = default;
  InboundCharge(const InboundCharge&) = delete;
  InboundCharge& operator=(const InboundCharge&) = delete;
  ~InboundCharge() {
    if (account_ != nullptr) account_->take(bytes_);
  }
  /// Polling thread, before the message is posted.
  void begin(InboundAccount& account, std::uint64_t bytes) noexcept {
    account_ = &account;
    bytes_ = bytes;
    account.add(bytes);
  }
  /// Polling thread: the mailbox refused the message.
  void undo() noexcept {
    if (account_ != nullptr) account_->take_back(bytes_);
    account_ = nullptr;
  }

 private:
  InboundAccount* account_ = nullptr;
  std::uint64_t bytes_ = 0;
};

}  // namespace cluster::runtime
