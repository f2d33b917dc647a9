#include "cluster/proto/command_line.hpp"

#include <doctest/doctest.h>

#include <array>
#include <string>

#include "cluster/base/rng.hpp"

namespace cluster::proto {
namespace {

using Words = std::vector<std::string>;

TEST_CASE("command line: quotes, escapes and JSON split as stated") {
  struct Row {
    const char* line;
    Words words;
  };
  const std::array rows{
      Row{"", {}},
      Row{" \t\r\n", {}},
      Row{"insert  bar\tlocalhost 7023\n", {"insert", "bar", "localhost", "7023"}},
      Row{R"(get 'a b')", {"get", "a b"}},
      Row{R"(get "a \" \\ b")", {"get", R"(a " \ b)"}},
      Row{R"(get a\ b)", {"get", "a b"}},
      Row{R"(get 'it'\''s')", {"get", "it's"}},
      Row{R"(get '' "")", {"get", "", ""}},
      Row{R"(get 'back\slash')", {"get", R"(back\slash)"}},
      Row{R"(call c add {"n": 1, "s": "} \" {"} )", {"call", "c", "add", R"({"n": 1, "s": "} \" {"})"}},
      Row{R"(call c add [1, [2]])", {"call", "c", "add", "[1, [2]]"}},
      Row{R"(call c add '"text"')", {"call", "c", "add", R"("text")"}},
      Row{"meet [::1]:7022", {"meet", "[::1]:7022"}},
      Row{"get a{b", {"get", "a{b"}},
  };
  for (const auto& row : rows) {
    CAPTURE(row.line);
    const auto words = split_words(row.line);
    REQUIRE(words);
    CHECK(*words == row.words);
  }
}

TEST_CASE("command line: what is left open is refused") {
  CHECK(split_words("get 'a").error().message() == "a quote is not closed");
  CHECK(split_words("get \"a").error().message() == "a quote is not closed");
  CHECK(split_words("get \"a\\").error().message() == "a backslash at the end of the line");
  CHECK(split_words("get a\\").error().message() == "a backslash at the end of the line");
  CHECK(split_words(R"(call c add {"n": "})").error().message() == "a bracket is not closed");
  CHECK(split_words("call c add {\"\\").error().message() == "a bracket is not closed");
}

TEST_CASE("command line: words quoted by rule split into the same words again") {
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    Words words(rng.below(4) + 1);
    std::string line;
    for (auto& word : words) {
      for (auto length = rng.below(6); length > 0; --length) word += "ab '\"\\{}[]-\t"[rng.below(12)];
      line += '"';
      for (const char c : word) line += std::string(c == '"' || c == '\\' ? "\\" : "") + c;
      line += "\" ";
    }
    const auto split = split_words(line);
    REQUIRE(split);
    CHECK(*split == words);
  }
}

TEST_CASE("command line: flags are taken wherever they stand") {
  const CommandRequest wanted{
      .name = "insert", .args = {"bar", "localhost", "7023"}, .force = true, .weight = 7, .wait = true};
  for (const Words& words :
       {Words{"insert", "-w", "7", "-f", "--wait", "bar", "localhost", "7023"},
        Words{"insert", "bar", "--weight=7", "localhost", "7023", "--force", "--wait"},
        Words{"insert", "bar", "localhost", "--wait", "7023", "-f", "-w7"},
        Words{"insert", "-f", "--wait", "--weight", "7", "--", "bar", "localhost", "7023"}}) {
    const auto parsed = parse_command(words);
    REQUIRE(parsed);
    CHECK(*parsed == wanted);
  }
}

TEST_CASE("command line: after -- nothing is a flag, and a negative number never is") {
  CHECK(parse_command(Words{"get", "--", "-f"}).value().args == Words{"-f"});
  CHECK(parse_command(Words{"get", "--", "--"}).value().args == Words{"--"});
  CHECK(parse_command(Words{"call", "counter", "add", "-5"}).value().args == Words{"counter", "add", "-5"});
}

TEST_CASE("command line: bad flags are refused in words") {
  const auto refusal = [](const Words& words) { return parse_command(words).error().message(); };
  CHECK(refusal({}) == "no command; 'help' lists them");
  CHECK(refusal({"-x"}) == "unknown option '-x'");
  CHECK(refusal({"nodes", "--bogus"}) == "nodes: unknown option '--bogus'");
  CHECK(refusal({"insert", "bar", "localhost", "7023", "-w"}) == "insert: -w needs a weight");
  CHECK(refusal({"insert", "bar", "localhost", "7023", "-w", "0"}) ==
        "insert: '0' is not a weight (1..65535)");
  CHECK(refusal({"insert", "bar", "localhost", "7023", "-w", "x"}) ==
        "insert: 'x' is not a weight (1..65535)");
  CHECK(refusal({"insert", "bar", "localhost", "7023", "-w", "7", "-w", "8"}) ==
        "insert: the weight is given twice");
  CHECK(refusal({"isnert", "--bogus"}) == "unknown command 'isnert'; did you mean 'insert'?");
}

