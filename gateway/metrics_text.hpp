#pragma once
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace cluster::gateway {

/// Writes the text format that Prometheus reads (version 0.0.4): families of samples, one after the other.
class MetricsText {
 public:
  using Labels = std::initializer_list<std::pair<std::string_view, std::string_view>>;
  enum class Kind : std::uint8_t { counter, gauge };

  /// Begins a family; its samples follow.
  MetricsText& family(std::string_view name, Kind kind, std::string_view help);
  MetricsText& sample(Labels labels, double value);
  MetricsText& sample(Labels labels, std::uint64_t value);
  /// A family of one sample without labels.
  MetricsText& counter(std::string_view name, std::string_view help, std::uint64_t value);
  MetricsText& gauge(std::string_view name, std::string_view help, double value);

  [[nodiscard]] const std::string& text() const noexcept { return text_; }

 private:
  void begin_sample(Labels labels);

  std::string name_;
  std::string text_;
};

}  // namespace cluster::gateway
