#pragma once
#include "cluster/base/bytes.hpp"
#include "cluster/wire/msgpack.hpp"

/// Takes the first MessagePack value off `stream`: targets whose state lasts over several messages take them
/// one behind the other. Empty if there is no whole one.
inline cluster::ByteView take_value(cluster::ByteView& stream) {
  cluster::wire::Reader reader(stream);
  if (!reader.skip()) return {};
  const auto value = stream.first(stream.size() - reader.left());
  stream = stream.subspan(value.size());
  return value;
}
