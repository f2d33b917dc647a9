#include "cluster/proto/kv_storage.hpp"

#include <algorithm>

namespace cluster::proto {

bool KvOutline::lacks(const KvRecord& made) const {
  return !left_out.empty() && std::ranges::any_of(made.siblings, [this](const auto& sibling) {
    return std::ranges::find(left_out, sibling.dot) != left_out.end();
  });
}

KvOutline outline_of(const KvRecord& record, std::size_t great_bytes) {
  KvOutline outline{.record = {.context = record.context, .siblings = {}}, .left_out = {}, .bytes = 0};
  for (const auto& [dot, value] : record.siblings) {
    outline.bytes += value.data.size();
    const bool is_great = value.data.size() > great_bytes;
    if (is_great) outline.left_out.push_back(dot);
    outline.record.siblings.push_back(
        {dot, {is_great ? Bytes() : value.data, value.deleted, value.written, value.expires}});
  }
  return outline;
}

Result<KvRecord> KvMemory::read(const KvKey& key) const {
  const auto found = records_.find(key);
  return found == records_.end() ? KvRecord() : found->second;
}

Result<KvOutline> KvMemory::outline(const KvKey& key) const {
  const auto found = records_.find(key);
  return found == records_.end() ? KvOutline() : outline_of(found->second, great_bytes_);
}

Result<std::uint64_t> KvMemory::hash_of(std::uint64_t position, const KvKey& key) const {
  const auto found = hashes_.find({position, key});
  return found == hashes_.end() ? 0 : found->second;
}

Result<void> KvMemory::write(const Entry& entry, const KvRecord& record) {
  if (record.empty()) {
    if (const auto held = records_.find(entry.key); held != records_.end()) {
      bytes_ -= bytes_of(held->second);
      records_.erase(held);
    }
    hashes_.erase({entry.position, entry.key});
  } else {
    auto& held = records_[entry.key];
    bytes_ += bytes_of(record) - bytes_of(held);
    held = record;
    hashes_[{entry.position, entry.key}] = entry.hash;
  }
  return {};
}

Result<std::vector<KvStorage::Entry>> KvMemory::scan(std::uint64_t position, std::size_t limit) const {
  std::vector<Entry> found;
  for (auto at = hashes_.lower_bound({position, KvKey{}}); at != hashes_.end(); ++at) {
    if (found.size() >= limit && at->first.first != found.back().position) break;
    found.push_back({at->first.first, at->first.second, at->second});
  }
  return found;
}

Result<void> KvMemory::visit(std::string_view bucket, std::string_view from, const Visitor& visitor) const {
  for (auto at = records_.lower_bound(KvKey{std::string(bucket), std::string(from)});
       at != records_.end() && at->first.bucket == bucket; ++at)
    if (!visitor(at->first.key, at->second, at->first.key.size())) break;
  return {};
}

}  // namespace cluster::proto
