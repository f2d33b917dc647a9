// codec and gossip-merge: what a node computes for what it sends and receives.
#include "cluster/proto/ring_state.hpp"
#include "cluster/wire/codec.hpp"
#include "cluster/wire/message.hpp"
#include "cluster/wire/value.hpp"
#include "harness.hpp"

namespace cluster::bench {
namespace {

using namespace cluster::wire;
using proto::RingState;

struct Deposit {
  std::string account;
  std::int64_t cents = 0;
  Bytes note;
};
struct Order {
  std::string id;
  std::vector<Deposit> lines;
};

/// Encoding into a buffer that is used again, and decoding.
template <class Message>
void both_ways(Context& context, const std::string& name, const Message& message, std::int64_t times) {
  Bytes out;
  context.record("encode " + name, "ns", nanoseconds_each(times, [&] {
                   out.clear();
                   encode_to(out, message);
                   keep(out.data());
                 }));
  context.record("decode " + name, "ns", nanoseconds_each(times, [&] {
                   const auto decoded = take(decode<Message>(out), "decode");
                   keep(&decoded);
                 }));
}

RingState state_of(const std::string& id) {
  return RingState({take(NodeId::parse(id), "an id"), {1, 1}, {"127.0.0.1", 7022}, 128}, wall_now());
}

}  // namespace

void codec(Context& context) {
  const Deposit deposit{"deposit-account", 1'234'567'890'123, Bytes(64, 7)};
  const Order order{"order-1", std::vector<Deposit>(100, deposit)};
  const Bytes megabyte(1 << 20, 7);
  const auto encoded = encode(deposit);
  const CallHead head{.id = 9, .to = "bank", .event = event_name<Deposit>(), .ttl = 5s};
  context.each_run([&] {
    const std::int64_t times = context.amount(500'000);
    both_ways(context, "small", deposit, times);
    both_ways(context, "list of 100", order, times / 100 + 1);
    both_ways(context, "1 MiB", Deposit{"deposit-account", 1, megabyte}, context.amount(500));
    context.record("decode small as Value", "ns", nanoseconds_each(times, [&] {
                     const auto decoded = take(decode<Value>(encoded), "decode");
                     keep(&decoded);
                   }));
    Bytes call;
    context.record("write a call", "ns", nanoseconds_each(times, [&] {
                     call.clear();
                     begin_call(call, head);
                     encode_to(call, deposit);
                     keep(call.data());
                   }));
    context.record("read a call", "ns", nanoseconds_each(times, [&] {
                     const auto message = take(decode_message(call), "decode");
                     const auto decoded =
                         take(decode<Deposit>(std::get<CallView>(message).payload), "decode");
                     keep(&decoded);
                   }));
  });
}

void gossip_merge(Context& context) {
  context.each_run([&] {
    for (const int count : {10, 100, 1000}) {
      const auto suffix = " " + std::to_string(count) + " members";
      RingState editor = state_of("node-0");
      for (int i = 1; i < count; ++i)
        take(editor.insert(take(NodeId::parse("node-" + std::to_string(i)), "an id"), {"127.0.0.1", 7022},
                           128, wall_now()),
             "insert");
      const auto whole = editor.deltas_since({});
      const RingState empty = state_of("newcomer");
      RingState other = empty;
      context.record("whole" + suffix, "us", nanoseconds_each(context.amount(2000 / count, 2), [&] {
                                               other = empty;
                                               for (const auto& delta : whole) other.merge(delta, wall_now());
                                             }) / 1e3);
      std::uint32_t weight = 1;
      std::vector<proto::RingDelta> edits;
      for (std::int64_t i = context.amount(2000, 2); i > 0; --i) {
        const auto known = editor.clock_entries();
        take(editor.update(editor.self(), {}, ++weight, wall_now()), "update");
        for (auto& delta : editor.deltas_since(known)) edits.push_back(std::move(delta));
      }
      auto edit = edits.cbegin();
      context.record("one edit" + suffix, "us",
                     nanoseconds_each(static_cast<std::int64_t>(edits.size()), [&] {
                       other.merge(*edit++, wall_now());
                     }) / 1e3);
      const auto horizon = RingState::horizon(wall_now());
      context.record("edit and hash" + suffix, "us",
                     nanoseconds_each(context.amount(20'000 / count, 2), [&] {
                       take(editor.update(editor.self(), {}, ++weight % 60'000 + 1, wall_now()), "update");
                       const auto hash = editor.hash(horizon);
                       keep(&hash);
                     }) / 1e3);
    }
  });
}

}  // namespace cluster::bench
