#include <doctest/doctest.h>

#include <sys/stat.h>

#include <atomic>
#include <filesystem>
#include <future>
#include <string>
#include <vector>

#include "cluster/base/log.hpp"
#include "cluster/node/data_writer.hpp"
#include "cluster/node/ring_store.hpp"
#include "paper_disk.hpp"
#include "quiet_log.hpp"

using namespace cluster;
using cluster::testing::PaperDisk;

namespace {

const NodeId kSelf("foo");

proto::SavedRing ring_of(std::uint64_t boot) {
  const proto::RingState state({kSelf, {boot, 1}, {"localhost", 7022}, 3},
                               wall_from_micros(1'700'000'000'000'000));
  return {kSelf, boot, "ring", state.image(), {}};
}
Bytes file_of(std::uint64_t boot) { return proto::encode_ring_file(ring_of(boot)); }

/// The boot that a process would find after a crash, 0 for none.
std::uint64_t boot_found(PaperDisk::Names names) {
  const auto disk = PaperDisk::holding(std::move(names));
  auto folder = DataFolder::open(*disk, "/data").value();
  const auto ring = load_ring(folder, kSelf);
  REQUIRE(ring);
  return *ring ? (*ring)->boot : 0;
}

Error full() { return Error(Errc::io, "No space left on device"); }

/// A folder on the real disk, gone in the end.
struct TemporaryFolder {
  std::string path = (std::filesystem::temp_directory_path() / "cluster-data-XXXXXX").string();
  TemporaryFolder() { REQUIRE(::mkdtemp(path.data()) != nullptr); }
  ~TemporaryFolder() { std::filesystem::remove_all(path); }
};

}  // namespace

TEST_CASE(
    "data folder: whenever the power fails, the old ring is found or the new one, and the new one once it "
    "was "
    "acknowledged") {
  const QuietLog quiet;
  for (const std::uint64_t old_boot : {0, 5}) {  // 0: the very first write
    for (std::size_t steps = 0;; ++steps) {
      CAPTURE(old_boot);
      CAPTURE(steps);
      PaperDisk disk;
      auto folder = DataFolder::open(disk, "/data").value();
      if (old_boot != 0) REQUIRE(folder.write(kRingFileName, file_of(old_boot)));
      disk.steps_max = disk.steps + steps;
      bool acknowledged = false;
      try {
        acknowledged = folder.write(kRingFileName, file_of(6)).has_value();
      } catch (const PaperDisk::PowerFailed&) {
      }
      for (const std::size_t kept : {std::size_t{0}, std::size_t{20}, std::size_t{1} << 20})
        for (const auto& names : disk.after_crash(kept)) {
          const auto found = boot_found(names);
          if (acknowledged)
            CHECK(found == 6);
          else
            CHECK((found == old_boot || found == 6));
        }
      if (acknowledged) break;
    }
  }
}

TEST_CASE(
    "data folder: whichever step fails, the old ring stays or the new one is there, and the next write "
    "succeeds") {
  const QuietLog quiet;
  for (const std::string failing : {"create", "write", "sync", "replace", "sync_folder"}) {
    for (int nth = 1; nth <= 3; ++nth) {
      CAPTURE(failing);
      CAPTURE(nth);
      PaperDisk disk;
      auto folder = DataFolder::open(disk, "/data").value();
      REQUIRE(folder.write(kRingFileName, file_of(5)));
      int seen = 0;
      disk.fault = [&](const std::string& step) -> std::optional<Error> {
        if (step == failing && ++seen == nth) return full();
        return std::nullopt;
      };
      const auto written = folder.write(kRingFileName, file_of(6));
      if (seen < nth) {
        CHECK(written);
        continue;
      }
      REQUIRE_FALSE(written);
      CHECK(written.error().message() == "No space left on device");
      CHECK_FALSE(disk.names.contains("/data/ring.new"));  // a full disk gets its room back
      for (const auto& names : disk.after_crash(0)) {
        const auto found = boot_found(names);
        CHECK((found == 5 || (failing == "sync_folder" && found == 6)));
      }
      disk.fault = {};
      CHECK(folder.write(kRingFileName, file_of(7)));
      for (const auto& names : disk.after_crash(0)) CHECK(boot_found(names) == 7);
    }
  }
}

TEST_CASE(
    "data folder: a bad file is kept under the next free name, and nothing takes its place before it is") {
  const QuietLog quiet;
  PaperDisk disk;
  const auto put = [&](const std::string& name, const std::string& text) {
    const auto bytes = as_bytes(text);
    disk.names[name] = std::make_shared<Bytes>(bytes.begin(), bytes.end());
  };
  const auto text_of = [&](const std::string& name) { return std::string(as_text(*disk.names.at(name))); };
  put("/data/ring", "garbage");
  put("/data/ring.bad-1", "older garbage");
  disk.fault = [](const std::string& step) -> std::optional<Error> {
    if (step == "rename") return Error(Errc::io, "Read-only file system");
    return std::nullopt;
  };
  auto folder = DataFolder::open(disk, "/data").value();
  const auto ring = load_ring(folder, kSelf);
  REQUIRE(ring);
  CHECK_FALSE(ring->has_value());
  CHECK_FALSE(folder.write(kRingFileName, file_of(6)));
  CHECK(text_of("/data/ring") == "garbage");
  disk.fault = {};
  CHECK(folder.write(kRingFileName, file_of(6)));
  CHECK(text_of("/data/ring.bad-1") == "older garbage");
  CHECK(text_of("/data/ring.bad-2") == "garbage");
  CHECK((*load_ring(folder, kSelf))->boot == 6);
}

TEST_CASE("data folder: another node's ring, and one that cannot be read, stop the start and stay") {
  PaperDisk disk;
  auto folder = DataFolder::open(disk, "/data").value();
  REQUIRE(folder.write(kRingFileName, file_of(5)));
  const auto foreign = load_ring(folder, "bar");
  REQUIRE_FALSE(foreign);
  CHECK(foreign.error().code() == Errc::invalid_argument);
  CHECK(foreign.error().message() == "the data directory /data belongs to node 'foo'");
  disk.fault = [](const std::string& step) -> std::optional<Error> {
    if (step == "read") return Error(Errc::io, "Input/output error");
    return std::nullopt;
  };
  CHECK(load_ring(folder, kSelf).error().code() == Errc::io);
  disk.fault = {};
  CHECK((*load_ring(folder, kSelf))->boot == 5);
}

TEST_CASE(
    "local disk: files are for their owner alone, names are not taken twice, and a folder has one process") {
  const TemporaryFolder place;
  auto& disk = local_disk();
  const auto path = place.path + "/deeper/data";
  {
    auto folder = DataFolder::open(disk, path);
    REQUIRE(folder);
    CHECK(DataFolder::open(disk, path).error().code() == Errc::already_exists);
    CHECK(folder->read("ring", 10).error().code() == Errc::not_found);
    REQUIRE(folder->write("ring", as_bytes("0123456789")));
    REQUIRE(folder->write("ring", as_bytes("9876543210")));
    CHECK(as_text(*folder->read("ring", 10)) == "9876543210");
    CHECK(folder->read("ring", 9).error().code() == Errc::too_large);
    struct stat status {};
    REQUIRE(::stat((path + "/ring").c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0600);
    REQUIRE(::stat(path.c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0700);
    CHECK(*folder->put_aside("ring") == "ring.bad-1");
    REQUIRE(folder->write("ring", as_bytes("x")));
    CHECK(*folder->put_aside("ring") == "ring.bad-2");
    CHECK(as_text(*folder->read("ring.bad-1", 99)) == "9876543210");
  }
  CHECK(DataFolder::open(disk, path));  // the lock went with the folder
  CHECK(DataFolder::open(disk, path + "/ring.bad-1").error().code() == Errc::io);
}

TEST_CASE("boot: greater than the last one, whatever the clock says") {
  const auto now = wall_from_micros(5'000'000);
  CHECK(next_boot(std::nullopt, now) == 5'000);
  CHECK(next_boot(ring_of(4'000), now) == 5'000);
  CHECK(next_boot(ring_of(5'000), now) == 5'001);
  CHECK(next_boot(ring_of(9'000), now) == 9'001);
  CHECK(next_boot(ring_of(proto::kCountMax), now) == proto::kCountMax);
  CHECK(next_boot(std::nullopt, wall_from_micros(-1)) == 1);
}

TEST_CASE(
    "save schedule: one write at a time, at once for who waits, else once in a period, and again after a "
    "failure") {
  SaveSchedule saves;
  Instant now{1h};
  CHECK(saves.next_deadline() == kNever);
  CHECK_FALSE(saves.begin(now));
  CHECK(saves.number() == saves.ended());

  saves.on_change(now, false);
  CHECK(saves.number() == saves.ended() + 1);
  CHECK(saves.begin(now));  // the first is not held back
  for (int i = 0; i < 1000; ++i) {
    saves.on_change(now, true);
    CHECK_FALSE(saves.begin(now));  // one is under way
    CHECK(saves.next_deadline() == kNever);
  }
  CHECK(saves.number() == 2);  // one more will hold them all
  saves.on_end(now, true);
  CHECK(saves.ended() == 1);
  CHECK(saves.begin(now));  // somebody waits
  saves.on_end(now, true);
  CHECK(saves.ended() == 2);

  saves.on_change(now, false);
  CHECK(saves.next_deadline() == now + SaveSchedule::kPeriod);
  CHECK_FALSE(saves.begin(now + SaveSchedule::kPeriod - 1ns));
  saves.on_change(now, true);  // now somebody does
  CHECK(saves.next_deadline() == now);
  CHECK(saves.begin(now));
  saves.on_end(now, false);
  CHECK(saves.ended() == 3);
  CHECK(saves.number() == 4);
  CHECK(saves.next_deadline() == now + SaveSchedule::kRetryPeriod);
  saves.on_end(now, false);  // of nothing
  CHECK(saves.ended() == 3);
}

TEST_CASE(
    "data writer: what was given before the end is written, the newest of each file, and each asker is "
    "told") {
  const QuietLog quiet;
  PaperDisk disk;
  std::promise<void> may_write;
  std::shared_future<void> may = may_write.get_future().share();
  std::atomic<int> syncs = 0;
  disk.fault = [&](const std::string& step) -> std::optional<Error> {
    if (step == "create") may.wait();
    if (step == "sync") ++syncs;
    return std::nullopt;
  };
  std::atomic<int> told = 0;
  {
    DataWriter writer(DataFolder::open(disk, "/data").value());
    for (std::uint64_t boot = 1; boot <= 100; ++boot)
      writer.write(kRingFileName, file_of(boot), [&](const Result<void>& result) { told += result ? 1 : 0; });
    may_write.set_value();
  }
  CHECK(told == 100);
  CHECK(syncs <= 2);
  for (const auto& names : disk.after_crash(0)) CHECK(boot_found(names) == 100);
}

TEST_CASE("data writer: failures are told to who asked, counted, and warned of once, until it works again") {
  std::atomic<int> warnings = 0;
  log::set_sink(
      [&](log::Level level, std::string_view, std::string_view) { warnings += level == log::Level::warn; });
  {
    PaperDisk disk;
    std::atomic<bool> is_full = true;
    disk.fault = [&](const std::string& step) -> std::optional<Error> {
      if (step == "write" && is_full) return full();
      return std::nullopt;
    };
    DataWriter writer(DataFolder::open(disk, "/data").value());
    const auto write = [&](std::uint64_t boot) {
      std::promise<std::string> outcome;
      writer.write(kRingFileName, file_of(boot), [&](const Result<void>& result) {
        outcome.set_value(result ? "" : result.error().message());
      });
      return outcome.get_future().get();
    };
    for (int i = 0; i < 10; ++i) CHECK(write(1) == "No space left on device");
    CHECK(writer.status().failures == 10);
    CHECK(writer.status().error == "No space left on device");
    CHECK(warnings == 1);
    is_full = false;
    CHECK(write(2).empty());
    CHECK(writer.status().error.empty());
    CHECK(writer.status().writes == 1);
    writer.stop();
    CHECK(write(3) == "the node is stopping");
  }
  log::set_sink([](log::Level, std::string_view, std::string_view) {});
}
