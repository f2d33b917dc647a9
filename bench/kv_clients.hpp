#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "cluster/base/endpoint.hpp"
#include "harness.hpp"

namespace cluster::bench {

/// What clients of a key-value store do: each has one request under way, and begins the next with the answer.
struct KvWork {
  std::int64_t clients = 1;
  int reads_percent = 0;
  std::string bucket = "default";
  Duration time{};  ///< that counts, after a tenth of it that does not
};
struct KvOutcomes {
  double per_second = 0;
  std::vector<std::int64_t> took;  ///< nanoseconds of each request
};

/// A program with a connection to each of these nodes, over which its clients share their requests.
class KvClients {
 public:
  static constexpr std::int64_t kKeys = 10'000;
  static constexpr std::size_t kValueBytes = 100;

  KvClients(std::vector<Endpoint> nodes, std::string cookie, wire::Protection protection)
      : nodes_(std::move(nodes)), cookie_(std::move(cookie)), protection_(protection) {}
  /// Waits until all are in one ring and have settled; then gives every key of `bucket` a value.
  void fill(const std::string& bucket) const;
  /// Throws Failure if a request fails or finds no value.
  [[nodiscard]] KvOutcomes run(const KvWork& work) const;

 private:
  std::vector<Endpoint> nodes_;
  std::string cookie_;
  wire::Protection protection_;
};

}  // namespace cluster::bench
