#include "cluster/gateway/caller.hpp"

#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <utility>

namespace cluster::gateway {

/// The open calls by number: those who call leave their questions here, the server takes them.
class Caller::Desk {
 public:
  struct Question {
    std::string address;
    std::string event;
    wire::Value message;
    Duration timeout{};
  };

  /// 0 if the desk is closed; then `done` has been called.
  std::uint64_t open(Question question, Done done) {
    {
      const std::lock_guard lock(mutex_);
      if (!closed_) {
        entries_.emplace(++last_, Entry{std::move(question), std::move(done)});
        return last_;
      }
    }
    done(stopping());
    return 0;
  }
  std::optional<Question> take(std::uint64_t number) {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(number);
    if (found == entries_.end()) return std::nullopt;
    return std::move(found->second.question);
  }
  void finish(std::uint64_t number, Result<wire::Value> answer) {
    Done done;
    {
      const std::lock_guard lock(mutex_);
      const auto found = entries_.find(number);
      if (found == entries_.end()) return;
      done = std::move(found->second.done);
      entries_.erase(found);
      ++telling_;
    }
    done(std::move(answer));
    const std::lock_guard lock(mutex_);
    if (--telling_ == 0) told_.notify_all();
  }
  /// Afterwards nobody is told anything any more.
  void close() {
    std::map<std::uint64_t, Entry> left;
    {
      std::unique_lock lock(mutex_);
      closed_ = true;
      left.swap(entries_);
      told_.wait(lock, [this] { return telling_ == 0; });
    }
    for (auto& [number, entry] : left) entry.done(stopping());
  }

 private:
  struct Entry {
    Question question;
    Done done;
  };
  static Error stopping() { return Error(Errc::stopped, "the node is stopping", Executed::unknown); }

  std::mutex mutex_;
  std::map<std::uint64_t, Entry> entries_;
  std::uint64_t last_ = 0;
  std::size_t telling_ = 0;  // how many of those who asked are being told their answers
  std::condition_variable told_;
  bool closed_ = false;
};

namespace {

/// A question lies on the desk.
struct Ask {
  static constexpr bool local = true;

  std::uint64_t number = 0;
};

/// The server named `gateway`: makes the calls and waits for their answers.
class CallingServer : public GenServer<CallingServer, Ask> {
 public:
  static constexpr bool system = true;
  static constexpr bool reentrant = true;

  explicit CallingServer(std::shared_ptr<Caller::Desk> desk) : desk_(std::move(desk)) {}

  Task<void> handle_cast(Ask ask) {
    auto question = desk_->take(ask.number);
    if (!question) co_return;
    auto pending = call(question->address, question->event, question->message, question->timeout);
    question->message = {};  // sent
    auto answer = co_await pending;
    desk_->finish(ask.number, std::move(answer));
  }

 private:
  std::shared_ptr<Caller::Desk> desk_;
};

}  // namespace

Caller::Caller(Node& node, std::shared_ptr<Desk> desk) : node_(node), desk_(std::move(desk)) {}
Caller::~Caller() { stop(); }

Result<std::unique_ptr<Caller>> Caller::start(Node& node) {
  auto desk = std::make_shared<Desk>();
  auto server = node.spawn<CallingServer>({.name = "gateway", .restart = Restart::on_failure}, desk);
  if (!server) return std::move(server).error();
  auto caller = std::unique_ptr<Caller>(new Caller(node, std::move(desk)));
  caller->send_ = [&node, to = server.value()](std::uint64_t number) { return node.cast(to, Ask{number}); };
  caller->end_server_ = [&node, to = server.value()] { static_cast<void>(node.actors().stop(to)); };
  return caller;
}

void Caller::call(std::string address, std::string event, wire::Value message, Duration timeout, Done done) {
  const auto number =
      desk_->open({std::move(address), std::move(event), std::move(message), timeout}, std::move(done));
  if (number == 0) return;
  if (auto sent = send_(number); !sent) desk_->finish(number, std::move(sent).error());
}

void Caller::stop() {
  desk_->close();
  if (auto end = std::exchange(end_server_, nullptr)) end();
}

}  // namespace cluster::gateway
