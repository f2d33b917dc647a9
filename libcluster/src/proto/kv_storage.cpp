#include "cluster/proto/kv_storage.hpp"

namespace cluster::proto {

Result<KvRecord> KvMemory::read(const KvKey& key) const {
  const auto found = records_.find(key);
  return found == records_.end() ? KvRecord() : found->second;
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

Result<std::vector<KvKey>> KvMemory::keys(std::string_view bucket, std::string_view from,
                                          std::size_t limit) const {
  std::vector<KvKey> found;
  for (auto at = records_.lower_bound(KvKey{std::string(bucket), std::string(from)});
       at != records_.end() && at->first.bucket == bucket && found.size() < limit; ++at)
    found.push_back(at->first);
  return found;
}

}  // namespace cluster::proto
