#include "frame_writer.hpp"

#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>
#include <utility>

namespace cluster::net {

bool FrameWriter::push_own(wire::FrameKind kind, ByteView body) {
  if (own_.size() >= kOwnFramesMax) return false;
  OutFrame frame{.bytes = Bytes(wire::kFrameHeaderBytes), .kind = kind, .lane = Lane::control};
  frame.bytes.insert(frame.bytes.end(), body.begin(), body.end());
  own_.push_back(std::move(frame));
  return true;
}

bool FrameWriter::refill(Outbox* outbox) {
  for (OutFrame& frame : frames_) {
    bytes_written_ += frame.bytes.size();
    written_[frames_written_++ % kWrittenMax] = {bytes_written_, frame.messages};
    pool_->give(std::move(frame.bytes));
  }
  frames_.clear();
  at_ = sealed_ = offset_ = messages_taken_ = 0;
  frames_out = messages_out = bytes_out = 0;
  for (; !own_.empty() && frames_.size() < kFramesMax; own_.pop_front())
    frames_.push_back(std::move(own_.front()));
  OutFrame frame;
  while (outbox != nullptr && frames_.size() < kFramesMax && outbox->pop_frame(frame)) {
    messages_taken_ += frame.messages;
    frames_.push_back(std::move(frame));
  }
  return !frames_.empty();
}

std::size_t FrameWriter::messages_uncertain(int socket) const noexcept {
  int unacknowledged = 0;
  if (::ioctl(socket, SIOCOUTQ, &unacknowledged) != 0 || unacknowledged < 0) unacknowledged = 0;
  const auto queued = static_cast<std::uint64_t>(unacknowledged);
  std::size_t count = messages_taken_;
  for (const Written& frame : written_)
    if (frame.end + queued > bytes_written_) count += frame.messages;
  return count;
}

void FrameWriter::seal(OutFrame& frame) {
  const wire::FrameHeader header{
      .length = static_cast<std::uint32_t>(frame.bytes.size() - wire::kFrameHeaderBytes),
      .kind = frame.kind,
      .lane = frame.lane,
      .flags = frame.flags};
  wire::write_header(frame.bytes.data(), header);
  const auto [head, body] = std::pair{std::span(frame.bytes).first(wire::kFrameHeaderBytes),
                                      std::span(frame.bytes).subspan(wire::kFrameHeaderBytes)};
  const wire::FrameTag tag = sealer_.seal(head, body);
  frame.bytes.insert(frame.bytes.end(), tag.begin(), tag.end());
  ++frames_out;
  messages_out += frame.messages;
  bytes_out += frame.bytes.size();
}

FrameWriter::Wrote FrameWriter::write(int socket) {
  for (; sealed_ < frames_.size(); ++sealed_) seal(frames_[sealed_]);
  while (unsent()) {
    std::array<iovec, kFramesMax> parts;
    std::size_t count = 0;
    for (std::size_t i = at_; i < frames_.size(); ++i, ++count) {
      const std::size_t skip = i == at_ ? offset_ : 0;
      parts[count] = {.iov_base = frames_[i].bytes.data() + skip, .iov_len = frames_[i].bytes.size() - skip};
    }
    msghdr message{};
    message.msg_iov = parts.data();
    message.msg_iovlen = count;
    const ssize_t wrote = ::sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (wrote < 0) {
      if (errno == EINTR) continue;
      return errno == EAGAIN || errno == EWOULDBLOCK ? Wrote::blocked : Wrote::failed;
    }
    for (offset_ += static_cast<std::size_t>(wrote); unsent() && offset_ >= frames_[at_].bytes.size(); ++at_)
      offset_ -= frames_[at_].bytes.size();
  }
  return Wrote::all;
}

}  // namespace cluster::net
