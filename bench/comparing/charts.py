"""Charts of the results as SVG: throughput and latency by message size and by number of callers.

An SVG carries its own colours for light and dark pages. A line's whiskers show the least and the greatest round.
"""
import dataclasses
import math
import pathlib
import re
from xml.sax.saxutils import escape, quoteattr

from comparing.figures import number

WIDTH, HEIGHT = 834, 460
LEFT, RIGHT, TOP, BOTTOM = 92, 190, 62, 58
LABEL_LINE = 17  # least distance between two labels
STYLES = {  # peer: colour on white, colour on black, marker. Colours: Okabe and Ito, told apart by the colour-blind.
    "libcluster": ("#0072b2", "#4db5f5", "circle"),
    "libcluster, sealed": ("#00a0a0", "#3fd8d8", "ring"),
    "Erlang/OTP": ("#d55e00", "#ff8f3f", "square"),
    "CAF": ("#b3559b", "#e58fcb", "triangle"),
    "ZeroMQ": ("#6a9a1f", "#a5d65a", "diamond"),
    "raw sockets": ("#707070", "#a8a8a8", "cross"),
}
METRIC = re.compile(r"^(\d+)(?: (p50|p99))?$")
KINDS = {"MB/s": "rate", "1/s": "rate", "msg/s": None}  # by unit; of the others the metric says which


@dataclasses.dataclass(frozen=True)
class Point:
    x: float
    low: float
    y: float
    high: float


@dataclasses.dataclass(frozen=True)
class Line:
    peer: str
    points: list[Point]
    dashed: bool = False


def style_of(peer):
    """Its own, or that of the name without its version."""
    return STYLES.get(peer) or STYLES.get(re.sub(r" [\d.]+$", "", peer)) or ("#444444", "#cccccc", "cross")


def lines_of(results, workload, kind, dashed=False):
    """The lines of a workload whose metrics are `64`, `64 p50`, `64 p99`: what is measured at 64 bytes or callers."""
    by_peer = {}
    for key in results.keys(workload):
        metric = METRIC.match(key.metric)
        if not metric or KINDS.get(key.unit, metric[2] or "p50") != kind:
            continue
        for peer in results.peers(key):
            spread = results.spread(key, peer)
            by_peer.setdefault(peer, []).append(Point(int(metric[1]), spread.min, spread.median, spread.max))
    return [Line(peer, sorted(points, key=lambda point: point.x), dashed) for peer, points in by_peer.items()]


def bytes_text(value):
    for unit, size in (("MiB", 1 << 20), ("KiB", 1 << 10)):
        if value >= size:
            return f"{value / size:g} {unit}"
    return f"{value:g} B"


class Scale:
    """A logarithmic axis: from values to a place between `begin` and `end`."""

    def __init__(self, values, begin, end):
        self._low, self._high = math.log(min(values)), math.log(max(values))
        if self._high - self._low < 1e-9:
            self._low, self._high = self._low - 1, self._high + 1
        self._begin, self._end = begin, end

    def __call__(self, value):
        return self._begin + (math.log(value) - self._low) / (self._high - self._low) * (self._end - self._begin)


def axis(low, high):
    """Where an axis around the values begins and ends, both of 1, 2, 5, 10, 20 ..., and its ticks: those too, or only
    the powers of ten over a wide range."""
    first, last = math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1
    steps = [step * 10 ** power for power in range(first, last + 1) for step in (1, 2, 5)]
    begin = max(step for step in steps if step <= low)
    end = min(step for step in steps if step >= high and step > begin)
    inside = [step for step in steps if begin <= step <= end]
    tens = [step for step in inside if math.log10(step).is_integer()]
    return begin, end, inside if end / begin <= 300 else tens


def marker(shape, x, y):
    shapes = {
        "circle": f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4"/>',
        "ring": f'<circle class="hollow" cx="{x:.1f}" cy="{y:.1f}" r="4"/>',
        "square": f'<rect x="{x - 3.5:.1f}" y="{y - 3.5:.1f}" width="7" height="7"/>',
        "triangle": f'<path d="M{x:.1f} {y - 5:.1f}l4.6 8.2h-9.2z"/>',
        "diamond": f'<path d="M{x:.1f} {y - 5:.1f}l5 5l-5 5l-5-5z"/>',
        "cross": f'<path class="open" d="M{x - 3.5:.1f} {y - 3.5:.1f}l7 7m0-7l-7 7"/>',
    }
    return shapes[shape]


def spread_out(places, least, bottom):
    """The places, in order, moved so that any two are `least` apart and none is below `bottom`."""
    moved = []
    for place in places:
        moved.append(max(place, moved[-1] + least) if moved else place)
    limit = bottom
    for index in range(len(moved) - 1, -1, -1):
        moved[index] = min(moved[index], limit)
        limit = moved[index] - least
    return moved


