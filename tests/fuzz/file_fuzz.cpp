#include <algorithm>

#include "cluster/base/assert.hpp"
#include "cluster/proto/file_tree.hpp"
#include "fuzz.hpp"

namespace {
using namespace cluster;
using namespace cluster::proto;

/// Reads the first and the last chunks of a file as the head describes it, from blobs that are all `blob`.
void walk(const FileHead& head, ByteView blob) {
  const auto chunks = chunks_of(head);
  CLUSTER_ASSERT(levels_of(head) <= 7);
  for (const auto first : {std::uint64_t{0}, chunks - std::min<std::uint64_t>(chunks, 2)}) {
    FileWalk walk(head, first, std::min(first + 2, chunks));
    while (!walk.done()) {
      const auto want = walk.next(2);
      CLUSTER_ASSERT(!want.hashes.empty() && want.hashes.size() <= 2);
      if (want.is_list ? !walk.take_list(blob) : !walk.check_chunk(want.hashes.front(), blob)) break;
      if (!want.is_list) walk.advance(1);
    }
  }
}

}  // namespace

// The input is a head and what follows it is a blob; also, the blob is the root of whatever size the head
// says.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ByteView rest(data, size);
  auto head = wire::decode_prefix<FileHead>(rest);
  if (!head) {
    CLUSTER_ASSERT(!head.error().message().empty());
    return 0;
  }
  CLUSTER_ASSERT(wire::decode<FileHead>(wire::encode(*head)).value() == *head);
  if (check(*head)) walk(*head, rest);
  head->root = crypto::sha256(rest);
  if (check(*head)) walk(*head, rest);
  return 0;
}
