#include "cluster/node/discovery_server.hpp"

#include <algorithm>
#include <utility>
#include <variant>

#include "cluster/crypto/random.hpp"
#include "cluster/node/file_system.hpp"

namespace cluster {
namespace {

constexpr Duration kMeetTime = 4s;
constexpr Duration kOutcomeTime = 15s;  // the answer comes when that is over and the ring is on the disk

proto::DiscoveryConfig config_for(const DiscoveryOptions& options, ActorSystem& system) {
  return {.self = system.kernel().listening(),
          .sources = options.names.size() + (options.file.empty() ? 0 : 1)};
}

}  // namespace

DiscoveryServer::DiscoveryServer(DiscoveryOptions options, ActorSystem* system, Ref<GossipRing> ring,
                                 std::shared_ptr<const MemberBoard> members)
    : options_(std::move(options)),
      system_(system),
      ring_(std::move(ring)),
      members_(std::move(members)),
      discovery_(config_for(options_, *system), Rng(crypto::random_u64())) {}

Result<void> DiscoveryServer::init() {
  send_after(Duration::zero(), Tick{});
  return {};
}

void DiscoveryServer::handle_info(const Tick&) {
  perform(discovery_.on_time(now(), company()));
  send_after(std::max(Duration::zero(), discovery_.next_deadline() - now()), Tick{});
}

void DiscoveryServer::handle_cast(const NameFound& found) {
  auto addresses = found.code == 0 ? Result<std::vector<Endpoint>>(found.addresses)
                                   : Error(static_cast<Errc>(found.code), found.text);
  perform(discovery_.on_found(now(), found.source, std::move(addresses), company()));
}

Task<> DiscoveryServer::handle_info(MeetOut out) {
  proto::MeetCommand meet;
  meet.endpoint = out.endpoint;
  meet.timeout = kMeetTime;
  meet.revive = false;
  auto pending = call(ring_, ChangeRing{std::move(meet)}, kOutcomeTime);
  const auto met = co_await pending;
  perform(discovery_.on_met(now(), out.endpoint, met ? Result<void>() : met.error()));
}

proto::Company DiscoveryServer::company() const {
  proto::Company company;
  const auto healths = members_->read();
  for (const auto& member : *healths) {
    if (member.id == system_->id()) continue;
    company.members.push_back(member.endpoint);
    company.is_here =
        company.is_here || member.state == MemberState::alive || member.state == MemberState::suspect;
  }
  return company;
}

void DiscoveryServer::perform(const proto::DiscoveryActions& actions) {
  for (const auto& action : actions) {
    if (const auto* asked = std::get_if<proto::FindAddresses>(&action))
      find(asked->source);
    else if (const auto* meet = std::get_if<proto::MeetAt>(&action))
      send_after(Duration::zero(), MeetOut{meet->endpoint});
    else if (const auto* finding = std::get_if<proto::Finding>(&action); finding->is_fault)
      log::limited(fault_lines_, log::Level::warn, "discovery", finding->text);
    else
      log::info("discovery", finding->text);
  }
}

void DiscoveryServer::find(std::size_t source) {
  if (source == options_.names.size())
    return perform(discovery_.on_found(now(), source, read_file(), company()));
  names_.look_up(options_.names[source],
                 [system = system_, ref = self(), source](Result<std::vector<Endpoint>> addresses) {
                   NameFound found{.source = source};
                   if (addresses) {
                     found.addresses = std::move(addresses).value();
                   } else {
                     found.code = static_cast<std::uint16_t>(addresses.error().code());
                     found.text = addresses.error().message();
                   }
                   static_cast<void>(system->cast(ref, std::move(found)));
                 });
}

/// Its good lines count, whatever the others are.
Result<std::vector<Endpoint>> DiscoveryServer::read_file() {
  const auto content = local_disk().read(options_.file, proto::AddressList::kBytesMax);
  if (!content) return content.error();
  auto list = proto::parse_address_list(as_text(*content));
  if (list.faults != file_faults_)
    for (const auto& fault : list.faults) log::warn("discovery", options_.file, ' ', fault);
  file_faults_ = std::move(list.faults);
  return std::move(list.addresses);
}

Result<void> discover(Node& node, DiscoveryOptions options) {
  auto ring = node.ref<GossipRing>(GossipRing::kName);
  if (!ring) return std::move(ring).error();
  auto spawned =
      node.spawn<DiscoveryServer>({.name = std::string(DiscoveryServer::kName)}, std::move(options),
                                  &node.actors(), std::move(ring).value(), node.member_board());
  if (!spawned) return std::move(spawned).error();
  return {};
}

}  // namespace cluster
