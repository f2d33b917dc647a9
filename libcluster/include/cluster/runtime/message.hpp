#pragma once
#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

#include "cluster/base/bytes.hpp"
#include "cluster/base/result.hpp"
#include "cluster/base/time.hpp"
#include "cluster/runtime/actor_ref.hpp"
#include "cluster/runtime/envelope.hpp"
#include "cluster/runtime/inbound.hpp"
#include "cluster/runtime/reply_slot.hpp"
#include "cluster/wire/codec.hpp"

namespace cluster {

class ServerBase;

namespace detail {
template <class M>
struct ReplyOf {
  using type = void;
};
template <class M>
requires requires { typename M::reply; }
struct ReplyOf<M> {
  using type = typename M::reply;
};
}  // namespace detail

/// What a call of message M answers: `M::reply`, or void if M names none.
template <class M>
using reply_of = typename detail::ReplyOf<M>::type;

namespace runtime {

/// Identifies a type within this process.
using TypeKey = const void*;
template <class T>
inline constexpr char type_key_anchor = 0;
template <class T>
[[nodiscard]] constexpr TypeKey type_key() noexcept {
  return &type_key_anchor<T>;
}

/// Everything that a GenServer's mailbox holds.
class Item : public Envelope {
 public:
  enum class Kind : std::uint8_t { message, reply, timer, deadline, pause, resume };
  [[nodiscard]] Kind kind() const noexcept { return kind_; }

 protected:
  explicit Item(Kind kind) noexcept : kind_(kind) {}

 private:
  Kind kind_;
};

/// The answer to a call: an error (ErrorReply), a value as it is (TypedReply), or a value still encoded
/// (EncodedReply).
class Reply : public Item {
 public:
  /// Which of the caller's open calls this answers.
  std::uint64_t id = 0;
  /// The caller, if it is an actor: its reference comes back with the reply, for its next call.
  ActorRef caller;

  /// Null if it is a value.
  [[nodiscard]] inline const Error* error() const noexcept;
  /// Key of the value's type if the value is held as it is; null if encoded or an error.
  [[nodiscard]] TypeKey value_type() const noexcept { return value_type_; }
  /// Appends the value as MessagePack; only without an error.
  virtual void encode_value(Bytes& out) const = 0;
  /// The encoded value; empty if `value_type()`.
  [[nodiscard]] virtual ByteView encoded() const noexcept { return {}; }

 protected:
  enum class Form : std::uint8_t { value, error };
  Reply(Form form, TypeKey value_type) noexcept : Item(Kind::reply), form_(form), value_type_(value_type) {}

 private:
  Form form_;
  TypeKey value_type_;
};
using ReplyPtr = std::unique_ptr<Reply>;

class ErrorReply final : public Reply {
 public:
  explicit ErrorReply(Error error) : Reply(Form::error, nullptr), what(std::move(error)) {}
  Error what;

  void encode_value(Bytes& out) const override { out.push_back(0xc0); }
};

inline const Error* Reply::error() const noexcept {
  return form_ == Form::error ? &static_cast<const ErrorReply*>(this)->what : nullptr;
}

template <class R>
using Stored = std::conditional_t<std::is_void_v<R>, std::monostate, R>;

template <class R>
class TypedReply final : public Reply {
 public:
  explicit TypedReply(Stored<R> held) : Reply(Form::value, type_key<Stored<R>>()), value(std::move(held)) {}
  Stored<R> value;

  void encode_value(Bytes& out) const override { wire::encode_to(out, value); }
};

class EncodedReply final : public Reply {
 public:
  explicit EncodedReply(Bytes bytes) : Reply(Form::value, nullptr), bytes_(std::move(bytes)) {}
  void encode_value(Bytes& out) const override { out.insert(out.end(), bytes_.begin(), bytes_.end()); }
  [[nodiscard]] ByteView encoded() const noexcept override { return bytes_; }

