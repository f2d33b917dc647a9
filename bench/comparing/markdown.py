"""The result tables of docs/performance.md: they stand between markers, so that a run can replace them.

    <!-- results: begin -->  ...  <!-- results: end -->
"""
from comparing.figures import RATES, Key, number, times
from comparing.programs import COMPARED, KV, MEMBERSHIP, OURS

BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"
TITLES = {  # workload, metric: how a reader calls it
    ("W1", "call"): "W1 local call",
    ("W2", "cast"): "W2 local casts",
    ("thread-call", "p50"): "call from a plain thread, p50",
    ("thread-call", "p99"): "call from a plain thread, p99",
    ("W3", "p50"): "W3 remote call, p50",
    ("W3", "p99"): "W3 remote call, p99",
    ("W3", "calls"): "W3 remote calls, one caller",
    ("W4", "calls"): "W4 remote calls, 64 callers",
    ("W5", "64B"): "W5 remote casts of 64 B",
    ("W5", "1KiB"): "W5 remote casts of 1 KiB",
    ("W5", "1MiB"): "W5 remote casts of 1 MiB",
    ("W6", "spawn"): "W6 spawn",
    ("W6", "RSS"): "W6 memory of an idle actor",
}
AIMS = {  # what the design wants of ours (signed), and of ours sealed where that differs
    ("W1", "call"): 120,
    ("W2", "cast"): 13e6,
    ("thread-call", "p50"): 3_000,
    ("W3", "p50"): 13,
    ("W4", "calls"): 800e3,
    ("W5", "64B"): 8e6,
    ("W5", "1KiB"): 1_300,
    ("W5", "1MiB"): 1_700,
    ("W6", "spawn"): 500,
    ("W6", "RSS"): 600,
    ("detect", "last knows max"): 5_500,
    ("pause", "declared dead"): 0,
    ("join", "all know all p50"): 1_000,
    ("join", "all know all p99"): 2_000,
    **{("idle", f"{what} of {size}"): limit for size in (3, 50) for what, limit in
       (("payload", 100), ("CPU", 0.05), ("RSS", 15))},
}
KV_AIMS = {  # workload, metric: how many times as good as the peer
    **{("kv-ring", f"disk put {clients}"): 3 for clients in (1, 64)},
    **{("kv-ring", f"disk get {clients}"): 4 for clients in (1, 64)},
    **{("kv-node", f"{log} put 64"): 1 for log in ("memory", "everysec", "always")},
}
SEALED_AIMS = {("W5", "1MiB"): 3_500}
BOUNDS = ("raw ",)  # how the names of bounds begin


def rows(head, body):
    lines = [" | ".join(head), " | ".join(["---"] * len(head)), *(" | ".join(row) for row in body)]
    return "\n".join(f"| {line} |" for line in lines)


def cell(results, key, peer):
    """A median with its range, and how many times as good ours is."""
    spread = results.spread(key, peer)
    if spread is None:
        return "-"
    text = f"{number(spread.median)} ({number(spread.min)}-{number(spread.max)})"
    ratio = results.ratio(key, peer) if peer != OURS else None
    return f"{text}<br>**{number(ratio.median)}x** ({number(ratio.min)}-{number(ratio.max)})" if ratio else text


def aim(results, key):
    """What is aimed at, and whether the median is there."""
    texts = []
    for aims, peer, name in ((AIMS, OURS, ""), (SEALED_AIMS, f"{OURS}, sealed", "sealed ")):
        wanted = aims.get((key.workload, key.metric))
        spread = results.spread(key, peer)
        if wanted is None:
            continue
        rate = key.unit in RATES
        text = f"{name}{'>=' if rate else '<='} {number(wanted)}"
        if spread:
            text += ": met" if (spread.median >= wanted if rate else spread.median <= wanted) else ": missed"
        texts.append(text)
    return "<br>".join(texts)


def main_table(results):
    keys = [key for workload, metric in TITLES for key in results.keys(workload) if key.metric == metric]
    peers = [peer for peer in results.peers(*keys) if not peer.startswith(BOUNDS)] if keys else []
    return rows(["figure", "unit", "aim", *peers],
                [[TITLES[key.workload, key.metric], key.unit, aim(results, key),
                  *(cell(results, key, peer) for peer in peers)] for key in keys])


