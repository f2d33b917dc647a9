#include "progress.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>

#include "text.hpp"

namespace cluster::cli {
namespace {

constexpr Duration kDrawInterval = 100ms;
constexpr std::size_t kBarColumns = 20;
constexpr std::size_t kNameColumnsMax = 24;

template <class... Values>
std::string formatted(const char* format, Values... values) {
  std::array<char, 96> text{};
  std::snprintf(text.data(), text.size(), format, values...);
  return text.data();
}

/// The end of a long name is cut; `name` is printable.
std::string shortened(std::string name) {
  if (columns(name) <= kNameColumnsMax) return name;
  while (columns(name) > kNameColumnsMax - 3) {
    while ((static_cast<unsigned char>(name.back()) & 0xc0) == 0x80) name.pop_back();
    name.pop_back();
  }
  return name + "...";
}

std::string clock_text(std::uint64_t seconds) {
  const auto minutes = seconds / 60;
  if (minutes < 60)
    return formatted("%llu:%02llu", static_cast<unsigned long long>(minutes),
                     static_cast<unsigned long long>(seconds % 60));
  return formatted("%llu h %02llu min", static_cast<unsigned long long>(minutes / 60),
                   static_cast<unsigned long long>(minutes % 60));
}

}  // namespace

std::string bytes_text(std::uint64_t bytes) {
  constexpr std::array kUnits{"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  if (bytes < 1024) return std::to_string(bytes) + " B";
  auto scaled = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  while (scaled >= 1023.95 && unit + 1 < kUnits.size()) {
    scaled /= 1024;
    ++unit;
  }
  return formatted("%.1f %s", scaled, kUnits[unit]);
}

std::string progress_line(const std::string& name, std::uint64_t done, std::optional<std::uint64_t> total,
                          Duration time) {
  std::string text = shortened(printable(name)) + "  ";
  const double seconds = std::chrono::duration<double>(time).count();
  const double rate = seconds > 0 ? static_cast<double>(done) / seconds : 0;
  const auto rate_text = bytes_text(static_cast<std::uint64_t>(rate)) + "/s";
  if (!total) return text + bytes_text(done) + ", " + rate_text;
  const double part =
      *total == 0 ? 1 : std::min(1.0, static_cast<double>(done) / static_cast<double>(*total));
  const auto filled = static_cast<std::size_t>(part * kBarColumns);
  text += formatted("%3.0f %% [", part * 100) + std::string(filled, '#') +
          std::string(kBarColumns - filled, '-') + "]  " + bytes_text(done) + " of " + bytes_text(*total) +
          ", " + rate_text;
  if (rate >= 1 && *total > done)
    text +=
        ", " + clock_text(static_cast<std::uint64_t>(static_cast<double>(*total - done) / rate)) + " left";
  return text;
}

Progress::Progress(std::ostream* out, std::string name, std::optional<std::uint64_t> total)
    : out_(out), name_(std::move(name)), total_(total), begin_(MonotonicClock::now()) {}

Progress::~Progress() {
  if (out_ != nullptr && width_ > 0) *out_ << '\r' << std::string(width_, ' ') << '\r' << std::flush;
}

void Progress::show(std::uint64_t done) {
  const Instant now = MonotonicClock::now();
  if (out_ == nullptr || now < next_) return;
  next_ = now + kDrawInterval;
  auto line = progress_line(name_, done, total_, now - begin_);
  const auto width = columns(line);
  if (width < width_) line.append(width_ - width, ' ');
  width_ = std::max(width_, width);
  *out_ << '\r' << line << std::flush;
}

}  // namespace cluster::cli
