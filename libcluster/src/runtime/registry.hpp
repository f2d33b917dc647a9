#pragma once
#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "cluster/base/result.hpp"
#include "cluster/base/time.hpp"
#include "cluster/runtime/actor_ref.hpp"
#include "cluster/runtime/server_type.hpp"

namespace cluster::runtime {

/// The names of this node's servers; each names one living server. Thread-safe, readers side by side.
class Registry {
 public:
  struct Found {
    ActorRef actor;
    const ServerType* type = nullptr;
  };
  struct Entry : Found {
    std::string name;
  };
  /// Names one reservation, so that the end of an old server never removes the name of its successor.
  using Token = std::uint64_t;

  /// Takes the name; `already_exists` if it is taken. It leads nowhere until `bind`.
  Result<Token> reserve(std::string_view name, const ServerType& type);
  /// Has no effect if the reservation was removed meanwhile (the server ended at once).
  void bind(std::string_view name, Token token, ActorRef actor);
  void remove(std::string_view name, Token token) noexcept;

  /// Changes with each `bind` and `remove`: until then, what `find` said holds.
  [[nodiscard]] std::uint64_t version() const noexcept { return version_.load(std::memory_order_acquire); }
  [[nodiscard]] std::optional<Found> find(std::string_view name) const;
  /// In the order of the names.
  [[nodiscard]] std::vector<Entry> all() const;

 private:
  struct Slot {
    Token token = 0;
    ActorRef actor;
    const ServerType* type = nullptr;
  };
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept {
      return std::hash<std::string_view>{}(text);
    }
  };
  mutable std::shared_mutex mutex_;
  std::unordered_map<std::string, Slot, Hash, std::equal_to<>> slots_;
  Token last_ = 0;
  std::atomic<std::uint64_t> version_{1};
};

}  // namespace cluster::runtime
