#include "metrics_text.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <utility>

namespace cluster::gateway {
namespace {

void append_escaped(std::string& text, std::string_view value, bool quotes) {
  for (const char c : value) {
    if (c == '\\')
      text += "\\\\";
    else if (c == '\n')
      text += "\\n";
    else if (c == '"' && quotes)
      text += "\\\"";
    else
      text += c;
  }
}

}  // namespace

MetricsText& MetricsText::family(std::string_view name, Kind kind, std::string_view help) {
  constexpr std::array<std::string_view, 3> kind_names{" counter", " gauge", " histogram"};
  name_ = name;
  text_.append("# HELP ").append(name).append(" ");
  append_escaped(text_, help, false);
  text_.append("\n# TYPE ").append(name).append(kind_names[static_cast<std::size_t>(kind)]).append("\n");
  return *this;
}

void MetricsText::begin_sample(Labels labels, std::string_view suffix, std::string_view bound) {
  text_.append(name_).append(suffix);
  char before = '{';
  for (const auto& [name, value] : labels) {
    text_.append(1, std::exchange(before, ',')).append(name).append("=\"");
    append_escaped(text_, value, true);
    text_ += '"';
  }
  if (!bound.empty()) text_.append(1, std::exchange(before, ',')).append("le=\"").append(bound).append("\"");
  text_ += before == ',' ? "} " : " ";
}

MetricsText& MetricsText::sample(Labels labels, double value) {
  begin_sample(labels);
  write(value);
  text_ += '\n';
  return *this;
}

void MetricsText::write(double value) {
  std::array<char, 40> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
  if (std::isnan(value))
    text_ += "NaN";
  else if (std::isinf(value))
    text_ += value > 0 ? "+Inf" : "-Inf";
  else
    text_.append(digits.data(), end);
}

MetricsText& MetricsText::histogram(Labels labels, std::span<const double> bounds,
                                    std::span<const std::uint64_t> counts, double sum) {
  std::uint64_t within = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    within += counts[i];
    MetricsText bound;
    bound.write(i < bounds.size() ? bounds[i] : std::numeric_limits<double>::infinity());
    begin_sample(labels, "_bucket", bound.text_);
    text_ += std::to_string(within) + '\n';
  }
  begin_sample(labels, "_sum");
  write(sum);
  text_ += '\n';
  begin_sample(labels, "_count");
  text_ += std::to_string(within) + '\n';
  return *this;
}

MetricsText& MetricsText::sample(Labels labels, std::uint64_t value) {
  begin_sample(labels);
  text_ += std::to_string(value) + '\n';
  return *this;
}

MetricsText& MetricsText::counter(std::string_view name, std::string_view help, std::uint64_t value) {
  return family(name, Kind::counter, help).sample({}, value);
}

MetricsText& MetricsText::gauge(std::string_view name, std::string_view help, double value) {
  return family(name, Kind::gauge, help).sample({}, value);
}

}  // namespace cluster::gateway
