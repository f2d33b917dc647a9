#include "file_command.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "cluster/base/rng.hpp"
#include "cluster/proto/file_tree.hpp"
#include "progress.hpp"
#include "random_bytes.hpp"

namespace cluster::cli {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using cluster::testing::random_bytes;

/// The server `files`, in memory, and what is wrong with it or the way to it.
struct FakeFiles {
  std::map<std::string, proto::FileHead> heads;
  std::map<std::string, proto::FileUploadId> drafts;
  std::map<std::pair<proto::FileUploadId, proto::FileHash>, Bytes> blobs;
  std::uint8_t uploads = 0;
  std::uint64_t bytes_stored = 0;
  int stores_until_death = -1;  // -1: lives
  int failures = 0;             // of the next calls
  int lost_answers = 0;         // of the next commits, which are done
  int connects = 0;

  template <class M>
  static Result<Bytes> run(ByteView payload, auto&& handler) {
    const auto message = wire::decode<M>(payload);
    if (!message) return message.error();
    Result<typename M::reply> reply = handler(*message);
    if (!reply) return reply.error();
    return wire::encode(*reply);
  }

  Result<Bytes> call(std::string_view event, ByteView payload) {
    if (failures > 0 && failures-- > 0) return Error(Errc::peer_lost, "the connection broke");
    if (event == "begin")
      return run<proto::FileBegin>(payload, [&](const auto& m) -> Result<proto::FileBegin::Answer> {
        const bool resumes = drafts.contains(m.name);
        if (!resumes) drafts[m.name] = {++uploads};
        return proto::FileBegin::Answer{drafts[m.name], resumes};
      });
    if (event == "missing")
      return run<proto::FileMissing>(payload, [&](const auto& m) -> Result<std::vector<bool>> {
        std::vector<bool> lacks;
        for (const auto& hash : m.hashes) lacks.push_back(!blobs.contains({m.upload, hash}));
        return lacks;
      });
    if (event == "store")
      return run<proto::FileStoreBlobs>(payload, [&](const auto& m) -> Result<std::uint64_t> {
        if (stores_until_death == 0) return Error(Errc::unreachable, "too few replicas");
        if (stores_until_death > 0) --stores_until_death;
        std::size_t bytes = 0;
        for (const auto& blob : m.blobs) {
          CHECK(proto::check_blob(blob.hash, blob.data));
          bytes += blob.data.size();
          blobs[{m.upload, blob.hash}] = blob.data;
        }
        CHECK((bytes <= proto::kFileBatchBytes || m.blobs.size() == 1));
        bytes_stored += bytes;
        return std::uint64_t{m.blobs.size()};
      });
    if (event == "commit")
      return run<proto::FileCommit>(payload, [&](const auto& m) -> Result<proto::FileHead> {
        drafts.erase(m.name);
        heads[m.name] = m.head;
        if (lost_answers > 0 && lost_answers-- > 0) return Error(Errc::timeout, "no answer in time");
        return m.head;
      });
    if (event == "stat")
      return run<proto::FileStat>(payload, [&](const auto& m) -> Result<proto::FileHead> {
        if (!heads.contains(m.name)) return Error(Errc::not_found, "there is no such file");
        return heads[m.name];
      });
    if (event == "fetch")
      return run<proto::FileFetch>(payload, [&](const auto& m) -> Result<std::vector<Bytes>> {
        std::vector<Bytes> found;
        for (const auto& hash : m.hashes) found.push_back(blobs.at({m.upload, hash}));
        return found;
      });
    return Error(Errc::bad_message, "no such event");
  }
};

class FakeLink final : public Connection {
 public:
  explicit FakeLink(FakeFiles& files) : files_(files) {}
  std::string node() const override { return "foo"; }
  Boot boot() const override { return {}; }
  Result<Json> run(const proto::CommandRequest&, Duration) override {
    return Error(Errc::internal, "not asked");
  }
  Result<Json> add_key(ByteView, Duration) override { return Error(Errc::internal, "not asked"); }
  Result<Bytes> call(std::string_view server, std::string_view event, ByteView payload, Duration) override {
    CHECK(server == "files");
    return files_.call(event, payload);
  }
  Result<Duration> ping(Duration) override { return Duration(1ms); }

 private:
  FakeFiles& files_;
};

struct Files {
  Files() : folder(fs::temp_directory_path() / ("cluster-files-" + std::to_string(::getpid()))) {
    fs::remove_all(folder);
    fs::create_directory(folder);
  }
  ~Files() { fs::remove_all(folder); }

