#include <algorithm>

#include "cluster/base/assert.hpp"
#include "cluster/crypto/sha256.hpp"
#include "cluster/proto/gossip.hpp"
#include "cluster/proto/ring_file.hpp"
#include "fuzz.hpp"

namespace {
using namespace cluster;
using namespace cluster::proto;

constexpr std::size_t kLengthAt = 12, kChecksumAt = 20;

/// A file with this content whose length and checksum are right.
Bytes sealed(ByteView content) {
  Bytes file = encode_ring_file({});
  file.resize(kChecksumAt);
  store_be<std::uint64_t>(file.data() + kLengthAt, content.size());
  Bytes covered = file;
  covered.insert(covered.end(), content.begin(), content.end());
  const auto digest = crypto::sha256(covered);
  file.insert(file.end(), digest.begin(), digest.end());
  file.insert(file.end(), content.begin(), content.end());
  return file;
}

void read(ByteView file) {
  const auto saved = decode_ring_file(file);
  if (!saved) {
    CLUSTER_ASSERT(!saved.error().message().empty());
    return;
  }
  CLUSTER_ASSERT(decode_ring_file(encode_ring_file(*saved)).value() == *saved);
  if (saved->boot == kCountMax) return;  // there is no later one
  // A node can start with it.
  const Moment at{Instant{}, wall_from_micros(1'700'000'000'000'000)};
  Gossip gossip({.self = {.id = saved->self, .boot = {saved->boot + 1, 2}, .endpoint = {"127.0.0.1", 7022}},
                 .ring = saved->ring},
                Rng(1), at, *saved);
  static_cast<void>(gossip.on_start(at));
  static_cast<void>(gossip.on_time({at.now + 2s, at.wall + 2s}));
  const auto later = gossip.saved();
  CLUSTER_ASSERT(decode_ring_file(encode_ring_file(later)).value() == later);
}

}  // namespace

// The input is a file, and also the content of one whose checksum is right: no other gets past it.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  read({data, size});
  read(sealed({data, size}));
  if (size > kRingFileHeaderBytes) read(sealed(ByteView(data, size).subspan(kRingFileHeaderBytes)));
  return 0;
}
