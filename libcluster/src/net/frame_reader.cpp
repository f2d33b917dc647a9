#include "frame_reader.hpp"

#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace cluster::net {
namespace {

// A shorter fragment is not worth a read of its own.
constexpr std::size_t kDirectBytesMin = 4096;

bool is_fragment(const wire::FrameHeader& header) noexcept {
  return header.kind == wire::FrameKind::messages && (header.flags & wire::kFlagFragment) != 0;
}

}  // namespace

bool FrameReader::corrupt(std::string text) {
  problem_ = std::move(text);
  return false;
}
bool FrameReader::wrong_tag() { return corrupt("INVALID_CHECKSUM: a frame with a wrong tag"); }

FrameReader::Got FrameReader::read(Pipe pipe, std::size_t bytes_max, std::span<std::uint8_t> scratch,
                                   FrameSink& sink) {
  for (std::size_t bytes = 0; bytes < bytes_max && sink.listening();) {
    const std::size_t room = std::min(scratch.size(), pending_.size() + bytes_max - bytes);
    const Step step = direct_ ? read_direct(pipe, sink) : read_plain(pipe, scratch.first(room), sink);
    if (step.got != Got::some) {
      const int fault = errno;
      if (!check_direct(sink)) return Got::corrupt;  // what came before the end counts
      errno = fault;
      return step.got;
    }
    bytes += step.bytes;
    bytes_read_ += step.bytes;
    if (step.drained) break;
  }
  return check_direct(sink) ? Got::some : Got::corrupt;
}

FrameReader::Step FrameReader::read_plain(Pipe pipe, std::span<std::uint8_t> scratch, FrameSink& sink) {
  const std::size_t have = pending_.size();
  const std::size_t room = scratch.size() - have;
  const iovec place{.iov_base = scratch.data() + have, .iov_len = room};
  const ssize_t got = pipe.receive({&place, 1});
  if (got == 0) return {.got = Got::ended};
  if (got < 0) {
    if (errno == EINTR) return {};
    return {.got = errno == EAGAIN || errno == EWOULDBLOCK ? Got::some : Got::failed, .drained = true};
  }
  const auto bytes = static_cast<std::size_t>(got);
  std::copy(pending_.begin(), pending_.end(), scratch.begin());
  return {.got = take(scratch.first(have + bytes), sink), .bytes = bytes, .drained = bytes < room};
}

FrameReader::Got FrameReader::take(std::span<std::uint8_t> bytes, FrameSink& sink) {
  const auto used = parse(bytes, sink);
  if (!used) return Got::corrupt;
  if (sink.listening()) keep(bytes.subspan(*used));
  return Got::some;
}

/// Holds on to the front of an incomplete frame.
void FrameReader::keep(ByteView rest) {
  if (rest.empty())
    pending_ = {};  // an idle connection holds no memory
  else if (begin_direct(rest))
    pending_ = {};
  else
    pending_.assign(rest.begin(), rest.end());
}

// ---- whole frames in scratch memory

/// Hands on the whole frames at the front of `bytes`; how many bytes they are, or nothing if one is corrupt.
std::optional<std::size_t> FrameReader::parse(std::span<std::uint8_t> bytes, FrameSink& sink) {
  std::size_t used = 0;
  while (sink.listening()) {
    Wholes frames;
    std::size_t count = 0;
    std::optional<Error> bad;
    for (auto rest = bytes.subspan(used); count < frames.size() && rest.size() >= wire::kFrameHeaderBytes;) {
      const auto header = wire::read_header(rest.data());
      if (!header) {
        bad = header.error();
        break;
      }
      const std::size_t size = header.value().frame_bytes();
      if (rest.size() < size) break;
      frames[count++] = {header.value(), rest.first(size)};
      rest = rest.subspan(size);
      used += size;
    }
    if (!hand_on(std::span(frames).first(count), sink)) return std::nullopt;
    if (bad && sink.listening()) {
      problem_ = bad->message();
      return std::nullopt;
    }
    if (count < frames.size()) break;
  }
  return used;
}

