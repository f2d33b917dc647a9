#include "cluster/runtime/services.hpp"

#include <string>

namespace cluster::runtime {
namespace {

Result<void> check_event_name(std::string_view event) {
  if (event.empty() || event.size() > wire::kNameBytesMax)
    return Error(Errc::invalid_argument, "'" + std::string(event.substr(0, 64)) + "' is no event name");
  return {};
}

}  // namespace

Result<SentCall> send_event_call(Services& services, const Target& to, std::string_view event,
                                 const wire::Value& message, ReplyTo reply_to, std::uint64_t sender,
                                 Duration timeout) {
  if (auto checked = check_event_name(event); !checked) {
    reply_to.forget();
    return std::move(checked).error();
  }
  const std::string_view name = to.name;
  if (to.node.empty()) {
    const auto expires = saturated_add(services.now(), timeout);
    // A failure is a reply too: one way back for both.
    static_cast<void>(
        services.post_encoded(name, event, wire::encode(message), std::move(reply_to), expires));
    return SentCall{};
  }
  const auto call = services.open_call(to, std::move(reply_to));
  ScratchBytes bytes;
  const std::size_t ttl_at = wire::begin_call(
      *bytes, {.id = call, .to = name, .from = sender, .event = event, .ttl = ttl_of(timeout)});
  wire::encode_to(*bytes, message);
  if (auto sent = services.send_call(call, to, *bytes, ttl_at, timeout); !sent)
    return std::move(sent).error();
  return SentCall{call};
}

Result<void> send_event_cast(Services& services, const Target& to, std::string_view event,
                             const wire::Value& message, std::uint64_t sender) {
  if (auto checked = check_event_name(event); !checked) return checked;
  const std::string_view name = to.name;
  if (to.node.empty()) return services.post_encoded(name, event, wire::encode(message), ReplyTo{}, kNever);
  ScratchBytes bytes;
  wire::begin_cast(*bytes, {.to = name, .from = sender, .event = event});
  wire::encode_to(*bytes, message);
  return services.send_cast(to, *bytes);
}

}  // namespace cluster::runtime
