#include "cluster/proto/chord_messages.hpp"

#include <string>

namespace cluster::proto {
namespace {

Result<void> check(const ChordContact& contact) {
  if (contact.id.empty()) return Error(Errc::bad_message, "a contact that names nobody");
  if (contact.endpoint.host.empty() || contact.endpoint.port == 0)
    return Error(Errc::bad_message, "a contact without an endpoint");
  return {};
}

Result<void> check(const ChordContacts& contacts) {
  if (contacts.size() > kChordSuccessorsMax)
    return Error(Errc::too_large, std::to_string(contacts.size()) + " contacts in one message");
  for (const auto& contact : contacts)
    if (auto ok = check(contact); !ok) return ok;
  return {};
}

Result<void> check_path(const std::vector<NodeId>& path) {
  if (path.size() > kChordHopsMax) return Error(Errc::too_large, "a path that is too long");
  for (const auto& id : path)
    if (id.empty()) return Error(Errc::bad_message, "a path over a node without a name");
  return {};
}

struct ChordMessageChecker {
  Result<void> operator()(const ChordNeighbours& m) const {
    if (m.predecessor)
      if (auto ok = check(*m.predecessor); !ok) return ok;
    return check(m.successors);
  }
  Result<void> operator()(const ChordNotify& m) const { return check(m.self); }
  Result<void> operator()(const ChordNext& m) const {
    if (auto ok = check(m.closer); !ok) return ok;
    return check(m.owners);
  }
  Result<void> operator()(const ChordFind& m) const {
    if (auto ok = check(m.asker); !ok) return ok;
    return check_path(m.path);
  }
  Result<void> operator()(const ChordFound& m) const {
    if (auto ok = check(m.owner); !ok) return ok;
    return check_path(m.path);
  }
  Result<void> operator()(const ChordRefusal& m) const {
    if (m.reason > ChordRefusalReason::other_space) return Error(Errc::bad_message, "an unknown refusal");
    return {};
  }
  template <class Message>
  Result<void> operator()(const Message&) const {
    return {};
  }
};

}  // namespace

Result<void> check(const ChordMessage& message) { return std::visit(ChordMessageChecker{}, message); }

}  // namespace cluster::proto
