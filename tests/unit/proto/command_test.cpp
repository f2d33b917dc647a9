#include "cluster/proto/command.hpp"

#include <doctest/doctest.h>

#include <array>
#include <set>
#include <string>

namespace cluster::proto {
namespace {

CommandRequest request(std::string name, std::vector<std::string> args = {}) {
  return {.name = std::move(name), .args = std::move(args)};
}

std::string refusal(CommandRequest asked) {
  const auto checked = check(std::move(asked));
  return checked ? "accepted" : checked.error().message();
}

TEST_CASE("command: chord takes its flags where they mean something, and nowhere else") {
  const auto chord = [](std::vector<std::string> args, auto change) {
    auto asked = request("chord", std::move(args));
    change(asked);
    return refusal(std::move(asked));
  };
  const auto trace = [](CommandRequest& asked) { asked.trace = true; };
  const auto dot = [](CommandRequest& asked) { asked.format = "dot"; };
  const auto nothing = [](CommandRequest&) {};
  for (const auto* word : {"join", "leave", "info", "fingers", "successors", "graph"})
    CHECK(chord({word}, nothing) == "accepted");
  CHECK(chord({"join", "host:1"}, nothing) == "accepted");
  CHECK(chord({"join", "host"}, nothing) != "accepted");
  CHECK(chord({"lookup"}, nothing).find("missing KEY") != std::string::npos);
  CHECK(chord({"lookup", "k"}, trace) == "accepted");
  CHECK(chord({"graph"}, trace) == "chord graph does not take --trace");
  CHECK(chord({"graph"}, dot) == "accepted");
  CHECK(chord({"info"}, dot) == "chord info does not take --dot");
  CHECK(chord({"graph"}, [](CommandRequest& asked) { asked.format = "png"; }) == "chord: 'png' is no format");
  auto other = request("nodes");
  other.trace = true;
  CHECK(refusal(std::move(other)).starts_with("nodes does not take --trace"));
}

TEST_CASE("command: the table has each command once, with a usage and a summary of one line") {
  const std::set<std::string_view> wanted{
      "inspect", "nodes",  "get",     "has",      "weight", "weights", "ping",    "join", "meet",
      "leave",   "insert", "minsert", "update",   "remove", "mremove", "help",    "exit", "status",
      "actors",  "call",   "cast",    "describe", "owner",  "keygen",  "balance", "plan", "members",
      "events",  "key",    "drill",   "token",    "chord",  "kv",      "file"};
  std::set<std::string_view> found;
  for (const auto& command : commands()) {
    CAPTURE(command.name);
    CHECK(found.insert(command.name).second);
    CHECK(find_command(command.name) == &command);
    CHECK(usage(command).starts_with(command.name));
    CHECK(!command.summary.empty());
    CHECK(command.summary.find('\n') == std::string_view::npos);
    const auto line = usage(command);  // of a command with many forms each has its own line
    const auto first = command.forms.size() > 4 ? line.substr(0, line.find(" | ")) : line;
    CHECK(help_for(command.name).value().starts_with(first + '\n'));
    CHECK(("\n" + help_overview()).find("\n" + std::string(command.name) + " ") != std::string::npos);
  }
  CHECK(found == wanted);
}

TEST_CASE(
    "command: only drills and commands that edit the ring take --wait, and leave, which ends it, does not") {
  for (const auto& command : commands()) {
    CAPTURE(command.name);
    const bool edits = command.changes_ring && command.name != "leave";
    CHECK(command.takes_wait == (edits || command.name == "drill"));
  }
}

TEST_CASE("command: an unknown command is refused with the nearest name, if one is near") {
  CHECK(refusal(request("inser")) == "unknown command 'inser'; did you mean 'insert'?");
  CHECK(refusal(request("jion", {"x"})) == "unknown command 'jion'; did you mean 'join'?");
  CHECK(refusal(request("INSPECT")) == "unknown command 'INSPECT'; 'help' lists them");
  CHECK(refusal(request("")) == "unknown command ''; 'help' lists them");
  CHECK(refusal(request(std::string(64, 'x'))) ==
        "unknown command '" + std::string(64, 'x') + "'; 'help' lists them");
  CHECK(refusal(request(std::string(60'000'000, 'x'))) ==
        "unknown command of 60000000 bytes; 'help' lists them");
  CHECK(refusal(request(std::string(100'000, 'x'))).ends_with("; 'help' lists them"));
}

TEST_CASE("command: missing and surplus arguments are named, with the usage") {
  struct Row {
    CommandRequest asked;
    std::string text;
  };
  const std::string plan =
      "plan insert ID HOST PORT [WEIGHT] | plan update ID [WEIGHT] | plan remove ID [-w WEIGHT]";
  const std::array rows{
      Row{request("get"), "get: missing ID; usage: get ID"},
      Row{request("nodes", {"x"}), "nodes: unexpected argument 'x'; usage: nodes"},
      Row{request("insert", {"bar"}),
          "insert: missing HOST PORT; usage: insert ID HOST PORT [-f] [-w WEIGHT] [--wait]"},
      Row{request("insert", {"bar", "localhost", "7023", "9"}),
          "insert: unexpected argument '9'; usage: insert ID HOST PORT [-f] [-w WEIGHT] [--wait]"},
      Row{request("minsert"),
          "minsert: missing ID HOST PORT; usage: minsert ID HOST PORT [ID HOST PORT ...] [-f] [-w WEIGHT] "
          "[--wait]"},
      Row{request("minsert", {"bar", "localhost", "7023", "baz", "localhost"}),
          "minsert: missing PORT after 'localhost'; usage: minsert ID HOST PORT [ID HOST PORT ...] [-f] [-w "
          "WEIGHT] [--wait]"},
      Row{request("update", {"bar", "localhost"}),
          "update: missing PORT; usage: update ID HOST PORT [WEIGHT] [-f] [-w WEIGHT] [--wait]"},
      Row{request("meet"),
          "meet: missing ID HOST PORT; usage: meet ID HOST PORT | meet HOST PORT | meet HOST:PORT [--wait]"},
      Row{request("remove", {"bar", "localhost"}),
          "remove: missing PORT; usage: remove ID | remove ID HOST PORT [-f] [--wait] [--drain-timeout "
          "TIME]"},
      Row{request("call", {"counter"}), "call: missing EVENT; usage: call SERVER[@NODE] EVENT [JSON]"},
      Row{request("plan"), "plan: missing insert or update or remove; usage: " + plan},
      Row{request("plan", {"inser", "bar"}),
          "plan: 'inser' is not insert or update or remove; usage: " + plan},
      Row{request("plan", {"insert", "bar"}), "plan: missing HOST PORT; usage: " + plan},
      Row{request("plan", {"remove"}), "plan: missing ID; usage: " + plan},
      Row{request("plan", {"remove", "bar", "7"}), "plan: unexpected argument '7'; usage: " + plan},
      Row{request("plan", {"update", "bar", "7", "8"}), "plan: unexpected argument '8'; usage: " + plan},
  };
  for (const auto& row : rows) {
    CAPTURE(row.asked.name);
    CHECK(refusal(row.asked) == row.text);
  }
}

TEST_CASE("command: a bad port, host, id, weight or server is refused by name") {
  CHECK(refusal(request("insert", {"bar", "localhost", "70000"})) ==
        "insert: '70000' is not a port (1..65535)");
  CHECK(refusal(request("insert", {"bar", "localhost", "0"})) == "insert: '0' is not a port (1..65535)");
  CHECK(refusal(request("insert", {"bar", "localhost", "65535"})) == "accepted");
  CHECK(refusal(request("insert", {"bar", "lo cal", "1"})).ends_with("is not a host name or address"));
  CHECK(refusal(request("get", {""})).starts_with("get: "));
  CHECK(refusal(request("get", {std::string(255, 'x')})) == "accepted");
  CHECK(refusal(request("get", {std::string(256, 'x')})) != "accepted");
  CHECK(refusal(request("get", {"__proto__"})) == "accepted");
  CHECK(refusal(request("join", {"a\nb"})) != "accepted");
  CHECK(refusal(request("update", {"bar", "localhost", "1", "0"})) ==
        "update: '0' is not a weight (1..65535)");
  CHECK(refusal(request("update", {"bar", "localhost", "1", "65535"})) == "accepted");
  CHECK(refusal(request("update", {"bar", "localhost", "1", "65536"})) ==
        "update: '65536' is not a weight (1..65535)");
  CHECK(refusal(request("describe", {"@bar"})) == "describe: '' is not a server's name");
  CHECK(refusal(request("describe", {"counter@"})) != "accepted");
  CHECK(refusal(request("meet", {"localhost"})) == "meet: 'localhost' is not HOST:PORT");
}

TEST_CASE("command: a flag is refused where it would do nothing") {
  auto forced = request("get", {"foo"});
  forced.force = true;
  CHECK(refusal(forced) == "get does not take --force; usage: get ID");
  auto weighted = request("remove", {"foo"});
  weighted.weight = 7;
  CHECK(refusal(weighted).starts_with("remove does not take --weight; "));
  auto waiting = request("leave");
  waiting.wait = true;
  CHECK(refusal(waiting).starts_with("leave does not take --wait; "));
  auto following = request("members");
  following.follow = true;
  CHECK(refusal(following) == "members does not take --follow; usage: members");
  CHECK(refusal(request("events", {"12"})) == "accepted");
  CHECK(refusal(request("events", {"-1"})) == "events: '-1' is not a number");
}

TEST_CASE("command: a weight from a foreign client is bounded as one from the command line") {
  for (const auto& [weight, taken] :
       {std::pair{0U, false}, std::pair{1U, true}, std::pair{65'535U, true}, std::pair{65'536U, false}}) {
    CAPTURE(weight);
    auto asked = request("insert", {"bar", "localhost", "7023"});
    asked.weight = weight;
    CHECK((refusal(asked) == "accepted") == taken);
  }
}

TEST_CASE("command: checking brings a request into its normal form, and a normal form stays as it is") {
  auto updated = check(request("update", {"bar", "localhost", "7023", "9"})).value();
  CHECK(updated.args == std::vector<std::string>{"bar", "localhost", "7023"});
  CHECK(updated.weight == 9);
  CHECK(check(updated).value() == updated);
  auto both = request("update", {"bar", "localhost", "7023", "9"});
  both.weight = 8;
  CHECK(refusal(both) == "update: the weight is given twice");

  const auto met = check(request("meet", {"[::1]:7023"})).value();
  CHECK(met.args == std::vector<std::string>{"::1", "7023"});
  CHECK(check(met).value() == met);
}

TEST_CASE("command: a plan is told by its word, and its weight may be an argument or a flag, once") {
  const auto inserted = check(request("plan", {"insert", "bar", "localhost", "7023", "9"})).value();
  CHECK(inserted.args == std::vector<std::string>{"insert", "bar", "localhost", "7023"});
  CHECK(inserted.weight == 9);
  const auto updated = check(request("plan", {"update", "bar", "9"})).value();
  CHECK(updated.args == std::vector<std::string>{"update", "bar"});
  CHECK(updated.weight == 9);
  const auto removed = check(request("plan", {"remove", "bar"})).value();
  for (const auto& normal : {inserted, updated, removed}) CHECK(check(normal).value() == normal);
  CHECK_FALSE(check(request("plan", {"insert", "bar", "localhost", "7023"})).value().weight);

  CHECK(refusal(request("plan", {"update", "bar"})) == "plan update: missing WEIGHT");
  CHECK(refusal(request("plan", {"update", "bar", "0"})) == "plan: '0' is not a weight (1..65535)");
  CHECK(refusal(request("plan", {"insert", "bar", "two words", "1"}))
            .ends_with("is not a host name or address"));
  auto twice = updated;
  twice.args.push_back("8");
  CHECK(refusal(twice) == "plan: the weight is given twice");
  auto weighted = removed;
  weighted.weight = 3;
  CHECK(refusal(weighted) == "plan remove does not take --weight");
  auto forced = removed;
  forced.force = true;
  CHECK(refusal(forced).starts_with("plan does not take --force; "));
}

TEST_CASE("command: triples are read in order, and told from a list of ids") {
  const std::vector<std::string> args{"bar", "localhost", "7023", "baz", "::1", "7024"};
  REQUIRE(are_triples(args));
  CHECK(triples(args) == std::vector<MemberAddress>{{"bar", {"localhost", 7023}}, {"baz", {"::1", 7024}}});
  CHECK(!are_triples(std::vector<std::string>{}));
  CHECK(!are_triples(std::vector<std::string>{"bar", "baz"}));
  CHECK(!are_triples(std::vector<std::string>{"foo", "bar", "baz"}));
}

TEST_CASE("command: a server address is split at the first @") {
  CHECK(parse_server_address("counter").value().server == "counter");
  CHECK(!parse_server_address("counter").value().node);
  CHECK(parse_server_address("counter@bar@host").value().server == "counter");
  CHECK(parse_server_address("counter@bar@host").value().node == NodeId("bar@host"));
  CHECK(!parse_server_address(""));
}

}  // namespace
}  // namespace cluster::proto
