#include "timeline.hpp"

#include <algorithm>
#include <sstream>

namespace cluster::sim {
namespace {

constexpr std::size_t kRowsMax = 64;
constexpr std::size_t kAskedMax = 64;  // nodes whose views are looked at
constexpr std::size_t kSamplesMax = 300;
constexpr double kLeft = 110, kWidth = 960, kRowHeight = 12, kBandHeight = 16, kTop = 58;

/// Faults that do not last.
bool is_moment(Fault::Kind kind) { return kind == Fault::Kind::clock || kind == Fault::Kind::reset; }

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '&')
      out += "&amp;";
    else
      out += c;
  }
  return out;
}

/// Writes shapes; coordinates in pixels, one decimal.
class Svg {
 public:
  Svg(double width, double height) {
    out_.setf(std::ios::fixed);
    out_.precision(1);
    out_ << "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" << width << "\" height=\"" << height
         << "\" font-family=\"sans-serif\" font-size=\"11\">\n";
    rectangle(0, 0, width, height, "#ffffff");
  }
  void rectangle(double x, double y, double width, double height, const std::string& fill,
                 double opacity = 1) {
    out_ << "<rect x=\"" << x << "\" y=\"" << y << "\" width=\"" << width << "\" height=\"" << height
         << "\" fill=\"" << fill << '"';
    if (opacity < 1) out_ << " fill-opacity=\"" << opacity << '"';
    out_ << "/>\n";
  }
  void line(double x, double y, double to_x, double to_y, const std::string& stroke) {
    out_ << "<line x1=\"" << x << "\" y1=\"" << y << "\" x2=\"" << to_x << "\" y2=\"" << to_y
         << "\" stroke=\"" << stroke << "\"/>\n";
  }
  void text(double x, double y, const std::string& what, const char* anchor = "start", int size = 11) {
    out_ << "<text x=\"" << x << "\" y=\"" << y << "\" text-anchor=\"" << anchor << "\" font-size=\"" << size
         << "\">" << escaped(what) << "</text>\n";
  }
  std::string finish() {
    out_ << "</svg>\n";
    return out_.str();
  }

 private:
  std::ostringstream out_;
};

}  // namespace

Timeline::Timeline(const Scenario& scenario)
    : nodes_(scenario.nodes),
      rows_(std::min(scenario.nodes, kRowsMax)),
      step_(std::max<Duration>(1s, scenario.duration / static_cast<Duration::rep>(kSamplesMax))) {}

void Timeline::on_fault(const Fault& fault, bool begins) {
  if (begins) {
    bands_.push_back({fault.option().substr(2) + " " + fault.text(), now(), {}, &fault});
    return;
  }
  const auto band = std::ranges::find(bands_, &fault, &Band::fault);
  if (band != bands_.end()) band->until = now();
}

void Timeline::on_edit(std::size_t, const std::string&) { edits_.push_back(now()); }

void Timeline::on_second() {
  if (!samples_.empty() && now() - samples_.back().at < step_) return;
  Sample sample{.at = now(), .converged = cluster_->converged(), .rows = std::vector<Cell>(rows_)};
  std::vector<std::uint32_t> suspect(nodes_), unreachable(nodes_);
  std::uint32_t asked = 0;
  const auto stride = std::max<std::size_t>(1, nodes_ / kAskedMax);
  for (std::size_t place = 0; place < nodes_; place += stride) {
    const auto* detector = cluster_->running(place) ? cluster_->detector(place) : nullptr;
    if (detector == nullptr) continue;
    ++asked;
    for (const auto& held : detector->members()) {
      const auto about = cluster_->home_of(held.id);
      if (!about) continue;
      suspect[*about] += held.state == proto::MemberState::suspect ? 1 : 0;
      unreachable[*about] += held.state == proto::MemberState::unreachable ? 1 : 0;
    }
  }
  for (std::size_t place = 0; place < nodes_; ++place) {
    auto& cell = sample.rows[place * rows_ / nodes_];
    const auto share = [&](std::uint32_t count) {
      return asked == 0 ? 0 : static_cast<float>(count) / static_cast<float>(asked);
    };
    cell.suspect = std::max(cell.suspect, share(suspect[place]));
    cell.unreachable = std::max(cell.unreachable, share(unreachable[place]));
    cell.down = cell.down || !cluster_->running(place);
  }
  samples_.push_back(std::move(sample));
}

