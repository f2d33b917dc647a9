#include <array>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <variant>
#include <vector>

#include "cluster/base/assert.hpp"
#include "cluster/wire/codec.hpp"
#include "fuzz.hpp"

namespace {
using namespace cluster;

struct Leaf {
  std::int16_t number = 0;
  float real = 0;
};
struct Named {
  static constexpr bool wire_positional = true;
  NodeId id = "n";
  std::optional<Leaf> leaf;
};
struct Root {
  std::string text;
  Bytes bytes;
  std::array<std::uint8_t, 4> four{};
  std::vector<Root> children;
  std::map<std::string, Leaf> leaves;
  std::map<std::uint32_t, bool> flags;
  std::variant<std::monostate, Leaf, Named> one;
  std::tuple<bool, std::uint64_t, std::string> three;
  Endpoint endpoint;
  VectorClock clock;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto root = wire::decode<Root>({data, size});
  if (!root) return 0;
  // What was understood can be said again, and then stays as it is.
  const auto bytes = wire::encode(*root);
  const auto again = wire::decode<Root>(bytes);
  CLUSTER_ASSERT(again);
  CLUSTER_ASSERT(wire::encode(*again) == bytes);
  return 0;
}
