#pragma once
#include <algorithm>
#include <atomic>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <utility>

#include "cluster/runtime/envelope.hpp"
#include "cluster/runtime/exit_reason.hpp"
#include "cluster/runtime/inbound.hpp"
#include "cluster/runtime/mailbox.hpp"

namespace cluster::runtime {

/// What became of a post. Only `ok` takes the message.
enum class Posted : std::uint8_t { ok, closed, full };

/// The part of an actor that others hold: its mailbox and its count of references. The engine derives
/// the rest. Use it through ActorRef.
class ActorCore {
 public:
  Posted post(EnvelopePtr& message) noexcept {
    if (mailbox_max_ != 0 && !reserve()) return mailbox_.closed() ? Posted::closed : Posted::full;
    const Mailbox::Push push = mailbox_.push(message.get());
    if (push == Mailbox::Push::closed) return Posted::closed;
    static_cast<void>(message.release());
    if (push == Mailbox::Push::wake) schedule();
    return Posted::ok;
  }
  Posted post_system(EnvelopePtr& message) noexcept {
    const Mailbox::Push push = mailbox_.push_system(message.get());
    if (push == Mailbox::Push::closed) return Posted::closed;
    static_cast<void>(message.release());
    if (push == Mailbox::Push::wake) schedule();
    return Posted::ok;
  }
  /// As `post_system`, of a message that itself carries the caller's reference to this actor.
  Posted post_with_reference(EnvelopePtr& message) noexcept {
    if (mailbox_.push_if_idle(message.get())) {
      static_cast<void>(message.release());
      schedule();
      return Posted::ok;
    }
    retain();  // the message may be handled, and its reference be gone, before the push has returned
    const Posted posted = post_system(message);
    release();
    return posted;
  }
  /// A message that the behaviour took and then put aside still counts against mailbox_max, until it is
  /// handled. Only the runner.
  void put_aside() noexcept {
    if (mailbox_max_ != 0) queued_.fetch_add(1, std::memory_order_relaxed);
  }
  void taken_up() noexcept { taken(); }
  /// What waits here that came over the network. Only for the thread that polls the network.
  [[nodiscard]] InboundAccount& inbound(InboundTotal& total) {
    if (inbound_ == nullptr) inbound_ = std::make_unique<InboundAccount>(total);
    return *inbound_;
  }
  void retain() noexcept { references_.fetch_add(1, std::memory_order_relaxed); }
  void release() noexcept {
    if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) dispose();
  }
  [[nodiscard]] std::uint64_t serial() const noexcept { return serial_; }
  [[nodiscard]] bool alive() const noexcept { return !mailbox_.closed(); }
  /// About how many user messages wait in the mailbox.
  [[nodiscard]] std::size_t waiting() const noexcept { return mailbox_.waiting(); }

 protected:
  ActorCore(std::uint64_t serial, std::size_t mailbox_max) noexcept
      : serial_(serial),
        mailbox_max_(static_cast<std::uint32_t>(
            std::min<std::size_t>(mailbox_max, std::numeric_limits<std::uint32_t>::max()))) {}
  ~ActorCore() = default;
  ActorCore(const ActorCore&) = delete;
  ActorCore& operator=(const ActorCore&) = delete;

  /// The mailbox was idle and now is not: have the actor run soon.
  virtual void schedule() noexcept = 0;
  /// The last reference is gone.
  virtual void dispose() noexcept = 0;

  /// A user message left the mailbox. Only the runner.
  void taken() noexcept {
    if (mailbox_max_ != 0) queued_.fetch_sub(1, std::memory_order_relaxed);
  }

  // Before the mailbox: the messages in there refer to it until they are destroyed.
  std::unique_ptr<InboundAccount> inbound_;  // made with the first message from the network
  Mailbox mailbox_;

 private:
  friend class ActorList;

  bool reserve() noexcept {
    if (queued_.fetch_add(1, std::memory_order_relaxed) < mailbox_max_) return true;
    queued_.fetch_sub(1, std::memory_order_relaxed);
    return false;
  }

  ActorCore* previous_ = nullptr;  // in the ActorList
  ActorCore* next_ = nullptr;
  std::atomic<std::size_t> references_{1};
  const std::uint64_t serial_;
  const std::uint32_t mailbox_max_;       // user messages; 0: unbounded
  std::atomic<std::uint32_t> queued_{0};  // counted only if bounded
};

/// Names one actor of this process and keeps its memory, not its life. Cheap to copy (one atomic
/// increment), empty by default; any thread.
class ActorRef {
 public:
  ActorRef() noexcept = default;
  ActorRef(const ActorRef& other) noexcept : core_(other.core_) {
    if (core_ != nullptr) core_->retain();
  }
  ActorRef(ActorRef&& other) noexcept : core_(std::exchange(other.core_, nullptr)) {}
  ActorRef& operator=(ActorRef other) noexcept {
    std::swap(core_, other.core_);
    return *this;
  }
  ~ActorRef() {
    if (core_ != nullptr) core_->release();
  }
  /// Gives up the reference, which the caller now has, and becomes empty.
  [[nodiscard]] ActorCore* detach() noexcept { return std::exchange(core_, nullptr); }
  /// Takes over one reference to `core`.
  [[nodiscard]] static ActorRef adopt(ActorCore* core) noexcept { return ActorRef(core); }

  /// Puts `message` into the actor's queue and takes it if the answer is `ok`; else it stays with the caller.
  /// Messages of one sender arrive in order. Never blocks. `closed`: it has ended, or the ref is empty;
  /// `full`: its mailbox_max is reached.
  [[nodiscard]] Posted post(EnvelopePtr& message) const noexcept {
    return core_ != nullptr ? core_->post(message) : Posted::closed;
  }
  /// As `post`, into the unbounded queue that goes before all user messages: replies, timers, control.
  [[nodiscard]] Posted post_system(EnvelopePtr& message) const noexcept {
    return core_ != nullptr ? core_->post_system(message) : Posted::closed;
  }
  /// Asks the actor to end: a system message, handled before any user message. The first reason counts.
  void stop(ExitReason reason) const;

  /// Unique in this process life; 0 for an empty ref.
  [[nodiscard]] std::uint64_t serial() const noexcept { return core_ != nullptr ? core_->serial() : 0; }
  /// False once the actor refuses messages, which is before its monitors are told.
  [[nodiscard]] bool alive() const noexcept { return core_ != nullptr && core_->alive(); }
  [[nodiscard]] std::size_t waiting() const noexcept { return core_ != nullptr ? core_->waiting() : 0; }
  explicit operator bool() const noexcept { return core_ != nullptr; }
  [[nodiscard]] ActorCore* core() const noexcept { return core_; }

  friend bool operator==(const ActorRef& a, const ActorRef& b) noexcept { return a.core_ == b.core_; }
  friend auto operator<=>(const ActorRef& a, const ActorRef& b) noexcept { return a.serial() <=> b.serial(); }

 private:
  explicit ActorRef(ActorCore* core) noexcept : core_(core) {}
  ActorCore* core_ = nullptr;
};

}  // namespace cluster::runtime

template <>
struct std::hash<cluster::runtime::ActorRef> {
  std::size_t operator()(const cluster::runtime::ActorRef& ref) const noexcept {
    return std::hash<std::uint64_t>{}(ref.serial());
  }
};
