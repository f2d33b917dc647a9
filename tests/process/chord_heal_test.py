"""How a Chord ring of real processes closes behind those who die, fall silent or leave, as cluster-cli shows it.
Usage: chord_heal_test.py BIN_DIR"""
import itertools
import signal
import sys
import threading
import time
import unittest

from chord_ring import are_fingers_of, are_fingers_right, are_neighbours_right, neighbours, owner, place
from nodes import Programs, pause, wait_until
from web import WebNode

programs = Programs(sys.argv.pop(1))
KEYS = [f"key-{i}" for i in range(47)]


def is_as_defined(node, names, listed):
    """What one node tells the command line: neighbours, fingers, the whole ring, and the owner of a key."""
    predecessor, successors = neighbours(names, node.name, listed)
    info = node.cli("chord", "info").data
    if (info["predecessor"], info["successor"]) != (predecessor, successors[0]):
        return False
    if [row["id"] for row in node.cli("chord", "successors").data] != successors:
        return False
    if not are_fingers_of(node.name, names, node.cli("chord", "fingers").data):
        return False
    graph = node.cli("chord", "graph").data
    if not graph["complete"] or {row["id"] for row in graph["nodes"]} != names:
        return False
    key = f"a key for {node.name}"
    return node.cli("chord", "lookup", key).data["owner"]["id"] == owner(names, place(key))


def are_as_defined(nodes, listed=8):
    names = {node.name for node in nodes}
    return all(is_as_defined(node, names, listed) for node in nodes)


class Lookups:
    """Asks nodes in turn, without a break, in both ways; remembers what was not answered with an owner that may be."""

    def __init__(self, nodes, owners):
        self.nodes, self.owners = nodes, owners  # key -> names
        self.count, self.wrong = 0, []
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        for node, key in zip(itertools.cycle(self.nodes), itertools.cycle(self.owners)):
            if self.ended.is_set():
                return
            mode = "recursive" if self.count % 3 == 0 else "iterative"
            answer = node.get(f"/v1/chord/lookup/{key}?mode={mode}")
            self.count += 1
            if answer.status != 200 or answer.data["owner"]["id"] not in self.owners[key]:
                self.wrong.append((node.name, key, mode, answer.json))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()


class Healing(unittest.TestCase):
    def ring(self, count, listed=8, *options):
        """So many nodes in the order of the ring, which is as by the definition."""
        nodes = [WebNode(programs, f"n{i}", "--chord", *options).start() for i in range(count)]
        for node in nodes:
            self.addCleanup(node.kill)
        for i, node in enumerate(nodes[1:]):
            self.assertEqual(node.cli("chord", "join", f"localhost:{nodes[i // 2].port}").reply, {"ok": True})
        wait_until(lambda: are_as_defined(nodes, listed), "the ring is as by the definition")
        return sorted(nodes, key=lambda node: place(node.name))

    def heal(self, nodes, victims, lose, what, listed=8):
        """Loses the victims, and waits until the others have closed the ring; says how long that took."""
        names = {node.name for node in nodes}
        owners = {key: {owner(names, place(key)), *(victim.name for victim in victims)} for key in KEYS}
        with Lookups(nodes, owners) as lookups:
            for victim in victims:
                lose(victim)
            begun = time.monotonic()
            wait_until(lambda: are_neighbours_right(nodes, listed) and are_fingers_right(nodes), "the ring has healed")
            print(f"{what}: healed within {time.monotonic() - begun:.2f} s", flush=True)
        self.assertEqual(lookups.wrong, [])
        wait_until(lambda: are_as_defined(nodes, listed), "the command line tells it")
        for node in nodes:
            self.assertEqual(node.cli("chord", "info").data["counters"]["cut_off"], 0)
        for victim in victims:
            victim.stop(signal.SIGKILL)

    def test_one_node_is_killed(self):
        nodes = self.ring(8)
        self.heal(nodes, [nodes.pop(3)], lambda victim: victim.process.kill(), "one of 8 killed")

    def test_all_but_one_of_a_successor_list_are_killed_at_once(self):
        nodes = self.ring(9, 4, "--chord-successors", "4")
        victims = nodes[2:5]
        del nodes[2:5]
        self.heal(nodes, victims, lambda victim: victim.process.kill(), "3 neighbours of 9 killed, with lists of 4", 4)

    def test_one_node_falls_silent(self):
        nodes = self.ring(8)  # as a host without power: its connections stay
        self.heal(nodes, [nodes.pop(3)], lambda victim: pause(victim.process), "one of 8 silent")

    def test_lookups_are_answered_while_nodes_leave_and_join(self):
        nodes = self.ring(7)
        names = {node.name for node in nodes}
        moving = [nodes.pop(2), nodes.pop(4)]
        owners = {key: {owner(names - {each.name for each in away}, place(key))
                        for away in ([], moving[:1], moving[1:], moving)} for key in KEYS}
        with Lookups(nodes, owners) as lookups:
            for _ in range(2):
                for node in moving:
                    self.assertEqual(node.cli("chord", "leave").reply, {"ok": True})
                wait_until(lambda: are_neighbours_right(nodes), "the ring has closed behind those who left")
                for node in moving:
                    self.assertEqual(node.cli("chord", "join", f"localhost:{nodes[0].port}").reply, {"ok": True})
                wait_until(lambda: are_neighbours_right(nodes + moving), "they are back")
        print(f"{lookups.count} lookups while nodes left and joined", flush=True)
        self.assertEqual(lookups.wrong, [])
        self.assertGreater(lookups.count, 100)


if __name__ == "__main__":
    unittest.main()
