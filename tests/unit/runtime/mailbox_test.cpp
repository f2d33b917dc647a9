// The two queues of an actor and its run state, step by step and under load.
#include <set>

#include "cluster/runtime/mailbox.hpp"
#include "engine_support.hpp"

using namespace cluster;
using namespace cluster::runtime;
using namespace cluster::runtime::testing;

namespace {

std::vector<std::int64_t> popped(Mailbox& mailbox) {
  std::vector<std::int64_t> numbers;
  for (auto next = mailbox.pop(); next.message != nullptr; next = mailbox.pop()) {
    const std::unique_ptr<Envelope> message(next.message);
    const auto value = static_cast<const Number&>(*message).value;
    CHECK(next.system == (value < 0));
    numbers.push_back(value);
  }
  return numbers;
}
Mailbox::Push push(Mailbox& mailbox, std::int64_t n) {
  Envelope* message = number(n).release();
  const auto push = n < 0 ? mailbox.push_system(message) : mailbox.push(message);
  if (push == Mailbox::Push::closed) delete message;
  return push;
}

}  // namespace

TEST_CASE("mailbox: who pushes to an idle actor first must schedule it, whatever the queue") {
  Mailbox mailbox;
  for (const std::int64_t first : {1, -1})
    for (const std::int64_t second : {2, -2}) {
      CAPTURE(first);
      CAPTURE(second);
      REQUIRE(mailbox.try_idle());
      CHECK(push(mailbox, first) == Mailbox::Push::wake);
      CHECK(push(mailbox, second) == Mailbox::Push::ok);
      CHECK_FALSE(mailbox.try_idle());
      CHECK(popped(mailbox).size() == 2);
    }
}

TEST_CASE("mailbox: the system message that woke an actor comes first, then the other system messages") {
  Mailbox mailbox;
  REQUIRE(mailbox.try_idle());
  for (const std::int64_t n : {-1, 1, -2, 2, -3}) push(mailbox, n);
  CHECK(popped(mailbox) == std::vector<std::int64_t>{-1, -2, -3, 1, 2});
}

TEST_CASE("mailbox: a user message that woke an actor comes after the system messages") {
  Mailbox mailbox;
  REQUIRE(mailbox.try_idle());
  for (const std::int64_t n : {1, -1, 2, -2}) push(mailbox, n);
  CHECK(popped(mailbox) == std::vector<std::int64_t>{-1, -2, 1, 2});
}

TEST_CASE("mailbox: one message is one of its kind, also when it is posted again") {
  Mailbox mailbox;
  REQUIRE(mailbox.try_idle());
  push(mailbox, -1);
  auto next = mailbox.pop();
  CHECK(next.system);
  REQUIRE(mailbox.pop().message == nullptr);
  REQUIRE(mailbox.try_idle());
  CHECK(mailbox.push(next.message) == Mailbox::Push::wake);
  next = mailbox.pop();
  CHECK_FALSE(next.system);
  delete next.message;
}

TEST_CASE("mailbox: the user messages that wait are counted, wherever they wait") {
  Mailbox mailbox;
  REQUIRE(mailbox.try_idle());
  CHECK(mailbox.waiting() == 0);
  for (const std::int64_t n : {-1, 1, 2, -2, 3}) push(mailbox, n);
  CHECK(mailbox.waiting() == 4);  // the system message that woke it is among them until the runner looks
  for (const std::size_t left : {3, 3, 2, 1, 0}) {
    delete mailbox.pop().message;
    CHECK(mailbox.waiting() == left);
  }
  for (const std::int64_t n : {1, 2, 3}) push(mailbox, n);
  delete mailbox.pop().message;
  push(mailbox, 4);
  CHECK(mailbox.waiting() == 3);
  Mailbox::destroy(mailbox.close());
  CHECK(mailbox.waiting() == 0);
}

TEST_CASE("mailbox: more wait than the word can count, and all of them come") {
  Mailbox mailbox;
  REQUIRE(mailbox.try_idle());
  std::vector<std::int64_t> expected(70'000);
  for (std::size_t i = 0; i < expected.size(); ++i) push(mailbox, expected[i] = static_cast<std::int64_t>(i));
  CHECK(mailbox.waiting() == 65'535);
  const auto first = std::unique_ptr<Envelope>(mailbox.pop().message);
  CHECK(mailbox.waiting() == 69'999);
  expected.erase(expected.begin());
  CHECK(popped(mailbox) == expected);
}

TEST_CASE("mailbox: closing hands back all that waits, system messages first, and refuses the rest") {
  Mailbox mailbox;
  REQUIRE(mailbox.try_idle());
  for (const std::int64_t n : {-1, 1, 2, -2}) push(mailbox, n);
  delete mailbox.pop().message;
  std::vector<std::int64_t> rest;
  for (Envelope* left = mailbox.close(); left != nullptr;) {
    const std::unique_ptr<Envelope> message(std::exchange(left, left->next));
    rest.push_back(static_cast<const Number&>(*message).value);
  }
  CHECK(rest == std::vector<std::int64_t>{-2, 1, 2});
  CHECK(push(mailbox, 3) == Mailbox::Push::closed);
  CHECK(push(mailbox, -3) == Mailbox::Push::closed);
}

TEST_CASE(
    "mailbox: system messages of each sender keep their order while the actor goes idle again and again") {
  constexpr std::int64_t kEach = 20'000;
  constexpr std::size_t kSenders = 3;
  const auto host = engine({.workers = 3, .slice_messages_max = 3});
  std::vector<std::int64_t> last(kSenders, 0);
  std::atomic<std::int64_t> handled{0};
  std::atomic<bool> ordered{true};
  const ActorRef actor = spawn(*host, {.message = [&](const ActorRef&, const Number& n) {
    if (n.value != last[n.sender] + 1) ordered = false;
    last[n.sender] = n.value;
    ++handled;
  }});
  std::vector<std::thread> threads;
  for (std::size_t sender = 0; sender < kSenders; ++sender)
    threads.emplace_back([&, sender] {
      for (std::int64_t n = 1; n <= kEach; ++n) {
        EnvelopePtr message = number(n, sender);
        CHECK(actor.post_system(message) == Posted::ok);
        if (n % 50 == 0) CHECK(eventually([&] { return handled + 200 > n; }));
      }
    });
  for (auto& thread : threads) thread.join();
  CHECK(eventually([&] { return handled == kEach * static_cast<std::int64_t>(kSenders); }));
  CHECK(ordered);
}
