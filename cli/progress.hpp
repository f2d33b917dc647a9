#pragma once
#include <cstdint>
#include <optional>
#include <ostream>
#include <string>

#include "cluster/base/time.hpp"

namespace cluster::cli {

/// "1.5 MiB"
[[nodiscard]] std::string bytes_text(std::uint64_t bytes);
/// "big.iso   45 % [#########-----------]  460.8 MiB of 1.0 GiB, 93.1 MiB/s, 0:06 left"; without a total,
/// what is done and how fast.
[[nodiscard]] std::string progress_line(const std::string& name, std::uint64_t done,
                                        std::optional<std::uint64_t> total, Duration time);

/// A line at a terminal that says how far a transfer is, drawn anew up to ten times a second, and gone with
/// this.
class Progress {
 public:
  /// A null stream shows nothing. `out` outlives this.
  Progress(std::ostream* out, std::string name, std::optional<std::uint64_t> total);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  void show(std::uint64_t done);

 private:
  std::ostream* out_;
  std::string name_;
  std::optional<std::uint64_t> total_;
  Instant begin_;
  Instant next_{};
  std::size_t width_ = 0;
};

}  // namespace cluster::cli
