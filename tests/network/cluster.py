"""What the tests on real networks share: rings of nodes, each on a host of its own, and promises kept in time."""
import os
import pathlib
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "process"))

import network  # noqa: E402: first, as what follows must run inside
network.enter()

from nodes import DEADLINE, Follower, Node, Programs, wait_until  # noqa: E402

PORT = 7022
NAMES = ("ant", "bee", "cat", "dog", "elk")
# The promises (6 s, 10 s) hold on a machine that is not overloaded. Beside other work they may take this much longer.
SLOWER = float(os.environ.get("CLUSTER_TEST_SLOWER", "1"))
RUNS = int(os.environ.get("CLUSTER_TEST_RUNS", "1"))  # of what is measured
BIN = pathlib.Path(sys.argv.pop(1))


class OnRealNetwork(unittest.TestCase):
    options = ()  # of every node

    def start(self, name, *options):
        node = Node(Programs(BIN), name, "--demo-actors", *self.options, *options, port=PORT, host=name, inside=self.network.hosts[name].inside)
        with open(self.network.folder / name, "a") as log:
            node.start(log)
        self.addCleanup(node.kill)
        self.nodes[name] = node
        return node

    def start_ring(self, names=NAMES, **how):
        """A node on each of as many hosts, each connected to each, and a follower of each one's events."""
        self.network = network.Network(names, **how)
        self.addCleanup(self.network.close)
        self.nodes, self.followers = {}, {}
        for name in names:
            self.start(name, "--ring", "ring", *(["--meet", f"{names[0]}:{PORT}"] if name != names[0] else []))
        self.wait_for_all_alive()
        for name in names:
            self.follow(name)

    def follow(self, name):
        if name in self.followers:
            self.followers[name].close()
        else:
            self.addCleanup(lambda: self.followers[name].close())
        self.followers[name] = Follower(self.nodes[name])
        self.wait(lambda: self.followers[name].lines, f"the events of {name}")

    def wait(self, condition, what, deadline=DEADLINE):
        """Where it takes too long, every node says what it knows."""
        try:
            wait_until(condition, what, deadline)
        except AssertionError:
            for name, node in self.nodes.items():
                if node.process.poll() is None:
                    print(f"{name}: {node.cli('members').out}{node.cli('status').out}{node.cli('events').out}", file=sys.stderr)
                    if name in self.followers:
                        print(f"{name}'s follower: {self.followers[name].lines}", file=sys.stderr)
                print(f"{name}'s log: {(self.network.folder / name).read_text()}", file=sys.stderr)
            raise

    def wait_for_all_alive(self, deadline=DEADLINE):
        """Until each holds all of the ring alive."""
        for name in self.nodes:
            self.wait(lambda: self.nodes[name].states() == dict.fromkeys(self.nodes, "alive"), f"{name} holds all alive",
                      deadline)

    def others(self, name):
        return [other for other in self.nodes if other != name]

    def wait_for_word(self, of, state, since, deadline=DEADLINE):
        """Until all others hold `of` in this state; how long after `since` each did."""
        observers = [self.followers[name] for name in self.others(of)]
        self.wait(lambda: all(observer.time_of(of, state, since) for observer in observers), f"all hold {of} {state}", deadline)
        return [observer.time_of(of, state, since) - since for observer in observers]

    def accused(self, since, by=NAMES, of=NAMES):
        """Who was held unreachable by whom."""
        return [(one, other) for one in by for other in of if "unreachable" in self.followers[one].states(other, since)]

    def reaches(self, caller, callee):
        return self.nodes[caller].cli("--timeout", "10", "call", f"counter@{callee}", "get").code == 0


def report(what, seconds):
    """Prints a distribution."""
    each = sorted(seconds)
    pick = lambda share: each[min(len(each) - 1, int(share * len(each)))]
    print(f"{what}: min {each[0]:.2f} s, median {pick(0.5):.2f} s, p90 {pick(0.9):.2f} s, max {each[-1]:.2f} s (of {len(each)})",
          file=sys.stderr, flush=True)


def now():
    """In seconds since 1970, whole milliseconds as in events."""
    return int(time.time() * 1000) / 1000


def main():
    unittest.main(verbosity=2)
