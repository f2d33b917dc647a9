#include <limits>
#include <utility>

#include "cluster/gateway/routes.hpp"
#include "cluster/proto/command.hpp"
#include "json_text.hpp"

namespace cluster::gateway {
namespace {

using wire::Value;

class EventFeed final : public Feed {
 public:
  EventFeed(std::shared_ptr<EventLog> log, std::uint64_t since) : log_(std::move(log)), last_(since) {}

  std::vector<Message> take() override {
    std::vector<Message> messages;
    for (const auto& event : log_->after(last_)) {
      last_ = static_cast<std::uint64_t>(*event.find("seq")->integer());
      messages.push_back({last_, json_text(event)});
    }
    return messages;
  }
  void on_news(std::function<void()> wake) override { listening_ = log_->listen(std::move(wake)); }

 private:
  std::shared_ptr<EventLog> log_;
  std::uint64_t last_;
  std::shared_ptr<const EventLog::Listener> listening_;
};

/// The number of the last event that the client has: Last-Event-ID says it when a browser connects again.
Result<std::uint64_t> since(const Request& request) {
  constexpr auto kMax = std::numeric_limits<std::int64_t>::max();
  const auto last = request.header("last-event-id");
  if (last.empty()) return number_parameter(request, "since", kMax, 0);
  const auto number = proto::parse_number(last);
  if (!number || *number > kMax)
    return Error(Errc::invalid_argument, "Last-Event-ID is not the number of an event");
  return number;
}

Result<std::shared_ptr<Feed>> open_feed(const Toolbox& tools, const Request& request) {
  const auto last = since(request);
  if (!last) return last.error();
  return std::shared_ptr<Feed>(std::make_shared<EventFeed>(tools.node->events(), *last));
}

Response list_or_stream(const Toolbox& tools, const Request& request) {
  if (request.header("accept").find("text/event-stream") == std::string_view::npos) {
    const auto last = since(request);
    return last ? success(tools.node->events()->after(*last)) : failure(last.error());
  }
  auto feed = open_feed(tools, request);
  if (!feed) return failure(feed.error());
  Response response{.type = "text/event-stream"};
  response.feed = std::move(*feed);
  return response;
}

}  // namespace

void add_event_routes(Router& router, const Toolbox& tools) {
  router.add({.pattern = "/v1/events",
              .handle = [tools](const Request& request,
                                const Answer& answer) { answer(list_or_stream(tools, request)); },
              .feed = [tools](const Request& request) { return open_feed(tools, request); }});
}

}  // namespace cluster::gateway
