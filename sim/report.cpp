#include "report.hpp"

#include <algorithm>
#include <iomanip>
#include <nlohmann/json.hpp>
#include <sstream>

namespace cluster::sim {
namespace {

using Json = nlohmann::ordered_json;

std::int64_t ms(Duration duration) { return duration / 1ms; }

Json optional_ms(const std::optional<Duration>& duration) {
  return duration ? Json(ms(*duration)) : Json(nullptr);
}

Json json_of(const Percentiles& times) {
  if (times.count == 0) return {{"count", 0}, {"p50", nullptr}, {"p99", nullptr}, {"max", nullptr}};
  return {{"count", times.count}, {"p50", times.p50}, {"p99", times.p99}, {"max", times.max}};
}

Json json_of(const LinkCounters& links) {
  return {{"made", links.made},
          {"lost", links.lost},
          {"closed_idle", links.closed_idle},
          {"handshakes_failed", links.handshakes_failed},
          {"wrong_cookies", links.wrong_cookies}};
}

double rounded(double value) { return std::round(value * 10) / 10; }

Json json_of(const Report& report) {
  return {{"nodes", report.nodes},
          {"seed", report.seed},
          {"converged", report.converged},
          {"converged_ms", optional_ms(report.converged_after)},
          {"edits_total", report.edits_total},
          {"lost_edits", report.lost_edits},
          {"conflicts", report.conflicts},
          {"full_state_exchanges", report.full_state_exchanges},
          {"false_positives", report.false_positives},
          {"false_positives_at_healthy", report.false_positives_at_healthy},
          {"accusations", report.accusations},
          {"healthy_ms", optional_ms(report.healthy_after)},
          {"detection_ms", json_of(report.detection_ms)},
          {"detection_first_ms", json_of(report.detection_first_ms)},
          {"detection_last_ms", json_of(report.detection_last_ms)},
          {"links_per_node", {{"mean", rounded(report.links_per_node)}, {"max", report.links_max}}},
          {"connections", json_of(report.links)},
          {"bytes_per_node_per_s", rounded(report.bytes_per_node_per_s)},
          {"messages_per_node_per_s", rounded(report.messages_per_node_per_s)},
          {"messages_lost", report.messages_lost},
          {"virtual_s", std::chrono::duration<double>(report.virtual_time).count()},
          {"events", report.events},
          {"trace_hash", report.trace_hash},
          {"violations", report.violations}};
}

std::string times(const Percentiles& of) {
  if (of.count == 0) return "-";
  std::ostringstream out;
  out << "p50 " << of.p50 << ", p99 " << of.p99 << ", max " << of.max << " ms";
  return out.str();
}

}  // namespace

std::string to_text(const Report& report) {
  std::ostringstream out;
  const auto row = [&](const char* name) -> std::ostream& {
    return out << "  " << std::left << std::setw(24) << name;
  };
  out << report.nodes << " nodes, seed " << report.seed << ", " << to_text(report.virtual_time)
      << " of virtual time, " << report.events << " events\n";
  row("converged") << (report.converged ? "yes" : "no");
  if (report.converged_after)
    out << ", " << ms(*report.converged_after) << " ms after the last fault and edit";
  out << '\n';
  row("edits") << report.edits_total << ", " << report.lost_edits << " lost, " << report.conflicts
               << " conflicts\n";
  row("whole states sent") << report.full_state_exchanges << '\n';
  row("false positives") << report.false_positives << " about healthy members, " << report.accusations
                         << " about running ones\n";
  row("detection: first") << times(report.detection_first_ms) << '\n';
  row("detection: last") << times(report.detection_last_ms) << '\n';
  row("detection: each") << times(report.detection_ms) << '\n';
  row("connections") << std::fixed << std::setprecision(1) << report.links_per_node << " a node, at most "
                     << report.links_max << "; " << report.links.made << " made, "
                     << report.links.handshakes_failed << " refused, " << report.links.wrong_cookies
                     << " of them for the cookie\n";
  row("traffic") << std::fixed << std::setprecision(1) << report.bytes_per_node_per_s << " bytes and "
                 << report.messages_per_node_per_s << " messages a node and second\n";
  if (report.violations.empty()) {
    out << "All checks passed.\n";
  } else {
    out << "FAILED, seed " << report.seed << ":\n";
    for (const auto& violation : report.violations) out << "  " << violation << '\n';
  }
  return out.str();
}

std::string to_json(const Report& report, const std::string& replay) {
  auto json = json_of(report);
  if (!replay.empty()) json["replay"] = replay;
  return json.dump();
}

void Summary::add(const Report& report) {
  if (++runs == 1) worst = report;
  if (!report.violations.empty()) failed.push_back(report);
  if (runs == 1) return;
  const auto later = [](std::optional<Duration>& worst_of, const std::optional<Duration>& next) {
    if (worst_of && (!next || *next > *worst_of)) worst_of = next;
  };
  const auto slower = [](Percentiles& worst_of, const Percentiles& next) {
    worst_of = {worst_of.count + next.count, std::max(worst_of.p50, next.p50),
                std::max(worst_of.p99, next.p99), std::max(worst_of.max, next.max)};
  };
  worst.converged = worst.converged && report.converged;
  later(worst.converged_after, report.converged_after);
  later(worst.healthy_after, report.healthy_after);
  worst.edits_total += report.edits_total;
  worst.lost_edits += report.lost_edits;
  worst.conflicts += report.conflicts;
  worst.full_state_exchanges += report.full_state_exchanges;
  worst.accusations += report.accusations;
  worst.false_positives += report.false_positives;
  worst.false_positives_at_healthy += report.false_positives_at_healthy;
  slower(worst.detection_ms, report.detection_ms);
  slower(worst.detection_first_ms, report.detection_first_ms);
  slower(worst.detection_last_ms, report.detection_last_ms);
  worst.links_per_node = std::max(worst.links_per_node, report.links_per_node);
  worst.links_max = std::max(worst.links_max, report.links_max);
  worst.links.made += report.links.made;
  worst.links.lost += report.links.lost;
  worst.links.closed_idle += report.links.closed_idle;
  worst.links.handshakes_failed += report.links.handshakes_failed;
  worst.links.wrong_cookies += report.links.wrong_cookies;
  worst.bytes_per_node_per_s = std::max(worst.bytes_per_node_per_s, report.bytes_per_node_per_s);
  worst.messages_per_node_per_s = std::max(worst.messages_per_node_per_s, report.messages_per_node_per_s);
  worst.messages_lost += report.messages_lost;
  worst.events += report.events;
  worst.virtual_time += report.virtual_time;
  for (const auto& violation : report.violations) worst.violations.push_back(violation);
}

std::string to_text(const Summary& summary) {
  std::ostringstream out;
  out << summary.runs << " seeds, " << summary.failed.size()
      << " failed; sums, and of times and traffic the worst:\n";
  auto worst = summary.worst;
  worst.violations.clear();
  auto text = to_text(worst);
  text = text.substr(text.find('\n') + 1);
  out << text.substr(0, text.rfind("All checks"));
  if (summary.failed.empty()) {
    out << "All checks passed.\n";
  } else {
    for (const auto& report : summary.failed) {
      out << "FAILED, seed " << report.seed << ":\n";
      for (const auto& violation : report.violations) out << "  " << violation << '\n';
    }
  }
  return out.str();
}

std::string to_json(const Summary& summary, const std::string& replay) {
  auto json = json_of(summary.worst);
  json.erase("trace_hash");
  json["seeds"] = summary.runs;
  json["seeds_failed"] = Json::array();
  for (const auto& report : summary.failed) json["seeds_failed"].push_back(report.seed);
  if (!replay.empty()) json["replay"] = replay;
  return json.dump();
}

std::string command_line(const std::vector<std::string>& words) {
  std::string line = "cluster-sim";
  for (const auto& word : words) {
    const bool plain =
        word.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.,:@=+%") ==
        std::string::npos;
    line += plain ? " " + word : " '" + word + "'";
  }
  return line;
}

}  // namespace cluster::sim
