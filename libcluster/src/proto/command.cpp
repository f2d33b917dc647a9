#include "cluster/proto/command.hpp"

#include <algorithm>
#include <charconv>

#include "cluster/base/utf8.hpp"
#include "cluster/proto/drill_plan.hpp"
#include "cluster/proto/keyring.hpp"
#include "command_errors.hpp"

namespace cluster::proto {
namespace {

constexpr std::size_t kTextBytesMax = 65'536;  // a key or a JSON document on the command line
constexpr std::size_t kNameBytesMax = 255;     // ring, server and event names, as node ids

Result<void> check_name(std::string_view what, std::string_view text) {
  if (text.empty() || text.size() > kNameBytesMax || !is_utf8(text) || has_control_character(text))
    return bad_command("'" + std::string(text) + "' is not " + std::string(what));
  return {};
}

template <class T>
Result<void> only_error(Result<T> parsed) {
  if (!parsed) return std::move(parsed).error();
  return {};
}

Result<void> check_arg(ArgKind kind, const std::string& text) {
  switch (kind) {
    case ArgKind::node_id:
      return only_error(NodeId::parse(text));
    case ArgKind::host:
      return only_error(parse_host(text));
    case ArgKind::port:
      return only_error(parse_port(text));
    case ArgKind::endpoint:
      return only_error(Endpoint::parse(text));
    case ArgKind::weight:
      return only_error(parse_weight(text));
    case ArgKind::ring:
      return check_name("a ring id", text);
    case ArgKind::server:
      return only_error(parse_server_address(text));
    case ArgKind::event:
      return check_name("an event name", text);
    case ArgKind::fingerprint:
      if (key_id_from(text)) return {};
      return bad_command("'" + text + "' is not a fingerprint (16 hexadecimal digits, from 'key list')");
    case ArgKind::sides:
      return only_error(parse_drill_sides(text));
    case ArgKind::number:
      return only_error(parse_number(text));
    case ArgKind::word:
    case ArgKind::json:
    case ArgKind::text:
      break;
  }
  if (text.size() > kTextBytesMax) return bad_command("an argument is longer than 65536 bytes");
  return {};
}

std::size_t required(const Form& form) {
  return static_cast<std::size_t>(std::ranges::count(form.args, false, &Arg::optional));
}

/// Whether `args` begins with the word that `form` begins with, if it does.
bool leads(const Form& form, const std::vector<std::string>& args) {
  if (form.args.empty() || form.args.front().kind != ArgKind::word) return true;
  return !args.empty() && args.front() == form.args.front().name;
}

bool fits(const Form& form, const std::vector<std::string>& args) {
  const auto count = args.size();
  if (form.repeated) return count > 0 && count % form.args.size() == 0;
  return leads(form, args) && count >= required(form) && (form.rest || count <= form.args.size());
}

/// The form that was most likely meant: of those with the right word the first that takes more arguments,
/// else the longest. Null if no form has the word.
const Form* nearest_form(const Command& command, const std::vector<std::string>& args) {
  const Form* longest = nullptr;
  for (const auto& form : command.forms) {
    if (!leads(form, args)) continue;
    if (form.args.size() > args.size()) return &form;
    if (longest == nullptr || form.args.size() > longest->args.size()) longest = &form;
  }
  return longest;
}

Error wrong_word(const Command& command, const std::vector<std::string>& args) {
  std::string text(command.name);
  text += args.empty() ? ": missing" : ": '" + args.front() + "' is not";
  for (const auto& form : command.forms)
    text += (&form == &command.forms.front() ? " " : " or ") + std::string(form.args.front().name);
  return bad_command(text + "; " + usage_near(command, nullptr));
}

Error wrong_count(const Command& command, const std::vector<std::string>& args) {
  const auto* const nearest = nearest_form(command, args);
  if (nearest == nullptr) return wrong_word(command, args);
  const auto& form = *nearest;
  std::string text(command.name);
  const auto given = form.repeated ? args.size() % form.args.size() : args.size();
  if (!form.repeated && given > form.args.size()) {
    text += ": unexpected argument '" + args[form.args.size()] + "'";
  } else {
    text += ": missing";
    for (std::size_t i = given; i < form.args.size(); ++i)
      if (!form.args[i].optional) text += ' ' + std::string(form.args[i].name);
    if (form.repeated && given > 0) text += " after '" + args.back() + "'";
  }
  return bad_command(text + "; " + usage_near(command, nearest));
}

Error not_taken(const Command& command, std::string_view flag) {
  return bad_command(std::string(command.name) + " does not take " + std::string(flag) + "; " +
                     usage_near(command, nullptr));
}

/// Moves the last argument, a WEIGHT, to where -w puts it.
Result<void> take_weight(CommandRequest& request) {
  if (request.weight) return bad_command(request.name + ": the weight is given twice");
  request.weight = parse_weight(request.args.back()).value();
  request.args.pop_back();
  return {};
}

/// `plan` as the command that it plans.
Result<void> normal_plan(CommandRequest& request) {
  const auto& what = request.args.front();
  if (request.args.size() == (what == "insert" ? 5U : 3U))
    if (auto taken = take_weight(request); !taken) return taken;
  if (what == "update" && !request.weight) return bad_command("plan update: missing WEIGHT");
  if (what == "remove" && request.weight) return bad_command("plan remove does not take --weight");
  return {};
}

Result<void> check_drill(const CommandRequest& request) {
  const auto& what = request.args.front();
  if (request.for_ms && what != "partition") return bad_command("drill " + what + " does not take --for");
  if (request.wait && what == "heal") return bad_command("drill heal does not take --wait");
  return {};
}

Result<void> check_chord(const CommandRequest& request) {
  const auto& what = request.args.front();
  if (request.trace && what != "lookup") return bad_command("chord " + what + " does not take --trace");
  if (request.recursive && what != "lookup")
    return bad_command("chord " + what + " does not take --recursive");
  if (request.format.empty()) return {};
  if (request.format != "dot" && request.format != "svg")
    return bad_command("chord: '" + request.format.substr(0, 16) + "' is no format");
  if (what != "graph") return bad_command("chord " + what + " does not take --" + request.format);
  return {};
}

Result<void> check_kv(const CommandRequest& request) {
  const auto& what = request.args.front();
  const bool puts = what == "put";
  if (request.follow && what != "watch") return bad_command("kv " + what + " does not take --follow");
  if (!puts && (request.ttl_ms != 0 || request.if_absent))
    return bad_command("kv " + what + " does not take --ttl and --if-absent");
  if (!puts && what != "del" && (request.if_unchanged || request.context))
    return bad_command("kv " + what + " does not take --context");
  if (!request.format.empty() && (request.format != "raw" || what != "get"))
    return bad_command("kv " + what + " does not take --" + request.format.substr(0, 16));
  if (request.if_unchanged && !request.context) return bad_command("kv: --if-unchanged needs --context");
  if (request.if_absent && request.context)
    return bad_command("kv: --if-absent and --context exclude each other");
  return {};
}

/// The words of an argument that came as several, as one.
void join_rest(const Form& form, std::vector<std::string>& args) {
  const auto last = form.args.size() - 1;
  for (std::size_t i = last + 1; i < args.size(); ++i) args[last] += ' ' + args[i];
  args.resize(std::min(args.size(), form.args.size()));
}

Result<CommandRequest> normal_form(CommandRequest request) {
  if (request.name == "file" && request.force && request.args.front() != "get")
    return bad_command("file " + request.args.front() + " does not take --force");
  if (request.name == "update" && request.args.size() == 4) {
    if (auto taken = take_weight(request); !taken) return taken.error();
  } else if (request.name == "drill") {
    if (auto checked = check_drill(request); !checked) return checked.error();
  } else if (request.name == "chord") {
    if (auto checked = check_chord(request); !checked) return checked.error();
  } else if (request.name == "kv") {
    if (auto checked = check_kv(request); !checked) return checked.error();
  } else if (request.name == "plan") {
    if (auto normal = normal_plan(request); !normal) return normal.error();
  } else if (request.name == "meet" && request.args.size() == 1) {
    const auto endpoint = Endpoint::parse(request.args.front()).value();
    request.args = {endpoint.host, std::to_string(endpoint.port)};
  }
  return request;
}

}  // namespace

Result<std::uint32_t> parse_weight(std::string_view text) {
  std::uint32_t value = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (fault != std::errc{} || end != text.data() + text.size() || value < kWeightMin || value > kWeightMax)
    return bad_command("'" + std::string(text) + "' is not a weight (1..65535)");
  return value;
}

Result<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (fault != std::errc{} || end != text.data() + text.size())
    return bad_command("'" + std::string(text) + "' is not a number");
  return value;
}

