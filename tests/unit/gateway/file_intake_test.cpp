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
  std::optional<Error> failure{};  // of the next commits
};

class TestFiles : public GenServer<TestFiles, proto::FileBegin, proto::FileStoreBlobs, proto::FileCommit,
                                   proto::FileAbandon> {
 public:
  explicit TestFiles(FileCalls* calls) : calls_(calls) {}

  Result<proto::FileBegin::Answer> handle_call(const proto::FileBegin&) {
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

 private:
  FileCalls* calls_;
};

TEST_CASE(
    "file intake: an attempt whose end has certainly failed is given up, one that may be a file is not") {
  FileCalls calls;
  NodeConfig node_config{.id = "foo", .host = "127.0.0.1", .port = 0, .cookie = "a cookie for tests"};
  node_config.scrypt = net::Keyring::cost_for_tests();
  Node node = Node::start(std::move(node_config)).value();
  REQUIRE(node.spawn<TestFiles>({.name = "files"}, &calls));
  GatewayConfig config;
  config.endpoint = {"127.0.0.1", 0};
  config.token = "a-token-for-tests-only";
  auto gateway = Gateway::start(node, std::move(config)).value();
  const auto put = [&] {
    SocketClient client(gateway.endpoint().port);
    client.send(
        "PUT /v1/files/x HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer a-token-for-tests-only\r\n"
        "Content-Length: 5\r\n\r\nhello");
    return client.read_until("\r\n").substr(9, 3);
  };
  CHECK(put() == "200");
  calls.failure = Error(Errc::timeout, "no answer in time");
  CHECK(put() == "504");
  calls.failure = Error(Errc::refused, "another file");
  CHECK(put() == "412");
  CHECK(calls.abandoned == 0);
  calls.failure = Error(Errc::invalid_argument, "not all of it");
  CHECK(put() == "400");
  CHECK(eventually([&] { return calls.abandoned == 1; }));
  CHECK(calls.commits == 4);
}

}  // namespace
}  // namespace cluster::gateway
