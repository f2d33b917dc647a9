#include "kv_row.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "cluster/wire/codec.hpp"

namespace cluster {

KvRow KvRow::of(const proto::KvRecord& record) {
  KvRow row{.record = proto::outline_of(record).record, .great = {}};
  for (std::uint32_t i = 0; i < record.siblings.size(); ++i)
    if (const auto bytes = record.siblings[i].value.data.size(); bytes > proto::kKvGreatBytes)
      row.great.push_back({i, bytes});
  return row;
}

Bytes KvRow::encode() const {
  auto bytes = wire::encode(record);
  if (!great.empty()) wire::encode_to(bytes, great);
  return bytes;
}

Result<KvRow> KvRow::decode(ByteView bytes) {
  const auto bad = [](const std::string& why) {
    return Error(Errc::corrupt, "the store: a record cannot be read: " + why);
  };
  auto record = wire::decode_prefix<proto::KvRecord>(bytes);
  if (!record) return bad(record.error().message());
  KvRow row{.record = std::move(record).value(), .great = {}};
  if (bytes.empty()) return row;
  auto great = wire::decode<std::vector<KvGreatValue>>(bytes);
  if (!great) return bad(great.error().message());
  row.great = std::move(great).value();
  for (const auto& value : row.great)
    if (value.sibling >= row.record.siblings.size() || value.bytes > proto::kKvValueBytesMax)
      return bad("a great value out of bounds");
  return row;
}

const KvGreatValue* KvRow::find(const Dot& dot) const {
  const auto found = std::ranges::find_if(great, [&](const auto& value) { return dot_of(value) == dot; });
  return found == great.end() ? nullptr : &*found;
}

std::string value_name(std::string_view record_key, const Dot& dot) {
  std::string name(record_key);
  for (const auto number : {dot.actor.number, dot.actor.nonce, dot.count}) {
    std::array<std::uint8_t, 8> bytes{};
    store_be(bytes.data(), number);
    name.append(as_text(bytes));
  }
  return name;
}

}  // namespace cluster
