// What handing messages over inside one process can cost at least on this machine. Bounds, not rivals:
//   W1           a call: message and reply allocated, pushed and popped through two lock-free mailboxes, all
//   on one
//                thread; also between two threads that spin
//   thread-call  a call to another thread and back, both waiting on condition variables
//   W2           a flood of allocated messages through one lock-free mailbox, two threads, the receiver
//   spinning;
//                also through a vector under a mutex that the receiver swaps out
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>

#include "peer.hpp"

namespace {
using namespace peer;

const Results result("raw threads");

struct Message {
  std::atomic<Message*> next{nullptr};
  std::int64_t value = 0;
};

/// Many producers, one consumer. Source: D. Vyukov, "Intrusive MPSC node-based queue".
class Mailbox {
 public:
  void push(Message* message) {
    message->next.store(nullptr, std::memory_order_relaxed);
    Message* before = head_.exchange(message, std::memory_order_acq_rel);
    before->next.store(message, std::memory_order_release);
  }
  /// Null if it is empty, or if a push is half done. The caller owns what it gets.
  Message* pop() {
    Message* first = tail_;
    Message* second = first->next.load(std::memory_order_acquire);
    if (first == &stub_) {
      if (second == nullptr) return nullptr;
      tail_ = first = second;
      second = second->next.load(std::memory_order_acquire);
    }
    if (second == nullptr) {
      if (first != head_.load(std::memory_order_acquire)) return nullptr;
      push(&stub_);
      second = first->next.load(std::memory_order_acquire);
      if (second == nullptr) return nullptr;
    }
    tail_ = second;
    return first;
  }

 private:
  Message stub_;
  alignas(64) std::atomic<Message*> head_{&stub_};
  alignas(64) Message* tail_ = &stub_;
};

void keep(std::int64_t value) { asm volatile("" : : "r"(value)); }

double nanoseconds_each(Instant start, long times) {
  return seconds_since(start) / static_cast<double>(times) * 1e9;
}

void w1(Scale scale) {
  const long calls = scale(5'000'000);
  Mailbox server, client;
  std::int64_t sum = 0;
  auto start = Clock::now();
  for (long i = 0; i < calls; ++i) {
    auto* request = new Message;
    request->value = i;
    server.push(request);
    Message* received = server.pop();
    auto* reply = new Message;
    reply->value = received->value + 1;
    delete received;
    client.push(reply);
    received = client.pop();
    sum += received->value;
    delete received;
  }
  keep(sum);
  result("W1", "call", "ns/call", nanoseconds_each(start, calls));

  alignas(64) std::atomic<std::int64_t> there{0};
  alignas(64) std::atomic<std::int64_t> back{0};
  const std::int64_t turns = scale(500'000);
  std::thread server_thread([&] {
    for (std::int64_t i = 1; i <= turns; ++i) {
      while (there.load(std::memory_order_acquire) != i) {
      }
      back.store(i, std::memory_order_release);
    }
  });
  start = Clock::now();
  for (std::int64_t i = 1; i <= turns; ++i) {
    there.store(i, std::memory_order_release);
    while (back.load(std::memory_order_acquire) != i) {
    }
  }
  result("W1", "call (two spinning threads)", "ns/call", nanoseconds_each(start, turns));
  server_thread.join();
}

void thread_call(Scale scale) {
  const long calls = scale(30'000);
  std::mutex mutex;
  std::condition_variable to_server, to_client;
  bool asked = false;
  std::thread server([&] {
    for (long i = 0; i < calls; ++i) {
      std::unique_lock lock(mutex);
      to_server.wait(lock, [&] { return asked; });
      asked = false;
      to_client.notify_one();
    }
  });
  std::vector<double> each;
  for (long i = 0; i < calls; ++i) {
    const auto sent = Clock::now();
    std::unique_lock lock(mutex);
    asked = true;
    to_server.notify_one();
    to_client.wait(lock, [&] { return !asked; });
    each.push_back(seconds_since(sent) * 1e9);
  }
  result("thread-call", "p50", "ns", percentile(each, .5));
  result("thread-call", "p99", "ns", percentile(each, .99));
  server.join();
}

void w2(Scale scale) {
  const long messages = scale(5'000'000);
  Mailbox mailbox;
  auto start = Clock::now();
  std::thread receiver([&] {
    for (long seen = 0; seen < messages;) {
      Message* message = mailbox.pop();
      if (message == nullptr) continue;
      delete message;
      ++seen;
    }
  });
  for (long i = 0; i < messages; ++i) mailbox.push(new Message);
  receiver.join();
  result("W2", "cast", "msg/s", static_cast<double>(messages) / seconds_since(start));

  std::mutex mutex;
  std::vector<std::int64_t> queue;
  start = Clock::now();
  std::thread swapper([&] {
    std::vector<std::int64_t> taken;
    for (long seen = 0; seen < messages; seen += static_cast<long>(taken.size())) {
      taken.clear();
      {
        const std::lock_guard lock(mutex);
        taken.swap(queue);
      }
      if (taken.empty()) std::this_thread::yield();
    }
  });
  for (long i = 0; i < messages; ++i) {
    const std::lock_guard lock(mutex);
    queue.push_back(i);
  }
  swapper.join();
  result("W2", "cast (mutex and vector)", "msg/s", static_cast<double>(messages) / seconds_since(start));
}

}  // namespace

int main(int argc, char** argv) {
  return run(argc, argv, {{"W1", w1}, {"thread-call", thread_call}, {"W2", w2}});
}
