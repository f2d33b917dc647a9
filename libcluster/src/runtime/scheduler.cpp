#include "scheduler.hpp"

#include <pthread.h>

#include <algorithm>
#include <string>
#include <system_error>
#include <utility>

#include "spare.hpp"
#include "worker.hpp"

namespace cluster::runtime {
namespace {

constinit thread_local PoolThread* this_thread = nullptr;

}  // namespace

Scheduler::Scheduler(const EngineConfig& config, IoDriver& io) : config_(config), io_(io), parking_(io) {
  for (std::size_t i = 0; i < config_.workers; ++i) workers_.push_back(std::make_unique<Worker>(*this, i));
  spare_ = std::make_unique<Spare>(*this);
}

Scheduler::~Scheduler() { stop(); }

Result<void> Scheduler::start() {
  try {
    for (const auto& worker : workers_) threads_.emplace_back([&worker = *worker] { worker.run(); });
    threads_.emplace_back([this] { spare_->run(); });
  } catch (const std::system_error& error) {
    stop();
    return Error(Errc::io, std::string("cannot start a thread: ") + error.what());
  }
  return {};
}

void Scheduler::stop() noexcept {
  quitting_.store(true);
  parking_.wake_all();
  spare_->quit();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void Scheduler::enqueue(Job* job) noexcept {
  PoolThread* thread = this_thread;
  if (thread != nullptr && thread->scheduler() == this)
    thread->add(job);
  else
    enqueue_shared(job);
}

void Scheduler::enqueue_shared(Job* job) noexcept {
  (job->system() ? system_ : injected_).push(job);
  parking_.work_added();
}

TimerId Scheduler::set_timer(Instant due, ActorRef to, EnvelopePtr message) {
  const TimerId timer = timers_.set(due, std::move(to), std::move(message));
  parking_.timer_added(due);
  return timer;
}

bool Scheduler::work_visible() const noexcept {
  return !system_.empty() || !injected_.empty() ||
         std::any_of(workers_.begin(), workers_.end(),
                     [](const auto& worker) { return worker->has_queued(); });
}

std::size_t Scheduler::poll(Duration max_wait) {
  const std::size_t events = io_.poll(max_wait);
  if (events != 0) io_.flush();
  const Instant now = MonotonicClock::now();
  last_poll_.store(now.time_since_epoch().count(), std::memory_order_relaxed);
  return events + timers_.fire(now);
}

Duration Scheduler::poll_age(Instant now) const noexcept {
  return now - Instant(Duration(last_poll_.load(std::memory_order_relaxed)));
}

PoolThread* PoolThread::current() noexcept { return this_thread; }

void PoolThread::enter(const char* name) noexcept {
  this_thread = this;
  pthread_setname_np(pthread_self(), name);
}

std::size_t PoolThread::wait_for_events(Instant latest) {
  Parking& parking = scheduler_.parking_;
  const Instant now = MonotonicClock::now();
  const Instant until = std::min({latest, scheduler_.timers_.next(), now + kWaitMax});
  if (until <= now) return scheduler_.poll(Duration::zero());
  parking.announce_wait(until);
  waits_ = true;
  std::size_t events = 0;
  if (!must_not_wait() && scheduler_.timers_.next() >= until && !scheduler_.quitting())
    events = scheduler_.poll(until - now);
  stop_waiting();
  return events;
}

void PoolThread::stop_waiting() noexcept {
  if (std::exchange(waits_, false)) scheduler_.parking_.retract_wait();
}

}  // namespace cluster::runtime
