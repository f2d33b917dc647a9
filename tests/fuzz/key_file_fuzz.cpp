#include "cluster/base/assert.hpp"
#include "cluster/crypto/sha256.hpp"
#include "cluster/proto/key_file.hpp"
#include "fuzz.hpp"

namespace {
using namespace cluster;
using namespace cluster::proto;

void read(ByteView file) {
  const auto saved = decode_key_file(file);
  if (!saved) return;
  const auto written = encode_key_file(*saved);
  const auto again = decode_key_file(written);
  CLUSTER_ASSERT(again && encode_key_file(*again) == written);
}

}  // namespace

// The input is a file, and also the lines in front of a checksum that is right: no others get past it.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  read({data, size});
  std::string file(as_text({data, size}));
  file += "sha256 " + hex(crypto::sha256(as_bytes(file))) + "\n";
  read(as_bytes(file));
  return 0;
}
