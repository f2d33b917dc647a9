#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "cluster/base/time.hpp"

namespace cluster::sim {

/// What a bucket promises.
struct KvPromise {
  enum class Rule : std::uint8_t { siblings, last, merge };
  Rule rule = Rule::siblings;
  bool reads_last = true;  ///< what was read is read again, also if it was never acknowledged
  Duration skew{};         ///< clocks of two nodes differ by at most so much
};

/// Remembers every write that was begun and every read, and judges what was read:
/// - a write that was acknowledged, or read, before a read began is in it, or one that replaces it is;
/// - no value is in it that such a write replaced, and no two of which one replaced the other;
/// - nothing is in it that was never written, or of which the writer was told that it had not happened,
///   or whose time to live was over.
/// A write whose condition was found fulfilled is judged as a read of what the condition says that is there;
/// one that replaces all must have replaced what was acknowledged or read before it began, and may have
/// replaced what was begun before it was acknowledged. Where the last write wins, one that may have been
/// carried out later by the clocks replaces, too. Where values are merged, those that are read are the ones
/// in it, and what was replaced may come back in one that it was merged into. Knows writes by numbers, which
/// are their values; shares no code with the store.
class KvChecker {
 public:
  using Number = std::uint64_t;
  using Values = std::set<Number>;

  explicit KvChecker(const KvPromise& promise = {}) : promise_(promise) {}

  /// `replaces`: what the writer had read, or written last. `ttl`: zero for ever.
  Number begin_write(const std::string& key, bool deletes, const Values& replaces, Instant now,
                     Duration ttl = {});
  /// It replaces whatever can be read, too.
  void replaces_all(Number write);
  void acknowledged(Number write, Instant now);
  /// It did not happen.
  void refused(Number write) { writes_.at(write).refused = true; }
  /// What a read returned, what a fulfilled condition says that is there, what a replica holds in the end.
  enum class Seen : std::uint8_t { read, condition, replica };
  void read(const std::string& key, const Values& values, Instant began, Instant ended, Seen seen);
  /// Judges a condition by which the key has some value.
  void present(const std::string& key, Instant began, Instant ended);

  [[nodiscard]] const std::vector<std::string>& violations() const noexcept { return violations_; }
  [[nodiscard]] std::size_t acknowledged() const;
  /// Acknowledged writes that a replica lacked in the end.
  [[nodiscard]] std::size_t lost() const noexcept { return lost_.size(); }
  /// Reads that lacked such a write, or showed what had been replaced.
  [[nodiscard]] std::size_t stale() const noexcept { return stale_; }

 private:
  struct Write {
    std::string key{};
    bool deletes = false;
    bool refused = false;
    Values replaces{};  // all, also by way of others
    Instant begun{};
    Duration ttl{};
    std::optional<Instant> known_at{};  // when it was acknowledged or first read
    bool replaces_all = false;
    std::optional<Instant> ended{};  // when it was acknowledged

    [[nodiscard]] bool known_before(Instant when) const { return known_at && *known_at < when; }
    /// `other` replaces what it finds, and may have found this one.
    [[nodiscard]] bool in_reach_of(const Write& other) const;
  };
  [[nodiscard]] bool may_replace(const Write& write, const Write& other, Number number) const;
  [[nodiscard]] bool may_be_gone(const Write& write, Instant when) const;
  [[nodiscard]] bool is_over(const Write& write, Instant when) const;
  [[nodiscard]] bool stands(Number write, const Values& values, Instant until) const;
  void judge_values(const std::string& key, const Values& values, Instant began, Seen seen);
  void violation(const std::string& key, const std::string& text, Seen seen);

  KvPromise promise_;
  std::vector<Write> writes_{};
  std::map<std::string, std::vector<Number>> of_key_{};
  std::vector<std::string> violations_{};
  Values lost_{};
  std::size_t stale_ = 0;
};

}  // namespace cluster::sim
