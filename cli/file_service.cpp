#include "file_service.hpp"

#include <algorithm>
#include <thread>

namespace cluster::cli {
namespace {

constexpr Duration kPauseMin = 50ms;
constexpr Duration kPauseMax = 1s;

}  // namespace

bool may_pass(Errc code) noexcept {
  switch (code) {
    case Errc::unreachable:
    case Errc::overloaded:
    case Errc::timeout:
    case Errc::peer_lost:
    case Errc::stopped:
    case Errc::no_quorum:
      return true;
    default:
      return false;
  }
}

Result<Bytes> FileService::try_once(std::string_view event, const Bytes& payload) {
  cut_off_ = false;
  if (!connection_) {
    auto opened = connect_();
    cut_off_ = !opened;
    if (!opened) return std::move(opened).error();
    connection_ = std::move(opened).value();
  }
  auto answer = connection_->call("files", event, payload, patience_);
  if (answer) {
    answered_ = true;
    return answer;
  }
  const auto code = answer.error().code();
  if (code == Errc::no_server)
    return Error(Errc::no_server, "this node keeps no files: it was started without --kv");
  if (code == Errc::peer_lost || code == Errc::timeout || code == Errc::unreachable) connection_.reset();
  return answer;
}

Result<Bytes> FileService::exchange(std::string_view event, const Bytes& payload) {
  const Instant end = saturated_add(MonotonicClock::now(), patience_);
  Duration pause = kPauseMin;
  bool maybe = false;
  while (true) {
    auto answer = try_once(event, payload);
    if (answer) return answer;
    const auto& error = answer.error();
    maybe = maybe || error.executed() != Executed::no;
    const bool is_first = cut_off_ && !answered_;  // who was never there will not come back
    if (is_first || !may_pass(error.code()) || MonotonicClock::now() + pause >= end)
      return Error(error.code(), error.message(),
                   maybe && error.executed() == Executed::no ? Executed::unknown : error.executed());
    std::this_thread::sleep_for(pause);
    pause = std::min(2 * pause, kPauseMax);
  }
}

}  // namespace cluster::cli
