#pragma once
#include "cluster/base/assert.hpp"
#include "cluster/base/bytes.hpp"
#include "cluster/wire/codec.hpp"
#include "cluster/wire/codec_types.hpp"
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

/// Hands each message of `stream` to `hear`. What was understood can be said again, and then stays as it is;
/// not if an id was left out, which is then empty, and refused.
template <class Message, class Hear>
void take_messages(cluster::ByteView stream, Hear hear) {
  for (auto value = take_value(stream); !value.empty(); value = take_value(stream)) {
    const auto message = cluster::wire::decode<Message>(value);
    if (!message) continue;
    const auto bytes = cluster::wire::encode(*message);
    if (const auto again = cluster::wire::decode<Message>(bytes))
      CLUSTER_ASSERT(cluster::wire::encode(*again) == bytes);
    hear(*message);
  }
}
