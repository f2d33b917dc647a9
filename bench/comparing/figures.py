"""What was measured, round by round, and how ours compares: medians with their spread, and ratios.

A ratio is taken within each round, between runs that stood side by side, and says how many times as good ours is: rates
divide ours by the peer's, times and bytes the peer's by ours. So more than 1 is better, whatever the unit.
"""
import dataclasses
import statistics

from comparing.programs import OURS

RATES = ("msg/s", "1/s", "MB/s")


@dataclasses.dataclass(frozen=True, order=True)
class Key:
    workload: str
    metric: str
    unit: str


@dataclasses.dataclass(frozen=True)
class Spread:
    min: float
    median: float
    max: float

    @staticmethod
    def of(values):
        return Spread(min(values), statistics.median(values), max(values)) if values else None


class Results:
    """Values by figure, peer and round; what is missing, what failed."""

    def __init__(self, environment=None, rounds=1):
        self.environment = environment or {}
        self.missing = []  # texts
        self.failed = []  # texts
        self.rounds = rounds
        self._values = {}  # Key -> peer -> round -> value

    def add(self, round_number, figure):
        key = Key(figure.workload, figure.metric, figure.unit)
        self._values.setdefault(key, {}).setdefault(figure.peer, {})[round_number] = figure.value

    def keys(self, *workloads):
        """In the order in which they first came, of these workloads (or of all)."""
        return [key for key in self._values if not workloads or key.workload in workloads]

    def peers(self, *keys):
        """Ours first, then in the order in which they first came."""
        found = dict.fromkeys(peer for key in keys or self._values for peer in self._values[key])
        return sorted(found, key=lambda peer: (not peer.startswith(OURS), peer != OURS))

    def spread(self, key, peer):
        return Spread.of(list(self._values.get(key, {}).get(peer, {}).values()))

    def ratio(self, key, peer):
        """How many times as good ours is; None where one of both is not known in any same round."""
        ours, theirs = (self._values.get(key, {}).get(who, {}) for who in (OURS, peer))
        pairs = [(ours[number], theirs[number]) for number in ours.keys() & theirs.keys()]
        pairs = [pair for pair in pairs if min(pair) > 0]
        return Spread.of([mine / other if key.unit in RATES else other / mine for mine, other in pairs])

    def to_json(self):
        return {
            "environment": self.environment,
            "rounds": self.rounds,
            "missing": self.missing,
            "failed": self.failed,
            "figures": [{**dataclasses.asdict(key), "peer": peer, **dataclasses.asdict(self.spread(key, peer)),
                         "ratio": dataclasses.asdict(ratio) if peer != OURS and (ratio := self.ratio(key, peer)) else None,
                         "values": {str(number): value for number, value in values.items()}}
                        for key, peers in self._values.items() for peer, values in peers.items()],
        }

    @staticmethod
    def from_json(stored):
        results = Results(stored["environment"], stored["rounds"])
        results.missing, results.failed = stored["missing"], stored["failed"]
        for figure in stored["figures"]:
            key = Key(figure["workload"], figure["metric"], figure["unit"])
            results._values.setdefault(key, {})[figure["peer"]] = {
                int(number): value for number, value in figure["values"].items()}
        return results


def number(value):
    """Three significant digits, thousands apart, millions by letter."""
    if abs(value) >= 1e6:
        return f"{value / 1e6:.3g} M"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def times(spread):
    """A ratio with its spread."""
    return f"{number(spread.median)}x ({number(spread.min)}-{number(spread.max)})"


CURVES = ("callers", "sizes")  # many figures each: their medians alone, as matrices


def block(results, key):
    """A figure: a line for each peer."""
    yield f"{key.workload}  {key.metric}  [{key.unit}]"
    yield f"{'':<28}{'min':>11}{'median':>11}{'max':>11}   ours: times as good"
    for peer in results.peers(key):
        spread = results.spread(key, peer)
        ratio = results.ratio(key, peer) if peer != OURS else None
        yield (f"    {peer:<24}{number(spread.min):>11}{number(spread.median):>11}{number(spread.max):>11}"
               f"   {times(ratio) if ratio else ''}").rstrip()


def matrix(results, keys):
    """Figures that belong together: a line for each, a column for each peer."""
    peers = results.peers(*keys)
    yield f"{keys[0].workload}, medians"
    yield f"{'':<24}" + "".join(f"{peer:>20}" for peer in peers)
    for key in keys:
        spreads = [results.spread(key, peer) for peer in peers]
        cells = "".join(f"{number(spread.median) if spread else '-':>20}" for spread in spreads)
        yield f"    {key.metric + '  ' + key.unit:<20}{cells}"


def table(results):
    """The results as text for a terminal."""
    parts = [block(results, key) for key in results.keys() if key.workload not in CURVES]
    for workload in CURVES:
        keys = results.keys(workload)
        parts += [matrix(results, [key for key in keys if (key.unit == "us") == latency]) for latency in (False, True)
                  if any((key.unit == "us") == latency for key in keys)]
    parts.append([f"missing: {text}" for text in results.missing] + [f"FAILED: {text}" for text in results.failed])
    return "\n\n".join(text for part in parts if (text := "\n".join(part)))
