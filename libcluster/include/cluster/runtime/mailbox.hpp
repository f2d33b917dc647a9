#pragma once
#include <atomic>
#include <cstdint>
#include <utility>

#include "cluster/runtime/envelope.hpp"

namespace cluster::runtime {

/// The two queues of one actor: many threads push without locks, the one thread that runs the actor
/// pops. System messages come out before all user messages. Each queue keeps the order of each sender.
///
/// `user_` is also the actor's run state, so that "go idle" and "something came" meet in one word:
///
///     kRunning   no new user message; a thread runs the actor, or it waits in a run queue
///     kNudged    the same, and a system message came since the runner last looked
///     kIdle      nobody runs it; whoever pushes next must schedule it (Push::wake)
///     kClosed    the actor has ended; pushes are refused
///     otherwise  the newest of a stack of user messages, linked to the older ones; the upper 16 bits count
///     them
///
/// A system message for an idle actor needs only one step: it becomes the first of the user stack, marked
/// `urgent_`, and the runner begins there (`fresh()`). So it still comes before all others.
///
/// A runner that went idle touches the mailbox no more: another thread may run the actor, end it and
/// free it at once. That is why a system push changes `user_` as well (kRunning -> kNudged makes a
/// concurrent `try_idle` fail) instead of the runner looking again after it went idle.
class Mailbox {
 public:
  enum class Push : std::uint8_t { ok, wake, closed };

  Mailbox() = default;
  ~Mailbox() { destroy(close()); }
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;

  /// Takes `message` unless the answer is `closed`. Any thread; lock-free.
  Push push(Envelope* message) noexcept {
    Word head = user_.load(std::memory_order_relaxed);
    do {
      if (head == kClosed) return Push::closed;
      message->next = is_mark(head) ? nullptr : envelope(head);
      message->urgent_ = false;
    } while (!user_.compare_exchange_weak(head, on_top_of(head, message), std::memory_order_seq_cst,
                                          std::memory_order_relaxed));
    return head == kIdle ? Push::wake : Push::ok;
  }

  /// As `push_system`, but false if the actor is not idle. If true, it must be scheduled, and until then the
  /// message keeps it alive: the caller needs no reference to it.
  [[nodiscard]] bool push_if_idle(Envelope* message) noexcept {
    Word idle = kIdle;
    message->next = nullptr;
    message->urgent_ = true;
    return user_.compare_exchange_strong(idle, on_top_of(kIdle, message), std::memory_order_seq_cst,
                                         std::memory_order_relaxed);
  }

  /// As `push`, into the queue that goes first.
  Push push_system(Envelope* message) noexcept {
    if (push_if_idle(message)) return Push::wake;
    message->urgent_ = false;
    Envelope* head = system_.load(std::memory_order_relaxed);
    do {
      if (head == no_more()) return Push::closed;
      message->next = head;
    } while (
        !system_.compare_exchange_weak(head, message, std::memory_order_seq_cst, std::memory_order_relaxed));
    return nudge();
  }

  struct Popped {
    Envelope* message;  ///< null: both queues are empty
    bool system;
  };
  /// The next message. Only the runner.
  [[nodiscard]] Popped pop() noexcept {
    if (user_ready_ == fresh()) take_user();
    for (;;) {
      if (system_ready_ == nullptr && system_.load(std::memory_order_seq_cst) != nullptr)
        system_ready_ = reversed(system_.exchange(nullptr, std::memory_order_acquire)).oldest;
      if (system_ready_ != nullptr) return {take(system_ready_), true};
      if (user_ready_ != nullptr) {
        ready_.store(ready_.load(std::memory_order_relaxed) - 1, std::memory_order_relaxed);
        return {take(user_ready_), false};
      }
      if (user_.load(std::memory_order_relaxed) == kRunning) return {nullptr, false};
      take_user();
    }
  }

  /// True: nobody runs the actor now, and the caller must not touch it again. False: look again with
  /// `pop`. Only the runner, after `pop` returned null.
  [[nodiscard]] bool try_idle() noexcept {
    Word expected = kRunning;
    user_ready_ = fresh();
    return user_.compare_exchange_strong(expected, kIdle, std::memory_order_seq_cst,
                                         std::memory_order_relaxed);
  }

  /// Refuses all later pushes and returns what was left, linked in order, system messages first. Only the
  /// runner.
  [[nodiscard]] Envelope* close() noexcept {
    const Word user = user_.exchange(kClosed, std::memory_order_seq_cst);
    Envelope* system = system_.exchange(no_more(), std::memory_order_seq_cst);
    if (user_ready_ == fresh()) user_ready_ = nullptr;
    Envelope* rest = concatenated(user_ready_, is_mark(user) ? nullptr : reversed(envelope(user)).oldest);
    rest = concatenated(system == no_more() ? nullptr : reversed(system).oldest, rest);
    rest = concatenated(system_ready_, rest);
    system_ready_ = user_ready_ = nullptr;
    ready_.store(0, std::memory_order_relaxed);
    return rest;
  }

