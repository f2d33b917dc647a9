#pragma once
#include "cluster/wire/codec.hpp"
#include "cluster/wire/message.hpp"

namespace cluster {

/// A cast to the same server of another node: `[message]`, the first field of a message between nodes. Its
/// `from` is left out, as the receiver has it from the connection.
template <class M>
[[nodiscard]] Bytes known_cast(wire::KnownCast known, const M& message) {
  Bytes bytes;
  wire::begin_cast(bytes, known);
  wire::Writer to(bytes);
  to.array(1);
  wire::encode_to(to, message);
  return bytes;
}

}  // namespace cluster
