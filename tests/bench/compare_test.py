#!/usr/bin/env python3
"""bench/compare with small programs in the peers' places: alternation, ratios, what is missing, charts, tables.

usage: compare_test.py SOURCE_FOLDER"""
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import xml.etree.ElementTree as xml

TOP = pathlib.Path(sys.argv.pop(1)).resolve()
sys.path.insert(0, str(TOP / "bench"))
from comparing import charts, figures, markdown, programs  # noqa: E402

# Says what it ran to a file that all share; prints a figure that depends on the round.
OURS = """#!/usr/bin/env python3
import json, sys
if "--list" in sys.argv: print("W1  local calls\\nthread-call  from a thread\\nidle  at rest"); sys.exit()
if "--environment" in sys.argv: print('{"processor": "fake"}'); sys.exit()
log = open(sys.argv[0] + ".log", "a+"); log.write("run\\n"); log.seek(0); runs = len(log.readlines())
name = sys.argv[sys.argv.index("--workload") + 1]
print(json.dumps([{"workload": name, "metric": "call", "unit": "ns/call", "min": 1, "median": 100 * runs, "max": 9, "runs": 1}]))
"""
PEER = """#!/usr/bin/env python3
import sys
log = open(sys.argv[0] + ".log", "a+"); log.write("run\\n"); log.seek(0); runs = len(log.readlines())
print("RES", "CAF 9.9", sys.argv[1], "call", "ns/call", 800 * runs, sep="\\t")
"""


class Folder:
    """A folder of programs."""

    def __init__(self, **texts):
        self._folder = tempfile.TemporaryDirectory()
        self.path = pathlib.Path(self._folder.name) / "bin"
        (self.path / "peers").mkdir(parents=True)
        for name, text in texts.items():
            path = self.path / {"ours": "cluster-bench"}.get(name, f"peers/{name}-peer")
            path.write_text(text)
            path.chmod(0o755)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._folder.cleanup()

    def compare(self, *options, code=0):
        run = subprocess.run([sys.executable, "-B", TOP / "bench" / "compare", "--bin", self.path, *options],
                             capture_output=True, text=True, timeout=120)
        if run.returncode != code:
            raise AssertionError(f"ended with {run.returncode}:\n{run.stdout}{run.stderr}")
        return run

    def results(self):
        return json.loads((self.path.parent / "compare.json").read_text())


def gone(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def wait_until(condition, what):
    deadline = time.monotonic() + 60
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"never: {what}")
        time.sleep(0.01)


def plotted():
    """Results with lines in each chart, of all peers that have a style and of one without."""
    results = figures.Results({"processor": "fake <&>"})
    for number in range(3):
        for index, peer in enumerate([*charts.STYLES, "a <new> & odd peer 1.0"]):
            for x in charts.SIZE_TICKS:
                for metric, unit in ((f"{x}", "MB/s"), (f"{x} p50", "us"), (f"{x} p99", "us")):
                    results.add(number, programs.Figure(peer, "sizes", metric, unit, (index + 1) * x ** 0.5 + number))
            for x in charts.CALLER_TICKS:
                for metric, unit in ((f"{x}", "1/s"), (f"{x} p50", "us"), (f"{x} p99", "us")):
                    results.add(number, programs.Figure(peer, "callers", metric, unit, (index + 1) * x + number))
    return results


