#include <string>

#include "cluster/base/assert.hpp"
#include "cluster/crypto/sha256.hpp"
#include "cluster/proto/key_file.hpp"
#include "fuzz.hpp"

namespace {
using namespace cluster;
using namespace cluster::proto;

void read(ByteView file) {
  const auto saved = decode_key_file(file);
  if (!saved) {
    CLUSTER_ASSERT(!saved.error().message().empty());
    return;
  }
  const auto bytes = encode_key_file(*saved);
  CLUSTER_ASSERT(encode_key_file(decode_key_file(bytes).value()) == bytes);
}

}  // namespace

// The input is a file, and also the lines of one whose checksum is right: no other gets past it.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  read({data, size});
  std::string lines(reinterpret_cast<const char*>(data), size);
  if (!lines.ends_with('\n')) lines += '\n';
  const auto digest = crypto::sha256(as_bytes(lines));
  lines += "sha256 " + hex(digest) + "\n";
  read(as_bytes(lines));
  return 0;
}
