#include "large_message.hpp"

#include <exception>
#include <string>
#include <utility>

#include "cluster/base/log.hpp"

namespace cluster::runtime {

Result<MessagePtr> decode(const Event& event, ByteView payload) {
  try {
    return event.decode(payload);
  } catch (const std::exception& thrown) {
    return Error(Errc::bad_message, std::string("decoding threw: ") + thrown.what());
  } catch (...) {
    return Error(Errc::bad_message, "decoding threw");
  }
}

std::unique_ptr<ActiveHandler> LargeMessage::run(ServerBase& server, Message& message) {
  auto& self = static_cast<LargeMessage&>(message);
  auto decoded = decode(*self.event_, self.payload_);
  self.bytes_ = Buffer();  // twice the memory only while it is decoded
  if (!decoded) {
    log::debug("router", "a large '", self.event_->name, "' was dropped: ", decoded.error().to_string());
    self.reply_to.fail(std::move(decoded).error());
    return nullptr;
  }
  self.decoded_ = std::move(decoded).value();
  self.decoded_->reply_to = std::move(self.reply_to);
  try {
    return self.decoded_->invoke(server, *self.decoded_);
  } catch (...) {
    self.reply_to = std::move(self.decoded_->reply_to);  // the host tells the caller
    throw;
  }
}

}  // namespace cluster::runtime
