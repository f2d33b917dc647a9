// The key-value store: the body of a request or an answer is the value itself, headers carry the rest.
#include <algorithm>
#include <chrono>
#include <utility>

#include "cluster/base/utf8.hpp"
#include "cluster/ds/position.hpp"
#include "cluster/gateway/byte_range.hpp"
#include "cluster/gateway/routes.hpp"
#include "cluster/kv/kv_command.hpp"
#include "cluster/kv/kv_store.hpp"
#include "json_text.hpp"

namespace cluster::gateway {
namespace {

using wire::Value;

constexpr std::string_view kContextHeader = "x-cluster-context";
constexpr std::uint64_t kKvTimeoutMillisecondsMax = 60'000;
constexpr std::uint64_t kTtlMillisecondsMax = 1000ULL * 60 * 60 * 24 * 36'500;
constexpr std::uint64_t kListDefault = 1000;
constexpr std::uint64_t kListMax = 10'000;
constexpr Duration kListTimeout = 10s;
constexpr Duration kAnswerTime = 500ms;  // the store gives up first, and says what it knows

using KvAnswered = std::function<void(Result<proto::KvAnswer>)>;

/// A node without a store is no place to ask.
Error store_error(const Error& error) {
  if (error.code() != Errc::no_server) return error;
  return {Errc::unreachable, "this node runs no key-value store: start it with --kv", Executed::no};
}

/// Takes the values out of the reply without a copy.
Result<proto::KvAnswer> answer_of(Value& reply) {
  const auto refuse = [] { return Error(Errc::bad_message, "the store's answer is none", Executed::yes); };
  auto* outcome = reply.array();
  auto* answer = outcome != nullptr && outcome->size() == 2 ? outcome->front().array() : nullptr;
  auto* values = answer != nullptr && !answer->empty() ? answer->front().array() : nullptr;
  if (values == nullptr) return refuse();
  const auto taken = std::exchange(*values, {});
  auto decoded = reply.to<KvOutcome>();
  if (!decoded) return refuse();
  auto result = std::move(*decoded).result();
  if (!result) return result;
  for (const auto& value : taken) {
    if (value.bytes() == nullptr) return refuse();
    result->values.push_back(*value.bytes());
  }
  return result;
}

/// `done` runs on the thread that serves, or, for what is long, on the one for that.
void ask_store(const Toolbox& tools, proto::KvRequest request, Duration timeout, KvAnswered done) {
  request.timeout_ms =
      static_cast<std::uint32_t>(std::chrono::floor<std::chrono::milliseconds>(timeout).count());
  auto value = std::exchange(request.value, {});
  auto message = Value::of(KvAsk{std::move(request)});
  (*message.find("request")->array())[2] = std::move(value);
  tools.caller->call(std::string(KvServer::kName), std::string(KvAsk::event), std::move(message),
                     timeout + kAnswerTime, [tools, done = std::move(done)](Result<Value> reply) {
                       tools.server->post([tools, done, reply = std::move(reply)]() mutable {
                         const auto bytes = reply ? text_bytes(*reply, kLongBytes) : 0;
                         run(tools, bytes, [done, reply = std::move(reply)]() mutable {
                           done(reply ? answer_of(*reply) : store_error(reply.error()));
                         });
                       });
                     });
}

Result<Duration> timeout_of(const Request& request) {
  const auto timeout = number_parameter(request, "timeout_ms", kKvTimeoutMillisecondsMax,
                                        static_cast<std::uint64_t>(kCallTimeout / 1ms));
  if (!timeout) return timeout.error();
  return Duration(std::chrono::milliseconds(*timeout));
}

proto::KvKey key_of(const Request& request) { return {request.captures[0], request.captures[1]}; }

/// Of a body: a context alone does not tell what is read once the time to live of a sibling is over.
std::string hash_of(std::string_view body) {
  return position_text(HashPolicy::xxh3, position_of(HashPolicy::xxh3, body));
}

std::string entity_tag(std::string_view context, std::string_view hash) {
  std::string tag = "\"";
  tag.append(context).append(hash.empty() ? "" : ".").append(hash);
  return tag + '"';
}

/// That of what is between the quotes of an entity tag, or of the header for it.
Result<VersionVector> context_in(std::string_view tag) {
  return context_from_text(tag.substr(0, tag.find('.')));
}

/// The context that the client gives, if any: as it got it, or as an entity tag.
Result<std::optional<VersionVector>> context_of(const Request& request, std::string_view header) {
  if (request.count(header) == 0) return std::optional<VersionVector>();
  auto text = request.header(header);
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"') text = text.substr(1, text.size() - 2);
  if (text.empty()) return std::optional(VersionVector());
  auto context = context_in(text);
  if (!context) return context.error();
  return std::optional(std::move(*context));
}

/// The entity tag of an If-Match. Those that no key can have, weak ones and of other services, match nothing.
Result<std::optional<VersionVector>> match_of(const Request& request) {
  const auto list = request.list("if-match");
  const auto tags = strong_tags(list);
  if (tags.empty() && list.find('"') == list.npos) return context_of(request, "if-match");
  std::vector<VersionVector> contexts;
  for (const auto tag : tags)
    if (auto context = context_in(tag); context && !context->entries.empty())
      contexts.push_back(std::move(*context));
  if (contexts.empty()) return Error(Errc::refused, "the key has no value with such an entity tag");
  if (contexts.size() > 1)
    return Error(Errc::invalid_argument, "If-Match takes one entity tag of a key, not several");
  return std::optional(std::move(contexts.front()));
}

void add_context(Response& response, std::string context, std::string_view hash) {
  response.headers.emplace_back("ETag", entity_tag(context, hash));
  response.headers.emplace_back("X-Cluster-Context", std::move(context));
}

Value shown_value(Bytes& value) {
  const auto text = as_text(value);
  if (is_utf8(text)) return std::string(text);
  return std::move(value);
}

/// One value is the body; several are a choice that is the client's, who writes what they mean together.
Response value_answer(const Request& request, Result<proto::KvAnswer> read) {
  if (!read)  // it changes nothing, whether it ended or not
    return failure(Error(read.error().code(), read.error().message(), Executed::no));
  if (read->values.empty())
    return failure(Error(Errc::not_found, "there is no key '" + request.captures[1] + "'"));
  auto context = to_text(read->context);
  Response response;
  std::string hash;
  if (read->values.size() == 1) {
    hash = hash_of(as_text(read->values.front()));
    response.status =
        status_of_get(request.list("if-match"), request.list("if-none-match"), entity_tag(context, hash));
    if (response.status == 412)
      return refusal(412, name(Errc::refused), "the key has another entity tag", Executed::no);
    response.type = response.status == 304 ? "" : "application/octet-stream";
    if (response.status == 200) response.body = as_text(read->values.front());
    response.headers.emplace_back("Content-Security-Policy", "sandbox; default-src 'none'");
  } else {
    Value::Array values;
    for (auto& value : read->values) values.push_back(shown_value(value));
    response = success(Value::map({{"values", std::move(values)}, {"context", context}}), 300);
    hash = hash_of(response.body);
  }
  add_context(response, std::move(context), hash);
  if (read->ttl_ms != 0) response.headers.emplace_back("X-Cluster-TTL", std::to_string(read->ttl_ms));
  return response;
}

/// `hash`: of what was written; none of what was deleted.
Response written_answer(const Result<proto::KvAnswer>& written, unsigned status, std::string_view hash) {
  if (!written) return failure(written.error());
  auto context = to_text(written->context);
  auto response = success(Value::map({{"context", context}}), status);
  add_context(response, std::move(context), hash);
  return response;
}

/// Under HTTP's own conditions the refusal is 412.
Response conditional_answer(const Result<proto::KvAnswer>& written, std::string_view hash = {}) {
  if (written || (written.error().code() != Errc::refused && written.error().code() != Errc::already_exists))
    return written_answer(written, 200, hash);
  return refusal(412, name(written.error().code()), written.error().message(), Executed::no);
}

void read_key(const Toolbox& tools, const Request& request, const Answer& answer) {
  const auto timeout = timeout_of(request);
  if (!timeout) return answer(failure(timeout.error()));
  ask_store(tools, {.key = key_of(request)}, *timeout, [request, answer](Result<proto::KvAnswer> read) {
    answer(value_answer(request, std::move(read)));
  });
}

/// What a PUT, POST or DELETE says besides its method.
Result<proto::KvRequest> write_of(const Request& request) {
  proto::KvRequest write{.verb = proto::KvVerb::put, .key = key_of(request)};
  const auto ttl = number_parameter(request, "ttl_ms", kTtlMillisecondsMax, 0);
  if (!ttl) return ttl.error();
  if (*ttl == 0 && request.parameter("ttl_ms") != nullptr)
    return Error(Errc::invalid_argument, "ttl_ms is 1 at least; without it a value stays");
  write.ttl_ms = *ttl;
  const bool absent = request.count("if-none-match") > 0;
  if (absent && request.header("if-none-match") != "*")
    return Error(Errc::invalid_argument, "If-None-Match takes only '*': write if there is no such key");
  const bool present = request.header("if-match") == "*";
  auto match = present ? std::optional<VersionVector>() : match_of(request);
  if (!match) return std::move(match).error();
  auto context = context_of(request, kContextHeader);
  if (!context) return std::move(context).error();
  if (absent + present + match->has_value() + context->has_value() > 1)
    return Error(Errc::invalid_argument, "If-Match, If-None-Match and X-Cluster-Context exclude each other");
  write.condition = absent                 ? proto::KvCondition::absent
                    : present              ? proto::KvCondition::present
                    : match->has_value()   ? proto::KvCondition::matches
                    : context->has_value() ? proto::KvCondition::none
                                           : proto::KvCondition::replace;
  write.context = match->value_or(context->value_or(VersionVector()));
  return write;
}

void write_key(const Toolbox& tools, Request request, const Answer& answer) {
  const auto timeout = timeout_of(request);
  if (!timeout) return answer(failure(timeout.error()));
  auto write = write_of(request);
  if (!write) return answer(conditional_answer(write.error()));
  if (request.count("content-range") > 0)
    return answer(failure(Error(Errc::invalid_argument, "a value is put as a whole, without Content-Range")));
  const bool creates = request.method == Method::post;
  if (creates && write->condition != proto::KvCondition::replace)
    return answer(failure(Error(Errc::invalid_argument, "POST creates a key: it takes no other condition")));
  if (creates) write->condition = proto::KvCondition::absent;
  write->value.assign(request.body.begin(), request.body.end());
  ask_store(tools, std::move(*write), *timeout,
            [answer, creates, hash = hash_of(request.body)](const Result<proto::KvAnswer>& written) {
              answer(creates ? written_answer(written, 201, hash) : conditional_answer(written, hash));
            });
}

/// Without a condition it deletes what it reads, so that a key that is not there can be told.
void delete_key(const Toolbox& tools, const Request& request, const Answer& answer) {
  const auto timeout = timeout_of(request);
  if (!timeout) return answer(failure(timeout.error()));
  auto write = write_of(request);
  if (!write) return answer(conditional_answer(write.error()));
  if (write->condition == proto::KvCondition::absent)
    return answer(failure(Error(Errc::invalid_argument, "what is not there cannot be deleted")));
  write->verb = proto::KvVerb::del;
  const auto done = [answer](const Result<proto::KvAnswer>& written) { answer(conditional_answer(written)); };
  if (write->condition != proto::KvCondition::replace)
    return ask_store(tools, std::move(*write), *timeout, done);
  ask_store(tools, {.key = write->key}, *timeout,
            [tools, write = *write, timeout = *timeout, answer, done](Result<proto::KvAnswer> read) mutable {
              if (!read) return answer(failure(read.error()));
              if (read->values.empty())
                return answer(failure(Error(Errc::not_found, "there is no key '" + write.key.key + "'")));
              write.condition = proto::KvCondition::none;
              write.context = std::move(read->context);
              ask_store(tools, std::move(write), timeout, done);
            });
}

/// As `cluster-cli kv` asks, with what became of it.
void ask_as_command(const Toolbox& tools, const proto::CommandRequest& request,
                    std::function<Response(Value reply)> shown, const Answer& answer) {
  tools.caller->call(std::string(KvCommand::kName), std::string(proto::CommandRequest::event),
                     Value::of(request), kListTimeout,
                     [answer, shown = std::move(shown)](Result<Value> reply) {
                       answer(reply ? shown(std::move(*reply)) : failure(store_error(reply.error())));
                     });
}

/// {"keys": [...], "next": where to go on, or null}
Response keys_answer(Value reply, std::size_t limit) {
  auto* data = reply.find("data");
  if (data == nullptr || data->array() == nullptr) return from_reply(reply);
  auto keys = std::move(*data->array());
  Value next;
  if (keys.size() > limit) {
    next = std::move(keys[limit]);
    keys.resize(limit);
  }
  reply.set("data", Value::map({{"keys", std::move(keys)}, {"next", std::move(next)}}));
  return from_reply(reply);
}

void list_keys(const Toolbox& tools, const Request& request, const Answer& answer) {
  const auto limit = number_parameter(request, "limit", kListMax - 1, kListDefault);
  if (!limit) return answer(failure(limit.error()));
  if (*limit == 0) return answer(failure(Error(Errc::invalid_argument, "limit is 1 at least")));
  const auto text = [&](const char* name) {
    const auto* given = request.parameter(name);
    return given == nullptr ? std::string() : *given;
  };
  ask_as_command(
      tools,
      {.name = "kv",
       .args = {"ls", text("prefix"), request.captures[0], text("from"), std::to_string(*limit + 1)}},
      [limit = static_cast<std::size_t>(*limit)](Value reply) {
        return keys_answer(std::move(reply), limit);
      },
      answer);
}

/// Several requests at once; each stands for itself.
void run_batch(const Toolbox& tools, const Request& request, const Answer& answer) {
  auto entries = value_from_json(request.body);
  if (!entries) return answer(failure(entries.error()));
  proto::CommandRequest command{.name = "kv", .args = {"batch", request.captures[0]}};
  command.payload = std::move(*entries);
  ask_as_command(
      tools, command, [](const Value& reply) { return from_reply(reply); }, answer);
}

using KvAction = void (*)(const Toolbox&, Request, const Answer&);

Route value_route(Method method, const Toolbox& tools, KvAction action) {
  return {.method = method,
          .pattern = "/v1/kv/{bucket}/{key}",
          .handle =
              [tools, action](Request request, Answer answer) {
                const auto bytes = request.body.size();
                run(tools, bytes,
                    [tools, action, request = std::move(request), answer = std::move(answer)]() mutable {
                      action(tools, std::move(request), answer);
                    });
              },
          .body_bytes_max = method == Method::put || method == Method::post ? proto::kKvValueBytesMax : 0,
          .json_body = false};
}

}  // namespace

void add_kv_routes(Router& router, const Toolbox& tools) {
  router.add({.pattern = "/v1/kv", .handle = [tools](const Request&, const Answer& answer) {
                ask_as_command(
                    tools, {.name = "kv", .args = {"status"}},
                    [](const Value& reply) { return from_reply(reply); }, answer);
              }});
  router.add({.pattern = "/v1/kv/{bucket}", .handle = [tools](const Request& request, const Answer& answer) {
                list_keys(tools, request, answer);
              }});
  router.add(
      {.pattern = "/v1/kv/{bucket}/{key}", .handle = [tools](const Request& request, const Answer& answer) {
         read_key(tools, request, answer);
       }});
  router.add({.method = Method::post,
              .pattern = "/v1/kv/{bucket}",
              .handle =
                  [tools](Request request, Answer answer) {
                    const auto bytes = request.body.size();
                    run(tools, bytes, [tools, request = std::move(request), answer = std::move(answer)] {
                      run_batch(tools, request, answer);
                    });
                  },
              .body_bytes_max = proto::kKvValueBytesMax});
  router.add(value_route(Method::put, tools, write_key));
  router.add(value_route(Method::post, tools, write_key));
  router.add(
      value_route(Method::del, tools, [](const Toolbox& toolbox, Request request, const Answer& answer) {
        delete_key(toolbox, request, answer);
      }));
}

}  // namespace cluster::gateway
