#pragma once
#include <cstddef>
#include <cstdint>
#include <deque>

#include "cluster/base/time.hpp"

namespace cluster::sim {

/// Messages must not beget messages without end. What is news (an edit, a start, an end, a network that
/// heals) all tell to all at once: where all are news, that is a burst which grows as the square of the
/// nodes, and is over in parts of a second. So the messages of a window are held against the news in it and
/// just before it, told by who makes them: traffic that begets its own news finds no excuse in them.
class StormChecker {
 public:
  static constexpr std::chrono::seconds kWindow{5};
  static constexpr std::chrono::seconds kNewsWindow{10};  ///< news excuse messages until so long after
  static constexpr std::uint64_t kMessagesMax =
      100;  ///< a node and second: 80 were seen of a ring in trouble
  static constexpr std::uint64_t kMessagesPerNews =
      20;  ///< a node: 13 were seen, of a ring that starts again

  explicit StormChecker(std::size_t nodes) : nodes_(nodes) {}

  /// Something that all have to hear of.
  void news(std::uint64_t count = 1) noexcept { news_ += count; }
  /// Whether all is calm after `sent` messages since the start. `now` never goes backwards.
  [[nodiscard]] bool calm(Instant now, std::uint64_t sent);

 private:
  struct Look {
    Instant at{};
    std::uint64_t sent = 0;
    std::uint64_t news = 0;
  };
  std::size_t nodes_;
  std::uint64_t news_ = 0;
  std::deque<Look> looks_{{}};  // of the longer window
};

}  // namespace cluster::sim
