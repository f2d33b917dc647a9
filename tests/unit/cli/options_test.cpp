#include "options.hpp"

#include <doctest/doctest.h>

#include <cstdlib>

namespace cluster::cli {
namespace {

using Words = std::vector<std::string>;

std::string refusal(const Words& arguments) {
  const auto parsed = parse_cli_options(arguments);
  return parsed ? "accepted" : parsed.error().message();
}

TEST_CASE("options: without any, the CLI talks to localhost:7022 in a session") {
  const auto options = parse_cli_options({}).value();
  CHECK(options.common.endpoint == Endpoint{"localhost", 7022});
  CHECK(!options.common.instance);
  CHECK(!options.common.key);
  CHECK(options.words.empty());
  CHECK(!options.json);
  CHECK(options.timeout == 10s);
}

TEST_CASE("options: each spelling of the reference and ours is understood") {
  for (const Words& arguments :
       {Words{"-I", "foo", "-H", "example.org", "-p", "7023", "-a", "secret"},
        Words{"--instance", "foo", "--host", "example.org", "--port", "7023", "--key", "secret"},
        Words{"--instance=foo", "--hostname=example.org", "--port=7023", "--cookie=secret"}}) {
    const auto options = parse_cli_options(arguments).value();
    CHECK(options.common.instance == NodeId("foo"));
    CHECK(options.common.endpoint == Endpoint{"example.org", 7023});
    CHECK(options.common.key == "secret");
  }
}

TEST_CASE("options: connection options may follow the command, and its own flags stay with it") {
  const Words command{"insert", "-w", "7", "bar", "--wait", "localhost", "7024", "-f"};
  auto before = Words{"-p", "7023", "--json", "--timeout", "2.5"};
  before.insert(before.end(), command.begin(), command.end());
  auto behind = command;
  behind.insert(behind.end(), {"-p", "7023", "--json", "--timeout", "2.5"});
  for (const auto& arguments : {before, behind}) {
    const auto options = parse_cli_options(arguments).value();
    CHECK(options.words == command);
    CHECK(options.common.endpoint.port == 7023);
    CHECK(options.json);
    CHECK(options.timeout == 2500ms);
  }
}

TEST_CASE("options: the form of answers may be chosen, but only one") {
  CHECK(parse_cli_options({"--table", "nodes"}).value().table);
  CHECK_FALSE(parse_cli_options({"--json", "nodes"}).value().table);
  CHECK(refusal({"--table", "--json", "nodes"}).find("--json") != std::string::npos);
}

TEST_CASE("options: what is behind -- belongs to the command as it stands") {
  CHECK(parse_cli_options({"get", "--", "-p"}).value().words == Words{"get", "--", "-p"});
  CHECK(parse_cli_options({"call", "c", "add", R"({"n": -1})"}).value().words ==
        Words{"call", "c", "add", R"({"n": -1})"});
  CHECK(parse_cli_options({"call", "c", "add", "-5"}).value().words == Words{"call", "c", "add", "-5"});
}

TEST_CASE("options: what cannot be understood is said in one line") {
  CHECK(refusal({"-p", "abc"}) == "--port: 'abc' is not a port (1..65535)");
  CHECK(refusal({"-p", "65536"}) == "--port: '65536' is not a port (1..65535)");
  CHECK(refusal({"-p", "-1", "nodes"}) == "--port: '-1' is not a port (1..65535)");
  CHECK(refusal({"-H", "a b"}) == "--host: 'a b' is not a host name or address");
  CHECK(refusal({"--timeout", "0"}) == "--timeout: '0' is not a time in seconds (0.001..86400)");
  CHECK(refusal({"--timeout", "nan"}) == "--timeout: 'nan' is not a time in seconds (0.001..86400)");
  CHECK(refusal({"-I", ""}).starts_with("--instance: "));
  for (const auto& arguments : {Words{"-p"}, Words{"nodes", "-a"}, Words{"--json=maybe"}}) {
    const auto text = refusal(arguments);
    CAPTURE(text);
    CHECK(text != "accepted");
    CHECK(text.find('\n') == std::string::npos);
  }
}

TEST_CASE("options: help and version end well, and help after a command explains it") {
  CHECK(parse_cli_options({"--help"}).value().notice.find("minsert") != std::string::npos);
  CHECK(parse_cli_options({"--version"}).value().notice.starts_with("cluster-cli "));
  CHECK(parse_cli_options({"insert", "-h"}).value().notice.starts_with("insert ID HOST PORT"));
  CHECK(refusal({"inser", "-h"}) == "unknown command 'inser'; did you mean 'insert'?");
}

TEST_CASE("options: cluster-node takes what it is told") {
  const auto options =
      parse_node_options({"-I",           "foo",        "-p",          "7022",      "-a",
                          "secret",       "--ring",     "ring",        "--rfactor", "3",
                          "--pfactor",    "1",          "--weight",    "7",         "--bind",
                          "127.0.0.1",    "--bind",     "::1",         "--meet",    "localhost:7023",
                          "--meet",       "[::1]:7024", "--log-level", "debug",     "--leave-on-stop",
                          "--demo-actors"})
          .value();
  CHECK(options.common.instance == NodeId("foo"));
  CHECK(options.ring == "ring");
  CHECK(options.rfactor == 3);
  CHECK(options.pfactor == 1);
  CHECK(options.weight == 7);
  CHECK(options.bind == Words{"127.0.0.1", "::1"});
  CHECK(options.meet == std::vector<Endpoint>{{"localhost", 7023}, {"::1", 7024}});
  CHECK(options.log_level == log::Level::debug);
  CHECK(options.leave_on_stop);
  CHECK(options.demo_actors);

  const auto defaults = parse_node_options({}).value();
  CHECK(defaults.rfactor == 128);
  CHECK(defaults.pfactor == 2);
  CHECK(!defaults.weight);
  CHECK(defaults.zone.empty());
  CHECK(parse_node_options({"--zone", "rack 3"}).value().zone == "rack 3");
  CHECK(defaults.ring.empty());
  CHECK(!defaults.leave_on_stop);
  CHECK(defaults.protection == wire::Protection::sign);
  CHECK(defaults.protection_min == wire::Protection::sign);
}

TEST_CASE("options: cluster-node offers the level it is told, and demanding sealing offers it too") {
  using wire::Protection;
  struct Row {
    Words arguments;
    Protection protection;
    Protection protection_min;
  };
  for (const auto& row :
       {Row{{"--protection", "sign"}, Protection::sign, Protection::sign},
        Row{{"--protection", "seal"}, Protection::seal, Protection::sign},
        Row{{"--protection-min", "seal"}, Protection::seal, Protection::seal},
        Row{{"--protection", "seal", "--protection-min", "seal"}, Protection::seal, Protection::seal}}) {
    CAPTURE(row.arguments.back());
    const auto options = parse_node_options(row.arguments).value();
    CHECK(options.protection == row.protection);
    CHECK(options.protection_min == row.protection_min);
  }
}

TEST_CASE("options: cluster-node takes a partition policy with what belongs to it") {
  using Kind = proto::PartitionPolicyConfig::Kind;
  const auto policy = [](const Words& arguments) {
    return parse_node_options(arguments).value().partition_policy;
  };
  CHECK(policy({}).kind == Kind::mark);
  const auto removing = policy({"--partition-policy", "remove-after", "--remove-after", "1.5"});
  CHECK(removing.kind == Kind::remove_after);
  CHECK(removing.remove_after == 1500ms);
  CHECK(removing.stable_after == 20s);
  CHECK(policy({"--partition-policy", "remove-after"}).remove_after == 10min);
  const auto fixed =
      policy({"--partition-policy", "static-quorum", "--quorum", "3", "--stable-after", "2592000"});
  CHECK(fixed.kind == Kind::static_quorum);
  CHECK(fixed.quorum == 3);
  CHECK(fixed.stable_after == 720h);
  CHECK(policy({"--partition-policy", "keep-majority"}).kind == Kind::keep_majority);
  CHECK(policy({"--partition-policy", "keep-oldest"}).kind == Kind::keep_oldest);
}

TEST_CASE(
    "options: cluster-node refuses a partition policy without what it needs, or with what it has no use "
    "for") {
  const auto refused = [](const Words& arguments) { return parse_node_options(arguments).error().message(); };
  CHECK(refused({"--partition-policy", "keep"}) ==
        "--partition-policy: 'keep' is no policy: mark, remove-after, keep-majority, static-quorum or "
        "keep-oldest");
  CHECK(refused({"--partition-policy", "static-quorum"}) ==
        "--partition-policy static-quorum needs --quorum N");
  CHECK(refused({"--partition-policy", "static-quorum", "--quorum", "0"}) ==
        "'0' is not a quorum (1..16384)");
  CHECK(refused({"--quorum", "3"}) == "--quorum goes with --partition-policy static-quorum, not mark");
  CHECK(refused({"--partition-policy", "keep-majority", "--quorum", "3"}) ==
        "--quorum goes with --partition-policy static-quorum, not keep-majority");
  CHECK(refused({"--partition-policy", "keep-oldest", "--remove-after", "60"}) ==
        "--remove-after goes with --partition-policy remove-after, not keep-oldest");
  CHECK(refused({"--stable-after", "5"}) ==
        "--stable-after goes with a --partition-policy that does more than mark");
  CHECK(refused({"--partition-policy", "remove-after", "--remove-after", "0"}) ==
        "--remove-after: '0' is not a time in seconds (0.001..2592000)");
  CHECK(refused({"--partition-policy", "keep-oldest", "--stable-after", "2592001"}) ==
        "--stable-after: '2592001' is not a time in seconds (0.001..2592000)");
}

TEST_CASE("options: HTTP is served where it is asked for, by default where only this machine reaches it") {
  CHECK(!parse_node_options({}).value().http);
  struct Row {
    const char* text;
    Endpoint expected;
  };
  for (const auto& [text, expected] :
       {Row{"8080", {"localhost", 8080}}, Row{"0", {"localhost", 0}}, Row{"0.0.0.0:80", {"0.0.0.0", 80}},
        Row{"[::]:8080", {"::", 8080}}, Row{"[::1]:0", {"::1", 0}},
        Row{"example.org:65535", {"example.org", 65535}}}) {
    CAPTURE(text);
    CHECK(parse_node_options({"--http", text}).value().http->endpoint == expected);
  }
  const auto http = parse_node_options({"--http", "1", "--http-name", "a", "--http-name", "b", "--http-cors",
                                        "c", "--http-token-file", "d"})
                        .value()
                        .http.value();
  CHECK(http.names == Words{"a", "b"});
  CHECK(http.origins == Words{"c"});
  CHECK(http.token_file == "d");
  for (const char* wrong :
       {"", ":", "x", "localhost", "localhost:", ":80", "1:2:3", "65536", "-1", "00", "localhost:00"}) {
    CAPTURE(wrong);
    CHECK(!parse_node_options({"--http", wrong}));
  }
  CHECK(parse_node_options({"--http-cors", "x"}).error().message() == "--http-cors needs --http");
}

/// A variable of the environment, for a while.
class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) { ::setenv(name, value, 1); }
  ~Variable() { ::unsetenv(name_); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  const char* name_;
};

TEST_CASE("options: others are discovered by names, in a list or one by one, and by a file") {
  const std::vector<Endpoint> both{{"foo", 7022}, {"::1", 7023}};
  for (const char* option : {"--discover", "--meet"}) {
    CAPTURE(option);
    for (const auto& arguments :
         {Words{option, "foo:7022,[::1]:7023"}, Words{option, "foo:7022", option, "[::1]:7023"}}) {
      const auto options = parse_node_options(arguments).value();
      CHECK((std::string(option) == "--meet" ? options.meet : options.discover) == both);
    }
  }
  CHECK(parse_node_options({"--discover-file", "a"}).value().discover_file == "a");
  const auto refused = [](const Words& arguments) { return parse_node_options(arguments).error().message(); };
  CHECK(refused({"--discover", "foo"}) == "--discover: 'foo' is not HOST:PORT");
  CHECK(refused({"--discover-file", ""}) == "--discover-file: no file");
  std::string many = "a:1";
  for (int i = 1; i < 64; ++i) many += ",a:1";
  CHECK(parse_node_options({"--discover", many}).value().discover.size() == 64);
  CHECK(refused({"--discover", many + ",a:1"}) == "--discover: more than 64 names: use --discover-file");
}

TEST_CASE("options: what is not given is taken from the environment; empty variables count as none") {
  const Variable instance("CLUSTER_INSTANCE", "foo");
  const Variable host("CLUSTER_HOST", "foo.example.org");
  const Variable port("CLUSTER_PORT", "7023");
  const Variable discover("CLUSTER_DISCOVER", "a:1,b:2");
  const Variable leave("CLUSTER_LEAVE_ON_STOP", "true");
  const Variable weight("CLUSTER_WEIGHT", "");
  const Variable zone("CLUSTER_ZONE", "rack 3");
  const Variable cookie("CLUSTER_KEY", "not a cookie: CLUSTER_COOKIE is");
  const auto options = parse_node_options({"--host", "bar.example.org"}).value();
  CHECK(options.common.instance == NodeId("foo"));
  CHECK(options.common.endpoint == Endpoint{"bar.example.org", 7023});
  CHECK(options.discover == std::vector<Endpoint>{{"a", 1}, {"b", 2}});
  CHECK(options.leave_on_stop);
  CHECK(!options.weight);
  CHECK(options.zone == "rack 3");
  CHECK(!options.common.key);
  const auto client = parse_cli_options({"nodes"}).value();
  CHECK(client.common.endpoint == Endpoint{"foo.example.org", 7023});
  CHECK(!client.common.instance);
  const Variable wrong("CLUSTER_PORT", "tcp://10.0.0.1:7022");
  CHECK(parse_node_options({}).error().message() == "--port: 'tcp://10.0.0.1:7022' is not a port (1..65535)");
}

TEST_CASE("options: Chord runs where it is asked for, with identifiers and lists as told") {
  CHECK(!parse_node_options({}).value().chord);
  const auto plain = parse_node_options({"--chord"}).value().chord.value();
  CHECK(plain.bits == 160);
  CHECK(plain.hash == proto::ChordHash::sha1);
  CHECK(plain.successors == 8);
  const auto told = parse_node_options({"--chord", "--chord-bits", "8", "--chord-hash", "sha256",
                                        "--chord-successors", "32"})
                        .value()
                        .chord.value();
  CHECK(told.bits == 8);
  CHECK(told.hash == proto::ChordHash::sha256);
  CHECK(told.successors == 32);
  for (const Words& wrong :
       {Words{"--chord-bits", "7"}, Words{"--chord-bits", "161"}, Words{"--chord-hash", "md5"},
        Words{"--chord-successors", "0"}, Words{"--chord-successors", "33"}}) {
    CAPTURE(wrong[1]);
    CHECK(!parse_node_options({"--chord", wrong[0], wrong[1]}));
  }
  const auto named =
      parse_node_options({"--chord", "--chord-join", "a:1,b:2", "--chord-join", "c:3"}).value();
  CHECK(named.chord_join == std::vector<Endpoint>{{"a", 1}, {"b", 2}, {"c", 3}});
  CHECK(!parse_node_options({"--chord", "--chord-join", "a"}));
  CHECK(parse_node_options({"--chord-bits", "16"}).error().message() == "--chord-bits needs --chord");
}

TEST_CASE("options: what is said of the store of a node without one is refused") {
  for (const Words& arguments : {Words{"--kv-sync", "second"}, Words{"--kv-sync", "always"}})
    CHECK(parse_node_options(arguments).error().message() == "--kv-sync needs --kv");
  CHECK(parse_node_options({"--kv-bucket", "a:n=1"}).error().message() == "--kv-bucket needs --kv");
  CHECK(parse_node_options({"--kv", "--kv-sync", "second"}).value().kv_sync_rest == 1s);
}

TEST_CASE("options: cluster-node refuses what it cannot use") {
  const auto refused = [](const Words& arguments) { return parse_node_options(arguments).error().message(); };
  CHECK(refused({"--rfactor", "0"}) == "'0' is not an rfactor (1..65535)");
  CHECK(refused({"--weight", "65536"}) == "'65536' is not a weight (1..65535)");
  for (const auto& zone : {std::string(256, 'z'), std::string("a\nb"), std::string("\xff")})
    CHECK(refused({"--zone", zone}) ==
          "--zone: a zone is at most 255 bytes of UTF-8 without control characters");
  CHECK(refused({"--meet", "localhost"}) == "--meet: 'localhost' is not HOST:PORT");
  CHECK(refused({"--log-level", "loud"}) == "--log-level: 'loud' is not a level");
  CHECK(refused({"--protection", "ssl"}) ==
        "--protection: 'ssl' is no protection level; there are sign, seal and tls");
  CHECK(refused({"--protection-min", ""}) ==
        "--protection-min: '' is no protection level; there are sign, seal and tls");
  CHECK(refused({"--protection-min", "tls"}) == "level tls needs --tls-cert, --tls-key and --tls-ca");
  CHECK(refused({"--tls-cert", "a"}) == "--tls-cert, --tls-key and --tls-ca go together");
  CHECK(refused({"--tls-cert", "a", "--tls-key", "b", "--tls-ca", "c", "--protection", "seal"}) ==
        "--tls-cert means --protection tls, not seal");
  CHECK(refused({"--protection", "sign", "--protection-min", "seal"}) ==
        "--protection-min seal is more than --protection sign");
  CHECK(refused({"--port", "x"}) == "--port: 'x' is not a port (1..65535)");
  CHECK(!refused({"stray"}).empty());
  CHECK(!refused({"--bogus"}).empty());
}

}  // namespace
}  // namespace cluster::cli
