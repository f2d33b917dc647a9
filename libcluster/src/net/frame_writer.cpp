#include "frame_writer.hpp"

#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

#include <algorithm>
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
    bytes_written_ += frame_bytes(frame);
    written_[frames_written_++ % kWrittenMax] = {bytes_written_, frame.messages};
    pool_->give(std::move(frame.bytes));
  }
  frames_.clear();
  at_ = offset_ = messages_taken_ = 0;
  protected_ = false;
  frames_out = messages_out = bytes_out = 0;
  for (; !own_.empty() && frames_.size() < kFramesMax; own_.pop_front())
    frames_.push_back(std::move(own_.front()));
  if (outbox != nullptr) outbox->settle();
  OutFrame frame;
  for (std::size_t bytes = 0;
       outbox != nullptr && frames_.size() < kFramesMax && bytes < kTakenBytes && outbox->pop_frame(frame);) {
    bytes += frame.body_bytes();
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

/// Completes the frames that were taken.
void FrameWriter::protect() {
  std::array<wire::SignedFrame, kFramesMax> parts;
  std::array<wire::FrameTag, kFramesMax> tags;
  for (std::size_t i = 0; i < frames_.size(); ++i) {
    OutFrame& frame = frames_[i];
    const auto front = frame.front();
    wire::write_header(front.data(), {.length = static_cast<std::uint32_t>(frame.body_bytes()),
                                      .kind = frame.kind,
                                      .lane = frame.lane,
                                      .flags = frame.flags});
    if (sealer_.encrypts())
      encrypt(frame);
    else if (frame.message)
      parts[i] = {front, frame.slice};
    else
      parts[i] = {front.first(wire::kFrameHeaderBytes), front.subspan(wire::kFrameHeaderBytes)};
    ++frames_out;
    messages_out += frame.messages;
    bytes_out += frame_bytes(frame);
  }
  if (!sealer_.encrypts()) {
    sealer_.sign(std::span(parts).first(frames_.size()), std::span(tags).first(frames_.size()));
    for (std::size_t i = 0; i < frames_.size(); ++i) frames_[i].tag = tags[i];
  }
  protected_ = true;
}

/// A batch is encrypted where it is. A piece of a message is not: after a break the message is sent again.
void FrameWriter::encrypt(OutFrame& frame) {
  const auto front = frame.front();
  const auto header = front.first(wire::kFrameHeaderBytes);
  const auto rest = front.subspan(wire::kFrameHeaderBytes);
  sealer_.begin(header);
  sealer_.add(rest, rest.data());
  if (frame.message) {
    Bytes cipher = pool_->take();
    cipher.resize(front.size() + frame.slice.size());
    std::copy(front.begin(), front.end(), cipher.begin());
    sealer_.add(frame.slice, cipher.data() + front.size());
    frame.bytes = std::move(cipher);
    frame.prefix_bytes = 0;
    frame.slice = {};
    frame.message = nullptr;
  }
  frame.tag = sealer_.finish();
}

FrameWriter::Wrote FrameWriter::write(Pipe pipe) {
  if (!protected_) protect();
  while (unsent()) {
    std::array<iovec, 3 * kFramesMax> parts;
    std::size_t count = 0;
    std::size_t skip = offset_;
    const auto add_part = [&](ByteView part) {
      const std::size_t gone = std::min(skip, part.size());
      skip -= gone;
      if (gone == part.size()) return;
      parts[count++] = {.iov_base = const_cast<std::uint8_t*>(part.data() + gone),
                        .iov_len = part.size() - gone};
    };
    for (std::size_t i = at_; i < frames_.size(); ++i) {
      add_part(frames_[i].front());
      add_part(frames_[i].slice);
      add_part(frames_[i].tag);
    }
    const ssize_t wrote = pipe.send(std::span(parts).first(count));
    if (wrote < 0) {
      if (errno == EINTR) continue;
      return errno == EAGAIN || errno == EWOULDBLOCK ? Wrote::blocked : Wrote::failed;
    }
    for (offset_ += static_cast<std::size_t>(wrote); unsent() && offset_ >= frame_bytes(frames_[at_]); ++at_)
      offset_ -= frame_bytes(frames_[at_]);
  }
  return Wrote::all;
}

}  // namespace cluster::net
