#include "cluster/sim/packet.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "cluster/base/assert.hpp"
#include "cluster/wire/codec.hpp"

namespace cluster::sim {
namespace {

std::uint64_t hash_of(ByteView bytes) noexcept {
  std::uint64_t hash = bytes.size();
  for (std::size_t at = 0; at < bytes.size(); at += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data() + at, std::min<std::size_t>(8, bytes.size() - at));
    hash = (std::rotl(hash, 23) ^ word) * 0x9e3779b97f4a7c15;
  }
  return hash ^ (hash >> 29);
}

}  // namespace

std::shared_ptr<const Packet> Packer::pack(const Packet::Message& message) {
  scratch_.clear();
  std::visit([&](const auto& each) { wire::encode_to(scratch_, each); }, message);
  const auto hash = hash_of(scratch_);
  auto& remembered = recent_[hash % kRemembered];
  if (remembered && remembered->hash == hash && remembered->message.index() == message.index() &&
      remembered->bytes == scratch_)
    return remembered;
  auto packet = std::make_shared<Packet>();
  packet->bytes = scratch_;
  packet->hash = hash;
  std::visit(
      [&]<class Each>(const Each&) {
        auto decoded = wire::decode<Each>(packet->bytes);
        CLUSTER_ASSERT(decoded.has_value());
        packet->message = std::move(decoded).value();
      },
      message);
  return remembered = std::move(packet);
}

}  // namespace cluster::sim
