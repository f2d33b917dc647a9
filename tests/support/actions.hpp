#pragma once
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "cluster/base/node_id.hpp"

/// What a state machine asks of its driver, taken apart.
namespace cluster::testing {

/// The actions of one kind, in order.
template <class Kind, class... Kinds>
std::vector<Kind> all_of(const std::vector<std::variant<Kinds...>>& actions) {
  std::vector<Kind> found;
  for (const auto& action : actions)
    if (const auto* one = std::get_if<Kind>(&action)) found.push_back(*one);
  return found;
}

template <class Kind, class... Kinds>
std::optional<Kind> first_of(const std::vector<std::variant<Kinds...>>& actions) {
  for (const auto& action : actions)
    if (const auto* one = std::get_if<Kind>(&action)) return *one;
  return std::nullopt;
}

/// The messages of one kind, each with whom it is for. `Send` is the action that carries messages.
template <class Message, class Send, class... Kinds>
std::vector<std::pair<NodeId, Message>> sent(const std::vector<std::variant<Kinds...>>& actions) {
  std::vector<std::pair<NodeId, Message>> found;
  for (const auto& send : all_of<Send>(actions))
    if (const auto* message = std::get_if<Message>(&send.message)) found.emplace_back(send.to, *message);
  return found;
}

}  // namespace cluster::testing
