#include <algorithm>
#include <array>

#include "cluster/proto/command.hpp"
#include "command_errors.hpp"
#include "edit_distance.hpp"

namespace cluster::proto {
namespace {

constexpr std::string_view kForceHelp =
    "With -f the connections that the change ends are cut now; without it they are drained for up to 5 s.\n"
    "With -f the ring is changed even where, by the partition policy, too few members are left for it.";

constexpr std::string_view kDrainHelp =
    "Where keys are kept (--kv), who goes hands over first, for at most --drain-timeout (60s), and\n"
    "stays if that is not done by then. A member that does not answer is removed at once. With -f\n"
    "nothing is handed over: what the others lack cannot be read until the node is back.";

constexpr std::size_t kFormsInALine = 4;  // more are listed one by one

const Form kNothing{};
const Form kId{{{"ID", ArgKind::node_id}}};
const Form kMember{{{"ID", ArgKind::node_id}, {"HOST", ArgKind::host}, {"PORT", ArgKind::port}}};
const Form kMembers{kMember.args, true};
const Form kIds{{{"ID", ArgKind::node_id}}, true};

const Form kPlanInsert{{{"insert", ArgKind::word},
                        {"ID", ArgKind::node_id},
                        {"HOST", ArgKind::host},
                        {"PORT", ArgKind::port},
                        {"WEIGHT", ArgKind::weight, true}}};
const Form kPlanUpdate{
    {{"update", ArgKind::word}, {"ID", ArgKind::node_id}, {"WEIGHT", ArgKind::weight, true}}};
const Form kPlanRemove{{{"remove", ArgKind::word}, {"ID", ArgKind::node_id}}};

const Form kKeyList{{{"list", ArgKind::word}}};
const Form kKeyAdd{{{"add", ArgKind::word}, {"FILE", ArgKind::text, true}}};
const Form kKeyUse{{{"use", ArgKind::word}, {"FINGERPRINT", ArgKind::fingerprint}}};
const Form kKeyRemove{{{"remove", ArgKind::word}, {"FINGERPRINT", ArgKind::fingerprint}}};

const Form kDrillPartition{{{"partition", ArgKind::word}, {"A,B '|' C,D", ArgKind::sides}}, false, true};
const Form kDrillReport{{{"report", ArgKind::word}}};
const Form kDrillHeal{{{"heal", ArgKind::word}}};

const Arg kKeyArg{"KEY", ArgKind::text};
const Arg kBucketArg{"BUCKET", ArgKind::text, true};
const Arg kPrefixArg{"PREFIX", ArgKind::text, true};
const Form kKvGet{{{"get", ArgKind::word}, kKeyArg, kBucketArg}};
const Form kKvPut{{{"put", ArgKind::word}, kKeyArg, {"VALUE", ArgKind::text, true}, kBucketArg}};
const Form kKvDel{{{"del", ArgKind::word}, kKeyArg, kBucketArg}};
const Arg kFromArg{"FROM", ArgKind::text, true};
const Arg kLimitArg{"LIMIT", ArgKind::number, true};
const Form kKvList{{{"ls", ArgKind::word}, kPrefixArg, kBucketArg, kFromArg, kLimitArg}};
const Form kKvScan{{{"scan", ArgKind::word}, kPrefixArg, kBucketArg, kFromArg, kLimitArg}};
const Form kKvBatch{{{"batch", ArgKind::word}, kBucketArg}};
const Form kKvWatch{{{"watch", ArgKind::word}, kPrefixArg, kBucketArg, {"SINCE", ArgKind::number, true}}};
const Form kChordJoin{{{"join", ArgKind::word}, {"HOST:PORT", ArgKind::endpoint, true}}};
const Form kChordLookup{{{"lookup", ArgKind::word}, {"KEY", ArgKind::text}}};

Form only(std::string_view word) { return {{{word, ArgKind::word}}}; }

const Arg kFileNameArg{"NAME", ArgKind::text};
const Form kFilePut{{{"put", ArgKind::word}, {"FILE", ArgKind::text}, {"NAME", ArgKind::text, true}}};
const Form kFileGet{{{"get", ArgKind::word}, kFileNameArg, {"FILE", ArgKind::text, true}}};
const Form kFileList{{{"ls", ArgKind::word}, kPrefixArg}};
const Form kFileRemove{{{"rm", ArgKind::word}, kFileNameArg}};
const Form kFileStat{{{"stat", ArgKind::word}, kFileNameArg}};

const std::vector<Command>& table() {
  static const std::vector<Command> commands{
      {.name = "inspect",
       .forms = {kNothing},
       .summary = "Show the hash ring as this node sees it",
       .details = "All virtual nodes in the order of the ring, with rfactor (the default weight) and\n"
                  "pfactor (the default number of neighbours)."},
      {.name = "nodes", .forms = {kNothing}, .summary = "List the members of the ring"},
      {.name = "get", .forms = {kId}, .summary = "Show host and port of a member"},
      {.name = "has", .forms = {kId}, .summary = "Say whether ID is a member"},
      {.name = "weight", .forms = {kId}, .summary = "Show the weight of a member"},
      {.name = "weights", .forms = {kNothing}, .summary = "Show the weights of all members"},
      {.name = "owner",
       .forms = {{{{"KEY", ArgKind::text}, {"COPIES", ArgKind::number, true}}}},
       .summary = "Show which member a key belongs to",
       .details = "With COPIES that many members that would keep its copies, the owner first, over zones in "
                  "turn. A key of\n"
                  "the key-value store stands in the ring as BUCKET/KEY."},
      {.name = "balance",
       .forms = {kNothing},
       .summary = "Show how evenly the ring shares the keys",
       .details =
           "For each member: the share of all keys that it owns, and what its weight promises. At the end "
           "the\n"
           "greatest share over the mean one, and the greatest of share over promise: 1 would be even.\n"
           "Greater weights of all members make the ring more even."},
      {.name = "plan",
       .forms = {kPlanInsert, kPlanUpdate, kPlanRemove},
       .takes_weight = true,
       .summary = "Show what an insert, update or remove would move, and change nothing",
       .details =
           "Which fraction of all keys would change their owner, from whom to whom, and the share of each\n"
           "member before and after. The weight may be the last argument or -w; insert's default is "
           "rfactor."},
      {.name = "ping",
       .forms = {kNothing},
       .runs_at = RunsAt::kernel,
       .summary = "Ask the node's network kernel for an answer"},
      {.name = "status",
       .forms = {kNothing},
       .summary = "Show ring id, members, connections, who is behind, and queues",
       .details =
           "STATE compares what each member knows of the ring with what this node knows: same, behind, "
           "ahead,\n"
           "or both (each knows edits that the other does not). 'no process' has no connection: there is\n"
           "nobody to ask. Converged means that all members are the same. HEALTH is what 'members' shows."},
      {.name = "members",
       .forms = {kNothing},
       .summary = "Show which members answer, as this node found or heard",
       .details =
           "STATE is alive, suspect (does not answer, and may still object), unreachable, stopped (said\n"
           "goodbye), left (in the ring no more) or unknown (not yet heard of). INCARNATION counts how\n"
           "often the member objected; BY found it so, FOR_MS ago."},
      {.name = "events",
       .forms = {{{{"SINCE", ArgKind::number, true}}}},
       .takes_follow = true,
       .summary = "Show what happened to the ring and its members",
       .details = "The last 1,024 events, or those after number SINCE."},
      {.name = "join",
       .forms = {{{{"RING", ArgKind::ring}}}},
       .takes_wait = true,
       .changes_ring = true,
       .summary = "Enter the ring named RING; the node must be in no ring",
       .details = "The node starts the ring or, once it meets a member of it, becomes part of it."},
      {.name = "meet",
       .forms = {kMember,
                 {{{"HOST", ArgKind::host}, {"PORT", ArgKind::port}}},
                 {{{"HOST:PORT", ArgKind::endpoint}}}},
       .takes_wait = true,
       .changes_ring = true,
       .summary = "Merge this node's ring with that of another node",
       .details = "Both rings become one, with the members of both. A node in no ring takes the other's.\n"
                  "Retried until the other side has acknowledged it; with ID, another id there is an error."},
      {.name = "leave",
       .forms = {kNothing},
       .takes_force = true,
       .takes_drain = true,
       .changes_ring = true,
       .summary = "Leave the ring",
       .details =
           "Waits up to 5 s until another member knows it. With -f it does not wait, and leaves by a clock\n"
           "that the others do not believe, too."},
      {.name = "insert",
       .forms = {kMember},
       .takes_force = true,
       .takes_weight = true,
       .takes_wait = true,
       .changes_ring = true,
       .summary = "Insert a member into the ring",
       .details =
           "No effect if ID is a member already, whatever its host, port and weight; if they differ, a note\n"
           "says so ('update' changes them). -w sets the weight (default: rfactor)."},
      {.name = "minsert",
       .forms = {kMembers},
       .takes_force = true,
       .takes_weight = true,
       .takes_wait = true,
       .changes_ring = true,
       .summary = "Insert several members at once",
       .details = "-w sets the weight of each (default: rfactor)."},
      {.name = "update",
       .forms = {{{{"ID", ArgKind::node_id},
                   {"HOST", ArgKind::host},
                   {"PORT", ArgKind::port},
                   {"WEIGHT", ArgKind::weight, true}}}},
       .takes_force = true,
       .takes_weight = true,
       .takes_wait = true,
       .changes_ring = true,
       .summary = "Change host, port and weight of a member",
       .details = "The weight may be the fourth argument or -w; without one it stays as it is."},
      {.name = "remove",
       .forms = {kId, kMember},
       .takes_force = true,
       .takes_wait = true,
       .takes_drain = true,
       .changes_ring = true,
       .summary = "Remove a member from the ring",
       .details = "HOST and PORT may be given and play no part."},
      {.name = "mremove",
       .forms = {kIds},
       .takes_force = true,
       .takes_wait = true,
       .takes_drain = true,
       .changes_ring = true,
       .summary = "Remove several members at once",
       .details = "ID HOST PORT triples are understood as well, as long as HOST and PORT name no member."},
      {.name = "actors", .forms = {kNothing}, .summary = "List the actors that run on this node"},
      {.name = "call",
       .forms =
           {{{{"SERVER[@NODE]", ArgKind::server}, {"EVENT", ArgKind::event}, {"JSON", ArgKind::json, true}}}},
       .summary = "Call an actor and show what it answers",
       .details = "JSON is the message, such as {\"n\": 1}; its fields are those that `describe` shows."},
      {.name = "cast",
       .forms =
           {{{{"SERVER[@NODE]", ArgKind::server}, {"EVENT", ArgKind::event}, {"JSON", ArgKind::json, true}}}},
       .summary = "Send a message to an actor, without an answer"},
      {.name = "describe",
       .forms = {{{{"SERVER[@NODE]", ArgKind::server}}}},
       .summary = "Show the events of an actor and their fields"},
      {.name = "keygen",
       .forms = {kNothing},
       .runs_at = RunsAt::here,
       .summary = "Make a new random cookie of 256 bits"},
      {.name = "token",
       .forms = {kNothing},
       .runs_at = RunsAt::here,
       .summary = "Show the token that opens the HTTP API of nodes with this cookie",
       .details = "Made from the cookie, without a node. Clients send it as 'Authorization: Bearer TOKEN'. "
                  "Whoever has\n"
                  "it may do there what who has the cookie may, but cannot find the cookie from it. A node "
                  "that was\n"
                  "started with --http-token-file takes the token in that file instead."},
      {.name = "key",
       .forms = {kKeyList, kKeyAdd, kKeyUse, kKeyRemove},
       .summary = "Change the cookie of a running cluster",
       .details =
           "At every node, one step after the other: 'key add FILE' accepts the cookie in FILE too (-, or "
           "no\n"
           "FILE: from standard input), 'key use' dials with it, 'key remove' accepts another one no "
           "longer.\n"
           "Connections made under a removed one go on under another; no message is lost. Nodes with a\n"
           "data directory remember; for others, and for who connects with it, change the cookie file, too.\n"
           "A cookie is never shown: a fingerprint from 'key list' names it."},
      {.name = "drill",
       .forms = {kDrillPartition, kDrillReport, kDrillHeal},
       .takes_wait = true,
       .takes_for = true,
       .summary = "Rehearse a partition of the network, and show what it did to the cluster",
       .details =
           "'drill partition' cuts the links between A, B and C, D inside these nodes, for --for TIME (10s\n"
           "unless stated; 1s to 10m), then heals them by itself. Members that are not named stay connected "
           "to\n"
           "all. 'drill report' shows what became of probes between all members (lost, doubled, out of "
           "order),\n"
           "when members missed each other, when they were one ring again, and edits in conflict. "
           "'partition'\n"
           "answers when the drill has begun; with --wait, as 'report', at its end with the report.\n"
           "'drill heal' ends the cut now.\n"
           "All members must run with --allow-drills."},
      {.name = "chord",
       .forms = {kChordJoin, only("leave"), kChordLookup, only("info"), only("fingers"), only("successors"),
                 only("graph")},
       .takes_chord_flags = true,
       .summary = "Ask the Chord overlay: which node owns a key, in O(log N) hops",
       .details =
           "'chord join HOST:PORT' enters the Chord ring of another node, from whatever ring this one is "
           "in;\n"
           "without HOST:PORT the node begins one. 'chord lookup' finds the owner of KEY; with --trace it\n"
           "shows the way, the owner last; with --recursive each node hands it on. 'chord graph' follows\n"
           "the successors around the ring; --dot and --svg draw it, with the fingers of this node. It ends\n"
           "within the time that it has, and shows what it found until then (complete: false).\n"
           "The nodes must run with --chord."},
      {.name = "kv",
       .forms = {kKvGet, kKvPut, kKvDel, kKvList, kKvScan, kKvBatch, kKvWatch, only("status")},
       .takes_follow = true,
       .takes_kv_flags = true,
       .summary = "Read and write the replicated key-value store",
       .details =
           "Of nodes that run it (cluster-node --kv).\n"
           "get    shows the value; several if they were written without knowledge of each other. --raw "
           "gives\n"
           "       its bytes and nothing else\n"
           "put    takes VALUE, or standard input if there is none or it is -. It replaces what can be "
           "read,\n"
           "       siblings too; with --context (of a 'get') what that saw, and anything newer stays as a\n"
           "       sibling; with --if-unchanged only if there is nothing newer; with --if-absent only if "
           "there\n"
           "       is no such key. --ttl 10s: the value goes then\n"
           "del    removes what can be read, or with --context what that saw\n"
           "ls     the keys of all members; 'scan': those of this node alone; both begin at FROM\n"
           "batch  reads from standard input [{\"put\": KEY, \"value\": VALUE}, {\"get\": KEY}, {\"del\": "
           "KEY}],\n"
           "       where \"ttl_ms\", \"if_absent\", \"if_unchanged\" and \"context\" may stand\n"
           "watch  shows the keys that change, wherever in the ring they lie, until Ctrl-C; with SINCE from\n"
           "       that number on\n"
           "status whether this node has all that it is to hold, how far it is with what it hands over, and "
           "how\n"
           "       the buckets are kept\n"
           "BUCKET is 'default' if it is not given. BUCKET, PREFIX, FROM and LIMIT may stand anywhere by "
           "their\n"
           "names: kv ls --bucket carts --limit 10."},
      {.name = "file",
       .forms = {kFilePut, kFileGet, kFileList, kFileRemove, kFileStat},
       .takes_force = true,
       .summary = "Store and fetch files of any size",
       .details =
           "At nodes that run the key-value store (cluster-node --kv). 'put' stores FILE under NAME, by "
           "default its\n"
           "name without folders, and replaces what is there; 'get' writes to FILE, by default NAME in this\n"
           "folder, and replaces a FILE that is there only with -f. - is standard input or output. A "
           "transfer\n"
           "that broke off goes on where it ended when the same command is given again. Other clients see "
           "the\n"
           "whole file or none."},
      {.name = "help",
       .forms = {{{{"COMMAND", ArgKind::text, true}}}},
       .runs_at = RunsAt::here,
       .summary = "List the commands, or explain one"},
      {.name = "exit",
       .forms = {kNothing},
       .runs_at = RunsAt::here,
       .summary = "End the session (or Ctrl-D)"},
  };
  return commands;
}

std::string usage_of(const Form& form) {
  std::string text;
  for (const auto& arg : form.args) {
    if (!text.empty()) text += ' ';
    text += arg.optional ? "[" + std::string(arg.name) + "]" : std::string(arg.name);
  }
  return form.repeated ? text + " [" + text + " ...]" : text;
}

std::string usage_of(const Command& command, const Form& form) {
  return std::string(command.name) + (form.args.empty() ? "" : ' ' + usage_of(form));
}

std::string flags_of(const Command& command) {
  std::string text;
  if (command.takes_force) text += " [-f]";
  if (command.takes_weight) text += " [-w WEIGHT]";
  if (command.takes_wait) text += " [--wait]";
  if (command.takes_follow) text += " [--follow]";
  if (command.takes_for) text += " [--for TIME]";
  if (command.takes_drain) text += " [--drain-timeout TIME]";
  if (command.takes_chord_flags) text += " [--trace] [--recursive] [--dot|--svg]";
  if (command.takes_kv_flags)
    text += " [--ttl TIME] [--if-absent] [--context CONTEXT [--if-unchanged]] [--raw]";
  return text;
}

}  // namespace

std::span<const Command> commands() { return table(); }

const Command* find_command(std::string_view name) {
  const auto found = std::ranges::find(table(), name, &Command::name);
  return found == table().end() ? nullptr : &*found;
}

std::string usage(const Command& command) {
  std::string text;
  for (const auto& form : command.forms) text += (text.empty() ? "" : " | ") + usage_of(command, form);
  return text + flags_of(command);
}

std::string usage_near(const Command& command, const Form* form) {
  if (command.forms.size() <= kFormsInALine) return "usage: " + usage(command);
  const std::string rest = "'help " + std::string(command.name) + "' says more";
  return form ? "usage: " + usage_of(command, *form) + "; " + rest : rest;
}

Error unknown_command(std::string_view name) {
  constexpr std::size_t kNameBytesMax = 64;  // longer ones are like no command, and take long to compare
  if (name.size() > kNameBytesMax)
    return bad_command("unknown command of " + std::to_string(name.size()) + " bytes; 'help' lists them");
  std::string text = "unknown command '" + std::string(name) + "'";
  const auto nearest = std::ranges::min_element(
      table(), {}, [&](const Command& command) { return edit_distance(name, command.name); });
  if (edit_distance(name, nearest->name) <= 2 && nearest->name.size() > 2)
    text += "; did you mean '" + std::string(nearest->name) + "'?";
  else
    text += "; 'help' lists them";
  return {Errc::invalid_argument, text};
}

std::string help_overview() {
  std::size_t width = 0;
  for (const auto& command : table()) width = std::max(width, command.name.size());
  std::string text;
  for (const auto& command : table()) {
    text += command.name;
    text.append(width + 2 - command.name.size(), ' ');
    text += command.summary;
    text += '\n';
  }
  return text + "\n'help COMMAND' says more.\n";
}

Result<std::string> help_for(std::string_view name) {
  const auto* command = find_command(name);
  if (!command) return unknown_command(name);
  std::string text;
  if (command->forms.size() > kFormsInALine) {
    for (const auto& form : command->forms) text += usage_of(*command, form) + '\n';
    if (const auto flags = flags_of(*command); !flags.empty()) text += "options:" + flags + '\n';
  } else {
    text = usage(*command) + '\n';
  }
  text += '\n' + std::string(command->summary) + ".\n";
  if (!command->details.empty()) text += std::string(command->details) + '\n';
  if (command->takes_force && command->changes_ring && command->name != "leave")
    text += std::string(kForceHelp) + '\n';
  if (command->takes_drain) text += std::string(kDrainHelp) + '\n';
  if (command->takes_follow && command->name != "kv")
    text += "With --follow new events are shown as they come, until Ctrl-C.\n";
  if (command->takes_wait && command->changes_ring)
    text += "With --wait the answer comes when the whole ring has the change.\n";
  return text;
}

}  // namespace cluster::proto
