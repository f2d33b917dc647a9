// backpressure: one server floods a slow one in another process, and both stay small.
#include <algorithm>

#include "nodes.hpp"

namespace cluster::bench {
namespace {

constexpr std::int64_t kBytes = 16 << 10;

struct Flooded {
  std::int64_t sent = 0;
  std::int64_t refused = 0;  ///< casts that came back `overloaded`
};
struct FloodSlow {
  std::int64_t messages = 0;
  std::int64_t milliseconds = 0;  ///< at most
  using reply = Flooded;
};
/// Sends as fast as it can; waits a little when the answer is `overloaded`.
class Flooder : public GenServer<Flooder, FloodSlow> {
 public:
  explicit Flooder(Ref<Slow> slow) : slow_(std::move(slow)) {}

  Task<Result<Flooded>> handle_call(FloodSlow job) {
    const Bytes data(kBytes, 'x');
    const Instant end = now() + std::chrono::milliseconds(job.milliseconds);
    Flooded done;
    while (done.sent < job.messages && now() < end) {
      Note note{data};
      const auto sent = cast(slow_, std::move(note));
      if (sent) {
        ++done.sent;
      } else if (sent.error().code() == Errc::overloaded) {
        ++done.refused;
        co_await sleep(1ms);
      } else {
        co_return sent.error();
      }
    }
    co_return done;
  }

 private:
  Ref<Slow> slow_;
};

double queued_bytes(Pair& pair) {
  double most = 0;
  for (const auto& peer : pair.node.actors().kernel().peers())
    most = std::max(most, static_cast<double>(peer.queued_bytes));
  return most;
}

}  // namespace

void backpressure(Context& context) {
  const std::int64_t messages = context.amount(32'768, 100);  // 512 MiB
  context.each_fresh_run([&] {
    Pair pair({.protection = context.settings().protection}, "slow");
    const auto slow = take(pair.node.ref<Slow>("slow@server"), "the slow server");
    const auto flooder = take(pair.node.spawn<Flooder>({}, slow), "spawn");
    const auto theirs = take(pair.node.call(slow, HowIsIt{}), "the slow server");
    forget_resident_peak();
    const double ours = resident_peak_bytes();
    const auto flooded = take(pair.node.call(flooder, FloodSlow{messages, 3'000}, 10min), "the flood");
    const double mega = 1e6;
    context.record("sender's memory grew", "MB", (resident_peak_bytes() - ours) / mega);
    context.record("sender's queue after it", "MB", queued_bytes(pair) / mega);
    context.record("sent", "MB", static_cast<double>(flooded.sent * kBytes) / mega);
    context.record("refused", "casts", static_cast<double>(flooded.refused));
    const Stopwatch watch;
    Strain strain;
    do {  // nothing is lost: all that was sent is handled in the end
      auto answer = pair.node.call(slow, HowIsIt{}, 60s);
      if (answer)
        strain = answer.value();
      else if (answer.error().code() != Errc::overloaded)
        throw Failure("the slow server: " + answer.error().to_string());
      std::this_thread::sleep_for(20ms);
    } while (strain.handled < flooded.sent && watch.seconds() < 60);
    check_count(strain.handled, flooded.sent);
    context.record("receiver's memory grew", "MB",
                   static_cast<double>(strain.resident_peak - theirs.resident_peak) / mega);
  });
}

}  // namespace cluster::bench
