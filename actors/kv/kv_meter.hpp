#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "cluster/base/time.hpp"
#include "cluster/proto/kv_messages.hpp"

namespace cluster {

/// Bounds of times from a request to its answer, in seconds.
inline constexpr std::array kKvTimeBounds{0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
                                          0.05,   0.1,     0.25,   0.5,   1.0,    2.5,   5.0};

/// What became of the requests of one kind that came to this node.
struct KvOperations {
  std::string operation{};     ///< get, put or del
  std::uint64_t ok = 0;        ///< answered; of a get: there is a value
  std::uint64_t absent = 0;    ///< of a get: there is none
  std::uint64_t refused = 0;   ///< a condition does not hold, or the request is none
  std::uint64_t failed = 0;    ///< did not happen
  std::uint64_t unknown = 0;   ///< may have happened
  std::uint64_t siblings = 0;  ///< of a get: answered with several values
  std::array<std::uint64_t, kKvTimeBounds.size() + 1>
      times{};                 ///< answers, by kKvTimeBounds; the last: longer
  std::uint64_t total_us = 0;  ///< all times together
};

/// Counts requests and their times. Not synchronised. Cost: some additions a request.
class KvMeter {
 public:
  KvMeter();
  void count(proto::KvVerb verb, const Result<proto::KvAnswer>& answer, Duration time);
  [[nodiscard]] const std::vector<KvOperations>& operations() const noexcept { return operations_; }

 private:
  std::vector<KvOperations> operations_;  // by verb
};

}  // namespace cluster
