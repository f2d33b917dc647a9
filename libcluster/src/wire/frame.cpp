#include "cluster/wire/frame.hpp"

#include <string>
#include <utility>

namespace cluster::wire {
namespace {

constexpr std::uint16_t kFlagsKnown =
    kFlagFragment | kFlagFragmentFirst | kFlagFragmentLast | kFlagFragmentWithdrawn;

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
  if (from[4] > static_cast<std::uint8_t>(FrameKind::idle))
    return corrupt("a frame of unknown kind " + std::to_string(from[4]));
  if (from[5] >= kLanes) return corrupt("a frame in unknown lane " + std::to_string(from[5]));
  if ((flags & ~kFlagsKnown) != 0) return corrupt("a frame with unknown flags");
  return FrameHeader{.length = length,
                     .kind = static_cast<FrameKind>(from[4]),
                     .lane = static_cast<Lane>(from[5]),
                     .flags = flags};
}

Error detail::cut_in_length() { return corrupt("a frame that ends inside a length"); }
Error detail::longer_than_frame() { return corrupt("a message longer than its frame"); }

std::size_t write_fragment_prefix(std::uint8_t* to, std::uint32_t stream, std::size_t whole) noexcept {
  store_be(to, stream);
  if (whole == 0) return kFragmentPrefixBytes;
  store_be(to + kFragmentPrefixBytes, static_cast<std::uint32_t>(whole));
  return kFragmentPrefixBytesMax;
}

}  // namespace cluster::wire
