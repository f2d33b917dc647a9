#include "metrics_text.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <limits>

namespace cluster::gateway {
namespace {

TEST_CASE("metrics: a family is its help, its kind, and its samples") {
  MetricsText metrics;
  metrics.counter("sent_total", "Messages sent.", std::numeric_limits<std::uint64_t>::max());
  metrics.family("members", MetricsText::Kind::gauge, "By state.")
      .sample({{"state", "alive"}}, std::uint64_t{2})
      .sample({{"state", "left"}, {"ring", "r"}}, 0.5);
  CHECK(metrics.text() ==
        "# HELP sent_total Messages sent.\n# TYPE sent_total counter\nsent_total 18446744073709551615\n"
        "# HELP members By state.\n# TYPE members gauge\nmembers{state=\"alive\"} 2\n"
        "members{state=\"left\",ring=\"r\"} 0.5\n");
}

TEST_CASE("metrics: a histogram counts what is within each bound, and everything at the end") {
  MetricsText metrics;
  constexpr std::array kBounds{0.5, 1.0};
  constexpr std::array<std::uint64_t, 3> kCounts{2, 0, 1};
  metrics.family("t", MetricsText::Kind::histogram, "Times.")
      .histogram({{"of", "get"}}, kBounds, kCounts, 4.25);
  CHECK(metrics.text() ==
        "# HELP t Times.\n# TYPE t histogram\nt_bucket{of=\"get\",le=\"0.5\"} "
        "2\nt_bucket{of=\"get\",le=\"1\"} 2\n"
        "t_bucket{of=\"get\",le=\"+Inf\"} 3\nt_sum{of=\"get\"} 4.25\nt_count{of=\"get\"} 3\n");
}

TEST_CASE("metrics: a name cannot end its quotes or its line") {
  MetricsText metrics;
  metrics.family("x", MetricsText::Kind::gauge, "a\\b\nc\"")
      .sample({{"id", "a\"} 1\ny\\"}}, std::uint64_t{1});
  CHECK(metrics.text() == "# HELP x a\\\\b\\nc\"\n# TYPE x gauge\nx{id=\"a\\\"} 1\\ny\\\\\"} 1\n");
}

TEST_CASE("metrics: what is no number is written as Prometheus writes it") {
  MetricsText metrics;
  metrics.family("x", MetricsText::Kind::gauge, "")
      .sample({}, std::nan(""))
      .sample({}, HUGE_VAL)
      .sample({}, -HUGE_VAL)
      .sample({}, 1e300);
  CHECK(metrics.text().ends_with("\nx NaN\nx +Inf\nx -Inf\nx 1e+300\n"));
}

}  // namespace
}  // namespace cluster::gateway