 private:
  Bytes bytes_;
};

/// The result that `reply` carries, as an R: moved out if it is one, else decoded.
template <class R>
[[nodiscard]] Result<R> take(Reply& reply) {
  if (reply.error()) return *reply.error();
  if (reply.value_type() == type_key<Stored<R>>()) {
    if constexpr (std::is_void_v<R>)
      return {};
    else
      return std::move(static_cast<TypedReply<R>&>(reply).value);
  }
  if constexpr (std::is_void_v<R>) {
    return {};  // a caller that expects no value takes any
  } else {
    Bytes scratch;
    ByteView bytes = reply.encoded();
    if (reply.value_type() != nullptr) {
      reply.encode_value(scratch);
      bytes = scratch;
    }
    auto decoded = wire::decode<R>(bytes);
    if (!decoded) return Error(Errc::bad_message, "the reply: " + decoded.error().message(), Executed::yes);
    return decoded;
  }
}

/// Takes replies for callers that are not actors of this process. Thread-safe; counted by who may still
/// answer: held through SinkPtr.
class ReplySink {
 public:
  ReplySink() = default;
  virtual ~ReplySink() = default;
  ReplySink(const ReplySink&) = delete;
  ReplySink& operator=(const ReplySink&) = delete;
  virtual void deliver(std::uint64_t id, ReplyPtr reply) noexcept = 0;

  /// How many may answer now.
  [[nodiscard]] std::size_t holders() const noexcept { return references_.load(std::memory_order_acquire); }
  void retain() noexcept { references_.fetch_add(1, std::memory_order_relaxed); }
  void release() noexcept {
    if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }

 private:
  std::atomic<std::size_t> references_{1};
};

/// Shares a sink of class T. Empty by default; `make_sink` makes one.
template <class T>
class SinkPtr {
 public:
  SinkPtr() noexcept = default;
  SinkPtr(std::nullptr_t) noexcept {}
  SinkPtr(const SinkPtr& other) noexcept : sink_(other.sink_) {
    if (sink_ != nullptr) sink_->retain();
  }
  SinkPtr(SinkPtr&& other) noexcept : sink_(other.detach()) {}
  template <std::derived_from<T> U>
  SinkPtr(SinkPtr<U> other) noexcept : sink_(other.detach()) {}
  SinkPtr& operator=(SinkPtr other) noexcept {
    std::swap(sink_, other.sink_);
    return *this;
  }
  ~SinkPtr() {
    if (sink_ != nullptr) sink_->release();
  }
  /// Takes over one reference to `sink`.
  [[nodiscard]] static SinkPtr adopt(T* sink) noexcept {
    SinkPtr adopted;
    adopted.sink_ = sink;
    return adopted;
  }
  /// Gives up the reference, which the caller now has, and becomes empty.
  [[nodiscard]] T* detach() noexcept { return std::exchange(sink_, nullptr); }

  [[nodiscard]] T* operator->() const noexcept { return sink_; }
  [[nodiscard]] T& operator*() const noexcept { return *sink_; }
  friend bool operator==(const SinkPtr& a, std::nullptr_t) noexcept { return a.sink_ == nullptr; }

 private:
  T* sink_ = nullptr;
};
template <std::derived_from<ReplySink> T, class... Args>
[[nodiscard]] SinkPtr<T> make_sink(Args&&... args) {
  return SinkPtr<T>::adopt(new T(std::forward<Args>(args)...));
}

/// Where a thread outside the actors waits for one reply.
class CallSlot final : public ReplySink, public Pooled {
 public:
  ReplySlot slot;
  void deliver(std::uint64_t, ReplyPtr reply) noexcept override { slot.fulfil(std::move(reply)); }
};

/// The return address of a call. Answers at most once; empty for casts. If it dies unanswered, the
/// caller gets an error, so that no caller waits for a reply that nobody can give any more.
class ReplyTo {
 public:
  ReplyTo() = default;
  ReplyTo(ActorRef caller, std::uint64_t id) noexcept
      : target_(reinterpret_cast<std::uintptr_t>(caller.detach())), id_(id) {}
  ReplyTo(SinkPtr<ReplySink> sink, std::uint64_t id) noexcept : id_(id) {
    if (ReplySink* to = sink.detach()) target_ = reinterpret_cast<std::uintptr_t>(to) | kIsSink;
  }
  explicit ReplyTo(SinkPtr<CallSlot> slot) noexcept : ReplyTo(SinkPtr<ReplySink>(std::move(slot)), 0) {}
  ReplyTo(ReplyTo&& other) noexcept : target_(std::exchange(other.target_, 0)), id_(other.id_) {}
  ReplyTo& operator=(ReplyTo&& other) noexcept {
    if (this != &other) {
      if (*this) abandon();
      target_ = std::exchange(other.target_, 0);
      id_ = other.id_;
    }
    return *this;
  }
  ~ReplyTo() {
    if (*this) abandon();
  }

