"""What cluster-bench prints and how it ends. Never how fast anything is."""
import json
import math
import os
import pathlib
import signal
import subprocess
import sys
import time
import unittest

BENCH = None  # pathlib.Path of cluster-bench
DEADLINE = 120.0  # seconds for whatever must happen soon, on a slow and busy machine
COMPARED = [  # what bench/compare and others rely on, in order
    ("W1", "call", "ns/call"),
    ("W2", "cast", "msg/s"),
    ("W3", "p50", "us"),
    ("W3", "p99", "us"),
    ("W3", "calls", "1/s"),
    ("W4", "calls", "1/s"),
    ("W5", "64B", "msg/s"),
    ("W5", "1KiB", "MB/s"),
    ("W5", "1MiB", "MB/s"),
    ("W6", "spawn", "ns/actor"),
    ("W6", "RSS", "B/actor"),
]


def run(*arguments):
    return subprocess.run([BENCH, *arguments], capture_output=True, text=True, timeout=DEADLINE,
                          stdin=subprocess.DEVNULL)


def listed():
    done = run("--list")
    assert done.returncode == 0, done.stderr
    return [line.split()[0] for line in done.stdout.splitlines()]


def wait_until(condition, what):
    end = time.monotonic() + DEADLINE
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"not within {DEADLINE:.0f} s: {what}")
        time.sleep(0.02)


class Figures(unittest.TestCase):
    def quick(self, workloads, runs, *more):
        done = run("--quick", "--json", "--runs", str(runs), "--workload", workloads, *more)
        self.assertEqual(done.returncode, 0, done.stderr)
        figures = json.loads(done.stdout)
        for figure in figures:
            with self.subTest(figure=figure):
                self.assertEqual(list(figure), ["workload", "metric", "unit", "min", "median", "max", "runs"])
                self.assertEqual(figure["runs"], runs)
                self.assertTrue(all(math.isfinite(figure[key]) for key in ("min", "median", "max")))
                self.assertLessEqual(figure["min"], figure["median"])
                self.assertLessEqual(figure["median"], figure["max"])
        return figures, done.stderr

    def test_the_compared_workloads_have_exactly_these_figures(self):
        figures, said = self.quick("W1,W2,W3,W4,W5,W6", 2)
        self.assertEqual([(one["workload"], one["metric"], one["unit"]) for one in figures], COMPARED)
        self.assertTrue(all(one["min"] > 0 for one in figures))
        for word in ("# processor: ", "# compiler: ", "# flags: ", "W5: run 2 of 2"):
            self.assertIn(word, said)

    def test_each_other_workload_runs_and_names_its_figures_once(self):
        for workload in listed():
            if workload in {one[0] for one in COMPARED}:
                continue
            with self.subTest(workload=workload):
                figures, _ = self.quick(workload, 1)
                self.assertTrue(figures)
                self.assertEqual({one["workload"] for one in figures}, {workload})
                names = [(one["metric"], one["unit"]) for one in figures]
                self.assertEqual(len(names), len(set(names)))

    def test_it_measures_encrypted_connections_too(self):
        figures, _ = self.quick("W5", 1, "--protection", "seal")
        self.assertEqual([one["metric"] for one in figures], ["64B", "1KiB", "1MiB"])

    def test_a_table_has_the_environment_at_its_head_and_a_row_a_figure(self):
        done = run("--quick", "--runs", "1", "--workload", "W1,codec")
        self.assertEqual(done.returncode, 0, done.stderr)
        lines = done.stdout.splitlines()
        self.assertTrue(lines[0].startswith("# version: "))
        head = next(i for i, line in enumerate(lines) if line.split()[:3] == ["workload", "metric", "unit"])
        self.assertEqual(lines[head + 1].split()[:3], ["W1", "call", "ns/call"])
        self.assertGreater(len(lines), head + 5)


class Options(unittest.TestCase):
    def test_the_environment_is_one_json_object(self):
        environment = json.loads(run("--environment").stdout)
        for key in ("version", "processor", "cores", "kernel", "compiler", "build", "flags"):
            self.assertTrue(environment[key], key)

    def test_an_unknown_workload_is_refused_with_the_list(self):
        done = run("--workload", "W1,W9")
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertIn("'W9'", done.stderr)
        for workload in listed():
            self.assertIn(workload, done.stderr)

    def test_bad_numbers_and_levels_are_refused(self):
        for arguments in (["--runs", "0"], ["--runs", "-1"], ["--runs", "five"], ["--runs"], ["--size", "1"],
                          ["--protection", "none"], ["--no-such-option"], ["W1"]):
            with self.subTest(arguments=arguments):
                done = run(*arguments)
                self.assertEqual((done.returncode, done.stdout), (2, ""))
                self.assertTrue(done.stderr)

    def test_help_names_every_option(self):
        done = run("--help")
        self.assertEqual(done.returncode, 0)
        for option in ("--workload", "--runs", "--json", "--quick", "--list", "--environment", "--protection", "--size"):
            self.assertIn(option, done.stdout)


class Children(unittest.TestCase):
    """However it ends, no process of it is left."""

    def end_by(self, how):
        process = subprocess.Popen([BENCH, "--workload", "W3", "--runs", "1000", "--quick"], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            while "run 1" not in process.stderr.readline():
                self.assertIsNone(process.poll())
            tasks = pathlib.Path(f"/proc/{process.pid}/task")
            children = {int(pid) for task in tasks.iterdir() for pid in (task / "children").read_text().split()}
            self.assertTrue(children)
        finally:
            process.send_signal(how)
            process.stderr.close()
            code = process.wait(timeout=DEADLINE)
        self.assertEqual(code, -how)
        for child in children:
            wait_until(lambda: not self.runs(child), f"the end of the child {child}")

    @staticmethod
    def runs(pid):
        try:
            state = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
            return state != "Z" and os.readlink(f"/proc/{pid}/exe") == str(BENCH)
        except (FileNotFoundError, ProcessLookupError):
            return False

    def test_after_an_interrupt(self):
        self.end_by(signal.SIGINT)

    def test_after_a_request_to_end(self):
        self.end_by(signal.SIGTERM)

    def test_after_it_was_killed(self):
        self.end_by(signal.SIGKILL)


if __name__ == "__main__":
    BENCH = pathlib.Path(sys.argv.pop(1)).resolve()
    unittest.main()
