#include "cluster/sim/faults.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <sstream>

namespace cluster::sim {
namespace {

struct Unit {
  std::string_view name;
  Duration length;
};
// The longest name that fits comes first.
constexpr std::array kUnits{Unit{"us", 1us}, Unit{"ms", 1ms}, Unit{"s", 1s}, Unit{"m", 1min}, Unit{"h", 1h}};
constexpr Duration kDurationMax = 24h * 365;

Error bad(std::string_view text, std::string_view expected) {
  return Error(Errc::invalid_argument, "'" + std::string(text) + "' is not " + std::string(expected));
}

std::optional<double> number(std::string_view text) {
  double value = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (fault != std::errc{} || end != text.data() + text.size() || !std::isfinite(value)) return {};
  return value;
}

std::vector<std::string_view> split(std::string_view text, char at) {
  std::vector<std::string_view> parts;
  for (;;) {
    const auto end = text.find(at);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

/// What stands before and behind the last `mark`; nothing without one.
struct Halves {
  std::string_view before;
  std::string_view behind;
};
std::optional<Halves> halves(std::string_view text, std::string_view mark) {
  const auto at = text.rfind(mark);
  if (at == std::string_view::npos) return {};
  return Halves{text.substr(0, at), text.substr(at + mark.size())};
}

std::string plain(double value) {
  std::ostringstream out;
  out << value;
  return out.str();
}

Result<Nodes> parse_nodes(std::string_view text) {
  Nodes nodes;
  for (const auto part : split(text, ',')) {
    if (part.ends_with('%')) {
      const auto share = number(part.substr(0, part.size() - 1));
      if (!share || *share <= 0 || *share > 100 || nodes.share > 0 || !nodes.places.empty())
        return bad(text, "a share of the nodes, as 30%");
      nodes.share = *share / 100;
    } else if (const auto range = halves(part, "-")) {
      const auto first = parse_place(range->before), last = parse_place(range->behind);
      if (!first || !last || *first > *last || nodes.share > 0) return bad(part, "a range of nodes, as 3-9");
      for (auto place = *first; place <= *last; ++place) nodes.places.push_back(place);
    } else {
      const auto place = parse_place(part);
      if (!place || nodes.share > 0) return bad(part, "a node: a place, as 17, or a letter");
      nodes.places.push_back(*place);
    }
  }
  return nodes;
}

/// FROM[..UNTIL] or FROM+SPAN into `fault`.
Result<void> parse_times(std::string_view text, Fault& fault) {
  auto from = text;
  if (const auto both = halves(text, "..")) {
    from = both->before;
    const auto until = parse_duration(both->behind);
    if (!until) return until.error();
    fault.until = *until;
  } else if (const auto sum = halves(text, "+")) {
    from = sum->before;
    const auto span = parse_duration(sum->behind);
    if (!span) return span.error();
    fault.until = *span;
  }
  const auto start = parse_duration(from);
  if (!start) return start.error();
  fault.from = *start;
  if (text.find('+') != std::string_view::npos) *fault.until += fault.from;
  if (fault.until && *fault.until <= fault.from) return bad(text, "a time and a later one");
  return {};
}

std::string to_text(const Nodes& nodes) {
  if (nodes.share > 0) return plain(nodes.share * 100) + "%";
  std::string text;
  for (std::size_t i = 0; i < nodes.places.size();) {
    std::size_t end = i;
    while (end + 1 < nodes.places.size() && nodes.places[end + 1] == nodes.places[end] + 1) ++end;
    if (!text.empty()) text += ',';
    text += std::to_string(nodes.places[i]);
    if (end > i) text += (end > i + 1 ? '-' : ',') + std::to_string(nodes.places[end]);
    i = end + 1;
  }
  return text;
}

}  // namespace

Result<Duration> parse_duration(std::string_view text) {
  constexpr std::string_view kExpected = "a duration, as 200ms, 10s or 1m30s";
  if (const auto seconds = number(text); seconds && *seconds >= 0 && *seconds < 1e7)
    return Duration(static_cast<std::int64_t>(*seconds * 1e9));
  Duration sum{};
  auto rest = text;
  while (!rest.empty()) {
    const auto digits = std::min(rest.find_first_not_of("0123456789."), rest.size());
    const auto value = number(rest.substr(0, digits));
    rest.remove_prefix(digits);
    const auto letters = std::min(rest.find_first_of("0123456789."), rest.size());
    const auto unit = std::ranges::find(kUnits, rest.substr(0, letters), &Unit::name);
    if (!value || unit == kUnits.end() || *value > static_cast<double>(kDurationMax / unit->length))
      return bad(text, kExpected);
    sum +=
        Duration(static_cast<std::int64_t>(std::llround(*value * static_cast<double>(unit->length.count()))));
    if (sum > kDurationMax) return bad(text, kExpected);
    rest.remove_prefix(letters);
  }
  if (text.empty()) return bad(text, kExpected);
  return sum;
}

std::string to_text(Duration duration) {
  if (duration < Duration{}) return "-" + to_text(-duration);
  const auto whole = [&](Duration unit, const char* name) { return std::to_string(duration / unit) + name; };
  if (duration % 1s == Duration{}) return whole(1s, "s");
  if (duration % 1ms == Duration{}) return whole(1ms, "ms");
  return whole(1us, "us");
}

std::string plain_text(double number) {
  std::ostringstream out;
  out << number;
  return out.str();
}

Result<std::size_t> parse_place(std::string_view text) {
  if (text.size() == 1 && text[0] >= 'A' && text[0] <= 'Z') return static_cast<std::size_t>(text[0] - 'A');
  if (text.starts_with('n')) text.remove_prefix(1);
  std::size_t place = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), place);
  if (fault != std::errc{} || end != text.data() + text.size() || place >= 1'000'000)
    return bad(text, "a node: a place, as 17, or a letter");
  return place;
}

NodeId node_name(std::size_t place, std::size_t nodes) {
  if (nodes <= 26) return NodeId(std::string(1, static_cast<char>('A' + place)));
  return NodeId("n" + std::to_string(place));
}

Result<Fault> parse_partition(std::string_view text) {
  const auto parts = halves(text, "@");
  if (!parts) return bad(text, "a partition, as A,B|C,D@10s..20s, A>B@10s or 30%|70%@60s..90s");
  const bool one_way = parts->before.find('>') != std::string_view::npos;
  Fault fault{.kind = one_way ? Fault::Kind::one_way : Fault::Kind::partition};
  for (const auto group : split(parts->before, one_way ? '>' : '|')) {
    auto nodes = parse_nodes(group);
    if (!nodes) return nodes.error();
    fault.groups.push_back(std::move(nodes).value());
  }
  if (fault.groups.size() < 2 || (one_way && fault.groups.size() > 2))
    return bad(parts->before, "two groups or more, of which only two may be cut one way");
  if (auto ok = parse_times(parts->behind, fault); !ok) return ok.error();
  return fault;
}

Result<Fault> parse_fault(Fault::Kind kind, std::string_view text) {
  const auto parts = halves(text, "@");
  if (!parts) return bad(text, "nodes and a time, as 3@10s or 3,5-7@10s..20s");
  Fault fault{.kind = kind};
  auto nodes = parse_nodes(parts->before);
  if (!nodes) return nodes.error();
  fault.groups.push_back(std::move(nodes).value());
  if (auto ok = parse_times(parts->behind, fault); !ok) return ok.error();
  if (kind == Fault::Kind::reset && fault.until) return bad(text, "nodes and one time, as 3@10s");
  if (kind == Fault::Kind::pause && !fault.until) return bad(text, "a pause with an end, as 3@10s+3s");
  return fault;
}

Result<Fault> parse_slow(std::string_view text) {
  const auto parts = halves(text, "@");
  const auto what = halves(parts ? parts->before : text, ":");
  const auto factor = what ? number(what->behind) : std::nullopt;
  if (!factor || *factor <= 0 || *factor > 1e6)
    return bad(text, "nodes and a factor, as 3:50 or 3:50@10s..20s");
  Fault fault{.kind = Fault::Kind::slow, .factor = *factor};
  auto nodes = parse_nodes(what->before);
  if (!nodes) return nodes.error();
  fault.groups.push_back(std::move(nodes).value());
  if (parts)
    if (auto ok = parse_times(parts->behind, fault); !ok) return ok.error();
  return fault;
}

Result<Fault> parse_clock(std::string_view text) {
  const auto parts = halves(text, "@");
  const auto what = parts ? halves(parts->before, ":") : std::nullopt;
  if (!what) return bad(text, "nodes, a jump and a time, as 3:-90s@20s");
  Fault fault{.kind = Fault::Kind::clock};
  auto nodes = parse_nodes(what->before);
  if (!nodes) return nodes.error();
  fault.groups.push_back(std::move(nodes).value());
  auto jump = what->behind;
  const bool back = jump.starts_with('-');
  if (back || jump.starts_with('+')) jump.remove_prefix(1);
  const auto by = parse_duration(jump);
  if (!by) return by.error();
  fault.jump = back ? -*by : *by;
  if (auto ok = parse_times(parts->behind, fault); !ok) return ok.error();
  return fault;
}

std::string Fault::option() const {
  static constexpr std::array kNames{"--partition", "--partition", "--kill",  "--wipe", "--stop",
                                     "--pause",     "--slow",      "--clock", "--reset"};
  return kNames[static_cast<std::size_t>(kind)];
}

std::string Fault::text() const {
  std::string text;
  for (const auto& group : groups) {
    if (!text.empty()) text += kind == Kind::one_way ? '>' : '|';
    text += to_text(group);
  }
  if (kind == Kind::slow) text += ":" + plain(factor);
  if (kind == Kind::clock) text += ":" + sim::to_text(jump);
  text += "@" + sim::to_text(from);
  if (until) text += ".." + sim::to_text(*until);
  return text;
}

bool Fault::stays() const noexcept {
  return kind == Kind::kill || kind == Kind::wipe || kind == Kind::stop || kind == Kind::clock ||
         kind == Kind::reset;
}

std::vector<std::vector<std::size_t>> Fault::resolve(std::size_t nodes) const {
  std::vector<std::vector<std::size_t>> resolved;
  double shares = 0;
  std::size_t next = 0;
  for (const auto& group : groups) {
    auto& places = resolved.emplace_back();
    if (group.share > 0) {
      shares = std::min(1.0, shares + group.share);
      const auto end = static_cast<std::size_t>(std::llround(shares * static_cast<double>(nodes)));
      for (; next < std::min(end, nodes); ++next) places.push_back(next);
    } else {
      std::ranges::copy_if(group.places, std::back_inserter(places),
                           [&](std::size_t p) { return p < nodes; });
    }
  }
  return resolved;
}

Result<Latency> parse_latency(std::string_view text) {
  const auto pair = [&](std::string_view values) { return halves(values, ","); };
  if (text.starts_with("normal:")) {
    const auto both = pair(text.substr(7));
    const auto mean = parse_duration(both ? both->before : ""),
               deviation = parse_duration(both ? both->behind : "");
    if (!mean || !deviation) return bad(text, "a delay, as normal:10ms,3ms");
    return Latency::normal(*mean, *deviation);
  }
  if (text.starts_with("lognormal:")) {
    const auto both = pair(text.substr(10));
    const auto median = parse_duration(both ? both->before : "");
    const auto sigma = both ? number(both->behind) : std::nullopt;
    if (!median || !sigma || *sigma < 0 || *sigma > 5) return bad(text, "a delay, as lognormal:10ms,0.5");
    return Latency::lognormal(*median, *sigma);
  }
  const auto range = halves(text, "..");
  const auto low = parse_duration(range ? range->before : text);
  const auto high = parse_duration(range ? range->behind : text);
  if (!low || !high || *low > *high)
    return bad(text, "a delay, as 5ms, 1ms..10ms, normal:10ms,3ms or lognormal:10ms,0.5");
  return Latency::uniform(*low, *high);
}

std::string to_text(const Latency& latency) {
  switch (latency.shape) {
    case Latency::Shape::normal:
      return "normal:" + to_text(latency.low) + "," + to_text(latency.high);
    case Latency::Shape::lognormal:
      return "lognormal:" + to_text(latency.low) + "," + plain(latency.sigma);
    case Latency::Shape::uniform:
      break;
  }
  return latency.low == latency.high ? to_text(latency.low)
                                     : to_text(latency.low) + ".." + to_text(latency.high);
}

}  // namespace cluster::sim
