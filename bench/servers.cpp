#include "servers.hpp"

#include "harness.hpp"

namespace cluster::bench {

Task<Result<std::int64_t>> Driver::handle_call(CallNumbers job) {
  std::int64_t n = 0;
  while (n < job.times) {
    auto next = co_await call<Number>(target_, n);
    if (!next) co_return next.error();
    n = next.value();
  }
  co_return n;
}

Task<Result<std::vector<std::int64_t>>> Driver::handle_call(CallPayloads job) {
  const Bytes data(static_cast<std::size_t>(job.bytes), 'x');
  std::vector<std::int64_t> took;
  took.reserve(static_cast<std::size_t>(job.times));
  Instant begun = now();
  for (std::int64_t i = 0; i < job.times; ++i) {
    auto back = co_await call<Payload>(target_, data);
    if (!back) co_return back.error();
    const Instant done = now();
    took.push_back((done - begun).count());
    begun = done;
    if (back.value().size() != data.size()) co_return Error(Errc::corrupt, "an echo of another size");
  }
  co_return took;
}

Task<Result<std::int64_t>> Driver::handle_call(FloodTicks job) {
  cast(target_, Reset{}).value();
  for (std::int64_t i = 0; i < job.times; ++i)
    if (auto sent = cast(target_, Tick{i}); !sent) co_return sent.error();
  co_return co_await call_within<Handled>(60s, target_);
}

Task<Result<std::int64_t>> Driver::handle_call(FloodNotes job) {
  const Bytes data(static_cast<std::size_t>(job.bytes), 'x');
  if (auto sent = cast(target_, Reset{}); !sent) co_return sent.error();
  auto reached = call_within<Handled>(60s, target_);  // answered when all before it was handled
  for (std::int64_t i = 0; i < job.times; ++i) {
    if (i % job.window == 0 && i > 0) {
      auto last = std::exchange(reached, call_within<Handled>(60s, target_));
      if (auto seen = co_await last; !seen) co_return seen.error();
    }
    Note note{data};
    auto sent = cast(target_, std::move(note));
    while (!sent && sent.error().code() == Errc::overloaded) {  // refused, so not on its way: once more
      co_await sleep(1ms);
      Note again{data};
      sent = cast(target_, std::move(again));
    }
    if (!sent) co_return sent.error();
  }
  co_return co_await call_within<Handled>(60s, target_);
}

Strain Slow::handle_call(const HowIsIt&) {
  return {handled_, static_cast<std::int64_t>(resident_peak_bytes())};
}

}  // namespace cluster::bench
