#pragma once
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "cluster/base/time.hpp"
#include "cluster/node/data_folder.hpp"

namespace cluster {

/// How the writes to a node's folder go, for `status`.
struct DataStatus {
  std::string folder{};
  std::uint64_t writes = 0;    ///< that succeeded
  std::uint64_t failures = 0;  ///< that did not
  std::string error{};         ///< of the last write; empty: it succeeded
};

/// Writes the files of a data folder on a thread of its own, so that nobody else waits for a disk. The newest
/// content of a file is written; one that still waits for its turn is skipped. Thread-safe.
class DataWriter {
 public:
  static constexpr Duration kWarnPeriod = 60s;  ///< between two warnings that a write failed

  using Done = std::function<void(const Result<void>&)>;

  explicit DataWriter(DataFolder folder);
  /// As `stop`.
  ~DataWriter();
  DataWriter(const DataWriter&) = delete;
  DataWriter& operator=(const DataWriter&) = delete;

  /// Replaces a file. `done` comes once, on the writer's thread, when this content or newer is on the disk,
  /// or with the reason why not; never after `stop`, which refuses what comes later.
  void write(std::string_view name, Bytes content, Done done = {});
  /// The same on the caller's thread: before the first `write`.
  Result<void> write_now(std::string_view name, ByteView content);
  /// Whether content for this file waits or is being written.
  [[nodiscard]] bool is_pending(std::string_view name) const;
  /// Writes what waits and ends the thread. Idempotent.
  void stop();

  [[nodiscard]] DataStatus status() const;

 private:
  struct Job {
    Bytes content;
    std::vector<Done> done;
  };
  void run();
  Result<void> write_and_count(std::string_view name, ByteView content);

  DataFolder folder_;  // of the thread, once it runs
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, Job, std::less<>> jobs_;
  std::string writing_;  // the file that is being written
  bool stopping_ = false;
  DataStatus status_;
  Instant warned_at_{};
  std::thread thread_;
};

}  // namespace cluster
