#include <array>

#include "cluster/base/assert.hpp"
#include "cluster/wire/frame.hpp"
#include "cluster/wire/frame_protection.hpp"
#include "cluster/wire/reassembler.hpp"
#include "fuzz.hpp"

using namespace cluster;

// The input is a stream of frames whose tags nobody checks: what a peer with the right key may send.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t kMessageBytesMax = 1 << 20;
  wire::Reassembler reassembler(kMessageBytesMax);
  ByteView stream(data, size);
  while (stream.size() >= wire::kFrameHeaderBytes) {
    const auto header = wire::read_header(stream.data());
    if (!header) return 0;
    CLUSTER_ASSERT(header->length <= wire::kFrameBodyBytesMax);
    std::array<std::uint8_t, wire::kFrameHeaderBytes> written{};
    wire::write_header(written.data(), *header);
    CLUSTER_ASSERT(wire::read_header(written.data()).value() == *header);
    if (stream.size() < header->frame_bytes()) return 0;
    auto body = stream.subspan(wire::kFrameHeaderBytes, header->length);
    // Nobody makes a frame without the key.
    for (const auto level : {wire::Protection::sign, wire::Protection::seal}) {
      Bytes opened(body.begin(), body.end());
      const auto tag = stream.subspan(wire::kFrameHeaderBytes + header->length, wire::kFrameTagBytes);
      CLUSTER_ASSERT(
          !wire::FrameOpener(level, Bytes(32, 7)).open(stream.first(wire::kFrameHeaderBytes), opened, tag));
    }
    stream = stream.subspan(header->frame_bytes());
    if (header->kind != wire::FrameKind::messages) continue;

    if ((header->flags & wire::kFlagFragment) != 0) {
      const auto message = reassembler.add(header->flags, body);
      if (!message) return 0;
      if (message.value()) CLUSTER_ASSERT((**message).size() <= kMessageBytesMax);
      CLUSTER_ASSERT(reassembler.memory() <= wire::Reassembler::kStreamsMax * wire::Reassembler::kFirstBytes);
      continue;
    }
    for (;;) {
      const auto before = body.size();
      const auto message = wire::take_message(body);
      if (!message) return 0;
      if (!message.value()) break;
      CLUSTER_ASSERT(body.size() + (**message).size() + wire::kMessagePrefixBytes == before);
    }
  }
  return 0;
}
