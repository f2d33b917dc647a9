#pragma once
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace cluster::gateway {

/// Writes the text format that Prometheus reads (version 0.0.4): families of samples, one after the other.
class MetricsText {
 public:
  using Labels = std::initializer_list<std::pair<std::string_view, std::string_view>>;
  enum class Kind : std::uint8_t { counter, gauge, histogram };

  /// Begins a family; its samples follow.
  MetricsText& family(std::string_view name, Kind kind, std::string_view help);
  MetricsText& sample(Labels labels, double value);
  MetricsText& sample(Labels labels, std::uint64_t value);
  /// Of a histogram: how many values were within each of the `bounds` and not the one before, and, last, how
  /// many were greater; and the sum of all.
  MetricsText& histogram(Labels labels, std::span<const double> bounds, std::span<const std::uint64_t> counts,
                         double sum);
  /// A family of one sample without labels.
  MetricsText& counter(std::string_view name, std::string_view help, std::uint64_t value);
  MetricsText& gauge(std::string_view name, std::string_view help, double value);

  [[nodiscard]] const std::string& text() const noexcept { return text_; }

 private:
  void begin_sample(Labels labels, std::string_view suffix = {}, std::string_view bound = {});
  void write(double value);

  std::string name_;
  std::string text_;
};

}  // namespace cluster::gateway
