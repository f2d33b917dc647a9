#include "cluster/base/assert.hpp"
#include "cluster/wire/message.hpp"
#include "cluster/wire/msgpack.hpp"
#include "fuzz.hpp"

namespace {
using namespace cluster;
using namespace cluster::wire;

/// The message as our writers write it.
Bytes written(const MessageView& message) {
  Bytes out;
  const auto payload = [&](ByteView bytes) {
    Reader reader(bytes);
    CLUSTER_ASSERT(reader.skip() && reader.left() == 0);
    out.insert(out.end(), bytes.begin(), bytes.end());
  };
  if (const auto* cast = std::get_if<CastView>(&message)) {
    begin_cast(out, cast->head);
    payload(cast->payload);
  } else if (const auto* call = std::get_if<CallView>(&message)) {
    begin_call(out, call->head);
    payload(call->payload);
  } else if (const auto* reply = std::get_if<ReplyView>(&message)) {
    begin_reply(out, reply->id);
    payload(reply->payload);
  } else if (const auto* error = std::get_if<ErrorView>(&message)) {
    write_error(out, error->id, error->error());
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto message = decode_message({data, size});
  if (!message) return 0;
  const auto bytes = written(*message);
  const auto again = decode_message(bytes);
  CLUSTER_ASSERT(again);
  CLUSTER_ASSERT(written(*again) == bytes);
  return 0;
}
