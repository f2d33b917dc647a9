#include "cluster/kv/kv_command.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include "cluster/base/utf8.hpp"
#include "cluster/kv/kv_store.hpp"
#include "cluster/node/command_replies.hpp"

// No aggregate is made inside a co_await expression here: GCC 12 would destroy it twice.

namespace cluster {
namespace {

using wire::Value;

constexpr Duration kClientTimeout = 10s;  // of a client that states none
constexpr Duration kWatchPeriod = 50ms;   // between two looks for changes
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

}  // namespace

Task<Value> KvCommand::handle_call(proto::CommandRequest request) {
  auto checked = proto::check(std::move(request));
  if (!checked) co_return replies::failure(checked.error());
  const proto::CommandRequest& command = *checked;
  if (command.name != "kv")
    co_return replies::failure(Error(Errc::invalid_argument, "this is no kv command"));
  const auto& what = command.args.front();
  if (what == "get") co_return co_await get(command);
  if (what == "ls") co_return co_await list(command);
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
  if (!answer) co_return replies::failure(answer.error());
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
  co_return replies::answer(std::move(data));
}

Task<Value> KvCommand::write(const proto::CommandRequest& request) {
  const bool puts = request.args.front() == "put";
  const Duration time = budget(request);
  const Instant deadline = now() + time;
  proto::KvRequest asked{.key = {argument(request, puts ? 3 : 2, "default"), request.args[1]}};
  auto read = co_await ask(asked, time / 2);
  if (!read) co_return replies::failure(read.error());
  if (!puts && read->values.empty())
    co_return replies::failure(Error(Errc::not_found, "there is no key '" + request.args[1] + "'"));
  asked.verb = puts ? proto::KvVerb::put : proto::KvVerb::del;
  asked.context = std::move(read->context);
  if (const auto* bytes = request.payload.bytes())
    asked.value = *bytes;
  else if (puts && request.args.size() > 2)
    asked.value.assign(request.args[2].begin(), request.args[2].end());
  auto done = co_await ask(asked, std::max<Duration>(deadline - now(), 100ms));
  if (!done) co_return replies::failure(done.error());
  co_return replies::done();
}

/// The keys that any member holds. A member that does not answer is noted.
Task<Value> KvCommand::list(const proto::CommandRequest& request) {
  KvScan scan{
      .bucket = argument(request, 2, "default"), .prefix = argument(request, 1, ""), .limit = kListMax};
  const auto view = ring_->read();
  std::vector<PendingCall<std::vector<std::string>>> asked;
  for (const auto& member : view->members) {
    const auto there = ref<KvServer>(std::string(KvServer::kName) + "@" + member.id.str());
    if (!there) co_return replies::failure(there.error());
    asked.push_back(call(*there, KvScan(scan), std::min(budget(request), kMemberTimeout)));
  }
  std::set<std::string> keys;
  std::string silent;
  for (std::size_t i = 0; i < asked.size(); ++i) {
    auto found = co_await asked[i];
    if (found)
      keys.insert(found->begin(), found->end());
    else
      silent += (silent.empty() ? "" : ", ") + view->members[i].id.str();
  }
  Value::Array rows;
  for (const auto& key : keys) rows.push_back(key);
  auto reply = replies::answer(std::move(rows));
  if (!silent.empty()) reply.set("note", "no answer of " + silent);
  co_return reply;
}

/// Answers when there are changes after number SINCE, or with none in time for the client to ask again.
Task<Value> KvCommand::watch(const proto::CommandRequest& request) {
  const Instant deadline = now() + budget(request);
  const auto since = proto::parse_number(argument(request, 3, "0"));
  KvChanges changes{.since = since ? *since : 0,
                    .bucket = argument(request, 2, "default"),
                    .prefix = argument(request, 1, "")};
  while (true) {
    auto pending = call(store_, KvChanges(changes));
    const auto found = co_await pending;
    if (!found) co_return replies::failure(found.error());
    if (!found->empty() || !request.follow || deadline - now() < kWatchPeriod) {
      Value::Array rows;
      for (const auto& change : *found)
        rows.push_back(Value::map({{"seq", change.number}, {"key", change.key}}));
      co_return replies::answer(std::move(rows));
    }
    co_await sleep(kWatchPeriod);
  }
}

Task<Value> KvCommand::status() {
  const auto info = co_await call<KvInfo>(store_);
  if (!info) co_return replies::failure(info.error());
  const auto& progress = info->progress;
  auto data = Value::map({{"settled", progress.settled},
                          {"to_compare", static_cast<std::uint64_t>(progress.to_compare)},
                          {"handing_over", progress.handing_over},
                          {"handed_over", progress.handed_over},
                          {"hints", static_cast<std::uint64_t>(progress.hints)},
                          {"durable", info->durable},
                          {"counters", Value::of(info->counters)}});
  co_return replies::answer(std::move(data));
}

}  // namespace cluster
