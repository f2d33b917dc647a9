#include "cluster/wire/frame.hpp"

#include <string>
#include <utility>

namespace cluster::wire {
namespace {

constexpr std::uint16_t kFlagsKnown = kFlagFragment | kFlagFragmentFirst | kFlagFragmentLast;

Error corrupt(std::string text) { return Error(Errc::corrupt, std::move(text)); }

}  // namespace

void write_header(std::uint8_t* to, const FrameHeader& header) noexcept {
  store_be<std::uint32_t>(to, header.length);
  to[4] = static_cast<std::uint8_t>(header.kind);
  to[5] = static_cast<std::uint8_t>(header.lane);
  store_be<std::uint16_t>(to + 6, header.flags);
}

Result<FrameHeader> read_header(const std::uint8_t* from) {
  const auto length = load_be<std::uint32_t>(from);
  const auto flags = load_be<std::uint16_t>(from + 6);
  if (length > kFrameBodyBytesMax) return corrupt("a frame of " + std::to_string(length) + " bytes");
  if (from[4] > static_cast<std::uint8_t>(FrameKind::goodbye))
    return corrupt("a frame of unknown kind " + std::to_string(from[4]));
  if (from[5] >= kLanes) return corrupt("a frame in unknown lane " + std::to_string(from[5]));
  if ((flags & ~kFlagsKnown) != 0) return corrupt("a frame with unknown flags");
  return FrameHeader{.length = length,
                     .kind = static_cast<FrameKind>(from[4]),
                     .lane = static_cast<Lane>(from[5]),
                     .flags = flags};
}

Result<std::optional<ByteView>> take_message(ByteView& body) {
  if (body.empty()) return std::optional<ByteView>();
  if (body.size() < kMessagePrefixBytes) return corrupt("a frame that ends inside a length");
  const std::size_t length = load_be<std::uint32_t>(body.data());
  if (length > body.size() - kMessagePrefixBytes) return corrupt("a message longer than its frame");
  const ByteView message = body.subspan(kMessagePrefixBytes, length);
  body = body.subspan(kMessagePrefixBytes + length);
  return std::optional<ByteView>(message);
}

Result<std::optional<Bytes>> Reassembler::add(std::uint16_t flags, ByteView body) {
  if (body.size() < kFragmentPrefixBytes) return corrupt("a fragment without its stream");
  const auto stream = load_be<std::uint32_t>(body.data());
  body = body.subspan(kFragmentPrefixBytes);

  auto found = streams_.find(stream);
  if ((flags & kFlagFragmentFirst) != 0) {
    if (found != streams_.end()) return corrupt("a message begun twice");
    if (body.size() < kFragmentPrefixBytes) return corrupt("a first fragment without the whole length");
    const std::size_t whole = load_be<std::uint32_t>(body.data());
    body = body.subspan(kFragmentPrefixBytes);
    if (whole > bytes_max_ - announced_)
      return Error(Errc::too_large, "a message of " + std::to_string(whole) + " bytes, in fragments");
    if (streams_.size() >= kStreamsMax) return Error(Errc::too_large, "too many messages in fragments");
    announced_ += whole;
    found = streams_.emplace(stream, Partial{{}, whole}).first;
    found->second.bytes.reserve(whole);  // addresses; the system gives memory as bytes are written
  }
  if (found == streams_.end()) return corrupt("a fragment that continues nothing");

  Partial& partial = found->second;
  if (body.size() > partial.whole - partial.bytes.size()) return corrupt("more fragments than announced");
  partial.bytes.insert(partial.bytes.end(), body.begin(), body.end());
  if ((flags & kFlagFragmentLast) == 0) return std::optional<Bytes>();

  if (partial.bytes.size() != partial.whole) return corrupt("fewer fragments than announced");
  announced_ -= partial.whole;
  std::optional<Bytes> message(std::move(partial.bytes));
  streams_.erase(found);
  return message;
}

}  // namespace cluster::wire
