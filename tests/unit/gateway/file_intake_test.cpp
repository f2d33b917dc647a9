// What becomes of an attempt to store a file that fails at its end, over real sockets; the server `files` is
// the test's.
#include <doctest/doctest.h>

#include <atomic>
#include <optional>
#include <string>

#include "cluster/gateway/gateway.hpp"
#include "cluster/proto/file.hpp"
#include "eventually.hpp"
#include "socket_client.hpp"

namespace cluster::gateway {
namespace {

using testing::eventually;

struct FileCalls {
  std::atomic<int> commits = 0, abandoned = 0;
  std::optional<Error> failure{};       // of the next commits
  std::optional<Error> failed_begin{};  // of the next attempts
};

class TestFiles : public GenServer<TestFiles, proto::FileBegin, proto::FileStoreBlobs, proto::FileCommit,
                                   proto::FileAbandon, proto::FileStat, proto::FileList> {
 public:
  static constexpr bool tells_outcome = true;
  explicit TestFiles(FileCalls* calls) : calls_(calls) {}

  Result<proto::FileBegin::Answer> handle_call(const proto::FileBegin&) {
    if (calls_->failed_begin) return *calls_->failed_begin;
    return proto::FileBegin::Answer{.upload = {1, 2, 3}};
  }
  Result<std::uint64_t> handle_call(const proto::FileStoreBlobs& store) { return store.blobs.size(); }
  Result<proto::FileHead> handle_call(const proto::FileCommit& commit) {
    ++calls_->commits;
    if (calls_->failure) return *calls_->failure;
    return commit.head;
  }
  Result<bool> handle_call(const proto::FileAbandon& abandon) {
    if (abandon.upload == proto::FileUploadId{1, 2, 3}) ++calls_->abandoned;
    return true;
  }
  Result<proto::FileHead> handle_call(const proto::FileStat&) { return Error(Errc::timeout, "late"); }
  Result<proto::FileList::Answer> handle_call(const proto::FileList&) { return Error(Errc::timeout, "late"); }

 private:
  FileCalls* calls_;
};

struct FileFixture {
  FileFixture() {
    NodeConfig node_config{.id = "foo", .host = "127.0.0.1", .port = 0, .cookie = "a cookie for tests"};
    node_config.scrypt = net::Keyring::cost_for_tests();
    node.emplace(Node::start(std::move(node_config)).value());
    REQUIRE(node->spawn<TestFiles>({.name = "files"}, &calls));
    GatewayConfig config;
    config.endpoint = {"127.0.0.1", 0};
    config.token = "a-token-for-tests-only";
    gateway.emplace(Gateway::start(*node, std::move(config)).value());
  }
  std::string request(const std::string& line, const std::string& rest, std::string_view until) {
    SocketClient client(gateway->endpoint().port);
    client.send(line + " HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer a-token-for-tests-only\r\n" +
                rest);
    return client.read_until(until);
  }
  std::string put() {
    return request("PUT /v1/files/x", "Content-Length: 5\r\n\r\nhello", "\r\n").substr(9, 3);
  }
  /// Of a request that fails.
  std::string executed(const std::string& line, const std::string& rest = "\r\n") {
    const auto answer = request(line, rest, "}}");
    const std::string field = "\"executed\":\"";
    const auto begin = answer.find(field) + field.size();
    return answer.substr(begin, answer.find('"', begin) - begin);
  }

  FileCalls calls;
  std::optional<Node> node;
  std::optional<Gateway> gateway;
};

TEST_CASE(
    "file intake: an attempt whose end has certainly failed is given up, one that may be a file is not") {
  FileFixture f;
  CHECK(f.put() == "200");
  f.calls.failure = Error(Errc::timeout, "no answer in time");
  CHECK(f.put() == "504");
  CHECK(f.calls.abandoned == 0);
  f.calls.failure = Error(Errc::refused, "another file", Executed::no);
  CHECK(f.put() == "412");
  CHECK(eventually([&] { return f.calls.abandoned == 1; }));
  f.calls.failure = Error(Errc::invalid_argument, "not all of it");
  CHECK(f.put() == "400");
  CHECK(eventually([&] { return f.calls.abandoned == 2; }));
  CHECK(f.calls.commits == 4);
}

TEST_CASE("file intake: what fails says whether there is a file, and not whether a server was asked") {
  FileFixture f;
  const std::string body = "Content-Length: 5\r\n\r\nhello";
  f.calls.failed_begin = Error(Errc::timeout, "perhaps it was noted");
  CHECK(f.executed("PUT /v1/files/x", body) == "no");
  f.calls.failed_begin = std::nullopt;
  f.calls.failure = Error(Errc::timeout, "perhaps it is there");
  CHECK(f.executed("PUT /v1/files/x", body) == "unknown");
  f.calls.failure = Error(Errc::unreachable, "too few", Executed::no);
  CHECK(f.executed("PUT /v1/files/x", body) == "no");
  CHECK(f.executed("GET /v1/files/x") == "no");
  CHECK(f.executed("GET /v1/files") == "no");
}

}  // namespace
}  // namespace cluster::gateway