class CompareTest(unittest.TestCase):
    def test_programs_alternate_and_the_first_of_a_round_changes(self):
        with Folder(ours=OURS, caf=PEER) as folder:
            said = folder.compare("--workload", "W1,thread-call", "--rounds", "2").stderr
            order = [line.split("W1", 1)[1].split()[0] for line in said.splitlines() if " W1 " in line]
            self.assertEqual(order, ["libcluster", "peers/caf-peer", "peers/caf-peer", "libcluster"])

    def test_a_ratio_is_taken_within_a_round_and_more_than_one_is_better(self):
        with Folder(ours=OURS, caf=PEER) as folder:
            said = folder.compare("--workload", "W1", "--rounds", "3").stdout
            figure = next(one for one in folder.results()["figures"] if one["peer"] == "CAF 9.9")
            self.assertEqual(figure["values"], {"0": 800, "1": 1600, "2": 2400})
            self.assertEqual(figure["ratio"], {"min": 8, "median": 8, "max": 8})
            self.assertIn("8x (8-8)", said)
        results = figures.Results()
        for number, (ours, theirs) in enumerate(((10, 5), (30, 10))):
            results.add(number, programs.Figure(programs.OURS, "W2", "cast", "msg/s", ours))
            results.add(number, programs.Figure("other", "W2", "cast", "msg/s", theirs))
        results.add(2, programs.Figure("other", "W2", "cast", "msg/s", 1000))  # ours failed in this round
        self.assertEqual(results.ratio(results.keys()[0], "other"), figures.Spread(2, 2.5, 3))

    def test_what_is_not_built_or_fails_is_said_and_the_rest_goes_on(self):
        with Folder(ours=OURS, caf=PEER, zmq="#!/bin/sh\necho no socket >&2\nexit 3\n") as folder:
            said = folder.compare("--workload", "W1,W3", "--rounds", "2", code=1)
            results = folder.results()
            self.assertIn("libcluster has no workload W3", results["missing"])
            self.assertTrue(any("erlang-peer" in text and "erlang-base" in text for text in results["missing"]))
            self.assertEqual(len(results["failed"]), 1, "what failed in the first round is not tried again")
            self.assertIn("ended with 3: no socket", results["failed"][0])
            self.assertIn("FAILED: peers/zmq-peer W3", said.stdout)
            self.assertEqual({one["peer"] for one in results["figures"]}, {"libcluster", "CAF 9.9"})

    def test_a_program_that_prints_nonsense_fails(self):
        with Folder(ours="#!/bin/sh\n[ $1 = --list ] && echo W1 && exit\necho '[{\"workload\": \"W1\"}]'\n") as folder:
            folder.compare("--workload", "W1", "--rounds", "1", code=1)
            self.assertIn("cannot be read", folder.results()["failed"][0])

    def test_only_chooses_peers_and_unknown_names_are_refused(self):
        with Folder(ours=OURS, caf=PEER) as folder:
            folder.compare("--workload", "W1", "--rounds", "1", "--only", "zmq,raw")
            self.assertEqual({one["peer"] for one in folder.results()["figures"]}, {"libcluster"})
            self.assertIn("there is no 'W9'", folder.compare("--workload", "W9", code=2).stderr)

    def test_a_program_and_its_children_end_when_time_is_over(self):
        with Folder(caf="#!/bin/sh\necho $$ > $0.pid\nsleep 1000 &\necho $! >> $0.pid\nwait\n") as folder:
            program = next(one for one in programs.PROGRAMS if one.group == "caf")
            with self.assertRaisesRegex(programs.Failed, "no end after"):
                programs.run(program, folder.path, "W1", seconds_max=1)
            pids = (folder.path / "peers" / "caf-peer.pid").read_text().split()
            self.assertEqual(len(pids), 2)
            for pid in pids:
                wait_until(lambda: gone(pid), f"the end of {pid}")

    def test_workloads_of_ours_alone_are_run_in_a_full_run_only(self):
        with Folder(ours=OURS) as folder:
            said = folder.compare("--rounds", "1", code=0)
            self.assertIn("alone: idle", said.stderr)
            alone = next(one for one in folder.results()["figures"] if one["workload"] == "idle")
            self.assertEqual((alone["min"], alone["median"], alone["max"]), (1, 9, 300))
            for options in (("--no-alone",), ("--workload", "W1"), ("--only", "caf")):
                self.assertNotIn("alone: idle", folder.compare("--rounds", "1", *options).stderr)

    def test_ctrl_c_ends_the_programs(self):
        for event, code in ((signal.SIGINT, 130), (signal.SIGTERM, 1)):
            with Folder(caf="#!/bin/sh\nsleep 1000 &\necho $$ $! . > $0.pid\nwait\n") as folder:
                compare = subprocess.Popen([sys.executable, "-B", TOP / "bench" / "compare", "--bin", folder.path,
                                            "--workload", "W1"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                pids = folder.path / "peers" / "caf-peer.pid"
                wait_until(lambda: pids.exists() and pids.read_text().endswith(".\n"), "the start of the program")
                os.kill(compare.pid, event)
                self.assertEqual(compare.wait(timeout=60), code)
                for pid in pids.read_text().split()[:2]:
                    wait_until(lambda: gone(pid), f"the end of {pid}")


class ChartTest(unittest.TestCase):
    def test_charts_are_well_formed_and_have_all_lines_inside(self):
        with tempfile.TemporaryDirectory() as folder:
            paths = charts.write_all(plotted(), folder)
            self.assertEqual(len(paths), len(charts.CHARTS))
            for path in paths:
                root = xml.parse(path).getroot()
                svg = "{http://www.w3.org/2000/svg}"
                lines = [one for one in root.iter(f"{svg}path") if one.get("class", "").startswith("line")]
                kinds = charts.CHARTS[path.stem][5]
                self.assertEqual(len(lines), len(kinds) * (len(charts.STYLES) + 1), path)
                names = [one.text for one in root.iter(f"{svg}text") if one.get("class", "").startswith("name")]
                self.assertEqual(len(set(names)), len(charts.STYLES) + 1)
                for line in lines:
                    for place in line.get("d")[1:].split("L"):
                        x, y = map(float, place.split())
                        self.assertTrue(charts.LEFT - 1 <= x <= charts.WIDTH - charts.RIGHT + 1, (path, place))
                        self.assertTrue(charts.TOP - 1 <= y <= charts.HEIGHT - charts.BOTTOM + 1, (path, place))
                self.assertIn("prefers-color-scheme:dark", path.read_text())

    def test_one_value_is_a_chart_and_none_is_no_chart(self):
        results = figures.Results()
        with tempfile.TemporaryDirectory() as folder:
            self.assertEqual(charts.write_all(results, folder), [])
            results.add(0, programs.Figure(programs.OURS, "sizes", "1024", "MB/s", 5))
            (path,) = charts.write_all(results, folder)
            xml.parse(path)

    def test_labels_do_not_overlap_and_stay_inside(self):
        for places in ([10, 11, 12], [95, 96, 97], [10, 50, 90], [], [40]):
            moved = charts.spread_out(places, 17, 100)
            self.assertEqual(len(moved), len(places))
            self.assertTrue(all(after - before >= 17 - 1e-9 for before, after in zip(moved, moved[1:])), moved)
            self.assertTrue(all(place <= 100 for place in moved), moved)

    def test_an_axis_encloses_the_values_and_has_a_few_ticks(self):
        for low, high in ((1, 2), (0.3, 900), (17, 17), (99, 100), (5, 5e6)):
            begin, end, ticks = charts.axis(low, high)
            self.assertLessEqual(begin, low)
            self.assertGreaterEqual(end, high)
            self.assertTrue(2 <= len(ticks) <= 9 and begin <= ticks[0] and ticks[-1] <= end, (low, high, ticks))


class MarkdownTest(unittest.TestCase):
    def test_tables_replace_what_is_between_the_markers_and_nothing_else(self):
        results = plotted()
        results.add(0, programs.Figure(programs.OURS, "W1", "call", "ns/call", 100))
        results.add(0, programs.Figure("Erlang/OTP 25", "W1", "call", "ns/call", 700))
        results.add(0, programs.Figure("raw threads", "W1", "call", "ns/call", 25))
        results.add(0, programs.Figure("raw threads", "W1", "call (two spinning threads)", "ns/call", 50))
        results.missing.append("peers/zmq-peer is not built")
        with tempfile.TemporaryDirectory() as folder:
            page = pathlib.Path(folder) / "page.md"
            page.write_text(f"before\n{markdown.BEGIN}\nold\n{markdown.END}\nafter\n")
            for _ in range(2):  # the second time it replaces its own
                markdown.replace_tables(results, page)
                text = page.read_text()
                self.assertTrue(text.startswith(f"before\n{markdown.BEGIN}\n"))
                self.assertTrue(text.endswith(f"{markdown.END}\nafter\n"))
                self.assertNotIn("old", text)
                self.assertIn("| W1 local call | ns/call | <= 120: met | 100 (100-100) | 700 (700-700)<br>**7x** (7-7) |", text)
                self.assertIn("raw threads, two spinning threads", text)
                self.assertIn("- peers/zmq-peer is not built", text)
            page.write_text("no markers\n")
            with self.assertRaises(SystemExit):
                markdown.replace_tables(results, page)

    def test_results_survive_their_file(self):
        results = plotted()
        again = figures.Results.from_json(json.loads(json.dumps(results.to_json())))
        self.assertEqual(again.to_json(), results.to_json())
        self.assertEqual(figures.table(again), figures.table(results))


if __name__ == "__main__":
    unittest.main()
