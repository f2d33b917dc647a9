#include "cluster/kv/kv_command.hpp"

#include <algorithm>
#include <utility>

#include "cluster/base/utf8.hpp"
#include "cluster/kv/kv_listing.hpp"
#include "cluster/kv/kv_store.hpp"
#include "cluster/node/command_replies.hpp"

// No aggregate is made inside a co_await expression here: GCC 12 would destroy it twice.

namespace cluster {
namespace {

using wire::Value;

constexpr Duration kClientTimeout = 10s;  // of a client that states none
constexpr Duration kWatchMost = 30s;      // then the client asks again, if it is still there
constexpr Duration kMemberTimeout = 2s;
constexpr std::uint32_t kListMax = 10'000;

/// The time in which to answer, so that the answer is there before the client gives up.
Duration budget(const proto::CommandRequest& request) {
  const Duration timeout =
      request.timeout_ms == 0 ? kClientTimeout : std::chrono::milliseconds(request.timeout_ms);
  return timeout - std::min<Duration>(timeout / 5, 1s);
}

std::string argument(const proto::CommandRequest& request, std::size_t place, std::string otherwise) {
  return place < request.args.size() ? request.args[place] : std::move(otherwise);
}

/// Text where it is some, else bytes.
Value shown(Bytes bytes) {
  const auto text = as_text(bytes);
  if (is_utf8(text)) return std::string(text);
  return bytes;
}

/// What a write depends on: without anything it replaces what can be read.
Result<void> take_conditions(const proto::CommandRequest& request, proto::KvRequest& write) {
  write.ttl_ms = request.ttl_ms;
  write.condition = proto::KvCondition::replace;
  if (request.if_absent) write.condition = proto::KvCondition::absent;
  if (!request.context) return {};
  write.condition = request.if_unchanged ? proto::KvCondition::matches : proto::KvCondition::none;
  if (request.context->empty()) return {};
  auto context = context_from_text(*request.context);
  if (!context) return std::move(context).error();
  write.context = std::move(context).value();
  return {};
}

/// What a write of a batch depends on. A condition that cannot be heeded must not be passed over.
Result<proto::CommandRequest> flags_of(const Value& entry) {
  proto::CommandRequest flags{.name = "kv"};
  for (const auto& [name, value] : *entry.map()) {
    const auto bad = [&, &name = name](const char* what) {
      return Error(Errc::invalid_argument, "an entry of a batch: '" + name.substr(0, 64) + "' " + what);
    };
    if (name == "if_absent" || name == "if_unchanged") {
      if (value.boolean() == nullptr) return bad("is true or false");
      (name == "if_absent" ? flags.if_absent : flags.if_unchanged) = *value.boolean();
    } else if (name == "ttl_ms") {
      if (value.integer() == nullptr || *value.integer() < 1)
        return bad("is a number of milliseconds, 1 at least");
      flags.ttl_ms = static_cast<std::uint64_t>(*value.integer());
    } else if (name == "context") {
      if (value.text() == nullptr) return bad("is text, as an answer gave it");
      flags.context = *value.text();
    } else if (name != "put" && name != "get" && name != "del" && name != "value") {
      return bad("is not known");
    }
  }
  return flags;
}

/// As the command line has it.
Result<void> check_flags(const proto::CommandRequest& flags, proto::KvVerb verb) {
  const auto bad = [](const char* what) {
    return Error(Errc::invalid_argument, std::string("an entry of a batch: ") + what);
  };
  if (verb != proto::KvVerb::put && (flags.ttl_ms != 0 || flags.if_absent))
    return bad("'ttl_ms' and 'if_absent' are for a put");
  if (verb == proto::KvVerb::get && (flags.if_unchanged || flags.context))
    return bad("'if_unchanged' and 'context' are for a put or a del");
  if (flags.if_unchanged && !flags.context) return bad("'if_unchanged' needs a 'context'");
  if (flags.if_absent && flags.context) return bad("'if_absent' and 'context' exclude each other");
  return {};
}

/// {"put": KEY, "value": VALUE}, {"get": KEY} or {"del": KEY}, and what goes with a write.
Result<proto::KvRequest> request_of(const Value& entry, const std::string& bucket) {
  const auto bad = [] {
    return Error(Errc::invalid_argument,
                 R"(an entry of a batch is {"put": KEY, "value": VALUE}, {"get": KEY} or {"del": KEY})");
  };
  const std::string* key = nullptr;
  proto::KvRequest one{};
  const auto take = [&](const char* name, proto::KvVerb verb) {
    const auto* found = entry.find(name);
    if (found == nullptr) return;
    key = key == nullptr ? found->text() : nullptr;
    one.verb = verb;
  };
  take("get", proto::KvVerb::get);
  take("put", proto::KvVerb::put);
  take("del", proto::KvVerb::del);
  if (key == nullptr) return bad();
  one.key = {bucket, *key};
  if (const auto* value = entry.find("value")) {
    if (value->text() == nullptr && value->bytes() == nullptr) return bad();
    if (const auto* text = value->text()) one.value.assign(text->begin(), text->end());
    if (const auto* bytes = value->bytes()) one.value = *bytes;
  }
  if (one.verb == proto::KvVerb::put && entry.find("value") == nullptr) return bad();
  const auto flags = flags_of(entry);
  if (!flags) return flags.error();
  if (auto fits = check_flags(*flags, one.verb); !fits) return std::move(fits).error();
  if (one.verb == proto::KvVerb::get) return one;
  if (auto taken = take_conditions(*flags, one); !taken) return std::move(taken).error();
  return one;
}

}  // namespace

Task<Value> KvCommand::handle_call(proto::CommandRequest request) {
  auto checked = proto::check(std::move(request));
  if (!checked) co_return replies::failure(checked.error());
  const proto::CommandRequest& command = *checked;
  if (command.name != "kv")
    co_return replies::failure(Error(Errc::invalid_argument, "this is no kv command"));
  const auto& what = command.args.front();
  if (what == "get") co_return co_await get(command);
  if (what == "ls" || what == "scan") co_return co_await list(command);
  if (what == "batch") co_return co_await batch(command);
  if (what == "watch") co_return co_await watch(command);
  if (what == "status") co_return co_await status();
  co_return co_await write(command);
}

/// `request` lives until the answer is there.
Task<Result<proto::KvAnswer>> KvCommand::ask(const proto::KvRequest& request, Duration time) {
  KvAsk message{request};
  message.request.timeout_ms =
      static_cast<std::uint32_t>(std::chrono::floor<std::chrono::milliseconds>(time).count());
  auto pending = call(store_, std::move(message), time + 200ms);
  auto outcome = co_await pending;
  Result<proto::KvAnswer> answer =
      outcome ? std::move(*outcome).result() : Result<proto::KvAnswer>(outcome.error());
  co_return answer;
}

Task<Value> KvCommand::get(const proto::CommandRequest& request) {
  const proto::KvRequest read{.key = {argument(request, 2, "default"), request.args[1]}};
  auto answer = co_await ask(read, budget(request));
  if (!answer)  // a read changes nothing, whether it ended or not
    co_return replies::failure(Error(answer.error().code(), answer.error().message(), Executed::no));
  if (answer->values.empty())
    co_return replies::failure(Error(Errc::not_found, "there is no key '" + request.args[1] + "'"));
  Value::Array values;
  for (auto& value : answer->values) values.push_back(shown(std::move(value)));
  auto data = Value::map({{"key", request.args[1]}});
  if (values.size() == 1)
    data.set("value", std::move(values.front()));
  else
    data.set("values", std::move(values));
  data.set("context", to_text(answer->context));
  if (answer->ttl_ms != 0) data.set("ttl_ms", answer->ttl_ms);
  co_return replies::answer(std::move(data));
}

Task<Value> KvCommand::write(const proto::CommandRequest& request) {
  const bool puts = request.args.front() == "put";
  const Duration time = budget(request);
  const Instant deadline = now() + time;
  proto::KvRequest asked{.key = {argument(request, puts ? 3 : 2, "default"), request.args[1]}};
  const auto ruled = take_conditions(request, asked);
  if (!ruled) co_return replies::failure(ruled.error());
  if (!puts &&
      !request.context) {  // what is deleted is what is read, so that a key that is not there is told
    auto read = co_await ask(asked, time / 2);
    if (!read) co_return replies::failure(read.error());
    if (read->values.empty())
      co_return replies::failure(Error(Errc::not_found, "there is no key '" + request.args[1] + "'"));
    asked.condition = proto::KvCondition::none;
    asked.context = std::move(read->context);
  }
  asked.verb = puts ? proto::KvVerb::put : proto::KvVerb::del;
  if (const auto* bytes = request.payload.bytes())
    asked.value = *bytes;
  else if (puts && request.args.size() > 2)
    asked.value.assign(request.args[2].begin(), request.args[2].end());
  auto done = co_await ask(asked, std::max<Duration>(deadline - now(), 100ms));
  if (!done) co_return replies::failure(done.error());
  if (!request.context) co_return replies::done();
  co_return replies::answer(Value::map({{"context", to_text(done->context)}}));
}

/// Each stands for itself: one answer each, in their order.
Task<Value> KvCommand::batch(const proto::CommandRequest& request) {
  const auto time = budget(request);
  const auto bucket = argument(request, 1, "default");
  const auto* entries = request.payload.array();
  if (entries == nullptr)
    co_return replies::failure(Error(Errc::invalid_argument, "a batch is a list of put, get and del"));
  KvBatch asked;
  for (const auto& entry : *entries) {
    auto one = request_of(entry, bucket);
    if (!one) co_return replies::failure(one.error());
    one->timeout_ms = static_cast<std::uint32_t>(time / 1ms);
    asked.requests.push_back(std::move(one).value());
  }
  auto pending = call(store_, std::move(asked), time + 200ms);
  auto outcomes = co_await pending;
  if (!outcomes) co_return replies::failure(outcomes.error());
  Value::Array rows;
  for (auto& outcome : *outcomes) {
    auto answer = std::move(outcome).result();
    if (!answer) {
      rows.push_back(replies::failure(answer.error()));
      continue;
    }
    Value::Array values;
    for (auto& value : answer->values) values.push_back(shown(std::move(value)));
    rows.push_back(
        Value::map({{"ok", true}, {"values", std::move(values)}, {"context", to_text(answer->context)}}));
  }
  co_return replies::answer(std::move(rows));
}

/// The keys that any member holds, or, with `scan`, this one. A member that does not answer is noted.
Task<Value> KvCommand::list(const proto::CommandRequest& request) {
  const Instant deadline = now() + budget(request);
  const auto limit = proto::parse_number(argument(request, 4, std::to_string(kListMax)));
  if (limit && *limit == 0) co_return replies::failure(Error(Errc::invalid_argument, "limit is 1 at least"));
  KvScan scan{
      .bucket = argument(request, 2, "default"),
      .from = argument(request, 3, ""),
      .prefix = argument(request, 1, ""),
      .limit = static_cast<std::uint32_t>(std::min<std::uint64_t>(limit ? *limit : kListMax, kListMax))};
  std::vector<NodeId> members;
  if (request.args.front() == "scan")
    members.push_back(id_);
  else
    for (const auto& member : ring_->read()->members) members.push_back(member.id);
  KvListing listing(std::move(scan), members);
  while (true) {
    const auto questions = listing.questions();
    if (questions.empty()) break;
    std::vector<PendingCall<KvScan::Answer>> asked;
    const auto time = std::clamp<Duration>(deadline - now(), 1ms, kMemberTimeout);
    for (const auto& [member, asks] : questions) {
      const auto there = ref<KvServer>(std::string(KvServer::kName) + "@" + member.str());
      if (!there) co_return replies::failure(there.error());
      asked.push_back(call(*there, KvScan(asks), time));
    }
    for (std::size_t i = 0; i < asked.size(); ++i) {
      auto found = co_await asked[i];
      if (!found && found.error().code() == Errc::invalid_argument) co_return replies::failure(found.error());
      listing.take(questions[i].member, std::move(found));
    }
  }
  auto page = std::move(listing).page();
  if (!members.empty() && page.silent.size() == members.size())
    co_return replies::failure(Error(Errc::unreachable, "no member of the ring tells its keys"));
  Value::Array rows;
  for (const auto& key : page.keys) rows.push_back(shown(Bytes(key.begin(), key.end())));
  auto reply = replies::answer(std::move(rows));
  std::string silent;
  for (const auto& member : page.silent) silent += (silent.empty() ? "" : ", ") + member.str();
  if (!silent.empty()) reply.set("note", "no answer of " + silent);
  co_return reply;
}

/// Answers when there are changes after SINCE, or with none in time for the client to ask again; without
/// SINCE at once, with where to go on.
Task<Value> KvCommand::watch(const proto::CommandRequest& request) {
  const auto wait = std::min<Duration>(budget(request), kWatchMost);
  KvWatch question{.bucket = argument(request, 2, "default"), .prefix = argument(request, 1, "")};
  if (request.args.size() > 3) question.since = proto::parse_number(request.args[3]).value_or(0);
  if (request.follow)
    question.wait_ms =
        static_cast<std::uint32_t>(std::chrono::floor<std::chrono::milliseconds>(wait - wait / 4).count());
  auto pending = call(watcher_, std::move(question), wait);
  const auto found = co_await pending;
  if (!found) co_return replies::failure(found.error());
  Value::Array rows;
  for (const auto& row : found->rows) rows.push_back(watch_row(row));
  co_return replies::answer(std::move(rows));
}

Task<Value> KvCommand::status() {
  const auto info = co_await call<KvInfo>(store_);
  if (!info) co_return replies::failure(info.error());
  const auto& progress = info->progress;
  Value::Array buckets;
  for (const auto& bucket : info->buckets) buckets.push_back(Value::of(bucket));
  auto data = Value::map({{"settled", progress.settled},
                          {"to_compare", static_cast<std::uint64_t>(progress.to_compare)},
                          {"handing_over", progress.handing_over},
                          {"handed_over", progress.handed_over},
                          {"left", progress.left},
                          {"leaving", progress.leaving},
                          {"hints", static_cast<std::uint64_t>(progress.hints)},
                          {"fault", progress.fault.empty() ? Value() : Value(progress.fault)},
                          {"durable", info->durable},
                          {"buckets", std::move(buckets)},
                          {"counters", Value::of(info->counters)}});
  co_return replies::answer(std::move(data));
}

}  // namespace cluster