std::string Timeline::svg(const Report& report) const {
  const auto bands_top = kTop + 22;
  const auto rows_top = bands_top + kBandHeight * static_cast<double>(bands_.size()) + 10;
  const auto height = rows_top + kRowHeight * static_cast<double>(rows_) + 50;
  Svg svg(kLeft + kWidth + 20, height);
  const auto end = std::max(report.virtual_time, Duration(1s));
  const auto x = [&](Duration at) {
    return kLeft + kWidth * static_cast<double>(at.count()) / static_cast<double>(end.count());
  };
  svg.text(12, 20, std::to_string(report.nodes) + " nodes, seed " + std::to_string(report.seed), "start", 14);
  svg.text(12, 38, report.violations.empty() ? "all checks passed" : "FAILED: " + report.violations.front());

  svg.text(kLeft - 8, kTop + 11, "all agree", "end");
  for (std::size_t i = 0; i < samples_.size(); ++i) {
    const auto from = i == 0 ? Duration{} : samples_[i - 1].at;
    svg.rectangle(x(from), kTop, x(samples_[i].at) - x(from) + 0.3, 14,
                  samples_[i].converged ? "#7bc47f" : "#f0b429");
  }
  for (const auto at : edits_) svg.line(x(at), kTop + 9, x(at), kTop + 14, "#334e68");

  for (std::size_t i = 0; i < bands_.size(); ++i) {
    const auto& band = bands_[i];
    const auto y = bands_top + kBandHeight * static_cast<double>(i);
    const auto until = band.until.value_or(is_moment(band.fault->kind) ? band.from + 1s : end);
    svg.rectangle(x(band.from), y, std::max(2.0, x(until) - x(band.from)), kBandHeight - 3, "#9fb3c8", 0.6);
    const bool late = x(band.from) > kLeft + kWidth * 0.7;
    svg.text(late ? x(band.from) - 4 : x(band.from) + 3, y + 10,
             band.text.size() > 100 ? band.text.substr(0, 97) + "..." : band.text, late ? "end" : "start",
             10);
  }

  for (std::size_t row = 0; row < rows_; ++row) {
    const auto y = rows_top + kRowHeight * static_cast<double>(row);
    const auto first = (row * nodes_ + rows_ - 1) / rows_,
               last = ((row + 1) * nodes_ + rows_ - 1) / rows_ - 1;
    auto label = node_name(first, nodes_).str();
    if (last > first) label += "-" + std::to_string(last);
    svg.text(kLeft - 8, y + 9, label, "end", 10);
    svg.rectangle(kLeft, y, kWidth, kRowHeight - 2, "#e3f0e4");
    for (std::size_t i = 0; i < samples_.size(); ++i) {
      const auto& cell = samples_[i].rows[row];
      const auto from = x(i == 0 ? Duration{} : samples_[i - 1].at), width = x(samples_[i].at) - from + 0.3;
      if (cell.down) svg.rectangle(from, y, width, kRowHeight - 2, "#627d98");
      if (cell.suspect > 0)
        svg.rectangle(from, y, width, kRowHeight - 2, "#f0b429",
                      0.3 + 0.7 * static_cast<double>(cell.suspect));
      if (cell.unreachable > 0)
        svg.rectangle(from, y + (cell.down ? 3 : 0), width, kRowHeight - (cell.down ? 8 : 2), "#d64545",
                      0.3 + 0.7 * static_cast<double>(cell.unreachable));
    }
  }
  const auto axis = rows_top + kRowHeight * static_cast<double>(rows_) + 4;
  for (int tick = 0; tick <= 10; ++tick) {
    const auto at = end * tick / 10;
    svg.line(x(at), axis - 3, x(at), axis, "#334e68");
    std::ostringstream seconds;
    seconds.precision(4);
    seconds << std::chrono::duration<double>(at).count() << " s";
    svg.text(x(at), axis + 12, seconds.str(), "middle", 10);
  }
  svg.text(kLeft, axis + 30,
           "rows: how others see the node. green alive, yellow suspect, red unreachable; grey: it is down. "
           "marks on top: edits",
           "start", 10);
  return svg.finish();
}

}  // namespace cluster::sim
