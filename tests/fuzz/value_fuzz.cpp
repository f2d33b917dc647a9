#include "cluster/base/assert.hpp"
#include "cluster/wire/json.hpp"
#include "fuzz.hpp"

using namespace cluster;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  wire::Reader reader({data, size});
  const bool well_formed = reader.skip() && reader.left() == 0;
  const auto value = wire::decode<wire::Value>({data, size});
  if (!value) return 0;
  CLUSTER_ASSERT(well_formed);
  const auto bytes = wire::encode(*value);
  CLUSTER_ASSERT(wire::encode(wire::decode<wire::Value>(bytes).value()) == bytes);

  const auto text = wire::to_json(*value).dump();
  const auto back = wire::from_json(nlohmann::ordered_json::parse(text));
  CLUSTER_ASSERT(back);
  CLUSTER_ASSERT(wire::to_json(*back).dump() == text);
  return 0;
}
