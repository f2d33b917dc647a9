"""Real nodes of the key-value store under faults, and a judge of what its clients were told.
Usage: kv_faults_test.py BIN_DIR [--seconds N] [--seed N]

Writers write numbers, each to keys of its own, one after the other; readers read through any node. Meanwhile nodes are
killed, with their disks kept and lost, paused, and cut off from each other. The judge knows nothing of the store.
"""
import argparse
import bisect
import http.client
import itertools
import random
import shutil
import signal
import sys
import tempfile
import pathlib
import threading
import time
import unittest

from nodes import DEADLINE, Programs, free_port, wait_until
from web import WebNode, exchange

parser = argparse.ArgumentParser()
parser.add_argument("bin_dir")
parser.add_argument("--seconds", type=float, default=6)
parser.add_argument("--seed", type=int, default=None)
arguments = parser.parse_args()
programs = Programs(arguments.bin_dir)
NAMES = ("foo", "bar", "baz")


class History:
    """What clients asked and were told, each with when it began and ended. Times are of one clock."""

    def __init__(self):
        self.lock = threading.Lock()
        self.writes = {}  # key: [(number, begin, end or None)]; None: the outcome is not known
        self.reads = []  # (key, numbers, begin, end)

    def wrote(self, key, number, begin, end):
        with self.lock:
            self.writes.setdefault(key, []).append((number, begin, end))

    def read(self, key, numbers, begin, end):
        with self.lock:
            self.reads.append((key, numbers, begin, end))

    def faults(self):
        """What no store that keeps its promises may have answered."""
        found, begun, acknowledged, seen = [], {}, {}, {}
        for key, writes in list(self.writes.items()):
            begun[key] = {number: start for number, start, _ in writes}
            acknowledged[key] = Greatest((ended, number) for number, _, ended in writes if ended is not None)
        reads = list(self.reads)
        for key in {read[0] for read in reads}:
            seen[key] = Greatest((end, max(numbers, default=0)) for of, numbers, _, end in reads if of == key)
        for key, numbers, begin, end in reads:
            for number in numbers:
                if begun.get(key, {}).get(number, float("inf")) > end:
                    found.append(f"{key}: {number} was read and never written")
            greatest = max(numbers, default=0)
            written = acknowledged[key].before(begin) if key in acknowledged else 0
            if greatest < written:
                found.append(f"{key}: {sorted(numbers)} was read after {written} had been acknowledged")
            elif greatest < seen[key].before(begin):
                found.append(f"{key}: {sorted(numbers)} was read after {seen[key].before(begin)} had been read")
        return found


class Greatest:
    """Of numbers with times: the greatest before a time."""

    def __init__(self, pairs):
        pairs = sorted(pairs)
        self.times = [time for time, _ in pairs]
        self.greatest = list(itertools.accumulate((number for _, number in pairs), max))

    def before(self, time):
        place = bisect.bisect_left(self.times, time)
        return self.greatest[place - 1] if place else 0


class Client(threading.Thread):
    """A connection to a node, and another one after each failure."""

    def __init__(self, nodes, history, bucket, seed):
        super().__init__(daemon=True)
        self.nodes, self.history, self.bucket = nodes, history, bucket
        self.random = random.Random(seed)
        self.ended, self.done, self.link = False, 0, None

    def ask(self, method, key, body=None):
        """(status, answer); 0: there is no answer."""
        try:
            if self.link is None:
                node = self.random.choice(self.nodes)
                self.link = http.client.HTTPConnection("localhost", node.web, timeout=6)
            answer = exchange(self.link, method, f"/v1/kv/{self.bucket}/{key}?timeout_ms=2000", body, (), WebNode.token)
            if answer.status in (200, 300, 404):
                return answer.status, answer
        except (OSError, http.client.HTTPException):
            answer = None
        if self.link:
            self.link.close()
        self.link = None
        return (answer.status, answer) if answer else (0, None)

    def run(self):
        while not self.ended:
            self.step()
        if self.link:
            self.link.close()