  /// The reply, and "usage" for a command line that is refused.
  Json run(std::vector<std::string> words, bool force = false) {
    proto::CommandRequest request{.name = "file", .args = std::move(words), .force = force};
    FileService service(connect, connection, 300ms);
    FileCommand command(service, {.out = out});
    auto reply = command.run(request);
    if (!reply) return "usage";
    return *reply ? **reply : Json("written");
  }
  std::string path(const std::string& name) const { return (folder / name).string(); }
  void write(const std::string& name, ByteView content) const {
    std::ofstream(path(name), std::ios::binary) << as_text(content);
  }
  std::string read(const std::string& name) const {
    std::ifstream file(path(name), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  std::vector<std::string> names() const {
    std::vector<std::string> found;
    for (const auto& entry : fs::directory_iterator(folder)) found.push_back(entry.path().filename());
    std::ranges::sort(found);
    return found;
  }

  FakeFiles server;
  Connector connect = [this]() -> Result<std::unique_ptr<Connection>> {
    ++server.connects;
    return std::unique_ptr<Connection>(std::make_unique<FakeLink>(server));
  };
  std::unique_ptr<Connection> connection;
  std::ostringstream out;
  fs::path folder;
};

TEST_CASE("file command: a put that broke off sends only what is missing, and what occurs twice once") {
  Files f;
  auto content = random_bytes(1, 10 * proto::kFileChunkBytes + 7);
  f.write("in", content);
  f.server.stores_until_death = 1;
  CHECK(f.run({"put", f.path("in"), "x"})["error"]["code"] == "unreachable");
  CHECK(f.server.heads.empty());
  const auto sent_before = f.server.bytes_stored;
  CHECK(sent_before == 4 * proto::kFileChunkBytes);
  f.server.stores_until_death = -1;
  const auto reply = f.run({"put", f.path("in"), "x"});
  CHECK(reply["data"]["size"] == content.size());
  CHECK(f.server.bytes_stored - sent_before == content.size() - sent_before + 11 * 32);
  CHECK(reply["data"]["sent"] == f.server.bytes_stored - sent_before);

  f.write("zeros", Bytes(20 * proto::kFileChunkBytes));
  CHECK(f.run({"put", f.path("zeros")})["data"]["sent"] == proto::kFileChunkBytes + 20 * 32);
}

TEST_CASE("file command: an error says whether there is a file, and not whether a question was answered") {
  Files f;
  f.write("in", random_bytes(9, 1000));
  const auto executed = [&](std::vector<std::string> words) {
    return f.run(std::move(words))["error"]["executed"].get<std::string>();
  };
  f.server.stores_until_death = 0;
  CHECK(executed({"put", f.path("in"), "x"}) == "no");
  f.server.stores_until_death = -1;
  f.server.lost_answers = 1'000'000;
  CHECK(executed({"put", f.path("in"), "x"}) == "unknown");
  f.server.failures = 1'000'000;
  CHECK(executed({"put", f.path("in"), "x"}) == "no");  // it did not get that far
  CHECK(executed({"stat", "x"}) == "no");
  CHECK(executed({"rm", "x"}) == "unknown");
}

TEST_CASE("file command: a connection that breaks is made anew, and the question asked again") {
  Files f;
  f.write("in", random_bytes(2, 3'000'000));
  f.server.failures = 2;
  CHECK(f.run({"put", f.path("in")})["ok"] == true);
  CHECK(f.server.connects == 3);
  f.server.failures = 1'000'000;
  CHECK(f.run({"get", "in", f.path("out")})["error"]["code"] == "peer_lost");
  CHECK(f.names() == std::vector<std::string>{"in"});
}

TEST_CASE(
    "file command: a get goes on with what is right of its hidden file, whatever is wrong with the rest") {
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    CAPTURE(seed);
    Files f;
    Rng rng(seed);
    const auto content = random_bytes(seed, 6 * proto::kFileChunkBytes + 99);
    f.write("in", content);
    CHECK(f.run({"put", f.path("in"), "x"})["ok"] == true);
    fs::remove(f.path("in"));
    // The blob of one chunk is away: the get ends there, with the hidden file behind it.
    const auto gone =
        crypto::sha256(ByteView(content).subspan(5 * proto::kFileChunkBytes, proto::kFileChunkBytes));
    const auto key = std::pair(f.server.heads["x"].upload, gone);
    const auto kept = std::exchange(f.server.blobs[key], Bytes{1});
    CHECK(f.run({"get", "x", f.path("out")})["error"]["code"] == "corrupt");
    REQUIRE(f.names().size() == 1);
    const auto hidden = f.names().front();
    CHECK(hidden.ends_with(".part"));
    f.server.blobs[key] = kept;
    {
      std::fstream file(f.path(hidden), std::ios::in | std::ios::out | std::ios::binary);
      file.seekp(static_cast<std::streamoff>(rng.below(fs::file_size(f.path(hidden)))));
      file << "damage";
      if (seed % 2 == 0) {  // longer than the file
        file.seekp(static_cast<std::streamoff>(content.size() + 1000));
        file << "more";
      }
    }
    const auto reply = f.run({"get", "x", f.path("out")});
    CHECK(reply["ok"] == true);
    CHECK(reply["data"]["received"] < content.size());
    CHECK(f.read("out") == as_text(content));
    CHECK(f.names() == std::vector<std::string>{"out"});
  }
}

TEST_CASE("file command: what is there is replaced only if that is asked for, and folders never") {
  Files f;
  f.write("in", random_bytes(3, 1000));
  CHECK(f.run({"put", f.path("in"), "x"})["ok"] == true);
  f.write("out", as_bytes("old"));
  CHECK(f.run({"get", "x", f.path("out")})["error"]["code"] == "already_exists");
  CHECK(f.read("out") == "old");
  CHECK(f.run({"get", "x", f.path("out")}, true)["ok"] == true);
  CHECK(f.read("out") == f.read("in"));
  CHECK(f.run({"get", "x", f.folder.string()}, true)["error"]["code"] == "already_exists");
  fs::create_symlink("nowhere", f.path("link"));
  CHECK(f.run({"get", "x", f.path("link")})["error"]["code"] == "already_exists");
  CHECK(f.run({"get", "x", f.path("no/folder")})["error"]["code"] == "io");
  CHECK(f.run({"put", f.path("absent")})["error"]["code"] == "io");
  CHECK(f.run({"put", f.folder.string(), "x"})["error"]["code"] == "io");
}

TEST_CASE("file command: a hidden file that somebody else laid there is not written to") {
  Files f;
  f.write("in", random_bytes(4, 1000));
  CHECK(f.run({"put", f.path("in"), "x"})["ok"] == true);
  f.server.blobs.begin()->second.pop_back();
  CHECK(f.run({"get", "x", f.path("out")})["error"]["code"] == "corrupt");
  const auto hidden = f.names().front();
  REQUIRE(hidden.ends_with(".part"));
  f.write("victim", as_bytes("untouched"));
  for (const bool symbolic : {true, false}) {
    CAPTURE(symbolic);
    fs::remove(f.path(hidden));
    if (symbolic)
      fs::create_symlink(f.path("victim"), f.path(hidden));
    else
      fs::create_hard_link(f.path("victim"), f.path(hidden));
    CHECK(f.run({"get", "x", f.path("out")})["error"]["code"] == "io");
    CHECK(f.read("victim") == "untouched");
  }
}

TEST_CASE("file command: names that are none, or no names for a file here, are refused as usage") {
  Files f;
  const std::string ours = f.path("in");
  f.write("in", {});
  CHECK(f.run({"put", ours, ""}) == "usage");
  CHECK(f.run({"put", ours, ".."}) == "usage");
  CHECK(f.run({"put", ours, std::string(256, 'x')}) == "usage");
  CHECK(f.run({"put", "-"}) == "usage");
  CHECK(f.run({"put", "-", "x"}) == "usage");  // this one may not read standard input
  CHECK(f.run({"get", "../x"}) == "usage");
  CHECK(f.run({"get", "-"}) == "usage");
  CHECK(f.server.connects == 0);
}

TEST_CASE("progress: a line tells the part, the speed and the time that is left") {
  CHECK(progress_line("a", 0, 0, 1s) == "a  100 % [####################]  0 B of 0 B, 0 B/s");
  CHECK(progress_line("big\x1b[2J", 512u << 20, 1u << 30, 8s) ==
        "big\\x1b[2J   50 % [##########----------]  512.0 MiB of 1.0 GiB, 64.0 MiB/s, 0:08 left");
  CHECK(progress_line("-", 1'500'000, std::nullopt, 1s) == "-  1.4 MiB, 1.4 MiB/s");
  CHECK(progress_line(std::string(30, 'x'), 1, 2, 0s).starts_with(std::string(21, 'x') + "...  "));
  CHECK(progress_line("a", 1, 40'001, 1s).ends_with("11 h 06 min left"));
  CHECK(bytes_text(1023) == "1023 B");
  CHECK(bytes_text(1024) == "1.0 KiB");
  CHECK(bytes_text((1u << 20) - 1) == "1.0 MiB");
  CHECK(bytes_text(~std::uint64_t{0}) == "16.0 EiB");
}

}  // namespace
}  // namespace cluster::cli
