#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <variant>

#include "cluster/base/bytes.hpp"
#include "cluster/proto/detector_messages.hpp"
#include "cluster/proto/gossip_messages.hpp"

namespace cluster::sim {

/// A message on its way: the bytes that a connection would carry, and what the receiver decodes from them.
struct Packet {
  using Message = std::variant<proto::GossipMessage, proto::DetectorMessage>;

  Bytes bytes{};
  std::uint64_t hash = 0;  ///< of the bytes
  Message message{};       ///< decoded from the bytes, not what was encoded
};

/// Encodes each message and decodes it again, so that nothing passes that the codec would lose. Of messages
/// with the same bytes (most of an idle ring) all share one packet, which is decoded once.
class Packer {
 public:
  [[nodiscard]] std::shared_ptr<const Packet> pack(const Packet::Message& message);

 private:
  static constexpr std::size_t kRemembered = 1024;
  std::array<std::shared_ptr<const Packet>, kRemembered> recent_{};  // by hash
  Bytes scratch_{};
};

}  // namespace cluster::sim