class Writer(Client):
    def __init__(self, name, *rest):
        super().__init__(*rest)
        self.keys = [f"{name}-{i}" for i in range(4)]
        self.number = 0

    def step(self):
        key = self.random.choice(self.keys)
        self.number += 1
        begin = time.monotonic()
        status, answer = self.ask("PUT", key, str(self.number))
        end = time.monotonic()
        not_done = answer is not None and status != 200 and answer.json["error"]["executed"] == "no"
        if not not_done:
            self.history.wrote(key, self.number, begin, end if status == 200 else None)
        self.done += status == 200
        if status != 200:
            time.sleep(0.02)  # a client that is refused at once asks no node to death


class Reader(Client):
    def __init__(self, keys, *rest):
        super().__init__(*rest)
        self.keys = keys

    def step(self):
        key = self.random.choice(self.keys)
        begin = time.monotonic()
        status, answer = self.ask("GET", key)
        end = time.monotonic()
        if status in (200, 300, 404):
            values = [answer.body] if status == 200 else answer.data["values"] if status == 300 else []
            self.history.read(key, [int(value) for value in values], begin, end)
            self.done += 1
        else:
            time.sleep(0.02)


class Judge(unittest.TestCase):
    def history(self, writes, reads):
        history = History()
        for write in writes:
            history.wrote("k", *write)
        for read in reads:
            history.read("k", *read)
        return history.faults()

    def test_the_judge_finds_what_is_wrong_and_nothing_else(self):
        writes = [(1, 0, 1), (2, 2, None), (3, 4, 5)]
        for right in ([([], 0, 0.5)], [([1], 0.5, 2)], [([1], 1.5, 2)], [([2], 3, 3.5)], [([1], 3, 3.5)], [([1, 2], 3, 3.5)],
                      [([3], 6, 7)], [([2, 3], 6, 7)], [([1], 4.5, 5.5)], [([3], 4.1, 4.2), ([3], 4.3, 4.4)],
                      [([3], 4.1, 4.6), ([1], 4.5, 4.7)]):
            self.assertEqual(self.history(writes, right), [], right)
        for wrong, why in (([([], 1.5, 2)], "acknowledged"), ([([2], 6, 7)], "acknowledged"), ([([1], 5.5, 6)], "acknowledged"),
                           ([([9], 1, 2)], "never written"), ([([3], 3, 3.5)], "never written"),
                           ([([2], 3, 3.2), ([1], 3.3, 3.4)], "had been read")):
            faults = self.history(writes, wrong)
            self.assertEqual(len(faults), 1, wrong)
            self.assertIn(why, faults[0])


