// What the codec costs for a small message {string, int64, 64 bytes}: encoding into a buffer that is used
// again, decoding, and both for a whole call. Prints the fastest of the runs. usage: codec-bench [RUNS]
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "cluster/wire/codec.hpp"
#include "cluster/wire/message.hpp"
#include "cluster/wire/value.hpp"

namespace {
using namespace cluster;
using namespace cluster::wire;
using namespace std::chrono_literals;

constexpr int kRepeats = 200'000;

struct Deposit {
  std::string account;
  std::int64_t cents = 0;
  Bytes note;
};

/// Keeps the compiler from leaving out what made `pointer`'s bytes.
void keep(const void* pointer) { asm volatile("" : : "r"(pointer) : "memory"); }

template <class Work>
void measure(const char* what, int runs, Work&& work) {
  double best = 1e9;
  for (int run = 0; run < runs; ++run) {
    const auto begun = std::chrono::steady_clock::now();
    for (int i = 0; i < kRepeats; ++i) work();
    const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - begun;
    best = std::min(best, took.count() / kRepeats);
  }
  std::printf("%-34s %7.1f ns\n", what, best);
}

}  // namespace

int main(int argc, char** argv) {
  const int runs = argc > 1 ? std::max(1, std::atoi(argv[1])) : 20;
  const Deposit deposit{"deposit-account", 1'234'567'890'123, Bytes(64, 7)};
  const auto bytes = encode(deposit);
  Bytes call;
  const CallHead head{.id = 9, .to = "bank", .event = event_name<Deposit>(), .ttl = 5s};
  begin_call(call, head);
  encode_to(call, deposit);
  std::printf("message: %zu bytes, call: %zu bytes\n", bytes.size(), call.size());

  Bytes out;
  measure("encode into a used buffer", runs, [&] {
    out.clear();
    encode_to(out, deposit);
    keep(out.data());
  });
  measure("encode into a new one", runs, [&] { keep(encode(deposit).data()); });
  measure("decode", runs, [&] {
    const auto decoded = decode<Deposit>(bytes);
    keep(&decoded);
  });
  measure("decode as a Value", runs, [&] {
    const auto decoded = decode<Value>(bytes);
    keep(&decoded);
  });
  measure("write a call", runs, [&] {
    out.clear();
    begin_call(out, head);
    encode_to(out, deposit);
    keep(out.data());
  });
  measure("read a call and its message", runs, [&] {
    const auto message = decode_message(call);
    const auto decoded = decode<Deposit>(std::get<CallView>(*message).payload);
    keep(&decoded);
  });
  return 0;
}
