#include "registry.hpp"

#include <algorithm>
#include <mutex>
#include <utility>

namespace cluster::runtime {

Result<Registry::Token> Registry::reserve(std::string_view name, const ServerType& type) {
  const std::unique_lock lock(mutex_);
  const auto [slot, is_new] = slots_.try_emplace(std::string(name));
  if (!is_new)
    return Error(Errc::already_exists, "a server named '" + std::string(name) + "' runs on this node");
  slot->second.token = ++last_;
  slot->second.type = &type;
  return last_;
}

void Registry::bind(std::string_view name, Token token, ActorRef actor) {
  const std::unique_lock lock(mutex_);
  const auto slot = slots_.find(name);
  if (slot == slots_.end() || slot->second.token != token) return;
  slot->second.actor = std::move(actor);
  version_.fetch_add(1, std::memory_order_release);
}

void Registry::remove(std::string_view name, Token token) noexcept {
  ActorRef released;  // let go outside the lock
  const std::unique_lock lock(mutex_);
  const auto slot = slots_.find(name);
  if (slot == slots_.end() || slot->second.token != token) return;
  released = std::move(slot->second.actor);
  slots_.erase(slot);
  version_.fetch_add(1, std::memory_order_release);
}

std::optional<Registry::Found> Registry::find(std::string_view name) const {
  const std::shared_lock lock(mutex_);
  const auto slot = slots_.find(name);
  if (slot == slots_.end() || !slot->second.actor) return std::nullopt;
  return Found{slot->second.actor, slot->second.type};
}

std::vector<Registry::Entry> Registry::all() const {
  std::vector<Entry> entries;
  {
    const std::shared_lock lock(mutex_);
    for (const auto& [name, slot] : slots_)
      if (slot.actor) entries.push_back({{slot.actor, slot.type}, name});
  }
  std::ranges::sort(entries, {}, &Entry::name);
  return entries;
}

}  // namespace cluster::runtime