  [[nodiscard]] bool closed() const noexcept { return user_.load(std::memory_order_seq_cst) == kClosed; }

  /// About how many user messages wait; any thread. A runner that just takes them may make it too small for a
  /// moment, and of those that it has not looked at yet, 65,535 are counted at most.
  [[nodiscard]] std::size_t waiting() const noexcept {
    return (user_.load(std::memory_order_relaxed) >> kCountShift) + ready_.load(std::memory_order_relaxed);
  }

  /// Deletes a chain of messages.
  static void destroy(Envelope* chain) noexcept {
    while (chain != nullptr) delete std::exchange(chain, chain->next);
  }

 private:
  /// A mark, or the address of an envelope and above it a count of the stack that it tops. Addresses of a
  /// process have 47 bits on x86-64 and 48 on AArch64, unless it asks for more.
  using Word = std::uintptr_t;
  static_assert(sizeof(Word) == 8);
  enum Mark : Word { kRunning = 0, kIdle = 1, kClosed = 2, kNudged = 3 };
  static constexpr unsigned kCountShift = 48;
  static constexpr Word kOne = Word{1} << kCountShift;
  static constexpr Word kCountMax = Word{0xffff} << kCountShift;
  /// In user_ready_: the actor was idle, and the runner has not looked yet.
  static Envelope* fresh() noexcept { return reinterpret_cast<Envelope*>(Word{1}); }
  /// In system_: the actor has ended.
  static Envelope* no_more() noexcept { return reinterpret_cast<Envelope*>(Word{2}); }

  static bool is_mark(Word head) noexcept { return head <= kNudged; }
  static Envelope* envelope(Word head) noexcept { return reinterpret_cast<Envelope*>(head & (kOne - 1)); }
  static Word on_top_of(Word head, Envelope* message) noexcept {
    const Word count = head & kCountMax;  // of a mark: none
    return reinterpret_cast<Word>(message) | (count == kCountMax ? count : count + kOne);
  }

  // A system message has been pushed: tells the runner, or makes the caller schedule the actor.
  Push nudge() noexcept {
    Word head = user_.load(std::memory_order_seq_cst);
    for (;;) {
      // User messages wait there: the runner cannot go idle without taking them and looking again.
      if (!is_mark(head) || head == kNudged || head == kClosed) return Push::ok;
      const bool idle = head == kIdle;
      if (user_.compare_exchange_weak(head, idle ? kRunning : kNudged, std::memory_order_seq_cst))
        return idle ? Push::wake : Push::ok;
    }
  }
  // All that was pushed since the last time, while user_ready_ and system_ready_ are empty. kNudged is
  // cleared before the system queue is looked at again: nothing can hide behind it.
  void take_user() noexcept {
    const Word head = user_.exchange(kRunning, std::memory_order_seq_cst);
    user_ready_ = nullptr;
    if (is_mark(head)) return;
    const Chain chain = reversed(envelope(head));
    user_ready_ = chain.oldest;
    const bool urgent = chain.oldest->urgent_;
    ready_.store(chain.length - (urgent ? 1 : 0), std::memory_order_relaxed);
    if (!urgent) return;
    system_ready_ = std::exchange(user_ready_, user_ready_->next);
    system_ready_->next = nullptr;
  }
  static Envelope* take(Envelope*& queue) noexcept { return std::exchange(queue, queue->next); }
  struct Chain {
    Envelope* oldest = nullptr;
    std::uint32_t length = 0;
  };
  static Chain reversed(Envelope* newest) noexcept {
    Chain chain;
    for (; newest != nullptr; ++chain.length) {
      Envelope* older = newest->next;
      newest->next = chain.oldest;
      chain.oldest = newest;
      newest = older;
    }
    return chain;
  }
  static Envelope* concatenated(Envelope* first, Envelope* second) noexcept {
    if (first == nullptr) return second;
    Envelope* last = first;
    while (last->next != nullptr) last = last->next;
    last->next = second;
    return first;
  }

  std::atomic<Word> user_{kRunning};  // a new actor is scheduled once, for on_start
  std::atomic<Envelope*> system_{nullptr};
  Envelope* user_ready_ = nullptr;       // taken from the stack, oldest first; only the runner
  Envelope* system_ready_ = nullptr;     // the same
  std::atomic<std::uint32_t> ready_{0};  // length of user_ready_; written by the runner only
};

}  // namespace cluster::runtime
