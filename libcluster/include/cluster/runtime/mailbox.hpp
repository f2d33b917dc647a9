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
///     otherwise  the newest of a stack of user messages, linked to the older ones
///
/// A system message for an idle actor needs only one step: it becomes the first of the user stack, marked
/// `urgent_`, and the runner begins there (`kFresh`). So it still comes before all others.
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
    Envelope* head = user_.load(std::memory_order_relaxed);
    do {
      if (head == mark(kClosed)) return Push::closed;
      message->next = is_mark(head) ? nullptr : head;
      message->urgent_ = false;
    } while (
        !user_.compare_exchange_weak(head, message, std::memory_order_seq_cst, std::memory_order_relaxed));
    return head == mark(kIdle) ? Push::wake : Push::ok;
  }

  /// As `push_system`, but false if the actor is not idle. If true, it must be scheduled, and until then the
  /// message keeps it alive: the caller needs no reference to it.
  [[nodiscard]] bool push_if_idle(Envelope* message) noexcept {
    Envelope* idle = mark(kIdle);
    message->next = nullptr;
    message->urgent_ = true;
    return user_.compare_exchange_strong(idle, message, std::memory_order_seq_cst, std::memory_order_relaxed);
  }

  /// As `push`, into the queue that goes first.
  Push push_system(Envelope* message) noexcept {
    if (push_if_idle(message)) return Push::wake;
    message->urgent_ = false;
    Envelope* head = system_.load(std::memory_order_relaxed);
    do {
      if (head == mark(kClosed)) return Push::closed;
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
    if (user_ready_ == mark(kFresh)) take_user();
    for (;;) {
      if (system_ready_ == nullptr && system_.load(std::memory_order_seq_cst) != nullptr)
        system_ready_ = reversed(system_.exchange(nullptr, std::memory_order_acquire));
      if (system_ready_ != nullptr) return {take(system_ready_), true};
      if (user_ready_ != nullptr) return {take(user_ready_), false};
      if (user_.load(std::memory_order_relaxed) == mark(kRunning)) return {nullptr, false};
      take_user();
    }
  }

  /// True: nobody runs the actor now, and the caller must not touch it again. False: look again with
  /// `pop`. Only the runner, after `pop` returned null.
  [[nodiscard]] bool try_idle() noexcept {
    Envelope* expected = mark(kRunning);
    user_ready_ = mark(kFresh);
    return user_.compare_exchange_strong(expected, mark(kIdle), std::memory_order_seq_cst,
                                         std::memory_order_relaxed);
  }

  /// Refuses all later pushes and returns what was left, linked in order, system messages first. Only the
  /// runner.
  [[nodiscard]] Envelope* close() noexcept {
    Envelope* user = user_.exchange(mark(kClosed), std::memory_order_seq_cst);
    Envelope* system = system_.exchange(mark(kClosed), std::memory_order_seq_cst);
    if (is_mark(user_ready_)) user_ready_ = nullptr;
    Envelope* rest = concatenated(user_ready_, is_mark(user) ? nullptr : reversed(user));
    rest = concatenated(is_mark(system) ? nullptr : reversed(system), rest);
    rest = concatenated(system_ready_, rest);
    system_ready_ = user_ready_ = nullptr;
    return rest;
  }

  [[nodiscard]] bool closed() const noexcept {
    return user_.load(std::memory_order_seq_cst) == mark(kClosed);
  }

  /// Deletes a chain of messages.
  static void destroy(Envelope* chain) noexcept {
    while (chain != nullptr) delete std::exchange(chain, chain->next);
  }

 private:
  enum Mark : std::uintptr_t { kRunning = 0, kIdle = 1, kClosed = 2, kNudged = 3 };
  static constexpr Mark kFresh =
      kIdle;  // in user_ready_: the actor was idle, and the runner has not looked yet
  static Envelope* mark(Mark m) noexcept { return reinterpret_cast<Envelope*>(m); }
  static bool is_mark(const Envelope* head) noexcept {
    return reinterpret_cast<std::uintptr_t>(head) <= kNudged;
  }

  // A system message has been pushed: tells the runner, or makes the caller schedule the actor.
  Push nudge() noexcept {
    Envelope* head = user_.load(std::memory_order_seq_cst);
    for (;;) {
      // User messages wait there: the runner cannot go idle without taking them and looking again.
      if (!is_mark(head) || head == mark(kNudged) || head == mark(kClosed)) return Push::ok;
      const bool idle = head == mark(kIdle);
      if (user_.compare_exchange_weak(head, idle ? mark(kRunning) : mark(kNudged), std::memory_order_seq_cst))
        return idle ? Push::wake : Push::ok;
    }
  }
  // All that was pushed since the last time, while user_ready_ and system_ready_ are empty. kNudged is
  // cleared before the system queue is looked at again: nothing can hide behind it.
  void take_user() noexcept {
    Envelope* head = user_.exchange(mark(kRunning), std::memory_order_seq_cst);
    user_ready_ = is_mark(head) ? nullptr : reversed(head);
    if (user_ready_ == nullptr || !user_ready_->urgent_) return;
    system_ready_ = std::exchange(user_ready_, user_ready_->next);
    system_ready_->next = nullptr;
  }
  static Envelope* take(Envelope*& queue) noexcept { return std::exchange(queue, queue->next); }
  static Envelope* reversed(Envelope* newest) noexcept {
    Envelope* oldest = nullptr;
    while (newest != nullptr) {
      Envelope* older = newest->next;
      newest->next = oldest;
      oldest = newest;
      newest = older;
    }
    return oldest;
  }
  static Envelope* concatenated(Envelope* first, Envelope* second) noexcept {
    if (first == nullptr) return second;
    Envelope* last = first;
    while (last->next != nullptr) last = last->next;
    last->next = second;
    return first;
  }

  std::atomic<Envelope*> user_{mark(kRunning)};  // a new actor is scheduled once, for on_start
  std::atomic<Envelope*> system_{nullptr};
  Envelope* user_ready_ = nullptr;    // taken from the stack, oldest first; only the runner
  Envelope* system_ready_ = nullptr;  // the same
};

}  // namespace cluster::runtime
