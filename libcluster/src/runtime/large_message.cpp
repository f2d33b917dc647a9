#include "large_message.hpp"

#include <exception>
#include <string>
#include <utility>

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

Result<void> check_sender(const Event& event, Message& message, const NodeId& from, InboundGate& gate) {
  if (event.sender == nullptr) return {};
  NodeId& named = event.sender(message);
  if (named.empty()) named = from;
  if (named == from) return {};
  const Error why(Errc::refused, "a '" + std::string(event.name) + "' in the name of '" + named.str() + "'",
                  Executed::no);
  gate.count_forged(from, why);
  return why;
}

std::unique_ptr<ActiveHandler> LargeMessage::run(ServerBase& server, Message& message) {
  auto& self = static_cast<LargeMessage&>(message);
  auto decoded = decode(*self.event_, self.payload_);
  self.bytes_ = Buffer();  // twice the memory only while it is decoded
  if (!decoded) {
    if (!self.reply_to) self.gate_->count_cast(self.from_, decoded.error());
    self.reply_to.fail(std::move(decoded).error());
    return nullptr;
  }
  if (auto named = check_sender(*self.event_, **decoded, self.from_, *self.gate_); !named) {
    self.reply_to.fail(std::move(named).error());
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
