#include "cluster/wire/reassembler.hpp"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "cluster/base/assert.hpp"

namespace cluster::wire {
namespace {

Error broken(std::string text) { return Error(Errc::corrupt, std::move(text)); }

}  // namespace

Result<Reassembler::Fragment> Reassembler::expect(std::uint16_t flags, ByteView front, std::size_t length) {
  const bool first = (flags & kFlagFragmentFirst) != 0;
  const bool last = (flags & kFlagFragmentLast) != 0;
  const bool withdrawn = (flags & kFlagFragmentWithdrawn) != 0;
  Fragment fragment{.flags = flags, .prefix = first ? kFragmentPrefixBytesMax : kFragmentPrefixBytes};
  if (length < fragment.prefix) return broken("a fragment without its stream or the whole length");
  CLUSTER_ASSERT(front.size() >= fragment.prefix);
  fragment.stream = load_be<std::uint32_t>(front.data());
  fragment.bytes = length - fragment.prefix;

  auto found = messages_.find(fragment.stream);
  const bool known = found != messages_.end() && !found->second.ending;
  if (first) {
    if (found != messages_.end()) return broken("a message begun twice");
  } else if (!known) {
    return broken("a fragment that continues nothing");
  }
  const std::size_t whole =
      first ? load_be<std::uint32_t>(front.data() + kFragmentPrefixBytes) : found->second.whole;
  fragment.at = first ? 0 : found->second.bytes.size();
  if (first && (whole > message_bytes_max_ || whole > reassembly_bytes_max(message_bytes_max_) - announced_))
    return Error(Errc::too_large, "a message of " + std::to_string(whole) + " bytes, in fragments");
  if (first && messages_.size() >= kStreamsMax)
    return Error(Errc::too_large, "too many messages in fragments");
  if (fragment.bytes > whole - fragment.at) return broken("more fragments than announced");
  if (last && fragment.bytes != whole - fragment.at) return broken("fewer fragments than announced");
  if (withdrawn && (last || fragment.bytes != 0)) return broken("a withdrawn message with content");

  if (first) {
    announced_ += whole;
    found = messages_.emplace(fragment.stream, Message{.whole = whole}).first;
  }
  Message& message = found->second;
  message.ending = last || withdrawn;
  message.age = 0;
  brought_ += fragment.bytes;
  const std::size_t needed = fragment.at + fragment.bytes;
  if (needed > message.bytes.capacity())
    message.bytes.reserve(
        std::max(needed, std::min(whole, std::max(kFirstBytes, 2 * message.bytes.capacity()))));
  message.bytes.extend(fragment.bytes);
  return fragment;
}

std::span<std::uint8_t> Reassembler::place(const Fragment& fragment) {
  return messages_.at(fragment.stream).bytes.bytes().subspan(fragment.at, fragment.bytes);
}

std::optional<Buffer> Reassembler::accept(const Fragment& fragment) {
  if ((fragment.flags & (kFlagFragmentLast | kFlagFragmentWithdrawn)) == 0) return std::nullopt;
  const auto found = messages_.find(fragment.stream);
  CLUSTER_ASSERT(found != messages_.end());
  announced_ -= found->second.whole;
  std::optional<Buffer> message;
  if ((fragment.flags & kFlagFragmentLast) != 0) message = std::move(found->second.bytes);
  messages_.erase(found);
  return message;
}

Result<std::optional<Buffer>> Reassembler::add(std::uint16_t flags, ByteView body) {
  auto fragment = expect(flags, body.first(std::min(body.size(), kFragmentPrefixBytesMax)), body.size());
  if (!fragment) return std::move(fragment).error();
  const ByteView bytes = body.subspan(fragment.value().prefix);
  if (!bytes.empty()) std::memcpy(place(fragment.value()).data(), bytes.data(), bytes.size());
  return accept(fragment.value());
}

unsigned Reassembler::grow_old() noexcept {
  unsigned oldest = 0;
  for (auto& [stream, message] : messages_) oldest = std::max(oldest, ++message.age);
  return oldest;
}

std::size_t Reassembler::memory() const noexcept {
  std::size_t sum = 0;
  for (const auto& [stream, message] : messages_) sum += message.bytes.capacity();
  return sum;
}

}  // namespace cluster::wire
