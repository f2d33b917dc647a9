#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cluster/base/result.hpp"
#include "cluster/proto/kv_record.hpp"

namespace cluster::proto {

/// A value of more is kept apart from its record.
inline constexpr std::size_t kKvGreatBytes = 4096;

/// A record as far as it is known without reading great values.
struct KvOutline {
  KvRecord record{};            ///< great values are empty in it
  std::vector<Dot> left_out{};  ///< whose they are
  std::size_t bytes = 0;        ///< of all values

  /// Whether `made`, which came of `record`, has siblings that were left out: it is to be made again of all.
  [[nodiscard]] bool lacks(const KvRecord& made) const;
};
[[nodiscard]] KvOutline outline_of(const KvRecord& record, std::size_t great_bytes = kKvGreatBytes);

/// Where a replica keeps its records. What is written can be read at once; it is durable once the driver has
/// carried out a KvSync that was asked for later. Not synchronised.
class KvStorage {
 public:
  /// What there is of a key, without its values.
  struct Entry {
    std::uint64_t position = 0;  ///< kv_position
    KvKey key{};
    std::uint64_t hash = 0;  ///< fingerprint
  };

  KvStorage() = default;
  KvStorage(const KvStorage&) = delete;
  KvStorage& operator=(const KvStorage&) = delete;
  virtual ~KvStorage() = default;

  /// An empty record if there is none. `io`, `corrupt`.
  [[nodiscard]] virtual Result<KvRecord> read(const KvKey& key) const = 0;
  /// The same without great values, whatever they have; `read` gives them if any are left out.
  [[nodiscard]] virtual Result<KvOutline> outline(const KvKey& key) const = 0;
  /// 0 if there is none.
  [[nodiscard]] virtual Result<std::uint64_t> hash_of(std::uint64_t position, const KvKey& key) const = 0;
  /// `entry.hash` is the record's; an empty record removes the key.
  virtual Result<void> write(const Entry& entry, const KvRecord& record) = 0;
  /// In the order (position, key), from `position` on, at most `limit`, but all of the last position.
  [[nodiscard]] virtual Result<std::vector<Entry>> scan(std::uint64_t position, std::size_t limit) const = 0;
  /// A key of the bucket, its record, of which great values may be left out, and the bytes that were read to
  /// tell. False: no more.
  using Visitor = std::function<bool(std::string_view key, const KvRecord& outline, std::size_t bytes)>;
  /// Keys of a bucket in their own order, from `from` on. One that cannot be read is passed over.
  virtual Result<void> visit(std::string_view bucket, std::string_view from,
                             const Visitor& visitor) const = 0;
  /// The store's own note, as last written; empty in a new store.
  [[nodiscard]] virtual Result<Bytes> note() const = 0;
  virtual Result<void> set_note(ByteView note) = 0;
  /// Why something that was written is lost, after which nothing more is taken; empty: it is not.
  [[nodiscard]] virtual std::string fault() const { return {}; }
};

/// In memory: nothing survives, all is durable at once.
class KvMemory final : public KvStorage {
 public:
  /// `great_bytes`: as kKvGreatBytes, for those who try what becomes of great values.
  explicit KvMemory(std::size_t great_bytes = kKvGreatBytes) : great_bytes_(great_bytes) {}

  [[nodiscard]] Result<KvRecord> read(const KvKey& key) const override;
  [[nodiscard]] Result<KvOutline> outline(const KvKey& key) const override;
  [[nodiscard]] Result<std::uint64_t> hash_of(std::uint64_t position, const KvKey& key) const override;
  Result<void> write(const Entry& entry, const KvRecord& record) override;
  [[nodiscard]] Result<std::vector<Entry>> scan(std::uint64_t position, std::size_t limit) const override;
  Result<void> visit(std::string_view bucket, std::string_view from, const Visitor& visitor) const override;
  [[nodiscard]] Result<Bytes> note() const override { return note_; }
  Result<void> set_note(ByteView note) override {
    note_.assign(note.begin(), note.end());
    return {};
  }
  [[nodiscard]] std::size_t size() const noexcept { return records_.size(); }
  /// Of all values.
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
  [[nodiscard]] const std::map<KvKey, KvRecord>& records() const noexcept { return records_; }

 private:
  std::size_t great_bytes_;
  std::map<KvKey, KvRecord> records_{};
  std::map<std::pair<std::uint64_t, KvKey>, std::uint64_t> hashes_{};
  std::size_t bytes_ = 0;
  Bytes note_{};
};

}  // namespace cluster::proto