def bound_table(results):
    """Each bound beside our figure; variants of a bound that we have no figure for stand alone."""
    body = []
    for key in results.keys("W1", "W2", "thread-call", "W3", "W4", "W5"):
        for peer in results.peers(key):
            if not peer.startswith(BOUNDS):
                continue
            base = Key(key.workload, key.metric.split(" (")[0], key.unit)
            variant = key.metric[len(base.metric):].strip(" ()")
            ours = results.spread(base, OURS)
            ratio = results.ratio(key, peer)
            spread = results.spread(key, peer)
            body.append([TITLES.get((base.workload, base.metric), base.metric), key.unit,
                         number(ours.median) if ours else "-", f"{peer}, {variant}" if variant else peer,
                         f"{number(spread.median)} ({number(spread.min)}-{number(spread.max)})",
                         times(ratio) if ratio else ""])
    return rows(["figure", "unit", OURS, "bound", "its figure", "ours: times as good"], body)


def operation_table(results):
    """What the bounds of single operations are."""
    return rows(["operation", "unit", "median", "least-greatest"],
                [[f"{peer}: {key.metric}", key.unit, number(spread.median), f"{number(spread.min)}-{number(spread.max)}"]
                 for key in results.keys("crypto", "chash") for peer in results.peers(key)
                 if peer.startswith(BOUNDS) and (spread := results.spread(key, peer))])


def ours_alone_table(results):
    """What no peer does."""
    keys = [key for key in results.keys() if key.workload not in COMPARED]
    return rows(["workload", "metric", "unit", "median", "least-greatest"],
                [[key.workload, key.metric, key.unit, number(spread.median), f"{number(spread.min)}-{number(spread.max)}"]
                 for key in keys if (spread := results.spread(key, OURS))]) if keys else ""


def membership_table(results):
    """How a ring hears of its members, beside what peers do; nothing where none of them was measured."""
    keys = results.keys(*MEMBERSHIP)
    peers = results.peers(*keys) if keys else []
    return rows(["figure", "unit", "aim", *peers],
                [[f"{key.workload}: {key.metric}", key.unit, aim(results, key),
                  *(cell(results, key, peer) for peer in peers)] for key in keys]) if len(peers) > 1 else ""


def kv_table(results, workload):
    """Requests a second beside the peer's, and how long one takes: p50 / p99."""
    keys = [key for key in results.keys(workload) if key.unit == "1/s"]
    if not keys:
        return ""
    others = [peer for peer in results.peers(*keys) if peer != OURS]

    def latency(key, peer):
        spreads = [results.spread(Key(workload, f"{key.metric} {share}", "us"), peer) for share in ("p50", "p99")]
        return " / ".join(number(spread.median / 1000) for spread in spreads) if all(spreads) else "-"

    def wanted(key):
        aimed = KV_AIMS.get((workload, key.metric))
        ratios = [ratio for peer in others if (ratio := results.ratio(key, peer))]
        if aimed is None or not ratios:
            return f">= {aimed}x" if aimed else ""
        return f">= {aimed}x: {'met' if min(ratio.median for ratio in ratios) >= aimed else 'missed'}"

    return rows(["requests", "aim", *(f"{peer}, 1/s" for peer in (OURS, *others)), *(f"{peer}, ms" for peer in (OURS, *others))],
                [[key.metric, wanted(key), *(cell(results, key, peer) for peer in (OURS, *others)),
                  *(latency(key, peer) for peer in (OURS, *others))] for key in keys])


def document(results):
    parts = []
    if results.environment:
        parts.append("Measured on: " + "; ".join(f"{key} {value}" for key, value in results.environment.items())
                     + f". {results.rounds} round{'s' if results.rounds != 1 else ''}.")
    if membership := membership_table(results):
        parts.append(membership)
    elif results.keys(*KV):
        for workload, title in zip(KV, ("Three nodes", "One node")):
            if table := kv_table(results, workload):
                parts += [f"### {title}", table]
    else:
        parts += ["### Side by side", main_table(results), "### Bounds", bound_table(results),
                  "### Bounds of single operations", operation_table(results)]
        if alone := ours_alone_table(results):
            parts += ["### libcluster alone", alone]
    if results.missing or results.failed:
        parts.append("\n".join(["Not in these tables:", "", *(f"- {text}" for text in results.missing + results.failed)]))
    return "\n\n".join(parts)


def replace_tables(results, path):
    text = path.read_text()
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{path} has no '{BEGIN}' followed by '{END}'")
    path.write_text(f"{before}{BEGIN}\n\n{document(results)}\n\n{END}{after}")
