#include <chrono>
#include <utility>

#include "cluster/gateway/routes.hpp"
#include "cluster/node/command_replies.hpp"
#include "json_text.hpp"

namespace cluster::gateway {
namespace {

using wire::Value;

constexpr std::size_t kBodyBytesMax = 64u << 20;
constexpr std::uint64_t kTimeoutMillisecondsMax = 60'000;

/// The message of a request: none is one without fields.
Result<Value> message_of(const Request& request) {
  if (request.body.empty()) return Value();
  return value_from_json(request.body);
}

/// Text is made of a value where it disturbs nobody: not on the thread of the server that answered.
void answer_with_value(const Toolbox& tools, Result<Value> value, const Answer& answer) {
  tools.server->post([tools, answer, value = std::move(value)] {
    const auto bytes = value ? text_bytes(*value, kLongBytes) : 0;
    run(tools, bytes, [answer, value] { answer(value ? success(*value) : failure(value.error())); });
  });
}

void handle_call(const Toolbox& tools, const Request& request, const Answer& answer) {
  const auto timeout = number_parameter(request, "timeout_ms", kTimeoutMillisecondsMax,
                                        static_cast<std::uint64_t>(kCallTimeout / 1ms));
  if (!timeout) return answer(failure(timeout.error()));
  auto message = message_of(request);
  if (!message) return answer(failure(message.error()));
  tools.caller->call(
      request.captures[0], request.captures[1], std::move(*message), std::chrono::milliseconds(*timeout),
      [tools, answer](Result<Value> value) { answer_with_value(tools, std::move(value), answer); });
}

void handle_cast(const Toolbox& tools, const Request& request, const Answer& answer) {
  const auto message = message_of(request);
  if (!message) return answer(failure(message.error()));
  const auto sent = tools.node->cast(request.captures[0], request.captures[1], *message);
  if (!sent) return answer(failure(sent.error()));
  Response response{.status = 202};
  response.body = json_body(replies::done());
  answer(std::move(response));
}

using Action = void (*)(const Toolbox&, const Request&, const Answer&);

Route message_route(std::string pattern, const Toolbox& tools, Action action) {
  return {.method = Method::post,
          .pattern = std::move(pattern),
          .handle =
              [tools, action](Request request, Answer answer) {
                const auto bytes = request.body.size();
                run(tools, bytes, [tools, action, request = std::move(request), answer = std::move(answer)] {
                  action(tools, request, answer);
                });
              },
          .body_bytes_max = kBodyBytesMax};
}

}  // namespace

void add_call_routes(Router& router, const Toolbox& tools) {
  router.add(message_route("/v1/call/{server}/{event}", tools, handle_call));
  router.add(message_route("/v1/cast/{server}/{event}", tools, handle_cast));
}

}  // namespace cluster::gateway