class Faults(unittest.TestCase):
    def setUp(self):
        self.disk = pathlib.Path(tempfile.mkdtemp(prefix="cluster-kv-"))
        self.addCleanup(shutil.rmtree, self.disk, True)
        self.nodes, self.clients = [], []

    def start(self, name, *options, port=None, web=None):
        node = WebNode(programs, name, "--kv", "--allow-drills", "--kv-bucket", "weak:n=3,r=1,w=1", "--data-dir",
                       str(self.disk / name), *options, port=port,
                       web=web or free_port()).start()
        self.addCleanup(node.kill)
        return node

    def settled(self):
        return all(node.get("/v1/kv").data["settled"] for node in self.nodes)

    def ring(self):
        self.nodes.append(self.start("foo", "--ring", "ring"))
        for name in NAMES[1:]:
            self.nodes.append(self.start(name, "--meet", f"localhost:{self.nodes[0].port}"))
        for node in self.nodes:
            wait_until(lambda: node.states() == dict.fromkeys(NAMES, "alive"), f"{node.name} sees three")
        wait_until(self.settled, "all have settled")

    def begin(self, history, bucket, seed):
        writers = [Writer(f"w{i}", self.nodes, history, bucket, seed + i) for i in range(2)]
        keys = [key for writer in writers for key in writer.keys]
        self.clients = writers + [Reader(keys, self.nodes, history, bucket, seed + 10 + i) for i in range(2)]
        for client in self.clients:
            client.start()

    def progress(self, what, count=5):
        before = [client.done for client in self.clients]
        wait_until(lambda: all(client.done >= b + count for client, b in zip(self.clients, before)), f"work goes on {what}")

    def end(self):
        for client in self.clients:
            client.ended = True
        for client in self.clients:
            client.join(DEADLINE)
            self.assertFalse(client.is_alive())

    def crash(self, place, lost):
        victim = self.nodes[place]
        victim.stop(signal.SIGKILL)
        self.progress(f"without {victim.name}")
        if lost:
            shutil.rmtree(self.disk / victim.name / "kv")
        self.nodes[place] = self.start(victim.name, port=victim.port, web=victim.web)

    def pause(self, place, chance):
        victim = self.nodes[place]
        victim.process.send_signal(signal.SIGSTOP)
        time.sleep(chance.uniform(0.3, 1.5))  # the length of the pause
        victim.process.send_signal(signal.SIGCONT)

    def cut(self, place):
        """A drill is refused while the one before is not over: some seconds after the healing, whoever was killed meanwhile."""
        alone = self.nodes[place].name
        others = ",".join(node.name for node in self.nodes if node.name != alone)
        words = ("drill", "partition", f"{alone}|{others}", "--for", "1500ms")
        wait_until(lambda: self.nodes[place].cli(*words).code == 0, f"a cut of {alone}", 15)

    def test_no_acknowledged_write_is_lost_and_no_read_is_stale_whatever_happens_to_one_node_at_a_time(self):
        seed = arguments.seed if arguments.seed is not None else random.randrange(1 << 30)
        chance, history = random.Random(seed), History()
        print(f"seed {seed}", end=" ", file=sys.stderr)
        self.ring()
        self.begin(history, "default", seed)
        self.progress("at first")
        happened = []
        end = time.monotonic() + arguments.seconds
        kinds = ["kept", "cut", "lost", "pause"]
        while time.monotonic() < end or len(happened) < len(kinds):
            kind = kinds[len(happened)] if len(happened) < len(kinds) else chance.choice(kinds)
            place = chance.randrange(3)
            happened.append(f"{kind} {self.nodes[place].name}")
            if kind == "pause":
                self.pause(place, chance)
            elif kind == "cut":
                self.cut(place)
            else:
                self.crash(place, kind == "lost")
            self.progress(f"after {happened[-1]}")
            wait_until(lambda: all(set(node.states().values()) == {"alive"} for node in self.nodes), "all are alive again")
            wait_until(self.settled, f"all have settled after {happened[-1]}", 60)
        self.end()
        for key in self.clients[0].keys + self.clients[1].keys:
            for node in self.nodes:
                begin = time.monotonic()
                answer = node.get(f"/v1/kv/default/{key}")
                self.assertIn(answer.status, (200, 300, 404), answer.body)
                values = [answer.body] if answer.status == 200 else answer.data["values"] if answer.status == 300 else []
                history.read(key, [int(value) for value in values], begin, time.monotonic())
        faults = history.faults()
        done = sum(end is not None for writes in history.writes.values() for _, _, end in writes)
        print(f"{done} writes acknowledged, {len(history.reads)} reads, {', '.join(happened)}", end=" ", file=sys.stderr)
        self.assertEqual(faults, [], f"seed {seed}")

    def test_with_r_and_w_of_one_the_judge_finds_stale_reads_during_a_cut(self):
        history = History()
        self.ring()
        self.begin(history, "weak", 1)
        self.progress("at first")
        self.cut(0)
        wait_until(history.faults, "a read was stale")
        self.end()


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
