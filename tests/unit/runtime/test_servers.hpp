#pragma once
#include <cstdint>
#include <deque>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "cluster/runtime/gen_server.hpp"

namespace cluster::testing {

struct Add {
  std::int64_t n = 0;
  using reply = std::int64_t;
};
struct Get {
  using reply = std::int64_t;
};
struct Fail {
  std::string text;
};

/// Adds on call and cast, refuses negative numbers, throws on Fail.
class Counter : public GenServer<Counter, Add, Get, Fail> {
 public:
  explicit Counter(std::int64_t start = 0) : total_(start) {}

  Result<std::int64_t> handle_call(const Add& add) {
    if (add.n < 0) return Error(Errc::refused, "only up");
    return total_ += add.n;
  }
  std::int64_t handle_call(const Get&) { return total_; }
  void handle_cast(const Fail& fail) { throw std::runtime_error(fail.text); }

 private:
  std::int64_t total_;
};

struct Forward {
  std::int64_t n = 0;
  using reply = std::int64_t;
};
struct ForwardTwice {
  std::int64_t n = 0;
  using reply = std::string;
};
struct Note {
  std::string text;
};
struct Notes {
  using reply = std::vector<std::string>;
};
struct AskMyself {
  using reply = std::int64_t;
};
struct AskAll {
  std::vector<std::string> nodes;
  std::int64_t n = 0;
  using reply = std::vector<std::string>;
};

/// Answers by asking another server: the coroutine forms that are allowed.
class Proxy : public GenServer<Proxy, Forward, ForwardTwice, Note, Notes, AskMyself, AskAll> {
 public:
  explicit Proxy(Ref<Counter> to) : to_(std::move(to)) {}

  Task<Result<std::int64_t>> handle_call(const Forward& m) {
    const std::string kept = "a local that outlives the suspension, longer than any small buffer";
    auto sum = co_await call<Add>(to_, m.n);
    if (!sum) co_return sum.error();
    co_return kept.empty() ? 0 : sum.value();
  }
  Task<Result<std::string>> handle_call(ForwardTwice m) {
    auto first = call(to_, Add{m.n});
    auto second = call(to_, Add{m.n});
    auto b = co_await second;
    auto a = co_await first;
    if (!a) co_return a.error();
    if (!b) co_return b.error();
    co_return std::to_string(*a) + "," + std::to_string(*b);
  }
  void handle_cast(Note m) { notes_.push_back(std::move(m.text)); }
  std::vector<std::string> handle_call(const Notes&) { return notes_; }
  Task<Result<std::int64_t>> handle_call(const AskMyself&) { co_return co_await call<AskMyself>(self()); }
  Task<std::vector<std::string>> handle_call(AskAll m) {
    std::vector<NodeId> nodes;
    for (auto& node : m.nodes) nodes.emplace_back(std::move(node));
    const auto answers = co_await multicall<Counter, Add>(nodes, "counter", m.n);
    std::vector<std::string> texts;
    for (const auto& answer : answers)
      texts.push_back(
          answer.node.str() + "=" +
          (answer.result ? std::to_string(*answer.result) : std::string(name_of(answer.result.error()))));
    co_return texts;
  }

 private:
  static std::string_view name_of(const Error& error) { return cluster::name(error.code()); }

  Ref<Counter> to_;
  std::vector<std::string> notes_;
};

struct Now {
  using reply = std::int64_t;
};
struct Soon {
  using reply = std::int64_t;
};
struct Whenever {
  using reply = std::int64_t;
};

/// Fails at all that it is asked, and says whether it has happened.
class Teller : public GenServer<Teller, Now, Soon, Whenever> {
 public:
  static constexpr bool tells_outcome = true;

  Result<std::int64_t> handle_call(const Now&) { return Error(Errc::refused, "now", Executed::no); }
  Task<Result<std::int64_t>> handle_call(const Soon&) {
    co_await sleep(1s);
    co_return Error(Errc::io, "soon", Executed::unknown);
  }
  void handle_call(const Whenever&, From<std::int64_t> from) {
    from.reply(Error(Errc::unreachable, "whenever", Executed::no));
  }
};

struct Later {
  std::int64_t n = 0;
  using reply = std::int64_t;
};
struct Release {};

/// Keeps its callers' From<> until Release.
class Deferrer : public GenServer<Deferrer, Later, Release> {
 public:
  void handle_call(const Later& m, From<std::int64_t> from) { waiting_.emplace_back(m.n, std::move(from)); }
  void handle_cast(const Release&) {
    for (auto& [n, from] : waiting_) from.reply(n * 10);
    waiting_.clear();
  }

 private:
  std::vector<std::pair<std::int64_t, From<std::int64_t>>> waiting_;
};

}  // namespace cluster::testing

namespace cluster::testing {

struct Slow {
  std::int64_t n = 0;
  using reply = std::int64_t;
};
struct Quick {
  using reply = std::int64_t;
};

/// Takes other messages while a handler is suspended.
class Reentrant : public GenServer<Reentrant, Slow, Quick> {
 public:
  static constexpr bool reentrant = true;
  explicit Reentrant(Ref<Counter> to) : to_(std::move(to)) {}

  Task<Result<std::int64_t>> handle_call(Slow m) {
    ++open_;
    auto sum = co_await call<Add>(to_, m.n);
    --open_;
    co_return sum;
  }
  std::int64_t handle_call(const Quick&) { return open_; }

 private:
  Ref<Counter> to_;
  std::int64_t open_ = 0;
};

}  // namespace cluster::testing
