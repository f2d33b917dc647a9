#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace cluster {

/// What KvFolder needs of a database on disk: sorted keys in families, atomic writes. Of standard types
/// alone, for it is implemented in a module that is loaded when a folder is opened: a node without one pays
/// nothing for RocksDB.
class KvDatabase {
 public:
  enum class Family { notes, records, index, values };
  enum class Fault { none, corrupt, io };
  struct Status {
    Fault fault = Fault::none;
    std::string text{};
  };
  struct Edit {
    Family family = Family::notes;
    std::string_view key{};
    std::optional<std::string_view> value{};  ///< none: the key goes
  };
  /// False: no more.
  using Visitor = std::function<bool(std::string_view key, std::string_view value)>;

  KvDatabase() = default;
  KvDatabase(const KvDatabase&) = delete;
  KvDatabase& operator=(const KvDatabase&) = delete;
  virtual ~KvDatabase() = default;

  /// `visit` is called if the key is there.
  virtual Status get(Family family, std::string_view key,
                     const std::function<void(std::string_view value)>& visit) = 0;
  /// Puts them beside what the next `commit` writes. Nobody reads them before.
  virtual void add(std::span<const Edit> edits) = 0;
  [[nodiscard]] virtual std::size_t added_bytes() const = 0;
  /// All that was added or none of it, in one step; on the disk after `sync`.
  virtual Status commit() = 0;
  /// In the order of the keys, from `from` on.
  virtual Status visit(Family family, std::string_view from, const Visitor& visitor) = 0;
  virtual Status sync() = 0;
  /// About how many records there are, and the bytes of all that is kept.
  virtual void measure(std::uint64_t& keys, std::uint64_t& bytes) = 0;
};

/// The one function of the module: null, and why in `fault`, if the folder cannot be opened.
using KvDatabaseOpen = KvDatabase*(const char* path, KvDatabase::Status& fault);
inline constexpr const char* kKvDatabaseOpen = "cluster_kv_database_open";

}  // namespace cluster
