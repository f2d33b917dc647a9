#include "cluster/wire/message.hpp"

#include <algorithm>

#include "cluster/base/assert.hpp"
#include "cluster/wire/msgpack.hpp"

namespace cluster::wire {
namespace {

void write_name(Writer& to, std::string_view name) {
  CLUSTER_ASSERT(!name.empty() && name.size() <= kNameBytesMax);
  to.text(name);
}

void write_target(Writer& to, const Target& target) {
  if (const auto* name = std::get_if<std::string_view>(&target))
    write_name(to, *name);
  else
    to.unsigned_integer(std::get<std::uint64_t>(target));
}

void begin(Writer& to, MessageKind kind, std::size_t elements) {
  to.array(elements);
  to.unsigned_integer(static_cast<std::uint64_t>(kind));
}

bool read_name(Reader& from, std::string_view& name) {
  if (from.peek() != Kind::text) return from.expected("a name");
  if (!from.text(name)) return false;
  return (!name.empty() && name.size() <= kNameBytesMax) || from.fail("a name has 1 to 255 bytes");
}

bool read_target(Reader& from, Target& target) {
  if (from.peek() == Kind::text) return read_name(from, target.emplace<std::string_view>());
  if (from.peek() == Kind::integer) return from.integer(target.emplace<std::uint64_t>());
  return from.expected("a name or a serial");
}

bool read_ttl(Reader& from, std::chrono::milliseconds& ttl) {
  std::uint64_t count = 0;
  if (!from.integer(count)) return false;
  ttl = std::chrono::milliseconds(std::min(count, static_cast<std::uint64_t>(kTtlMax.count())));
  return true;
}

/// Whether a payload is looked into when nothing follows it.
enum class Payloads { checked, unchecked };

/// Reads a message's payload; `extra` elements follow it.
bool read_payload(Reader& from, ByteView& payload, std::size_t extra, Payloads payloads) {
  if (payloads == Payloads::checked || extra != 0) return from.raw(payload) || from.in_field("payload");
  payload = from.rest();
  return !payload.empty() || from.expected("a value") || from.in_field("payload");
}

/// What follows the array's header and the kind, in the order of the writers below. On failure the reader
/// knows why.
bool read_head(Reader& from, CastHead& head) {
  return (read_target(from, head.to) || from.in_field("to")) &&
         (from.integer(head.from) || from.in_field("from")) &&
         (read_name(from, head.event) || from.in_field("event"));
}

bool read_head(Reader& from, CallHead& head) {
  return (from.integer(head.id) || from.in_field("id")) &&
         (read_target(from, head.to) || from.in_field("to")) &&
         (from.integer(head.from) || from.in_field("from")) &&
         (read_name(from, head.event) || from.in_field("event")) &&
         (read_ttl(from, head.ttl) || from.in_field("ttl_ms"));
}

bool read_error(Reader& from, ErrorView& view) {
  std::uint16_t code = 0;
  std::uint8_t executed = 0;
  if (!from.integer(view.id)) return from.in_field("id");
  if (!from.integer(code)) return from.in_field("code");
  if (!from.text(view.text)) return from.in_field("text");
  if (view.text.size() > kErrorTextBytesMax)
    return from.fail("longer than 4096 bytes") || from.in_field("text");
  if (!from.integer(executed)) return from.in_field("executed");
  if (executed > static_cast<std::uint8_t>(Executed::yes))
    return from.fail("expected 0, 1 or 2") || from.in_field("executed");
  view.code = static_cast<Errc>(code);
  view.executed = static_cast<Executed>(executed);
  return true;
}

constexpr std::array kKnownCasts{CastHead{.to = "detector", .event = "swim"},
                                 CastHead{.to = "ring", .event = "ring_gossip"}};

Result<void> read_known(Reader& from, CastHead& head) {
  std::uint64_t number = 0;
  if (!from.integer(number)) return from.in_field("number"), from.error();
  if (number >= kKnownCasts.size())
    return Error(Errc::incompatible, "unknown cast " + std::to_string(number));
  head = kKnownCasts[number];
  return {};
}

struct Shape {
  MessageKind kind;
  std::size_t elements;
};
constexpr std::array kShapes{Shape{MessageKind::cast, 5}, Shape{MessageKind::call, 7},
                             Shape{MessageKind::reply, 3}, Shape{MessageKind::error, 5},
                             Shape{MessageKind::known, 3}};

bool read_as(MessageKind kind, Reader& from, MessageView& message, std::size_t extra, Payloads payloads) {
  switch (kind) {
    case MessageKind::cast: {
      auto& cast = message.emplace<CastView>();
      return read_head(from, cast.head) && read_payload(from, cast.payload, extra, payloads);
    }
    case MessageKind::call: {
      auto& call = message.emplace<CallView>();
      return read_head(from, call.head) && read_payload(from, call.payload, extra, payloads);
    }
    case MessageKind::reply: {
      auto& reply = message.emplace<ReplyView>();
      return (from.integer(reply.id) || from.in_field("id")) &&
             read_payload(from, reply.payload, extra, payloads);
    }
    case MessageKind::known: {
      return read_payload(from, std::get<CastView>(message).payload, extra, payloads);
    }
    case MessageKind::error:
      break;
  }
  return read_error(from, message.emplace<ErrorView>());
}

Result<void> read(ByteView bytes, MessageView& message, Payloads payloads) {
  Reader from(bytes);
  std::size_t elements = 0;
  std::uint64_t kind = 0;
  if (!from.array(elements)) return from.error();
  if (elements == 0) return Error(Errc::bad_message, "an empty array is no message");
  if (!from.integer(kind)) return from.in_field("kind"), from.error();
  if (kind >= kShapes.size())
    return Error(Errc::incompatible, "unknown message kind " + std::to_string(kind));
  const auto wanted = kShapes[kind].elements;
  if (elements < wanted)
    return Error(Errc::bad_message, "message kind " + std::to_string(kind) + " has " +
                                        std::to_string(wanted) + " elements, found " +
                                        std::to_string(elements));

  if (kShapes[kind].kind == MessageKind::known)
    if (auto good = read_known(from, message.emplace<CastView>().head); !good) return good;
  auto extra = elements - wanted;  // what a later version has added
  const bool payload_is_rest =
      extra == 0 && payloads == Payloads::unchecked && kShapes[kind].kind != MessageKind::error;
  bool good = read_as(kShapes[kind].kind, from, message, extra, payloads);
  for (; good && extra != 0; --extra) good = from.skip();
  if (!good) return from.error();
  if (!payload_is_rest && from.left() != 0)
    return Error(Errc::bad_message, std::to_string(from.left()) + " bytes after the message");
  return {};
}

}  // namespace

Result<MessageView> decode_message(ByteView bytes) {
  Result<MessageView> message(MessageView{});
  if (auto good = read(bytes, *message, Payloads::checked); !good) return std::move(good).error();
  return message;
}

Result<void> read_message(ByteView bytes, MessageView& message) {
  return read(bytes, message, Payloads::unchecked);
}

void begin_cast(Writer& to, const CastHead& head) {
  begin(to, MessageKind::cast, 5);
  write_target(to, head.to);
  to.unsigned_integer(head.from);
  write_name(to, head.event);
}

void begin_cast(Bytes& out, const CastHead& head) {
  Writer to(out);
  begin_cast(to, head);
}

void begin_cast(Bytes& out, KnownCast known) {
  Writer to(out);
  begin(to, MessageKind::known, 3);
  to.unsigned_integer(static_cast<std::uint64_t>(known));
}

CastHead head_of(KnownCast known) noexcept { return kKnownCasts[static_cast<std::size_t>(known)]; }

std::size_t begin_call(Writer& to, const CallHead& head) {
  begin(to, MessageKind::call, 7);
  to.unsigned_integer(head.id);
  write_target(to, head.to);
  to.unsigned_integer(head.from);
  write_name(to, head.event);
  const std::size_t at = to.size();
  to.unsigned_integer(static_cast<std::uint64_t>(std::max<std::int64_t>(head.ttl.count(), 0)));
  return at;
}

std::size_t begin_call(Bytes& out, const CallHead& head) {
  Writer to(out);
  return begin_call(to, head);
}

void set_ttl(std::uint8_t* ttl, std::chrono::milliseconds left) noexcept {
  const auto count = static_cast<std::uint64_t>(std::max<std::int64_t>(left.count(), 1));
  const auto within = [count](std::uint64_t most) { return std::min(count, most); };
  if (*ttl < 0x80) *ttl = static_cast<std::uint8_t>(within(0x7f));
  if (*ttl == 0xcc) store_be(ttl + 1, static_cast<std::uint8_t>(within(0xff)));
  if (*ttl == 0xcd) store_be(ttl + 1, static_cast<std::uint16_t>(within(0xffff)));
  if (*ttl == 0xce) store_be(ttl + 1, static_cast<std::uint32_t>(within(0xffff'ffff)));
  if (*ttl == 0xcf) store_be(ttl + 1, count);
}

void begin_reply(Bytes& out, std::uint64_t id) {
  Writer to(out);
  begin(to, MessageKind::reply, 3);
  to.unsigned_integer(id);
}

void write_error(Bytes& out, std::uint64_t id, const Error& error) {
  std::string_view text = error.message();
  if (text.size() > kErrorTextBytesMax) {
    auto size = kErrorTextBytesMax;
    while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xc0) == 0x80) --size;  // whole characters
    text = text.substr(0, size);
  }
  Writer to(out);
  begin(to, MessageKind::error, 5);
  to.unsigned_integer(id);
  to.unsigned_integer(static_cast<std::uint64_t>(error.code()));
  to.text(text);
  to.unsigned_integer(static_cast<std::uint64_t>(error.executed()));
}

}  // namespace cluster::wire
