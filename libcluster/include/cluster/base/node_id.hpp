#pragma once
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "cluster/base/result.hpp"

namespace cluster {

/// The name of a node: 1..255 bytes of UTF-8 without control characters; any name works, `__proto__` too.
/// A default-constructed id is empty and names nobody.
class NodeId {
 public:
  static constexpr std::size_t kBytesMax = 255;

  NodeId() = default;
  /// From a literal or a text already checked; throws std::invalid_argument on a bad one. Text from
  /// outside goes through `parse`.
  NodeId(const char* text);
  explicit NodeId(std::string text);

  [[nodiscard]] static Result<NodeId> parse(std::string_view text);

  [[nodiscard]] const std::string& str() const noexcept { return text_; }
  [[nodiscard]] bool empty() const noexcept { return text_.empty(); }

  friend bool operator==(const NodeId&, const NodeId&) = default;
  friend std::strong_ordering operator<=>(const NodeId&, const NodeId&) = default;

 private:
  std::string text_;
};

/// One life of a node's process: `number` is max(stored + 1, wall-clock ms at start), `nonce` is random.
/// A greater boot is newer.
struct Boot {
  std::uint64_t number = 0;
  std::uint64_t nonce = 0;
  friend auto operator<=>(const Boot&, const Boot&) = default;
};

}  // namespace cluster

template <>
struct std::hash<cluster::NodeId> {
  std::size_t operator()(const cluster::NodeId& id) const noexcept {
    return std::hash<std::string>{}(id.str());
  }
};
