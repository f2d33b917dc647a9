// Hot paths, each run a fixed number of times, so that callgrind can count their instructions: check.py runs
// this program under valgrind and compares the counts with expected.json. Without valgrind it only runs them.
//
// usage: instruction-hot-paths           runs all paths, one callgrind dump each, named after its path
//        instruction-hot-paths --times   prints how often each path runs
//        instruction-hot-paths --build   prints what it was built with
#include <valgrind/callgrind.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "build_json.hpp"
#include "cluster/ds/chash.hpp"
#include "cluster/ds/vector_clock.hpp"
#include "cluster/runtime/server_harness.hpp"
#include "cluster/wire/codec.hpp"
#include "cluster/wire/frame.hpp"
#include "cluster/wire/frame_protection.hpp"
#include "cluster/wire/message.hpp"
#include "outbox.hpp"

namespace {
using namespace cluster;
using namespace std::chrono_literals;

struct Path {
  const char* name;
  int times;  ///< few enough to be quick under callgrind, enough to make one run's start negligible
  std::function<void()> once;
};

/// Keeps the compiler from leaving out what made `pointer`'s bytes.
void keep(const void* pointer) { asm volatile("" : : "r"(pointer) : "memory"); }

struct Deposit {
  std::string account;
  std::int64_t cents = 0;
  Bytes note;
  using reply = std::int64_t;
};
struct Add {
  std::int64_t n = 0;
};

class Bank : public GenServer<Bank, Deposit, Add> {
 public:
  std::int64_t handle_call(const Deposit& m) { return total_ += m.cents; }
  void handle_cast(const Add& m) { total_ += m.n; }

 private:
  std::int64_t total_ = 0;
};

Deposit deposit() { return {"deposit-account", 1'234'567'890'123, Bytes(64, 7)}; }

void add_codec(std::vector<Path>& paths) {
  paths.push_back(
      {"codec: encode {string, int64, 64 B}", 1'000, [message = deposit(), out = Bytes()]() mutable {
         out.clear();
         wire::encode_to(out, message);
         keep(out.data());
       }});
  paths.push_back({"codec: decode {string, int64, 64 B}", 1'000, [bytes = wire::encode(deposit())] {
                     const auto decoded = wire::decode<Deposit>(bytes);
                     keep(&decoded);
                   }});
  paths.push_back({"codec: write a call", 1'000, [message = deposit(), out = Bytes()]() mutable {
                     const wire::CallHead head{
                         .id = 9, .to = "bank", .event = wire::event_name<Deposit>(), .ttl = 5s};
                     out.clear();
                     {
                       wire::Writer to(out);
                       static_cast<void>(wire::begin_call(to, head));
                       wire::encode_to(to, message);
                     }
                     keep(out.data());
                   }});
}

void add_chash(std::vector<Path>& paths) {
  std::vector<CHash::Insertion> nodes;
  for (int i = 0; i < 100; ++i) nodes.push_back({CHash::Node{NodeId("node" + std::to_string(i))}, 160});
  CHash ring;
  static_cast<void>(ring.insert_all(nodes).value());
  paths.push_back({"CHash: find, sha256, 100 nodes of 160 points", 1'000, [ring, n = 0]() mutable {
                     const std::string key = "user-" + std::to_string(1'000'000 + n++);
                     keep(ring.find(key));
                   }});
}

VectorClock clock_of(int entries, std::uint64_t count) {
  VectorClock clock;
  for (int i = 0; i < entries; ++i)
    clock.update(NodeId("node" + std::to_string(i)), count + static_cast<std::uint64_t>(i), WallTime{1s});
  return clock;
}

