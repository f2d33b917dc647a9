#include "session.hpp"

#include <doctest/doctest.h>

#include <deque>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>

#include "cluster/base/bytes.hpp"
#include "cluster/proto/access_token.hpp"
#include "cluster/proto/keyring.hpp"

namespace cluster::cli {
namespace {

using Json = nlohmann::ordered_json;

/// What the fake node gets and gives.
struct Script {
  std::deque<Result<Json>> replies;
  Result<Duration> pong = Duration(1ms);
  std::vector<proto::CommandRequest> asked;
  std::optional<Error> cannot_connect;
  int connects = 0;
  Boot boot{};
  Bytes key_added{};
  std::function<Result<Bytes>(std::string_view, std::string_view, ByteView)> call{};
};

class FakeConnection final : public Connection {
 public:
  explicit FakeConnection(Script& script) : script_(script) {}
  std::string node() const override { return "foo"; }
  Boot boot() const override { return script_.boot; }
  Result<Json> run(const proto::CommandRequest& request, Duration) override {
    script_.asked.push_back(request);
    auto reply = std::move(script_.replies.front());
    script_.replies.pop_front();
    return reply;
  }
  Result<Json> add_key(ByteView key, Duration timeout) override {
    script_.key_added.assign(key.begin(), key.end());
    return run({.name = "key", .args = {"add"}}, timeout);
  }
  Result<Bytes> call(std::string_view server, std::string_view event, ByteView payload, Duration) override {
    return script_.call(server, event, payload);
  }
  Result<Duration> ping(Duration) override { return script_.pong; }

 private:
  Script& script_;
};

struct Fixture {
  explicit Fixture(bool json = true)
      : session(
            {.json = json, .timeout = 1s},
            [this]() -> Result<std::unique_ptr<Connection>> {
              ++script.connects;
              if (script.cannot_connect) return *script.cannot_connect;
              return std::unique_ptr<Connection>(std::make_unique<FakeConnection>(script));
            },
            out, err) {}

  void will_answer(const char* json) { script.replies.emplace_back(Json::parse(json)); }

