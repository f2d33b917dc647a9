// The slot in which a thread outside the actors waits for a reply.
#include "cluster/runtime/reply_slot.hpp"

#include "engine_support.hpp"

using namespace cluster;
using namespace cluster::runtime;
using namespace cluster::runtime::testing;

namespace {

// Counts how many of them live.
struct Counted final : Envelope {
  explicit Counted(std::atomic<int>& counter) : alive(counter) { ++alive; }
  ~Counted() override { --alive; }
  std::atomic<int>& alive;
};

}  // namespace

TEST_CASE("reply slot: a reply that came before the wait is returned even if the deadline has passed") {
  ReplySlot slot;
  slot.fulfil(number(7));
  const EnvelopePtr reply = slot.wait(Instant{});
  REQUIRE(reply != nullptr);
  CHECK(as_number(reply).value == 7);
}

TEST_CASE("reply slot: without a reply the wait ends at the deadline, not before") {
  ReplySlot slot;
  const Instant deadline = MonotonicClock::now() + 20ms;
  CHECK(slot.wait(deadline) == nullptr);
  CHECK(MonotonicClock::now() >= deadline);
}

TEST_CASE("reply slot: a reply after the timeout, a second reply, and one never fetched are destroyed") {
  std::atomic<int> alive{0};
  {
    const auto late = std::make_shared<ReplySlot>();
    CHECK(late->wait(Instant{}) == nullptr);
    late->fulfil(std::make_unique<Counted>(alive));
    ReplySlot twice;
    twice.fulfil(number(1));
    twice.fulfil(std::make_unique<Counted>(alive));
    CHECK(alive <= 1);
    CHECK(as_number(twice.wait(kNever)).value == 1);
    ReplySlot unfetched;
    unfetched.fulfil(std::make_unique<Counted>(alive));
    CHECK(alive >= 1);
  }
  CHECK(alive == 0);
}

TEST_CASE("reply slot: replies and deadlines that race give the reply or nothing, and leak neither") {
  std::atomic<int> alive{0};
  int timeouts = 0;
  for (int round = 0; round < 2'000; ++round) {
    const auto slot = std::make_shared<ReplySlot>();
    std::atomic<bool> ready{false};
    std::thread other([&, slot] {
      ready = true;
      slot->fulfil(std::make_unique<Counted>(alive));
    });
    while (!ready) std::this_thread::yield();
    if (slot->wait(MonotonicClock::now() + (round % 20) * 1us) == nullptr) ++timeouts;
    other.join();
  }
  CAPTURE(timeouts);
  CHECK(alive == 0);
}

TEST_CASE("reply slot: of several concurrent replies exactly one is returned") {
  std::atomic<int> alive{0};
  for (int round = 0; round < 300; ++round) {
    const auto slot = std::make_shared<ReplySlot>();
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; ++t)
      threads.emplace_back([&, slot] { slot->fulfil(std::make_unique<Counted>(alive)); });
    EnvelopePtr reply = slot->wait(kNever);
    CHECK(reply != nullptr);
    for (std::thread& thread : threads) thread.join();
    reply.reset();
    CHECK(alive == 0);
  }
}

TEST_CASE(
    "reply slot: a thread outside calls actors, several at once, each call answered with its own reply") {
  struct Ask final : Envelope {
    Ask(std::int64_t n, std::shared_ptr<ReplySlot> to) : value(n), slot(std::move(to)) {}
    std::int64_t value;
    std::shared_ptr<ReplySlot> slot;
  };
  class Doubler final : public Behaviour {
    void on_message(EnvelopePtr message) override {
      auto& ask = static_cast<Ask&>(*message);
      ask.slot->fulfil(number(2 * ask.value));
    }
  };
  const auto host = engine();
  const ActorRef doubler = host->spawn(std::make_unique<Doubler>());
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t)
    threads.emplace_back([&] {
      for (std::int64_t n = 0; n < 3'000; ++n) {
        const auto slot = std::make_shared<ReplySlot>();
        EnvelopePtr ask = std::make_unique<Ask>(n, slot);
        REQUIRE(doubler.post(ask) == Posted::ok);
        const EnvelopePtr reply = slot->wait(MonotonicClock::now() + 30s);
        REQUIRE(reply != nullptr);
        CHECK(as_number(reply).value == 2 * n);
      }
    });
  for (std::thread& thread : threads) thread.join();
}
