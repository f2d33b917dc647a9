#pragma once
#include <cstddef>
#include <cstdint>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>

#include "kv_row.hpp"

namespace cluster {

/// Rows that were read or written of late, of about `bytes_max` bytes together; an empty one says that there
/// is none. Rows that were written stay until `settle`, whatever they have.
class KvRowCache {
 public:
  explicit KvRowCache(std::size_t bytes_max) : bytes_max_(bytes_max) {}

  /// Null: nothing is known of it. Valid until the next change.
  [[nodiscard]] const KvRow* find(std::string_view key);
  void read(std::string_view key, const KvRow& row);
  void write(std::string_view key, KvRow row);
  /// What was written can be read elsewhere.
  void settle();
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }

 private:
  struct Item {
    std::string key;
    KvRow row;
    std::size_t bytes;
    std::uint64_t written;  // in this turn; 0: read
  };
  using Items = std::list<Item>;
  void put(std::string_view key, KvRow row, std::uint64_t written);
  void trim();

  const std::size_t bytes_max_;
  std::size_t bytes_ = 0;
  std::uint64_t turn_ = 1;
  Items items_{};  // the one used last is the first
  std::unordered_map<std::string_view, Items::iterator> by_key_{};
};

}  // namespace cluster
