#include "cluster/proto/discovery.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace cluster::proto {
namespace {

constexpr std::size_t kFaultsMax = 8;
constexpr double kJitter = 0.1;  // share of a period

std::string_view without_blanks(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r";
  const auto first = text.find_first_not_of(kBlanks);
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

/// Another attempt at once would end alike.
bool is_refusal(Errc code) {
  return code == Errc::wrong_cookie || code == Errc::incompatible || code == Errc::duplicate_id ||
         code == Errc::invalid_argument || code == Errc::wrong_ring || code == Errc::refused ||
         code == Errc::not_found;
}

}  // namespace

AddressList parse_address_list(std::string_view text) {
  AddressList list;
  const auto fault = [&](std::string what) {
    if (list.faults.size() < kFaultsMax) list.faults.push_back(std::move(what));
  };
  for (std::size_t number = 1; !text.empty(); ++number) {
    const auto end = text.find('\n');
    const auto line = without_blanks(text.substr(0, end).substr(0, text.substr(0, end).find('#')));
    text = end == text.npos ? std::string_view() : text.substr(end + 1);
    if (line.empty()) continue;
    auto endpoint = Endpoint::parse(line);
    if (!endpoint)
      fault("line " + std::to_string(number) + ": " + endpoint.error().message());
    else
      list.addresses.push_back(std::move(endpoint).value());
  }
  return list;
}

Discovery::Discovery(DiscoveryConfig config, Rng rng)
    : config_(std::move(config)), rng_(rng), sources_(config_.sources), period_(config_.period_min) {}

DiscoveryActions Discovery::on_time(Instant now, const Company& company) {
  if (now < next_round_) return {};
  auto actions = is_round_open_ ? meet_some(now, company) : DiscoveryActions();  // a source has not answered
  period_ = company.is_here ? std::min(2 * period_, config_.period_max) : config_.period_min;
  const auto spread = static_cast<std::int64_t>(static_cast<double>(period_.count()) * kJitter);
  next_round_ = now + period_ + Duration(rng_.between(-spread, spread));
  is_round_open_ = true;
  for (std::size_t i = 0; i < sources_.size(); ++i) {
    if (std::exchange(sources_[i].is_asked, true)) continue;
    actions.emplace_back(FindAddresses{i});
  }
  return actions;
}

DiscoveryActions Discovery::on_found(Instant now, std::size_t number, Result<std::vector<Endpoint>> found,
                                     const Company& company) {
  DiscoveryActions actions;
  auto& source = sources_.at(number);
  source.is_asked = false;
  auto fault = found ? std::string() : found.error().message();
  if (fault != source.fault && !fault.empty()) actions.emplace_back(Finding{fault, true});
  source.fault = std::move(fault);
  if (found) {
    auto addresses = std::move(found).value();
    std::ranges::sort(addresses);
    addresses.erase(std::unique(addresses.begin(), addresses.end()), addresses.end());
    if (addresses.size() > kAddressesMax) addresses.resize(kAddressesMax);
    source.addresses = std::move(addresses);
    forget_unlisted();
  }
  if (is_round_open_ && std::ranges::none_of(sources_, &Source::is_asked)) {
    auto meets = meet_some(now, company);
    std::ranges::move(meets, std::back_inserter(actions));
  }
  return actions;
}

DiscoveryActions Discovery::on_met(Instant now, const Endpoint& endpoint, const Result<void>& met) {
  const auto found = addresses_.find(endpoint);
  if (found == addresses_.end()) return {};
  auto& address = found->second;
  address.is_being_met = false;
  address.is_met = met.has_value();
  if (met) {
    address.fault.clear();
    return {Finding{"met the node at " + endpoint.to_string()}};
  }
  if (is_refusal(met.error().code())) address.not_before = now + config_.period_max;
  auto fault = met.error().message();
  if (fault == address.fault) return {};
  address.fault = fault;
  const auto place = endpoint.to_string();
  const bool says_where = fault.find(place) != fault.npos;
  const bool is_expected = met.error().code() == Errc::refused;  // itself, or who is to stay out
  return {Finding{says_where ? std::move(fault) : place + ": " + fault, !is_expected}};
}

DiscoveryActions Discovery::meet_some(Instant now, const Company& company) {
  is_round_open_ = false;
  std::set<Endpoint> known{config_.self};
  if (company.is_here) known.insert(company.members.begin(), company.members.end());
  std::set<Endpoint> open;
  for (const auto& source : sources_)
    for (const auto& endpoint : source.addresses) {
      if (known.contains(endpoint)) continue;
      const auto& address = addresses_[endpoint];
      if (!address.is_being_met && !(address.is_met && company.is_here) && now >= address.not_before)
        open.insert(endpoint);
    }
  std::vector<Endpoint> chosen(open.begin(), open.end());
  rng_.shuffle(chosen);
  if (chosen.size() > config_.meets_max) chosen.resize(config_.meets_max);
  DiscoveryActions actions;
  for (auto& endpoint : chosen) {
    addresses_[endpoint].is_being_met = true;
    actions.emplace_back(MeetAt{std::move(endpoint)});
  }
  return actions;
}

/// Who comes back is met anew.
void Discovery::forget_unlisted() {
  std::erase_if(addresses_, [this](const auto& entry) {
    return std::ranges::none_of(sources_, [&](const Source& source) {
      return std::ranges::binary_search(source.addresses, entry.first);
    });
  });
}

}  // namespace cluster::proto
