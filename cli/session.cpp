#include "session.hpp"

#include <utility>

#include "cluster/proto/command_line.hpp"
#include "cluster/proto/keyring.hpp"
#include "cluster/proto/kv_record.hpp"
#include "cookie.hpp"
#include "file_command.hpp"
#include "json_line.hpp"
#include "json_value.hpp"
#include "table.hpp"
#include "text.hpp"

namespace cluster::cli {
namespace {

using Json = nlohmann::ordered_json;

/// The code for a failure on the way to the server or back.
Exit exit_code(const Error& error) {
  if (error.executed() == Executed::unknown) return Exit::unknown;
  switch (error.code()) {
    case Errc::unreachable:
    case Errc::timeout:
    case Errc::peer_lost:
    case Errc::wrong_cookie:
    case Errc::incompatible:
    case Errc::duplicate_id:
    case Errc::stopped:
      return Exit::no_node;
    default:
      return Exit::refused;
  }
}

Result<void> check_json_argument(const proto::CommandRequest& request) {
  const bool has_one = (request.name == "call" || request.name == "cast") && request.args.size() == 3;
  if (!has_one) return {};
  const auto value = value_from_json(request.args.back());
  if (!value) return Error(Errc::invalid_argument, request.name + ": " + value.error().message());
  return {};
}

std::string text_field(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

/// Where a command that is followed says after which number it is to go on.
void set_since(proto::CommandRequest& request, std::string number) {
  if (request.name != "kv") {
    request.args = {std::move(number)};
    return;
  }
  if (request.args.size() < 2) request.args.emplace_back();
  if (request.args.size() < 3) request.args.emplace_back("default");
  request.args.resize(3);
  request.args.push_back(std::move(number));
}

/// What no tap of changes remembers: it says that some were missed.
constexpr const char* kSinceLongAgo = "1";

/// Whether a node answers that it does not serve any more.
bool is_stopping(const Json& reply) {
  const auto error = reply.find("error");
  return error != reply.end() && text_field(*error, "code") == "stopped";
}

/// Whether the value of a `kv put` comes from standard input.
bool takes_input(const proto::CommandRequest& request) {
  if (request.name != "kv") return false;
  const auto& what = request.args.front();
  return what == "batch" || (what == "put" && (request.args.size() == 2 || request.args[2] == "-"));
}

bool is_watch(const proto::CommandRequest& request) {
  return request.name == "kv" && request.args.front() == "watch";
}

/// A value of the key-value store as the bytes that it is; nothing if there are several.
std::optional<std::string> bytes_in(const Json& data) {
  const auto value = data.find("value");
  if (value == data.end()) return std::nullopt;
  if (value->is_string()) return value->get<std::string>();
  const auto bytes = from_base64(text_field(*value, "$bytes"));
  if (!bytes) return std::nullopt;
  return std::string(bytes->begin(), bytes->end());
}

/// What the node adds to an answer, as a line of its own.
std::string note_line(const Json& reply) {
  const auto note = text_field(reply, "note");
  return note.empty() ? note : "note: " + printable(note) + '\n';
}

}  // namespace

Session::Session(Config config, Connector connect, std::ostream& out, std::ostream& err)
    : config_(std::move(config)), connect_(std::move(connect)), out_(out), err_(err) {}

Exit Session::run_line(std::string_view line) {
  const auto words = proto::split_words(line);
  if (!words) return fail(words.error(), Exit::usage);
  if (words->empty()) return Exit::ok;
  return run(*words);
}

Exit Session::run(std::span<const std::string> words) {
  const auto request = proto::parse_command(words);
  if (!request) return fail(request.error(), Exit::usage);
  if (const auto json = check_json_argument(*request); !json) return fail(json.error(), Exit::usage);
  const auto& command = *proto::find_command(request->name);
  raw_ = !request->format.empty();
  if (command.runs_at == proto::RunsAt::here) return run_here(*request);
  if (request->name == "file") return run_file(*request);
  if (request->name == "key" && request->args.front() == "add") return add_key(*request);
  if (const auto connected = connect(); connected != Exit::ok) return connected;

  if (command.runs_at == proto::RunsAt::kernel) {
    const auto answered = connection_->ping(config_.timeout);
    if (answered) return show_reply(Json{{"ok", true}, {"data", "pong"}});
    connection_.reset();
    return fail(answered.error(), exit_code(answered.error()));
  }
  if (request->follow || is_watch(*request)) return follow(*request);
  if (request->name == "drill" && request->wait) return follow_drill(*request);
  if (command.takes_drain && !request->force) return follow_drain(*request);
  if (takes_input(*request)) return put_input(*request);
  return show_outcome(connection_->run(*request, config_.timeout));
}

Exit Session::show_outcome(const Result<Json>& reply) {
  if (reply) return show_reply(*reply);
  if (reply.error().code() != Errc::timeout) connection_.reset();
  return fail(reply.error(), exit_code(reply.error()));
}

Result<std::string> Session::read_new_cookie(const proto::CommandRequest& request) const {
  if (request.args.size() > 1 && request.args.back() != "-") return read_cookie_file(request.args.back());
  if (!config_.read_input) return Error(Errc::invalid_argument, "key add: name a FILE that holds the cookie");
  auto text = config_.read_input();
  if (!text) return text;
  return cookie_from_text(std::move(text).value(), "standard input");
}

/// The cookie stays here: the node gets the key that it makes.
Exit Session::add_key(const proto::CommandRequest& request) {
  const auto cookie = read_new_cookie(request);
  if (!cookie) return fail(cookie.error(), Exit::usage);
  if (const auto weakness = proto::cookie_weakness(*cookie); !weakness.empty())
    err_ << "cluster-cli: warning: the cookie is easy to guess: " << weakness
         << "; 'keygen' makes good ones\n";
  const auto keyring = proto::Keyring::from_cookies({*cookie});
  if (!keyring) return fail(keyring.error(), Exit::usage);
  if (const auto connected = connect(); connected != Exit::ok) return connected;
  return show_outcome(connection_->add_key(keyring->key(0), config_.timeout));
}

Exit Session::put_input(proto::CommandRequest request) {
  auto text = config_.read_input ? config_.read_input()
                                 : Result<std::string>(Error(Errc::invalid_argument, "kv put: give a VALUE"));
  if (!text) return fail(text.error(), Exit::usage);
  if (request.args.front() == "batch") {
    auto value = value_from_json(*text);
    if (!value) return fail(value.error(), Exit::usage);
    request.payload = std::move(value).value();
  } else if (text->size() > proto::kKvValueBytesMax) {
    return fail(Error(Errc::too_large, "kv put: a value has at most 64 MiB"), Exit::usage);
  } else {
    request.payload = Bytes(text->begin(), text->end());
  }
  return show_outcome(connection_->run(request, config_.timeout));
}

Exit Session::run_file(const proto::CommandRequest& request) {
  FileService service(connect_, connection_, config_.timeout);
  FileCommand command(service, {.out = out_,
                                .reads_input = static_cast<bool>(config_.read_input),
                                .progress = config_.shows_progress ? &err_ : nullptr});
  const auto reply = command.run(request);
  const bool gives_file = request.args.front() == "get" && request.args.back() == "-";
  if (reply) return *reply ? show_reply(**reply, !gives_file && config_.json) : Exit::ok;
  return fail(reply.error(), service.is_cut_off() && reply.error().code() != Errc::invalid_argument
                                 ? Exit::no_node
                                 : Exit::usage);
}

/// Asks again and again for what is newer than the last event shown: each has its number, "seq".
Exit Session::follow(proto::CommandRequest request) {
  request.follow = true;
  while (out_) {
    const auto reply = connection_->run(request, config_.timeout);
    if (!reply) {
      if (find_again(reply.error(), request)) continue;
      return fail(reply.error(), exit_code(reply.error()));
    }
    if (is_stopping(*reply) && find_again(Error(Errc::stopped, "the node is stopping"), request)) continue;
    const auto events = reply->find("data");
    if (!reply->value("ok", false) || events == reply->end() || !events->is_array())
      return show_reply(*reply);
    if (std::exchange(lost_since_, std::nullopt))
      err_ << "cluster-cli: found " << printable(node()) << " again\n" << std::flush;
    for (const auto& event : *events) {
      out_ << (config_.json ? to_line(event) : event_line(event)) << '\n';
      if (const auto number = event.find("seq"); number != event.end()) set_since(request, to_line(*number));
    }
    out_.flush();
  }
  return Exit::ok;
}

/// Whether the node that was lost is there again: after a pause, a restart or a break of the network. A new
/// process numbers its events anew; of the changes of keys it says that some were missed.
bool Session::find_again(const Error& loss, proto::CommandRequest& request) {
  const auto lost = node();
  const auto boot = connection_->boot();
  connection_.reset();
  const auto code = loss.code();
  if (code != Errc::peer_lost && code != Errc::timeout && code != Errc::unreachable && code != Errc::stopped)
    return false;
  if (!lost_since_) {
    lost_since_ = MonotonicClock::now();
    err_ << "cluster-cli: lost " << printable(lost) << ", looking for it again\n" << std::flush;
  }
  while (config_.try_again(MonotonicClock::now() - *lost_since_)) {
    auto opened = connect_();
    if (!opened) continue;
    connection_ = std::move(opened).value();
    if (connection_->boot() == boot) return true;
    if (!is_watch(request))
      request.args.clear();
    else if (request.args.size() > 3)
      set_since(request, kSinceLongAgo);
    return true;
  }
  return false;
}

/// Begins a drill, or takes the last one, and asks for its report until that is final. A person is told each
/// phase.
Exit Session::follow_drill(proto::CommandRequest request) {
  if (request.args.front() == "partition") {
    request.wait = false;
    const auto begun = connection_->run(request, config_.timeout);
    if (!begun || !begun->value("ok", false)) return show_outcome(begun);
    if (!config_.json) out_ << "the drill has begun" << std::endl;
  }
  const proto::CommandRequest ask{.name = "drill", .args = {"report"}, .wait = true};
  std::string phase;
  while (true) {
    const auto reply = connection_->run(ask, config_.timeout);
    if (!reply || !reply->value("ok", false)) return show_outcome(reply);
    const auto data = reply->value("data", Json::object());
    if (!data.is_object() || data.value("finished", true)) return show_reply(*reply);
    if (const auto now = text_field(data, "phase"); !config_.json && now != phase) {
      out_ << "drill " << printable(text_field(data, "drill")) << ": " << printable(now) << std::endl;
      phase = now;
    }
  }
}

/// Asks again until who is to go has handed over what it held, and has gone.
Exit Session::follow_drain(proto::CommandRequest request) {
  const auto most = std::chrono::milliseconds(request.drain_ms.value_or(proto::kDrainMs));
  const Instant deadline = MonotonicClock::now() + most;
  std::size_t width = 0;
  const auto show = [&](const std::string& line) {
    if (!config_.shows_progress || (line.empty() && width == 0)) return;
    err_ << '\r' << line << std::string(width > line.size() ? width - line.size() : 0, ' ') << '\r'
         << std::flush;
    width = line.size();
  };
  request.follow = true;
  while (true) {
    const auto left = std::max<Duration>(deadline - MonotonicClock::now(), {});
    request.drain_ms = static_cast<std::uint32_t>(std::chrono::ceil<std::chrono::milliseconds>(left).count());
    const auto reply = connection_->run(request, config_.timeout);
    const auto data = reply && reply->is_object() ? reply->value("data", Json()) : Json();
    if (!data.is_object() || !data.value("draining", false)) {
      show({});
      return show_outcome(reply);
    }
    const auto drain = data.find("drain");
    request.drain = drain != data.end() && drain->is_number_unsigned() ? drain->get<std::uint64_t>() : 0;
    show("handing over: " + printable(text_field(data, "text")));
  }
}

Exit Session::connect() {
  if (connection_) return Exit::ok;
  auto opened = connect_();
  if (!opened) {
    const bool cannot_try = opened.error().code() == Errc::invalid_argument;  // such as: no cookie
    return fail(opened.error(), cannot_try ? Exit::usage : Exit::no_node);
  }
  connection_ = std::move(opened).value();
  return Exit::ok;
}

/// Plain text unless JSON was asked for by name: `keygen > file` must give a cookie.
Exit Session::run_here(const proto::CommandRequest& request) {
  if (request.name == "exit") {
    ended_ = true;
    return Exit::ok;
  }
  if (request.name == "keygen") {
    out_ << make_cookie() << '\n';
    return Exit::ok;
  }
  if (request.name == "token") return show_token();
  const auto text = request.args.empty() ? Result<std::string>(proto::help_overview())
                                         : proto::help_for(request.args.front());
  if (!text) return fail(text.error(), Exit::usage);
  out_ << *text;
  return Exit::ok;
}

Exit Session::show_token() {
  const auto cookie = config_.find_cookie();
  if (!cookie) return fail(cookie.error(), Exit::usage);
  const auto token = token_of_cookie(*cookie);
  if (!token) return fail(token.error(), Exit::usage);
  return show_reply(Json{{"ok", true}, {"data", *token}});
}

Exit Session::show_reply(const Json& reply, bool as_json) {
  const auto ok = reply.is_object() ? reply.find("ok") : reply.end();
  if (!reply.is_object() || ok == reply.end() || !ok->is_boolean())
    return fail({Errc::bad_message, "the node's answer is not a reply: " + to_line(reply)}, Exit::refused);
  const bool succeeded = ok->get<bool>();
  const auto error = reply.value("error", Json::object());
  const auto data = reply.find("data");
  if (succeeded && raw_) return show_raw(data == reply.end() ? Json() : *data);
  if (as_json && !raw_)
    out_ << to_line(reply) << '\n';
  else if (succeeded)
    out_ << (data == reply.end() ? "ok\n" : to_table(*data)) << note_line(reply);
  else
    err_ << "error: " << printable(text_field(error, "message")) << '\n' << note_line(reply);
  if (succeeded) return Exit::ok;
  return text_field(error, "executed") == "unknown" ? Exit::unknown : Exit::refused;
}

/// Nothing but what was asked for: a drawing, or the bytes of a value.
Exit Session::show_raw(const Json& data) {
  const auto bytes = data.is_string() ? data.get<std::string>() : bytes_in(data);
  if (!bytes) {
    err_ << "error: the key has siblings, values written without knowledge of each other: read it without "
            "--raw\n";
    return Exit::refused;
  }
  out_ << *bytes << std::flush;
  return Exit::ok;
}

Exit Session::fail(const Error& error, Exit code) {
  err_ << "cluster-cli: " << printable(error.message()) << '\n';
  return code;
}

}  // namespace cluster::cli
