#pragma once
#include <concepts>
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

/// The answer to a call: an error, a value as it is (TypedReply), or a value still encoded (EncodedReply).
class Reply : public Item {
 public:
  Reply() noexcept : Item(Kind::reply) {}
  explicit Reply(Error error) : Item(Kind::reply), error_(std::move(error)) {}

  /// Which of the caller's open calls this answers.
  std::uint64_t id = 0;

  [[nodiscard]] const std::optional<Error>& error() const noexcept { return error_; }
  /// Key of the value's type if the value is held as it is; null if encoded or an error.
  [[nodiscard]] virtual TypeKey value_type() const noexcept { return nullptr; }
  /// Appends the value as MessagePack; only without an error.
  virtual void encode_value(Bytes& out) const { out.push_back(0xc0); }
  /// The encoded value; empty if `value_type()`.
  [[nodiscard]] virtual ByteView encoded() const noexcept { return {}; }

 private:
  std::optional<Error> error_;
};
using ReplyPtr = std::unique_ptr<Reply>;

template <class R>
using Stored = std::conditional_t<std::is_void_v<R>, std::monostate, R>;

template <class R>
class TypedReply final : public Reply {
 public:
  explicit TypedReply(Stored<R> held) : value(std::move(held)) {}
  Stored<R> value;

  [[nodiscard]] TypeKey value_type() const noexcept override { return type_key<Stored<R>>(); }
  void encode_value(Bytes& out) const override { wire::encode_to(out, value); }
};

class EncodedReply final : public Reply {
 public:
  explicit EncodedReply(Bytes bytes) : bytes_(std::move(bytes)) {}
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

/// Takes replies for callers that are not actors of this process. Thread-safe.
class ReplySink {
 public:
  virtual ~ReplySink() = default;
  virtual void deliver(std::uint64_t id, ReplyPtr reply) noexcept = 0;
};

/// The return address of a call. Answers at most once; empty for casts. If it dies unanswered, the
/// caller gets an error, so that no caller waits for a reply that nobody can give any more.
class ReplyTo {
 public:
  ReplyTo() = default;
  ReplyTo(ActorRef caller, std::uint64_t id) : to_(ToActor{std::move(caller), id}) {}
  explicit ReplyTo(std::shared_ptr<ReplySlot> slot) : to_(std::move(slot)) {}
  ReplyTo(std::shared_ptr<ReplySink> sink, std::uint64_t id) : to_(ToSink{std::move(sink), id}) {}
  ReplyTo(ReplyTo&& other) noexcept : to_(std::exchange(other.to_, std::monostate{})) {}
  ReplyTo& operator=(ReplyTo&& other) noexcept {
    if (this != &other) {
      abandon();
      to_ = std::exchange(other.to_, std::monostate{});
    }
    return *this;
  }
  ~ReplyTo() { abandon(); }

  explicit operator bool() const noexcept { return to_.index() != 0; }
  /// Sends the reply and becomes empty; does nothing if empty.
  void deliver(ReplyPtr reply) noexcept;
  void fail(Error error) noexcept {
    if (*this) deliver(std::make_unique<Reply>(std::move(error)));
  }
  /// Becomes empty without answering.
  void forget() noexcept { to_ = std::monostate{}; }

 private:
  struct ToActor {
    ActorRef caller;
    std::uint64_t id;
  };
  struct ToSink {
    std::shared_ptr<ReplySink> sink;
    std::uint64_t id;
  };
  void abandon() noexcept {
    if (*this) fail(Error(Errc::stopped, "the server gave no answer", Executed::unknown));
  }
  std::variant<std::monostate, ToActor, std::shared_ptr<ReplySlot>, ToSink> to_;
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

  Invoke invoke;
  ReplyTo reply_to;
  /// Not run after this instant; the caller has given up.
  Instant expires = kNever;
};
using MessagePtr = std::unique_ptr<Message>;

template <class M>
class TypedMessage final : public Message {
 public:
  template <class... Fields>
  TypedMessage(Invoke run, ReplyTo caller, Kind kind, Fields&&... fields)
      : Message(run, std::move(caller), kind), value{std::forward<Fields>(fields)...} {}
  M value;
};

}  // namespace runtime
}  // namespace cluster
