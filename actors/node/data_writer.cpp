#include "cluster/node/data_writer.hpp"

#include <utility>

#include "cluster/base/log.hpp"

namespace cluster {

DataWriter::DataWriter(DataFolder folder) : folder_(std::move(folder)) {
  status_.folder = folder_.path();
  thread_ = std::thread([this] { run(); });
}

DataWriter::~DataWriter() { stop(); }

void DataWriter::write(std::string_view name, Bytes content, Done done) {
  {
    const std::lock_guard lock(mutex_);
    if (!stopping_) {
      auto& job = jobs_.try_emplace(std::string(name)).first->second;
      job.content = std::move(content);
      if (done) job.done.push_back(std::move(done));
      changed_.notify_one();
      return;
    }
  }
  if (done) done(Error(Errc::stopped, "the node is stopping"));
}

Result<void> DataWriter::write_now(std::string_view name, ByteView content) {
  return write_and_count(name, content);
}

void DataWriter::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
    if (jobs_.empty()) return;
    auto node = jobs_.extract(jobs_.begin());
    writing_ = node.key();
    lock.unlock();
    const auto result = write_and_count(node.key(), node.mapped().content);
    for (const auto& done : node.mapped().done) done(result);
    lock.lock();
    writing_.clear();
  }
}

bool DataWriter::is_pending(std::string_view name) const {
  const std::lock_guard lock(mutex_);
  return writing_ == name || jobs_.contains(name);
}

Result<void> DataWriter::write_and_count(std::string_view name, ByteView content) {
  const auto result = folder_.write(name, content);
  const auto now = MonotonicClock::now();
  const std::lock_guard lock(mutex_);
  if (result) {
    ++status_.writes;
    if (!status_.error.empty()) log::info("disk", "writes to ", status_.folder, " succeed again");
    status_.error.clear();
    return result;
  }
  ++status_.failures;
  if (status_.failures == 1 || now >= warned_at_ + kWarnPeriod) {
    warned_at_ = now;
    log::warn("disk", result.error().message(), "; what changes now is lost if this process ends (",
              status_.failures, status_.failures == 1 ? " failure" : " failures", " so far)");
  }
  status_.error = result.error().message();
  return result;
}

void DataWriter::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

DataStatus DataWriter::status() const {
  const std::lock_guard lock(mutex_);
  return status_;
}

}  // namespace cluster