Result<CommandRequest> check(CommandRequest request) {
  const auto* command = find_command(request.name);
  if (!command) return unknown_command(request.name);
  if (request.force && !command->takes_force) return not_taken(*command, "--force");
  if (request.weight && !command->takes_weight) return not_taken(*command, "--weight");
  if (request.wait && !command->takes_wait) return not_taken(*command, "--wait");
  if (request.follow && !command->takes_follow && !command->takes_drain)
    return not_taken(*command, "--follow");
  if (request.for_ms && !command->takes_for) return not_taken(*command, "--for");
  if ((request.drain_ms || request.drain != 0) && !command->takes_drain)
    return not_taken(*command, "--drain-timeout");
  if (request.drain_ms && *request.drain_ms > kDrainMsMax)
    return bad_command(request.name + ": --drain-timeout is at most 1h");
  if (request.trace && !command->takes_chord_flags) return not_taken(*command, "--trace");
  if (request.recursive && !command->takes_chord_flags) return not_taken(*command, "--recursive");
  if (!request.format.empty() && !command->takes_chord_flags && !command->takes_kv_flags)
    return not_taken(*command, request.format == "raw" ? "--raw" : "--dot and --svg");
  const bool has_kv_flags =
      request.ttl_ms != 0 || request.if_absent || request.if_unchanged || request.context;
  if (has_kv_flags && !command->takes_kv_flags)
    return not_taken(*command, "--ttl, --if-absent, --if-unchanged and --context");
  if (request.for_ms)
    if (const auto time = check_drill_time(*request.for_ms); !time)
      return bad_command(request.name + ": " + time.error().message());
  if (request.weight && (*request.weight < kWeightMin || *request.weight > kWeightMax))
    return bad_command(request.name + ": '" + std::to_string(*request.weight) +
                       "' is not a weight (1..65535)");

  const auto form = std::ranges::find_if(
      command->forms, [&](const Form& candidate) { return fits(candidate, request.args); });
  if (form == command->forms.end()) return wrong_count(*command, request.args);
  if (form->rest) join_rest(*form, request.args);
  for (std::size_t i = 0; i < request.args.size(); ++i) {
    const auto checked = check_arg(form->args[i % form->args.size()].kind, request.args[i]);
    if (!checked) return bad_command(request.name + ": " + checked.error().message());
  }
  return normal_form(std::move(request));
}

Result<ServerAddress> parse_server_address(std::string_view text) {
  const auto at = text.find('@');
  ServerAddress address{std::string(text.substr(0, at)), std::nullopt};
  if (const auto named = check_name("a server's name", address.server); !named) return named.error();
  if (at != std::string_view::npos) {
    auto node = NodeId::parse(text.substr(at + 1));
    if (!node) return node.error();
    address.node = std::move(node).value();
  }
  return address;
}

bool are_triples(std::span<const std::string> args) {
  if (args.empty() || args.size() % 3 != 0) return false;
  for (std::size_t i = 0; i < args.size(); i += 3)
    if (!NodeId::parse(args[i]) || !parse_host(args[i + 1]) || !parse_port(args[i + 2])) return false;
  return true;
}

std::vector<MemberAddress> triples(std::span<const std::string> args) {
  std::vector<MemberAddress> members;
  for (std::size_t i = 0; i + 2 < args.size(); i += 3)
    members.push_back({NodeId::parse(args[i]).value(), {args[i + 1], parse_port(args[i + 2]).value()}});
  return members;
}

}  // namespace cluster::proto
