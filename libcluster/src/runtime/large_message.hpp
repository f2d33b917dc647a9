#pragma once
#include "cluster/base/buffer.hpp"
#include "cluster/base/bytes.hpp"
#include "cluster/base/result.hpp"
#include "cluster/runtime/message.hpp"
#include "cluster/runtime/server_type.hpp"
#include "inbound_gate.hpp"

namespace cluster::runtime {

/// The message in a payload. Decoding runs the application's constructors and codecs: what they throw fails
/// this message alone, as `bad_message`.
[[nodiscard]] Result<MessagePtr> decode(const Event& event, ByteView payload);
/// `refused`, and counted, if the message says that it is of another node than `from`, whose connection it
/// came over. Of one that names no node, `from` becomes the sender.
[[nodiscard]] Result<void> check_sender(const Event& event, Message& message, const NodeId& from,
                                        InboundGate& gate);

/// A large message from the network, still encoded: it is decoded by the server that it is for, in its own
/// time, because a message of a gigabyte would keep the polling thread from everything else for a second.
class LargeMessage final : public Message {
 public:
  /// `payload` is a part of `bytes`. `gate` outlives the message.
  LargeMessage(const Event& event, const NodeId& from, InboundGate& gate, Buffer&& bytes, ByteView payload)
      : Message(&run, ReplyTo{}),
        event_(&event),
        from_(from),
        gate_(&gate),
        bytes_(std::move(bytes)),
        payload_(payload) {}

  [[nodiscard]] InboundCharge* inbound() noexcept override { return &charge_; }

 private:
  static std::unique_ptr<ActiveHandler> run(ServerBase& server, Message& message);

  const Event* event_;
  NodeId from_;
  InboundGate* gate_;
  Buffer bytes_;
  ByteView payload_;
  MessagePtr decoded_;  // a suspended handler refers to it
  InboundCharge charge_;
};

/// A large reply from the network.
class LargeReply final : public Reply {
 public:
  /// `value` is a part of `bytes`.
  LargeReply(Buffer&& bytes, ByteView value) noexcept
      : Reply(Form::value, nullptr), bytes_(std::move(bytes)), value_(value) {}
  void encode_value(Bytes& out) const override { out.insert(out.end(), value_.begin(), value_.end()); }
  [[nodiscard]] ByteView encoded() const noexcept override { return value_; }

 private:
  Buffer bytes_;
  ByteView value_;
};

}  // namespace cluster::runtime
