#include "kv_row_cache.hpp"

#include <utility>

namespace cluster {
namespace {

constexpr std::size_t kItemBytes = 256;         // of an item without what its containers hold
constexpr std::size_t kRowBytesMax = 16 << 10;  // greater rows are not kept for those who read

std::size_t weight_of(std::string_view key, const KvRow& row) {
  return kItemBytes + key.size() + row.record.context.entries.size() * sizeof(Dot) +
         row.record.siblings.size() * sizeof(proto::KvRecord::Sibling) + proto::bytes_of(row.record) +
         row.great.size() * sizeof(KvGreatValue);
}

}  // namespace

const KvRow* KvRowCache::find(std::string_view key) {
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return nullptr;
  items_.splice(items_.begin(), items_, found->second);
  return &found->second->row;
}

void KvRowCache::read(std::string_view key, const KvRow& row) {
  if (weight_of(key, row) <= kRowBytesMax) put(key, row, 0);
}

void KvRowCache::write(std::string_view key, KvRow row) { put(key, std::move(row), turn_); }

void KvRowCache::settle() {
  ++turn_;
  trim();
}

void KvRowCache::put(std::string_view key, KvRow row, std::uint64_t written) {
  const auto bytes = weight_of(key, row);
  if (const auto found = by_key_.find(key); found != by_key_.end()) {
    auto& item = *found->second;
    bytes_ += bytes - item.bytes;
    item.row = std::move(row);
    item.bytes = bytes;
    item.written = written;
    items_.splice(items_.begin(), items_, found->second);
  } else {
    items_.push_front({std::string(key), std::move(row), bytes, written});
    by_key_.emplace(items_.front().key, items_.begin());
    bytes_ += bytes;
  }
  trim();
}

void KvRowCache::trim() {
  while (bytes_ > bytes_max_ && items_.back().written != turn_) {
    bytes_ -= items_.back().bytes;
    by_key_.erase(items_.back().key);
    items_.pop_back();
  }
}

}  // namespace cluster
