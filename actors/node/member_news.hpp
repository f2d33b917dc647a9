#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "cluster/node/member_board.hpp"
#include "cluster/proto/keyed_limit.hpp"

namespace cluster {

/// What is written down of members' states, in the log and as events. Whoever has the cookie can have a
/// member suspected, and the member objects, as often as he likes: the first changes of a member are news at
/// once, of more only the last in a period, with the number of those before it, so that nobody fills a disk.
/// A suspicion leaves room for what is worse, which counts by itself.
class MemberNews {
 public:
  static constexpr std::size_t kAtOnce = 10;  ///< of a member and a kind of change
  static constexpr Duration kPeriod = 10s;    ///< in which one more may come

  struct News {
    MemberEvent event{};
    std::uint64_t left_out = 0;  ///< changes of this member since the last news of it
  };

  /// The change as news, if it is to be told now; else it is kept until `due`, or until the next one.
  [[nodiscard]] std::optional<News> on_change(Instant now, MemberEvent event);
  /// What was kept and may be told.
  [[nodiscard]] std::vector<News> due(Instant now);
  /// When `due` is next needed.
  [[nodiscard]] Instant next_deadline() const noexcept { return next_; }

 private:
  /// Whether one more may be told now; if so, it is counted.
  [[nodiscard]] bool admit(Instant now, const MemberEvent& event);

  static constexpr proto::KeyedLimit::Config kLimit{
      .tokens_max = kAtOnce,
      .tokens_per_second = 1 / std::chrono::duration<double>(kPeriod).count(),
      .keys_max = 16'384};
  proto::KeyedLimit suspicions_{kLimit};  // from alive to suspect and back
  proto::KeyedLimit falls_{kLimit};       // all others
  std::map<NodeId, News> kept_{};
  Instant next_ = Instant::max();
};

}  // namespace cluster
