#pragma once
#include <cstdint>
#include <string_view>
#include <vector>

#include "cluster/proto/kv_storage.hpp"

namespace cluster::testing {

/// A storage (or a folder, which is one) that keeps all in memory; a test overrides what it is about.
template <class Storage = proto::KvStorage>
class OnMemory : public Storage {
 public:
  using typename Storage::Entry;
  using typename Storage::Visitor;

  Result<proto::KvRecord> read(const proto::KvKey& key) const override { return memory.read(key); }
  Result<proto::KvOutline> outline(const proto::KvKey& key) const override { return memory.outline(key); }
  Result<std::uint64_t> hash_of(std::uint64_t position, const proto::KvKey& key) const override {
    return memory.hash_of(position, key);
  }
  Result<void> write(const Entry& entry, const proto::KvRecord& record) override {
    return memory.write(entry, record);
  }
  Result<std::vector<Entry>> scan(std::uint64_t position, std::size_t limit) const override {
    return memory.scan(position, limit);
  }
  Result<void> visit(std::string_view bucket, std::string_view from, const Visitor& visitor) const override {
    return memory.visit(bucket, from, visitor);
  }
  Result<Bytes> note() const override { return memory.note(); }
  Result<void> set_note(ByteView note) override { return memory.set_note(note); }

  proto::KvMemory memory{};
};

}  // namespace cluster::testing