void add_vector_clock(std::vector<Path>& paths) {
  for (const int entries : {10, 100}) {
    const auto newer = clock_of(entries, 2);
    const auto older = clock_of(entries, 1);
    static const char* const kDescends[] = {"VectorClock: descends, 10 entries",
                                            "VectorClock: descends, 100 entries"};
    static const char* const kMerge[] = {"VectorClock: copy and merge, 10 entries",
                                         "VectorClock: copy and merge, 100 entries"};
    const int which = entries == 10 ? 0 : 1;
    paths.push_back({kDescends[which], 1'000, [newer, older] {
                       const bool descends = newer.descends(older);
                       keep(&descends);
                     }});
    paths.push_back({kMerge[which], 200, [newer, older] {
                       VectorClock merged = older;
                       merged.merge(newer);
                       keep(&merged);
                     }});
  }
}

void add_frame(std::vector<Path>& paths, const char* name, int times, wire::Protection level,
               std::size_t body_bytes) {
  const auto sealer = std::make_shared<wire::FrameSealer>(level, Bytes(32, 5));
  const auto length = static_cast<std::uint32_t>(body_bytes);
  paths.push_back({name, times, [sealer, length, body = Bytes(body_bytes, 3)]() mutable {
                     std::array<std::uint8_t, wire::kFrameHeaderBytes> header{};
                     wire::write_header(header.data(), {.length = length});
                     const auto tag = sealer->seal(header, body);
                     keep(&tag);
                   }});
}

void add_outbox(std::vector<Path>& paths) {
  struct Sender {
    net::BufferPool pool;
    net::NetLimits limits;
    net::QueueRoom room{limits.queues_bytes_max};
    net::Outbox outbox{pool, room, limits};
  };
  paths.push_back({"outbox: 100 messages of 64 B into frames", 100,
                   [sender = std::make_shared<Sender>(), message = Bytes(64, 9)] {
                     constexpr std::uint64_t kPairs = 4;
                     for (std::uint64_t i = 0; i < 100; ++i)
                       static_cast<void>(
                           sender->outbox.push(wire::Lane::normal, i % kPairs, message).value());
                     net::OutFrame frame;
                     while (sender->outbox.pop_frame(frame)) {
                       keep(frame.bytes.data());
                       sender->pool.give(std::move(frame.bytes));
                     }
                     sender->outbox.settle();
                   }});
}

void add_dispatch(std::vector<Path>& paths) {
  const auto server = std::make_shared<ServerHarness<Bank>>();
  paths.push_back({"GenServer: call, dispatched and answered", 1'000, [server] {
                     const auto answer = server->call(Deposit{{}, 3, {}});
                     keep(&answer);
                   }});
  paths.push_back({"GenServer: cast, dispatched", 1'000, [server] { server->cast(Add{1}); }});
}

std::vector<Path> all_paths() {
  std::vector<Path> paths;
  add_codec(paths);
  add_chash(paths);
  add_vector_clock(paths);
  add_frame(paths, "frame: sign 64 B", 1'000, wire::Protection::sign, 64);
  add_frame(paths, "frame: sign 64 KiB", 10, wire::Protection::sign, wire::kFrameBodyBytesMax);
  add_frame(paths, "frame: seal 64 B", 1'000, wire::Protection::seal, 64);
  add_frame(paths, "frame: seal 64 KiB", 10, wire::Protection::seal, wire::kFrameBodyBytesMax);
  add_outbox(paths);
  add_dispatch(paths);
  return paths;
}

/// The first runs fill caches and pools and are not counted.
void count(const Path& path) {
  for (int i = 0; i < 10; ++i) path.once();
  CALLGRIND_START_INSTRUMENTATION;
  for (int i = 0; i < path.times; ++i) path.once();
  CALLGRIND_STOP_INSTRUMENTATION;
  CALLGRIND_DUMP_STATS_AT(path.name);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view mode = argc > 1 ? argv[1] : "";
  if (mode == "--build") {
    std::printf("%s\n", INSTRUCTIONS_BUILD);
    return 0;
  }
  for (const Path& path : all_paths()) {
    if (mode == "--times")
      std::printf("%d %s\n", path.times, path.name);
    else
      count(path);
  }
  return 0;
}
