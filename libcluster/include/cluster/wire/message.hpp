#pragma once
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "cluster/base/bytes.hpp"
#include "cluster/base/error.hpp"
#include "cluster/base/result.hpp"

/// One message between nodes: a MessagePack array, all of it by position, so that it is compact and any
/// language can read it (docs/wire_format.md).
///     cast   [0, to, from, event, payload]
///     call   [1, id, to, from, event, ttl_ms, payload]
///     reply  [2, id, payload]
///     error  [3, id, code, text, executed]
///     known  [4, number, payload]    a cast of no actor, short
/// Elements behind these are skipped, so that a later version can add some.
namespace cluster::wire {

enum class MessageKind : std::uint8_t { cast = 0, call = 1, reply = 2, error = 3, known = 4 };

/// Names of servers and events: 1..255 bytes.
inline constexpr std::size_t kNameBytesMax = 255;
/// The text of an error is cut to this length when it is written, and refused if longer when read.
inline constexpr std::size_t kErrorTextBytesMax = 4096;
/// A caller's time is at most this; a longer one is taken for it.
inline constexpr std::chrono::milliseconds kTtlMax = std::chrono::hours(24 * 365);

/// Whom a message is for: a server's name, or an actor's serial in the boot that the connection belongs to.
using Target = std::variant<std::string_view, std::uint64_t>;

/// All that precedes the payload. The views point to the caller's memory (into the input, when decoded).
struct CastHead {
  Target to;
  std::uint64_t from = 0;  ///< serial of the sending actor; 0: not an actor
  std::string_view event;
};
struct CallHead {
  std::uint64_t id = 0;  ///< the caller's choice; the answer has the same
  Target to;
  std::uint64_t from = 0;
  std::string_view event;
  std::chrono::milliseconds ttl{0};  ///< what is left of the caller's time; 0: no limit
};

/// What servers that every node has tell each other all the time: the names would be most of such a message,
/// so it travels under a number. Numbers are appended, never reused.
enum class KnownCast : std::uint8_t { swim = 0, ring_gossip = 1 };
/// Whom and what it names.
[[nodiscard]] CastHead head_of(KnownCast known) noexcept;

/// Messages as read. `payload` is one well-formed MessagePack value (Reader::skip's rules), not decoded.
struct CastView {
  CastHead head;
  ByteView payload;
};
struct CallView {
  CallHead head;
  ByteView payload;
};
struct ReplyView {
  std::uint64_t id = 0;
  ByteView payload;
};
struct ErrorView {
  std::uint64_t id = 0;
  Errc code = Errc::internal;  ///< may be a number that a later version has added
  std::string_view text;
  Executed executed = Executed::unknown;
  [[nodiscard]] Error error() const { return Error(code, std::string(text), executed); }
};
using MessageView = std::variant<CastView, CallView, ReplyView, ErrorView>;

/// The whole of `bytes` as a message. Errc::incompatible: well-formed, of a kind that this version does not
/// know; to be ignored. Errc::bad_message: anything else that is wrong, in words.
[[nodiscard]] Result<MessageView> decode_message(ByteView bytes);

/// The same into `message`, without looking into the payload of a cast, call or reply (unless elements follow
/// it): for whoever decodes the payload next, which checks it.
[[nodiscard]] Result<void> read_message(ByteView bytes, MessageView& message);

class Writer;

/// Append all but the payload; one encode_to() of it must follow, best with the same Writer. Names outside
/// 1..kNameBytesMax are a broken invariant: check them where they come in.
void begin_cast(Writer& to, const CastHead& head);
void begin_cast(Bytes& out, const CastHead& head);
/// The same, short; read as a cast with the head that `head_of` gives.
void begin_cast(Bytes& out, KnownCast known);
/// Returns where in the bytes written the ttl is, for `set_ttl`.
std::size_t begin_call(Writer& to, const CallHead& head);
std::size_t begin_call(Bytes& out, const CallHead& head);
/// Lowers the ttl that begins at `ttl`, in the bytes that it has; 1 ms at least. Higher ones are cut to what
/// these bytes can hold.
void set_ttl(std::uint8_t* ttl, std::chrono::milliseconds left) noexcept;
void begin_reply(Bytes& out, std::uint64_t id);
/// Appends a whole error message.
void write_error(Bytes& out, std::uint64_t id, const Error& error);

}  // namespace cluster::wire
