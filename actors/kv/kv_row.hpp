#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/proto/kv_storage.hpp"

namespace cluster {

/// A value that lies in a row of its own, named by its key and its dot.
struct KvGreatValue {
  static constexpr bool wire_positional = true;

  std::uint32_t sibling = 0;  ///< of the record: whose it is
  std::uint64_t bytes = 0;
};

/// What lies under a key in `records`: the record, without its great values, and what is said of these. Rows
/// of an older layout have all values in them; they are read as they are.
struct KvRow {
  proto::KvRecord record{};
  std::vector<KvGreatValue> great{};  ///< by sibling

  [[nodiscard]] static KvRow of(const proto::KvRecord& record);
  [[nodiscard]] Bytes encode() const;
  [[nodiscard]] static Result<KvRow> decode(ByteView bytes);
  [[nodiscard]] const KvGreatValue* find(const Dot& dot) const;
  [[nodiscard]] const Dot& dot_of(const KvGreatValue& value) const {
    return record.siblings[value.sibling].dot;
  }
};

/// Where a value lies in `values`. No two names are the same: a dot always takes the last 24 bytes.
[[nodiscard]] std::string value_name(std::string_view record_key, const Dot& dot);

}  // namespace cluster