TEST_CASE("command line: who leaves or is removed may be given a time to hand over, up to an hour") {
  for (const Words& words : {Words{"leave", "--drain-timeout", "90s"}, Words{"leave", "--drain-timeout=90"},
                             Words{"remove", "bar", "--drain-timeout", "90000ms"}}) {
    const auto parsed = parse_command(words);
    REQUIRE(parsed);
    CHECK(parsed->drain_ms == 90'000);
  }
  const auto refused = [](const Words& words) { return parse_command(words).error().message(); };
  CHECK(refused(Words{"mremove", "a", "b", "--drain-timeout"}) ==
        "mremove: --drain-timeout needs a time, such as 60s");
  CHECK(refused(Words{"leave", "--drain-timeout", "2h"}) ==
        "leave: '2h' is not a time up to 1h, such as 90s or 5m");
  CHECK(refused(Words{"insert", "bar", "h", "1", "--drain-timeout", "5s"})
            .starts_with("insert does not take --drain-timeout"));
  CHECK_FALSE(check({.name = "leave", .drain_ms = 3'600'001}));
  CHECK(check({.name = "leave", .follow = true, .drain_ms = 0}));
}

TEST_CASE("command line: a drill's sides may come as one word or as several, and its time in any unit") {
  const CommandRequest wanted{.name = "drill", .args = {"partition", "a,b | c,d"}, .for_ms = 10'000};
  for (const Words& words : {Words{"drill", "partition", "a,b | c,d", "--for", "10s"},
                             Words{"drill", "partition", "a,b", "|", "c,d", "--for=10"},
                             Words{"drill", "--for", "10000ms", "partition", "a,b |", "c,d"}}) {
    const auto parsed = parse_command(words);
    REQUIRE(parsed);
    CHECK(*parsed == wanted);
    CHECK(check(*parsed).value() == wanted);
  }
  CHECK(parse_command(split_words("drill partition a, b|c --wait").value()).value().args[1] == "a, b|c");
  CHECK(parse_command(Words{"drill", "report", "--wait"}));
  CHECK(parse_command(Words{"drill", "heal"}));
}

TEST_CASE("command line: what a drill does not take is refused in words") {
  const auto refusal = [](const char* line) {
    return parse_command(split_words(line).value()).error().message();
  };
  const std::string usage_line =
      "; usage: drill partition A,B '|' C,D | drill report | drill heal [--wait] [--for TIME]";
  CHECK(refusal("drill") == "drill: missing partition or report or heal" + usage_line);
  CHECK(refusal("drill fire") == "drill: 'fire' is not partition or report or heal" + usage_line);
  CHECK(refusal("drill partition") == "drill: missing A,B '|' C,D" + usage_line);
  CHECK(refusal("drill partition a,b") == "drill: a partition has at least two sides, such as 'a,b | c,d'");
  CHECK(refusal("drill partition a | a") == "drill: 'a' is named twice");
  CHECK(refusal("drill partition a | b --for 999ms") == "drill: a drill's cut lasts 1 s to 10 min");
  CHECK(refusal("drill partition a | b --for soon") ==
        "drill: 'soon' is not a time such as 10s, 1500ms or 2m");
  CHECK(refusal("drill partition a | b --for") == "drill: --for needs a time, such as 10s");
  CHECK(refusal("drill partition a | b --for 5s --for 6s") == "drill: --for is given twice");
  CHECK(refusal("drill report x") == "drill: unexpected argument 'x'" + usage_line);
  CHECK(refusal("drill heal --wait") == "drill heal does not take --wait");
  CHECK(refusal("drill report --for 5s") == "drill report does not take --for");
  CHECK(refusal("nodes --for 5s").starts_with("nodes does not take --for"));
  CHECK_FALSE(check({.name = "drill", .args = {"partition", "a|b"}, .for_ms = 600'001}));
  CHECK(check({.name = "drill", .args = {"partition", "a|b"}, .for_ms = 600'000}));
}

TEST_CASE("command line: completion offers commands first, then the flags the command takes") {
  CHECK(completions({}, "in") == Words{"inspect", "insert"});
  CHECK(completions({}, "").size() == commands().size());
  CHECK(completions(Words{"help"}, "min") == Words{"minsert"});
  CHECK(completions(Words{"plan"}, "") == Words{"insert", "update", "remove"});
  CHECK(completions(Words{"plan"}, "u") == Words{"update"});
  CHECK(completions(Words{"plan", "update"}, "").empty());
  CHECK(completions(Words{"plan", "update"}, "-") == Words{"--weight"});
  CHECK(completions(Words{"drill"}, "") == Words{"partition", "report", "heal"});
  CHECK(completions(Words{"drill", "partition"}, "--") == Words{"--wait", "--for"});
  CHECK(completions(Words{"leave"}, "-") == Words{"--force", "--drain-timeout"});
  CHECK(completions(Words{"events"}, "--") == Words{"--follow"});
  CHECK(completions(Words{"insert", "bar"}, "--w") == Words{"--weight", "--wait"});
  CHECK(completions(Words{"insert"}, "ba").empty());
  CHECK(completions(Words{"bogus"}, "-").empty());
}

}  // namespace
}  // namespace cluster::proto