  Script script;
  std::ostringstream out;
  std::ostringstream err;
  Session session;
};

std::size_t lines(const std::string& text) {
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

TEST_CASE(
    "session: the cookie of 'key add' is read from a file or from standard input, and only its key goes on") {
  const std::string cookie = "a cookie that is made for this test";
  const auto key = hex(proto::Keyring::from_cookies({cookie}).value().key(0));
  const auto path = (std::filesystem::temp_directory_path() / "cluster-session-test.cookie").string();
  std::ofstream(path) << cookie << '\n';
  Fixture f;
  f.will_answer(R"({"ok":true,"data":[]})");
  CHECK(f.session.run_line("key add " + path) == Exit::ok);
  std::filesystem::remove(path);
  CHECK(hex(f.script.key_added) == key);
  CHECK(f.script.asked[0].args == std::vector<std::string>{"add"});

  // A session has its commands on standard input: a cookie would be one of them.
  CHECK(f.session.run_line("key add") == Exit::usage);
  CHECK(f.session.run_line("key add -") == Exit::usage);
  CHECK(f.session.run_line("key add " + path) == Exit::usage);  // it is gone
  CHECK(lines(f.err.str()) == 3);

  Fixture with_input;
  Session session(
      {.json = true, .timeout = 1s, .read_input = [&] { return Result<std::string>(cookie + "\n"); }},
      [&]() -> Result<std::unique_ptr<Connection>> {
        return std::unique_ptr<Connection>(std::make_unique<FakeConnection>(with_input.script));
      },
      with_input.out, with_input.err);
  with_input.will_answer(R"({"ok":true,"data":[]})");
  CHECK(session.run_line("key add") == Exit::ok);
  CHECK(hex(with_input.script.key_added) == key);
  CHECK(with_input.out.str().find(cookie) == std::string::npos);
}

TEST_CASE("session: a reply is one line of JSON with the shape the node gave") {
  Fixture f;
  f.will_answer(R"({"ok":true,"data":{"id":"foo","host":"localhost","port":7022}})");
  CHECK(f.session.run_line("get foo") == Exit::ok);
  CHECK(f.out.str() ==
        "{\"ok\": true, \"data\": {\"id\": \"foo\", \"host\": \"localhost\", \"port\": 7022}}\n");
  CHECK(f.err.str().empty());
  REQUIRE(f.script.asked.size() == 1);
  CHECK(f.script.asked[0] == proto::CommandRequest{.name = "get", .args = {"foo"}});
}

TEST_CASE("session: a drill that is waited for is begun, followed to its end, and its report is the answer") {
  constexpr const char* kBegun = R"({"ok":true,"data":{"drill":"d1"}})";
  constexpr const char* kCut = R"({"ok":true,"data":{"drill":"d1","phase":"cut","finished":false}})";
  constexpr const char* kDone = R"({"ok":true,"data":{"drill":"d1","phase":"done","finished":true}})";
  const proto::CommandRequest begin{.name = "drill", .args = {"partition", "a | b"}, .for_ms = 5000};
  const proto::CommandRequest ask{.name = "drill", .args = {"report"}, .wait = true};
  for (const bool json : {true, false}) {
    CAPTURE(json);
    Fixture f(json);
    for (const auto* reply : {kBegun, kCut, kCut, kDone}) f.will_answer(reply);
    CHECK(f.session.run_line("drill partition a | b --for 5s --wait") == Exit::ok);
    CHECK(f.script.asked == std::vector{begin, ask, ask, ask});
    if (json)
      CHECK(f.out.str() ==
            "{\"ok\": true, \"data\": {\"drill\": \"d1\", \"phase\": \"done\", \"finished\": true}}\n");
    else
      CHECK(f.out.str().starts_with("the drill has begun\ndrill d1: cut\ndrill     d1\n"));
  }
  Fixture waits;
  waits.will_answer(kDone);
  CHECK(waits.session.run_line("drill report --wait") == Exit::ok);
  CHECK(waits.script.asked == std::vector{ask});
  Fixture refused;
  refused.will_answer(R"({"ok":false,"error":{"message":"no","code":"refused","executed":"no"}})");
  CHECK(refused.session.run_line("drill partition a|b --wait") == Exit::refused);
  CHECK(refused.script.asked.size() == 1);
  Fixture lost;
  lost.will_answer(kBegun);
  lost.script.replies.emplace_back(Error(Errc::peer_lost, "gone"));
  CHECK(lost.session.run_line("drill partition a|b --wait") == Exit::unknown);
}

TEST_CASE("session: flags reach the node") {
  Fixture f;
  f.will_answer(R"({"ok":true})");
  CHECK(f.session.run_line("insert -w 7 bar localhost 7023 --wait -f") == Exit::ok);
  CHECK(f.out.str() == "{\"ok\": true}\n");
  CHECK(f.script.asked[0].weight == 7);
  CHECK(f.script.asked[0].wait);
  CHECK(f.script.asked[0].force);
}

TEST_CASE("session: a refusal is exit code 1, as JSON on out or a line on err") {
  const char* refusal = R"({"ok":false,"error":{"message":"'bar' is not defined in this ring.",)"
                        R"("code":"not_found","executed":"no"}})";
  Fixture json;
  json.will_answer(refusal);
  CHECK(json.session.run_line("get bar") == Exit::refused);
  CHECK(json.out.str() ==
        "{\"ok\": false, \"error\": {\"message\": \"'bar' is not defined in this ring.\", "
        "\"code\": \"not_found\", \"executed\": \"no\"}}\n");
  CHECK(json.err.str().empty());

  Fixture person(false);
  person.will_answer(refusal);
  CHECK(person.session.run_line("get bar") == Exit::refused);
  CHECK(person.out.str().empty());
  CHECK(person.err.str() == "error: 'bar' is not defined in this ring.\n");
}

TEST_CASE("session: a refusal that may have happened is exit code 4") {
  Fixture f;
  f.will_answer(R"({"ok":false,"error":{"message":"no answer","code":"timeout","executed":"unknown"}})");
  CHECK(f.session.run_line("call counter@bar get") == Exit::unknown);
}

TEST_CASE("session: wrong usage is exit code 2 and one line, and connects to nobody") {
  Fixture f;
  for (const char* line : {"bogus", "get", "get a b", "insert bar localhost x", "minsert a b 1 c", "get 'a",
                           "nodes --force", "help bogus", "call counter add {n}"}) {
    CAPTURE(line);
    f.err.str("");
    CHECK(f.session.run_line(line) == Exit::usage);
    CHECK(lines(f.err.str()) == 1);
    CHECK(f.err.str().starts_with("cluster-cli: "));
  }
  CHECK(f.out.str().empty());
  CHECK(f.script.connects == 0);
}

TEST_CASE("session: who leaves is asked again while it hands over, for so long as it may take") {
  constexpr const char* kNotYet =
      R"({"ok":true,"data":{"draining":true,"drain":7,"left":3,"text":"3 keys are left"}})";
  Fixture f;
  f.will_answer(kNotYet);
  f.will_answer(kNotYet);
  f.will_answer(R"({"ok":true})");
  CHECK(f.session.run_line("leave --drain-timeout 90s") == Exit::ok);
  CHECK(f.out.str() == "{\"ok\": true}\n");
  CHECK(f.err.str().empty());  // no terminal
  REQUIRE(f.script.asked.size() == 3);
  CHECK(f.script.asked.front().drain == 0);
  for (const auto& asked : f.script.asked) {
    CHECK(asked.follow);
    CHECK((&asked == &f.script.asked.front() || asked.drain == 7));
    REQUIRE(asked.drain_ms);
    CHECK(*asked.drain_ms <= 90'000);
    CHECK(*asked.drain_ms > 80'000);
  }
  Fixture forced;
  forced.will_answer(R"({"ok":true})");
  CHECK(forced.session.run_line("leave -f") == Exit::ok);
  CHECK_FALSE(forced.script.asked.at(0).follow);
  Fixture late;
  late.will_answer(kNotYet);
  late.will_answer(R"({"ok":false,"error":{"message":"no","code":"timeout","executed":"no"}})");
  CHECK(late.session.run_line("remove foo") == Exit::refused);
}

TEST_CASE("session: JSON of call is checked before it is sent") {
  Fixture f;
  CHECK(f.session.run_line("call counter add abc") == Exit::usage);
  CHECK(f.err.str() == "cluster-cli: call: 'abc' is not JSON (a text needs quotes: '\"text\"')\n");
  f.will_answer(R"({"ok":true,"data":3})");
  CHECK(f.session.run_line(R"(call counter add {"n": 3})") == Exit::ok);
  CHECK(f.script.asked[0].args.back() == R"({"n": 3})");
}

TEST_CASE("session: no connection is exit code 3, no cookie 2") {
  Fixture f;
  f.script.cannot_connect = Error(Errc::wrong_cookie, "the cookie is not that of the node");
  CHECK(f.session.run_line("nodes") == Exit::no_node);
  CHECK(f.err.str() == "cluster-cli: the cookie is not that of the node\n");
  f.script.cannot_connect = Error(Errc::timeout, "no answer");
  CHECK(f.session.run_line("nodes") == Exit::no_node);
  f.script.cannot_connect = Error(Errc::invalid_argument, "no cookie");
  CHECK(f.session.run_line("nodes") == Exit::usage);
}

TEST_CASE("session: a lost connection is exit code 4, and the next command connects anew") {
  Fixture f;
  f.script.replies.emplace_back(Error(Errc::peer_lost, "the connection ended"));
  CHECK(f.session.run_line("leave") == Exit::unknown);
  f.will_answer(R"({"ok":true})");
  CHECK(f.session.run_line("leave") == Exit::ok);
  CHECK(f.script.connects == 2);
}

TEST_CASE("session: a timeout is exit code 4 and keeps the connection") {
  Fixture f;
  f.script.replies.emplace_back(Error(Errc::timeout, "no answer within 1 s"));
  CHECK(f.session.run_line("nodes") == Exit::unknown);
  f.will_answer(R"({"ok":true,"data":[]})");
  CHECK(f.session.run_line("nodes") == Exit::ok);
  CHECK(f.script.connects == 1);
}

TEST_CASE("session: ping asks the kernel, not the command server") {
  Fixture f;
  CHECK(f.session.run_line("ping") == Exit::ok);
  CHECK(f.out.str() == "{\"ok\": true, \"data\": \"pong\"}\n");
  CHECK(f.script.asked.empty());
  f.script.pong = Error(Errc::timeout, "no pong");
  CHECK(f.session.run_line("ping") == Exit::unknown);
}

TEST_CASE("session: an answer that is no reply is refused in one line") {
  for (const char* odd : {"[]", "3", "{}", R"({"ok":1})", "null"}) {
    CAPTURE(odd);
    Fixture f;
    f.will_answer(odd);
    CHECK(f.session.run_line("nodes") == Exit::refused);
    CHECK(lines(f.err.str()) == 1);
  }
  Fixture f;
  f.will_answer(R"({"ok":false})");
  CHECK(f.session.run_line("nodes") == Exit::refused);
}

TEST_CASE("session: a person gets a table, or a plain ok") {
  Fixture f(false);
  f.will_answer(R"({"ok":true,"data":[{"id":"foo","host":"localhost","port":7022}]})");
  f.will_answer(R"({"ok":true})");
  CHECK(f.session.run_line("nodes") == Exit::ok);
  CHECK(f.session.run_line("leave") == Exit::ok);
  CHECK(f.out.str() == "ID   HOST       PORT\nfoo  localhost  7022\nok\n");
}

TEST_CASE("session: following events asks for those after the last one shown, each on a line of its own") {
  for (const bool json : {true, false}) {
    CAPTURE(json);
    Fixture f(json);
    f.will_answer(R"({"ok":true,"data":[{"seq":7,"time_ms":1,"event":"node_up","id":"bar"},)"
                  R"({"seq":8,"time_ms":2,"event":"node_down","id":"bar","state":"stopped"}]})");
    f.will_answer(R"({"ok":true,"data":[]})");
    f.will_answer(R"({"ok":true,"data":[{"seq":9,"time_ms":3,"event":"ring_left"}]})");
    f.script.replies.emplace_back(Error(Errc::peer_lost, "gone"));
    CHECK(f.session.run_line("events --follow") == Exit::unknown);
    CHECK(f.out.str() ==
          (json ? "{\"seq\": 7, \"time_ms\": 1, \"event\": \"node_up\", \"id\": \"bar\"}\n"
                  "{\"seq\": 8, \"time_ms\": 2, \"event\": \"node_down\", \"id\": \"bar\", \"state\": "
                  "\"stopped\"}\n"
                  "{\"seq\": 9, \"time_ms\": 3, \"event\": \"ring_left\"}\n"
                : "7  node_up  id: bar\n8  node_down  id: bar, state: stopped\n9  ring_left  -\n"));
    REQUIRE(f.script.asked.size() == 4);
    CHECK(f.script.asked[0].follow);
    CHECK(f.script.asked[0].args.empty());
    CHECK(f.script.asked[1].args == std::vector<std::string>{"8"});
    CHECK(f.script.asked[2].args == std::vector<std::string>{"8"});
    CHECK(f.script.asked[3].args == std::vector<std::string>{"9"});
  }
}

TEST_CASE(
    "session: a node that is followed and was lost is looked for, and its events go on behind the last one") {
  for (const bool restarted : {false, true}) {
    std::ostringstream out, err;
    Script script;
    int opened = 0;
    int waited = 0;
    Session session(
        {.json = true, .try_again = [&](Duration) { return ++waited < 6; }},
        [&]() -> Result<std::unique_ptr<Connection>> {
          ++opened;
          if (opened == 2 || opened > 3) return Error(Errc::unreachable, "no node");
          if (restarted && opened == 3) script.boot = {.number = 2};
          return std::unique_ptr<Connection>(std::make_unique<FakeConnection>(script));
        },
        out, err);
    script.replies.emplace_back(Json::parse(R"({"ok":true,"data":[{"seq":7,"event":"node_up"}]})"));
    script.replies.emplace_back(Error(Errc::timeout, "no answer"));
    script.replies.emplace_back(Json::parse(R"({"ok":true,"data":[{"seq":8,"event":"ring_left"}]})"));
    script.replies.emplace_back(
        Json::parse(R"({"ok":false,"error":{"code":"stopped","message":"it stops"}})"));
    CHECK(session.run_line("events --follow") == Exit::refused);
    CHECK(waited == 6);
    CHECK(script.asked.at(2).args == std::vector<std::string>(restarted ? 0 : 1, "7"));
    CHECK(script.asked.size() == 4);
    CHECK(err.str().find("found") != std::string::npos);
  }
}

TEST_CASE("session: the token is that of the cookie, and needs no node") {
  std::ostringstream out, err;
  Result<std::string> cookie = std::string("a cookie that is made for this test");
  Session session(
      {.json = true, .find_cookie = [&] { return cookie; }},
      []() -> Result<std::unique_ptr<Connection>> { return Error(Errc::unreachable, "no node"); }, out, err);
  CHECK(session.run_line("token") == Exit::ok);
  const auto token = proto::access_token(proto::Keyring::from_cookies({cookie.value()}).value().key(0));
  CHECK(out.str() == R"({"ok": true, "data": ")" + token + "\"}\n");
  cookie = Error(Errc::invalid_argument, "no cookie");
  CHECK(session.run_line("token") == Exit::usage);
  CHECK(err.str() == "cluster-cli: no cookie\n");
}

TEST_CASE("session: help, keygen and exit need no node") {
  Fixture f;
  CHECK(f.session.run_line("help") == Exit::ok);
  CHECK(f.session.run_line("help insert") == Exit::ok);
  CHECK(f.out.str().find("insert ID HOST PORT [-f]") != std::string::npos);
  f.out.str("");
  CHECK(f.session.run_line("keygen") == Exit::ok);
  CHECK(f.out.str().size() == 45);
  CHECK(!f.session.ended());
  CHECK(f.session.run_line("exit") == Exit::ok);
  CHECK(f.session.ended());
  CHECK(f.session.run_line("  ") == Exit::ok);
  CHECK(f.script.connects == 0);
}

}  // namespace
}  // namespace cluster::cli
