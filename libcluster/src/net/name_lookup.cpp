#include "cluster/net/name_lookup.hpp"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

namespace cluster::net {
namespace {

Result<std::vector<Endpoint>> ask_resolver(const Endpoint& name) {
  addrinfo wanted{};
  wanted.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  const int fault = ::getaddrinfo(name.host.c_str(), nullptr, &wanted, &list);
  const int number = errno;
  if (fault != 0)
    return Error(Errc::unreachable,
                 "the name '" + name.host + "' is not known: " +
                     (fault == EAI_SYSTEM ? std::strerror(number) : ::gai_strerror(fault)));
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(list, &::freeaddrinfo);
  std::vector<Endpoint> found;
  for (const auto* entry = list; entry != nullptr; entry = entry->ai_next) {
    std::array<char, NI_MAXHOST> host{};
    if (::getnameinfo(entry->ai_addr, entry->ai_addrlen, host.data(), host.size(), nullptr, 0,
                      NI_NUMERICHOST) == 0)
      found.push_back({host.data(), name.port});
  }
  std::ranges::sort(found);
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

}  // namespace

struct NameLookup::State {
  struct Question {
    Endpoint name;
    Answer answer;
  };
  /// Its thread's life; the state lives as long.
  static void run(const std::shared_ptr<State>& state) {
    std::unique_lock lock(state->mutex);
    while (true) {
      state->changed.wait(lock, [&] { return state->has_ended || !state->questions.empty(); });
      if (state->has_ended) return;
      const auto question = std::move(state->questions.front());
      state->questions.pop_front();
      lock.unlock();
      auto found = ask_resolver(question.name);
      lock.lock();
      if (state->has_ended) return;
      question.answer(std::move(found));  // under the lock, so that none comes after the end
    }
  }

  std::recursive_mutex mutex;  // an answer may ask again
  std::condition_variable_any changed;
  std::deque<Question> questions;
  bool has_thread = false;
  bool has_ended = false;
};

NameLookup::NameLookup() : state_(std::make_shared<State>()) {}

NameLookup::~NameLookup() {
  const std::lock_guard lock(state_->mutex);
  state_->has_ended = true;
  state_->changed.notify_all();
}

void NameLookup::look_up(Endpoint name, Answer answer) {
  const std::lock_guard lock(state_->mutex);
  state_->questions.push_back({std::move(name), std::move(answer)});
  if (!std::exchange(state_->has_thread, true)) std::thread(&State::run, state_).detach();
  state_->changed.notify_all();
}

}  // namespace cluster::net
