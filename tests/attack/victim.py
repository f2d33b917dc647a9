"""A real cluster-node under attack, an honest client that goes on meanwhile, and what is checked after each attack."""
import contextlib
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from link import CLIENT, COOKIE, Link

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "process"))
from nodes import Node, Programs, wait_until  # noqa: E402

GROWTH_KIB_MAX = 100 * 1024  # of the node's resident memory, by all attacks of a file together
LOG_PERIOD = 10.0  # seconds in which a kind of refusal is logged once


class Honest:
    """Calls the node without a pause, on one connection and, every few calls, over a new one."""

    def __init__(self, port):
        self.port, self.calls, self.slowest, self.failure = port, 0, 0.0, None
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        try:
            lasting = Link(self.port, "honest", CLIENT)
            while not self.ending.is_set():
                begun = time.monotonic()
                self.call(lasting)
                if self.calls % 20 == 0:
                    with Link(self.port, "newcomer", CLIENT) as link:
                        self.call(link)
                self.slowest = max(self.slowest, time.monotonic() - begun)
                self.ending.wait(0.01)
            lasting.close()
        except Exception as fault:  # whatever it is, the test tells it
            self.failure = repr(fault)

    def call(self, link):
        assert link.refusal is None, link.refusal
        answer = link.call("echo", "echo", self.calls)
        assert answer == ("reply", self.calls), answer
        self.calls += 1


class Victim(Node):
    log_level = "info"

    def __init__(self, programs, name, *options):
        super().__init__(programs, name, "--ring", "ring", "--demo-actors", *options)
        self.errors = tempfile.NamedTemporaryFile(mode="r", errors="replace")

    def start(self):
        with open(self.errors.name, "w") as log:
            super().start(log)
        return self

    def alive(self):
        return self.process.poll() is None

    def resident_kib(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            return int(next(line for line in status if line.startswith("VmRSS")).split()[1])

    def lines(self, pattern):
        with open(self.errors.name, errors="replace") as log:
            return [line for line in log if re.search(pattern, line)]

    def count(self, section, name):
        return self.cli("status").data[section][name]


class AttackTest(unittest.TestCase):
    """One node for the tests of a class."""

    programs = None
    options = ()
    signs = True  # else the node takes nobody who only signs, as this client does

    @classmethod
    def setUpClass(cls):
        cls.node = Victim(cls.programs, "victim", *cls.options).start()
        if cls.signs:
            with cls.under_way(cls.node):
                pass
        cls.resident_at_first = cls.node.resident_kib()

    @classmethod
    def tearDownClass(cls):
        cls.node.stop()

    @staticmethod
    @contextlib.contextmanager
    def under_way(node):
        """An honest client's calls, at least one of them to the end."""
        honest = Honest(node.port)
        try:
            yield honest
            calls = honest.calls
            wait_until(lambda: honest.calls > calls or honest.failure, "a call after the attack")
        finally:
            honest.ending.set()
            honest.thread.join()

    @contextlib.contextmanager
    def attack(self, counts=(), line=None):
        """Around an attack: honest calls go on and succeed; the node lives and stays small; each of `counts`
        ((section, name, at least) of `status`) has risen; lines with `line` came once per period."""
        before = {(section, name): self.node.count(section, name) for section, name, _ in counts}
        lines_before = len(self.node.lines(line)) if line else 0
        begun = time.monotonic()
        with self.under_way(self.node) as honest:
            yield
        self.assertTrue(self.node.alive(), "the node ended: " + "".join(self.node.lines("")[-20:]))
        self.assertIsNone(honest.failure)
        resident = self.node.resident_kib()
        for section, name, least in counts:
            wait_until(lambda: self.node.count(section, name) - before[section, name] >= least, f"{least} {name}")
        seconds = time.monotonic() - begun
        print(f"{self.id().split('.')[-1]}: {seconds:.1f} s, {honest.calls} honest calls, the slowest "
              f"{honest.slowest * 1000:.0f} ms, node {resident} KiB ({resident - self.resident_at_first:+})", flush=True)
        self.assertLess(resident - self.resident_at_first, GROWTH_KIB_MAX)
        if line and before:
            logged = len(self.node.lines(line)) - lines_before
            self.assertLessEqual(logged, 1 + seconds / LOG_PERIOD, "lines with " + line)
            self.assertTrue(self.node.lines(line), "no line with " + line)


def main():
    bin_dir = sys.argv.pop(1)
    AttackTest.programs = Programs(bin_dir)
    unittest.main(module="__main__", verbosity=1)
