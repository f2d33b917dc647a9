// W6: what an idle server costs.
#include "harness.hpp"
#include "process.hpp"

namespace cluster::bench {

void spawns(Context& context) {
  const std::int64_t count = context.amount(100'000);
  context.each_fresh_run([&] {
    auto child = Process::of_role("spawn", {std::to_string(count)});
    context.record("spawn", "ns/actor", std::stod(child.read_line()));
    context.record("RSS", "B/actor", std::stod(child.read_line()));
    if (child.wait() != 0) throw Failure("the spawning process failed");
  });
}

}  // namespace cluster::bench
