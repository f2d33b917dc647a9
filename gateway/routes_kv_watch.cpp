// The changes of a bucket, wherever in the ring its keys lie: as a list, or as they come.
#include <functional>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include "cluster/gateway/routes.hpp"
#include "cluster/kv/kv_watch.hpp"
#include "cluster/proto/command.hpp"
#include "json_text.hpp"

namespace cluster::gateway {
namespace {

using wire::Value;

constexpr Duration kChangesWait = 10s;   // of a stream, for news
constexpr Duration kChangesAnswer = 5s;  // for the answer to come
constexpr std::uint64_t kChangesWaitMillisecondsMax = 30'000;
constexpr std::size_t kChangesQueued = 1024;  // for a client that reads slowly: then no more is asked for

using Watched = std::function<void(Result<KvWatch::Answer>)>;

/// `done` runs on the thread that serves.
void ask_watcher(const Toolbox& tools, const KvWatch& watch, Watched done) {
  tools.caller->call(
      std::string(KvWatcher::kName), std::string(KvWatch::event), Value::of(watch),
      std::chrono::milliseconds(watch.wait_ms) + kChangesAnswer,
      [tools, done = std::move(done)](const Result<Value>& answer) {
        auto told = answer ? answer->to<KvWatch::Answer>()
                    : answer.error().code() == Errc::no_server
                        ? Error(Errc::unreachable, "this node runs no key-value store: start it with --kv")
                        : answer.error();
        tools.server->post([done, told = std::move(told)]() mutable { done(std::move(told)); });
      });
}

/// Asks again and again, as fast as what is told is taken: who is so slow that the watcher forgets what it
/// missed is told of it by the watcher. Of the thread that serves.
class ChangeStream : public std::enable_shared_from_this<ChangeStream> {
 public:
  ChangeStream(const Toolbox& tools, KvWatch watch) : tools_(tools), watch_(std::move(watch)) {}

  void ask() {
    asking_ = true;
    ask_watcher(tools_, watch_, [weak = weak_from_this()](const Result<KvWatch::Answer>& answer) {
      if (const auto self = weak.lock()) self->take(answer);
    });
  }
  void take(const Result<KvWatch::Answer>& answer) {
    asking_ = false;
    if (answer) {
      for (const auto& row : answer->rows) messages_.push_back({row.seq, json_text(watch_row(row))});
      watch_.since = answer->last;
      watch_.wait_ms = static_cast<std::uint32_t>(kChangesWait / 1ms);
      ask_if_room();
    } else {
      ended_ = true;  // the client begins again, behind what it has
      const auto seq = watch_.since.value_or(0);
      const auto row = Value::map({{"seq", seq}, {"event", "error"}, {"message", answer.error().message()}});
      messages_.push_back({seq, json_text(row)});
    }
    if (wake_ && !messages_.empty()) wake_();
  }
  [[nodiscard]] std::vector<Feed::Message> take_all() {
    auto all = std::exchange(messages_, {});
    ask_if_room();
    return all;
  }
  void listen(std::function<void()> wake) { wake_ = std::move(wake); }
  [[nodiscard]] bool ended() const noexcept { return ended_ && messages_.empty(); }

 private:
  void ask_if_room() {
    if (!asking_ && !ended_ && messages_.size() < kChangesQueued) ask();
  }

  Toolbox tools_;
  KvWatch watch_;
  std::vector<Feed::Message> messages_;
  std::function<void()> wake_;
  bool asking_ = false;
  bool ended_ = false;
};

class ChangeFeed final : public Feed {
 public:
  explicit ChangeFeed(std::shared_ptr<ChangeStream> stream) : stream_(std::move(stream)) {}
  std::vector<Message> take() override { return stream_->take_all(); }
  void on_news(std::function<void()> wake) override { stream_->listen(std::move(wake)); }
  [[nodiscard]] bool ended() const override { return stream_->ended(); }

 private:
  std::shared_ptr<ChangeStream> stream_;
};

/// What is asked for; without a number, or the Last-Event-ID of a browser that connects again: from now on.
Result<KvWatch> watch_of(const Request& request) {
  constexpr auto kMax = std::numeric_limits<std::int64_t>::max();
  KvWatch watch{.bucket = request.captures[0]};
  if (const auto* const prefix = request.parameter("prefix")) watch.prefix = *prefix;
  const auto wait = number_parameter(request, "wait_ms", kChangesWaitMillisecondsMax, 0);
  if (!wait) return wait.error();
  watch.wait_ms = static_cast<std::uint32_t>(*wait);
  if (const auto last = request.header("last-event-id"); !last.empty()) {
    const auto number = proto::parse_number(last);
    if (!number || *number > kMax)
      return Error(Errc::invalid_argument, "Last-Event-ID is not the number of a change");
    watch.since = *number;
  } else if (request.parameter("since") != nullptr) {
    const auto number = number_parameter(request, "since", kMax, 0);
    if (!number) return number.error();
    watch.since = *number;
  }
  return watch;
}

Response change_list(const KvWatch::Answer& answer) {
  Value::Array rows;
  for (const auto& row : answer.rows) rows.push_back(watch_row(row));
  return success(Value::map({{"changes", std::move(rows)}, {"last", answer.last}}));
}

void list_or_stream_changes(const Toolbox& tools, const Request& request, const Answer& answer) {
  const auto watch = watch_of(request);
  if (!watch) return answer(failure(watch.error()));
  const bool streams = request.header("accept").find("text/event-stream") != std::string_view::npos;
  ask_watcher(tools, *watch, [=](const Result<KvWatch::Answer>& told) {
    if (!told) return answer(failure(told.error()));
    if (!streams) return answer(change_list(*told));
    const auto stream = std::make_shared<ChangeStream>(tools, *watch);
    stream->take(told);
    Response response{.type = "text/event-stream"};
    response.feed = std::make_shared<ChangeFeed>(stream);
    answer(std::move(response));
  });
}

Result<std::shared_ptr<Feed>> open_change_feed(const Toolbox& tools, const Request& request) {
  auto watch = watch_of(request);
  if (!watch) return watch.error();
  const auto stream = std::make_shared<ChangeStream>(tools, std::move(*watch));
  stream->ask();
  return std::shared_ptr<Feed>(std::make_shared<ChangeFeed>(stream));
}

}  // namespace

void add_kv_watch_routes(Router& router, const Toolbox& tools) {
  router.add({.pattern = "/v1/watch/{bucket}",
              .handle = [tools](const Request& request,
                                const Answer& answer) { list_or_stream_changes(tools, request, answer); },
              .feed = [tools](const Request& request) { return open_change_feed(tools, request); }});
}

}  // namespace cluster::gateway