  explicit operator bool() const noexcept { return target_ != 0; }
  /// Sends the reply and becomes empty; does nothing if empty.
  void deliver(ReplyPtr reply) noexcept;
  void fail(Error error) noexcept {
    if (*this) deliver(std::make_unique<ErrorReply>(std::move(error)));
  }
  /// Becomes empty without answering.
  void forget() noexcept;

 private:
  static constexpr std::uintptr_t kIsSink = 1;  // neither an actor nor a sink has an odd address

  void abandon() noexcept;

  std::uintptr_t target_ = 0;  // a counted ActorCore, or a counted ReplySink with kIsSink; 0: empty
  std::uint64_t id_ = 0;
};

/// The same error, of an operation that ran.
[[nodiscard]] inline Error ran(const Error& error) {
  return Error(error.code(), error.message(), Executed::yes);
}

template <class R>
void deliver(ReplyTo& to, Result<R> result) noexcept {
  if (!to) return;
  if (!result) return to.fail(std::move(result).error());
  if constexpr (std::is_void_v<R>)
    to.deliver(std::make_unique<TypedReply<void>>(std::monostate{}));
  else
    to.deliver(std::make_unique<TypedReply<R>>(std::move(result).value()));
}

/// A handler that has suspended: its coroutine, and the message that it still refers to.
class ActiveHandler {
 public:
  virtual ~ActiveHandler() = default;
  /// Gives the ended coroutine's result to the caller; throws what the handler threw.
  virtual void finish() = 0;
  /// Has `on_done(context)` called when the coroutine ends.
  virtual void notify(void (*on_done)(void*), void* context) noexcept = 0;
};

/// A call or cast on its way to a server of this process.
class Message : public Item {
 public:
  /// Runs the handler of the server's class for this message; returns the suspended handler, if it did.
  using Invoke = std::unique_ptr<ActiveHandler> (*)(ServerBase&, Message&);

  Message(Invoke run, ReplyTo caller, Kind kind = Kind::message) noexcept
      : Item(kind), invoke(run), reply_to(std::move(caller)) {}

  /// What it counts among the messages from the network; null if it was made here.
  [[nodiscard]] virtual InboundCharge* inbound() noexcept { return nullptr; }

  /// From the server to itself (`continue`): a restart forgets it, and it never counted as waiting.
  bool own = false;
  Invoke invoke;
  ReplyTo reply_to;
  /// Not run after this instant; the caller has given up.
  Instant expires = kNever;
};
using MessagePtr = std::unique_ptr<Message>;

template <class M>
class TypedMessage : public Message {
 public:
  template <class... Fields>
  TypedMessage(Invoke run, ReplyTo caller, Kind kind, Fields&&... fields)
      : Message(run, std::move(caller), kind), value{std::forward<Fields>(fields)...} {}
  M value;
};

/// A message that was decoded.
template <class M>
class InboundMessage final : public TypedMessage<M> {
 public:
  using TypedMessage<M>::TypedMessage;
  [[nodiscard]] InboundCharge* inbound() noexcept override { return &charge_; }

 private:
  InboundCharge charge_;
};

}  // namespace runtime
}  // namespace cluster
