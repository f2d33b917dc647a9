#include "cluster/proto/kv_record.hpp"

#include <algorithm>
#include <tuple>

#include "cluster/ds/position.hpp"

namespace cluster::proto {
namespace {

void append(std::string& text, std::uint64_t number) {
  std::array<std::uint8_t, 8> bytes{};
  store_be(bytes.data(), number);
  text.append(as_text(bytes));
}

void append(std::string& text, const Dot& dot) {
  append(text, dot.actor.number);
  append(text, dot.actor.nonce);
  append(text, dot.count);
}

}  // namespace

bool is_bucket_name(std::string_view name) noexcept {
  const auto is_allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  };
  return !name.empty() && name.size() <= kKvBucketBytesMax && std::ranges::all_of(name, is_allowed);
}

Result<void> check(const KvKey& key) {
  if (!is_bucket_name(key.bucket))
    return Error(Errc::invalid_argument, "a bucket's name is 1 to 64 letters, digits, '.', '_' and '-'");
  if (key.key.empty() || key.key.size() > kKvKeyBytesMax)
    return Error(Errc::invalid_argument, "a key has 1 to 1024 bytes");
  return {};
}

std::string ring_text(const KvKey& key) {
  std::string text;
  text.reserve(key.bucket.size() + 1 + key.key.size());
  return text.append(key.bucket).append(1, '/').append(key.key);
}

std::uint64_t fingerprint(const KvKey& key, const KvRecord& record) {
  if (record.empty()) return 0;
  std::string text = ring_text(key);
  append(text, record.context.entries.size());
  for (const auto& dot : record.context.entries) append(text, dot);
  for (const auto& sibling : record.siblings) append(text, sibling.dot);
  const auto hash = position_of(HashPolicy::xxh3, text).words[0];
  return hash == 0 ? 1 : hash;
}

std::size_t bytes_of(const KvRecord& record) noexcept {
  std::size_t bytes = 0;
  for (const auto& sibling : record.siblings) bytes += sibling.value.data.size();
  return bytes;
}

Result<void> check(const KvRecord& record) {
  if (!record.is_valid(kKvSiblingsMax)) return Error(Errc::bad_message, "versions out of order");
  for (const auto& sibling : record.siblings)
    if (sibling.value.data.size() > kKvValueBytesMax) return Error(Errc::bad_message, "a value over 64 MiB");
  if (bytes_of(record) > kKvRecordBytesMax) return Error(Errc::too_large, "the values of a key over 65 MiB");
  return {};
}

bool is_dead(const KvRecord& record, WallTime now) noexcept {
  return std::ranges::all_of(record.siblings,
                             [&](const auto& sibling) { return sibling.value.is_dead(now); });
}

WallTime written_last(const KvRecord& record) noexcept {
  WallTime last{};
  for (const auto& sibling : record.siblings) last = std::max(last, sibling.value.written);
  return last;
}

WallTime expires_last(const KvRecord& record, WallTime now) noexcept {
  WallTime last{};
  for (const auto& [dot, value] : record.siblings) {
    if (value.is_dead(now)) continue;
    if (value.expires == WallTime{}) return {};
    last = std::max(last, value.expires);
  }
  return last;
}

Result<void> check(const KvBucket& bucket) {
  const auto in_bounds = [](std::uint32_t number, std::uint32_t max) { return number >= 1 && number <= max; };
  if (!in_bounds(bucket.n, kKvReplicasMax) || !in_bounds(bucket.r, bucket.n) ||
      !in_bounds(bucket.w, bucket.n))
    return Error(Errc::invalid_argument, "a bucket has 1 to 16 replicas, and R and W of 1 to N");
  if (!is_known(bucket.resolve) || (bucket.resolve == KvResolve::merge) != static_cast<bool>(bucket.merge))
    return Error(Errc::invalid_argument, "a bucket that merges, and no other, has a function to merge with");
  return {};
}

void prune(const KvBucket& bucket, KvRecord& record) {
  if (bucket.resolve != KvResolve::last || record.siblings.size() < 2) return;
  const auto order = [](const KvRecord::Sibling& sibling) {
    return std::tie(sibling.value.written, sibling.dot);
  };
  const auto last = std::ranges::max_element(record.siblings, {}, order);
  record.keep(static_cast<std::size_t>(last - record.siblings.begin()));
}

}  // namespace cluster::proto
