#include "deliveries.hpp"

namespace cluster::runtime {
namespace {

/// Cheap, and different for names that differ in length or at an end, as the names of one node mostly do.
std::size_t mix(std::string_view text) noexcept {
  if (text.empty()) return 0;
  const auto byte = [&](std::size_t at) {
    return static_cast<std::size_t>(static_cast<unsigned char>(text[at]));
  };
  return text.size() + 3 * byte(0) + 7 * byte(text.size() - 1);
}

}  // namespace

Result<const Deliveries::Way*> Deliveries::find(std::string_view server, std::string_view event) {
  if (const auto version = registry_.version(); version != version_) {
    ways_ = {};
    version_ = version;
  }
  Way& way = ways_[(mix(server) + 13 * mix(event)) % kWays];
  if (way.known != nullptr && way.server == server && way.event == event) return &way;
  return look_up(way, server, event);
}

Result<const Deliveries::Way*> Deliveries::look_up(Way& way, std::string_view server,
                                                   std::string_view event) const {
  auto entry = registry_.find(server);
  if (!entry) return Error(Errc::no_server, "no server named '" + std::string(server) + "'");
  const Event* known = entry->type->find(event);
  if (known == nullptr)
    return Error(Errc::bad_message,
                 "'" + std::string(server) + "' has no event '" + std::string(event) + "'");
  way = Way{std::string(server), std::string(event), std::move(entry->actor), known, entry->type->system};
  return &way;
}

}  // namespace cluster::runtime
