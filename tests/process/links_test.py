"""A ring that keeps few links, of real processes. Usage: links_test.py BIN_DIR"""
import itertools
import signal
import sys
import tempfile
import unittest

from nodes import Node, Programs, wait_until

programs = Programs(sys.argv.pop(1))
COUNT = 8
GHOSTS = 96  # members that nobody runs
U64 = 2**64 - 1


def is_standing(a, b, members):
    """Whether a ring of so many keeps a link between the two: what proto/link_rules.cpp does."""
    value = 0xcbf29ce484222325
    for byte in b"\0".join(sorted((a.encode(), b.encode()))):
        value = (value ^ byte) * 0x100000001b3 & U64
    for shift, factor in ((30, 0xbf58476d1ce4e5b9), (27, 0x94d049bb133111eb)):
        value = (value ^ value >> shift) * factor & U64
    size = members // 8 * 8  # of 64 to 127 members
    return (value ^ value >> 31) < U64 // size * 2 * (members - 1).bit_length()


def strangers(count, members):
    """Ids of which no two keep a link."""
    chosen = []
    for name in (f"n{i}" for i in itertools.count()):
        if not any(is_standing(name, other, members) for other in chosen):
            chosen.append(name)
        if len(chosen) == count:
            return chosen


class FewLinks(unittest.TestCase):
    def test_a_rolling_restart_of_all_nodes_keeps_the_ring_whole(self):
        with tempfile.TemporaryDirectory() as disk:
            nodes = []
            for i in range(COUNT):
                meet = ["--meet", f"127.0.0.1:{nodes[0].port}"] if nodes else ["--ring", "ring"]
                node = Node(programs, f"n{i}", "--mesh-max", "2", "--data-dir", f"{disk}/n{i}", "--demo-actors", *meet,
                            host="127.0.0.1")
                nodes.append(node.start())
                self.addCleanup(node.stop)
            everybody = {node.name for node in nodes}

            def whole():
                return all(node.ids() == everybody for node in nodes) and all(
                    node.cli("status").data["converged"] for node in nodes)

            wait_until(whole, "all nodes hold the whole ring")
            for node in nodes:
                self.assertEqual(node.stop(), 0)
                node.start()
                wait_until(whole, f"the ring is whole after the restart of {node.name}")
            for node in nodes:
                for other in nodes:
                    self.assertTrue(node.cli("call", f"counter@{other.name}", "add", '{"n": 1}').reply["ok"])

            def links():
                return [member["link"] for member in nodes[0].cli("status").data["members"]]

            wait_until(lambda: "down" not in links(), "the links that are kept are up")

    def test_of_a_ring_that_crashed_those_that_come_back_find_each_other_though_none_keeps_a_link_to_another(self):
        names = strangers(4, 4 + GHOSTS)
        with tempfile.TemporaryDirectory() as disk:
            nodes = []
            for name in names:
                meet = ["--meet", f"127.0.0.1:{nodes[0].port}"] if nodes else ["--ring", "ring"]
                nodes.append(Node(programs, name, "--data-dir", f"{disk}/{name}", *meet, host="127.0.0.1").start())
                self.addCleanup(nodes[-1].stop)
            ghosts = [word for i in range(GHOSTS) for word in (f"ghost{i}", "127.0.0.1", "9")]
            self.assertTrue(nodes[0].cli("minsert", *ghosts).reply["ok"])
            for node in nodes:
                wait_until(lambda: len(node.ids()) == 4 + GHOSTS, f"{node.name} holds the whole ring")
            for node in nodes:
                node.stop(signal.SIGKILL)
            for node in nodes[1:]:
                node.options = [option for option in node.options if option != "--meet" and ":" not in option]
                node.start()
            for node in nodes[1:]:
                wait_until(lambda: {name for name, state in node.states().items() if state == "alive"} == set(names[1:]),
                           f"{node.name} has found those that are back")


if __name__ == "__main__":
    unittest.main()