bool FrameReader::hand_on(std::span<const Whole> frames, FrameSink& sink) {
  return opener_.encrypts() ? hand_on_sealed(frames, sink) : hand_on_signed(frames, sink);
}

bool FrameReader::hand_on_signed(std::span<const Whole> frames, FrameSink& sink) {
  std::array<wire::SignedFrame, kFramesMax> parts;
  std::array<ByteView, kFramesMax> tags;
  for (std::size_t i = 0; i < frames.size(); ++i) {
    parts[i] = {frames[i].head(), frames[i].body()};
    tags[i] = frames[i].tag();
  }
  const std::size_t good =
      opener_.check(std::span(parts).first(frames.size()), std::span(tags).first(frames.size()));
  for (const Whole& frame : frames.first(good))
    if (sink.listening() && !on_checked(frame, sink)) return false;
  return good == frames.size() || !sink.listening() || wrong_tag();
}

bool FrameReader::hand_on_sealed(std::span<const Whole> frames, FrameSink& sink) {
  for (const Whole& frame : frames) {
    if (!sink.listening()) return true;
    if (is_fragment(frame.header)) {
      if (!open_fragment(frame, sink)) return false;
      continue;
    }
    if (!opener_.open(frame.head(), frame.body(), frame.tag())) return wrong_tag();
    if (!on_checked(frame, sink)) return false;
  }
  return true;
}

/// Decrypts a fragment straight into its message. Where that is, its first bytes say, which nobody has
/// vouched for yet: a wrong place is bounded like any other, and is forgotten with the connection if the tag
/// is wrong.
bool FrameReader::open_fragment(const Whole& frame, FrameSink& sink) {
  const auto body = frame.body();
  const auto front = body.first(std::min(body.size(), wire::kFragmentPrefixBytesMax));
  const auto rest = body.subspan(front.size());
  opener_.begin(frame.head());
  opener_.add(front, front.data());
  const auto fragment = reassembler_.expect(frame.header.flags, front, body.size());
  if (!fragment) {
    opener_.add(rest, rest.data());
    return opener_.finish(frame.tag()) ? corrupt(fragment.error().message()) : wrong_tag();
  }
  const auto place = reassembler_.place(fragment.value());
  const auto beside = front.subspan(fragment.value().prefix);  // bytes of the message behind a short prefix
  std::copy(beside.begin(), beside.end(), place.begin());
  opener_.add(rest, place.data() + beside.size());
  if (!opener_.finish(frame.tag())) return wrong_tag();
  ++frames_read_;
  auto whole = reassembler_.accept(fragment.value());
  if (whole) sink.on_large(frame.header.lane, std::move(*whole));
  return true;
}

bool FrameReader::on_checked(const Whole& frame, FrameSink& sink) {
  ++frames_read_;
  const auto& header = frame.header;
  if (!is_fragment(header)) {
    sink.on_frame(header, frame.body());
    return true;
  }
  auto whole = reassembler_.add(header.flags, frame.body());
  if (!whole) return corrupt(whole.error().message());
  if (whole.value()) sink.on_large(header.lane, std::move(*whole.value()));
  return true;
}

// ---- fragments straight to their place