def style_sheet(lines):
    """Colours by the class of each line, once for light and once for dark pages."""
    def rules(of):
        return "".join(f".l{index}{{stroke:{of(style_of(line.peer))};fill:{of(style_of(line.peer))}}}"
                       for index, line in enumerate(lines))
    return ("text{font:13px system-ui,sans-serif;fill:#222}.title{font-size:16px;font-weight:600}.soft{fill:#555}"
            ".page{fill:#fff}.grid{stroke:#ddd}.frame{stroke:#888;fill:none}"
            "path.line{fill:none;stroke-width:2}.dashed{stroke-dasharray:5 4;stroke-width:1.5}.whisker{stroke-width:1}"
            ".hollow{fill:#fff;stroke-width:2}.open{fill:none;stroke-width:2}text.name{stroke:none}"
            + rules(lambda style: style[0])
            + "@media(prefers-color-scheme:dark){text{fill:#e8e8e8}.soft{fill:#b0b0b0}.page,.hollow{fill:#16181c}"
              ".grid{stroke:#33373d}.frame{stroke:#777}" + rules(lambda style: style[1]) + "}")


def chart(title, subtitle, lines, x_axis, y_axis, x_ticks, x_text):
    """The chart as the text of an SVG. A dashed line belongs to the solid one of its peer, which has the label."""
    ys = [value for line in lines for point in line.points for value in (point.low, point.high)]
    y_begin, y_end, y_ticks = axis(min(ys), max(ys))
    to_x = Scale(x_ticks, LEFT, WIDTH - RIGHT)
    to_y = Scale([y_begin, y_end], HEIGHT - BOTTOM, TOP)
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
           f'aria-label={quoteattr(title + ". " + subtitle)}>',
           f"<style>{style_sheet(lines)}</style>",
           f'<rect class="page" width="{WIDTH}" height="{HEIGHT}"/>',
           f'<text class="title" x="{LEFT}" y="24">{escape(title)}</text>',
           f'<text class="soft" x="{LEFT}" y="44">{escape(subtitle)}</text>']
    for tick in y_ticks:
        y = to_y(tick)
        out.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{right}"/>'
                   f'<text class="soft" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{number(tick)}</text>')
    for tick in x_ticks:
        x = to_x(tick)
        out.append(f'<path class="grid" d="M{x:.1f} {TOP}V{bottom}"/>'
                   f'<text class="soft" x="{x:.1f}" y="{bottom + 19}" text-anchor="middle">{escape(x_text(tick))}</text>')
    out.append(f'<path class="frame" d="M{LEFT} {TOP}V{bottom}H{right}"/>')
    out.append(f'<text x="{(LEFT + right) / 2:.0f}" y="{HEIGHT - 14}" text-anchor="middle">{escape(x_axis)}</text>')
    out.append(f'<text transform="translate(20 {(TOP + bottom) / 2:.0f}) rotate(-90)" text-anchor="middle">{escape(y_axis)}</text>')
    labels = []
    for index, line in reversed(list(enumerate(lines))):  # the first lines on top
        places = [(to_x(point.x), to_y(point.y)) for point in line.points]
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
        out.append(f'<g class="l{index}"><path class="line{" dashed" if line.dashed else ""}" d="M{path}"/>')
        for point, (x, y) in zip(line.points, places):
            if not line.dashed:
                if point.high > point.low:
                    out.append(f'<path class="whisker" d="M{x:.1f} {to_y(point.low):.1f}V{to_y(point.high):.1f}"/>')
                out.append(marker(style_of(line.peer)[2], x, y))
        out.append("</g>")
        if not line.dashed:
            labels.append((places[-1][1], index, line.peer))
    labels.sort()
    for y, (_, index, peer) in zip(spread_out([label[0] for label in labels], LABEL_LINE, bottom), labels):
        out.append(f'<g class="l{index}">{marker(style_of(peer)[2], right + 16, y)}'
                   f'<text class="name l{index}" x="{right + 28}" y="{y + 4.5:.1f}">{escape(peer)}</text></g>')
    out.append("</svg>")
    return "\n".join(out) + "\n"


SIZE_TICKS = [16 << (2 * step) for step in range(10)]
CALLER_TICKS = [1, 8, 64, 512]


def by_size(title, y_axis, subtitle, lines):
    return chart(title, subtitle, lines, "bytes in a message", y_axis, SIZE_TICKS, bytes_text)


def by_callers(title, y_axis, subtitle, lines):
    return chart(title, subtitle, lines, "concurrent callers of one server in another process, 64 B", y_axis,
                 CALLER_TICKS, lambda callers: f"{callers:g}")


MEDIANS = "medians of the rounds; whiskers: least and greatest"
CHARTS = {  # file: (how, title, y axis, subtitle, workload, kinds)
    "throughput-by-size": (by_size, "Casts to another process: throughput", "MB/s", MEDIANS, "sizes", ("rate",)),
    "latency-by-size": (by_size, "Calls to another process: latency", "us there and back",
                        f"solid: p50, {MEDIANS}; dashed: p99", "sizes", ("p50", "p99")),
    "throughput-by-callers": (by_callers, "Concurrent calls to another process: throughput", "calls a second", MEDIANS,
                              "callers", ("rate",)),
    "latency-by-callers": (by_callers, "Concurrent calls to another process: latency", "us there and back",
                           f"solid: p50, {MEDIANS}; dashed: p99", "callers", ("p50", "p99")),
}


def write_all(results, folder):
    """Writes the charts for which there are figures; returns their paths."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, (how, title, y_axis, subtitle, workload, kinds) in CHARTS.items():
        lines = [line for kind in kinds for line in lines_of(results, workload, kind, dashed=kind == "p99")]
        if lines:
            path = folder / f"{name}.svg"
            path.write_text(how(title, y_axis, subtitle, lines))
            written.append(path)
    return written