/// `rest` is the front of an incomplete frame. True if the remainder of it is read directly. What is wrong
/// with a fragment is said once its tag has been checked, so a wrong one is read plainly.
bool FrameReader::begin_direct(ByteView rest) {
  if (opener_.encrypts() || rest.size() < wire::kSignedHeadBytesMax) return false;
  const auto header = wire::read_header(rest.data());
  if (!header || !is_fragment(header.value()) || header.value().length < kDirectBytesMin) return false;
  const auto front = rest.subspan(wire::kFrameHeaderBytes, wire::kFragmentPrefixBytesMax);
  const auto fragment = reassembler_.expect(header.value().flags, front, header.value().length);
  if (!fragment) return false;
  Direct& direct = direct_.emplace(Direct{.header = header.value(), .fragment = fragment.value()});
  std::copy_n(rest.begin(), direct.head.size(), direct.head.begin());
  rest = rest.subspan(wire::kFrameHeaderBytes + direct.fragment.prefix);
  direct.filled = std::min(rest.size(), direct.fragment.bytes);
  std::copy_n(rest.begin(), direct.filled, reassembler_.place(direct.fragment).begin());
  rest = rest.subspan(direct.filled);
  std::copy(rest.begin(), rest.end(), tail_.begin());
  tail_bytes_ = rest.size();
  return true;
}

FrameReader::Step FrameReader::read_direct(Pipe pipe, FrameSink& sink) {
  Direct& direct = *direct_;
  const auto place = reassembler_.place(direct.fragment).subspan(direct.filled);
  const std::array<iovec, 2> parts{
      {{.iov_base = place.data(), .iov_len = place.size()},
       {.iov_base = tail_.data() + tail_bytes_, .iov_len = tail_.size() - tail_bytes_}}};
  const ssize_t got = pipe.receive(parts);
  if (got == 0) return {.got = Got::ended};
  if (got < 0) {
    if (errno == EINTR) return {};
    return {.got = errno == EAGAIN || errno == EWOULDBLOCK ? Got::some : Got::failed, .drained = true};
  }
  const auto bytes = static_cast<std::size_t>(got);
  const bool drained = bytes < parts[0].iov_len + parts[1].iov_len;
  const std::size_t in_place = std::min(bytes, place.size());
  direct.filled += in_place;
  tail_bytes_ += bytes - in_place;
  const bool fine = tail_bytes_ < wire::kFrameTagBytes || on_direct_complete(sink);
  return {.got = fine ? Got::some : Got::corrupt, .bytes = bytes, .drained = drained};
}

/// The direct frame is there, and behind it perhaps the head of the next one.
bool FrameReader::on_direct_complete(FrameSink& sink) {
  std::copy_n(tail_.begin(), wire::kFrameTagBytes, direct_->tag.begin());
  unchecked_[unchecked_count_++] = *direct_;
  direct_.reset();
  std::array<std::uint8_t, wire::kSignedHeadBytesMax> head;
  const std::size_t head_bytes = std::exchange(tail_bytes_, 0) - wire::kFrameTagBytes;
  std::copy_n(tail_.begin() + wire::kFrameTagBytes, head_bytes, head.begin());
  if (unchecked_count_ == kFramesMax && !check_direct(sink)) return false;
  const ByteView next = ByteView(head).first(head_bytes);
  if (begin_direct(next)) return true;
  if (!check_direct(sink)) return false;
  pending_.assign(next.begin(), next.end());
  return true;
}

bool FrameReader::check_direct(FrameSink& sink) {
  const std::size_t count = std::exchange(unchecked_count_, 0);
  std::array<wire::SignedFrame, kFramesMax> parts;
  std::array<ByteView, kFramesMax> tags;
  for (std::size_t i = 0; i < count; ++i) {
    const Direct& frame = unchecked_[i];
    parts[i] = {ByteView(frame.head).first(wire::kFrameHeaderBytes + frame.fragment.prefix),
                reassembler_.place(frame.fragment)};
    tags[i] = frame.tag;
  }
  const std::size_t good = opener_.check(std::span(parts).first(count), std::span(tags).first(count));
  for (std::size_t i = 0; i < good && sink.listening(); ++i) {
    ++frames_read_;
    auto whole = reassembler_.accept(unchecked_[i].fragment);
    if (whole) sink.on_large(unchecked_[i].header.lane, std::move(*whole));
  }
  return good == count || !sink.listening() || wrong_tag();
}

}  // namespace cluster::net
