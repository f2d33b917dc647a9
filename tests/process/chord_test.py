"""The Chord overlay of real processes, held against its definition. Usage: chord_test.py BIN_DIR"""
import signal
import sys
import unittest
import xml.etree.ElementTree

from chord_ring import are_fingers_right, are_neighbours_right, owner, place
from nodes import Programs, free_port, wait_until
from web import WebNode

programs = Programs(sys.argv.pop(1))
COUNT = 8
KEYS = [f"key {i}" for i in range(40)]


class Chord(unittest.TestCase):
    def start(self, name, *options, port=None):
        node = WebNode(programs, name, *options, port=port).start()
        self.addCleanup(node.kill)
        return node

    def check_lookups(self, nodes):
        names = {node.name for node in nodes}
        for i, key in enumerate(KEYS):
            query = "?mode=recursive" if i % 2 else ""
            found = nodes[i % len(nodes)].get(f"/v1/chord/lookup/{key.replace(' ', '%20')}{query}").data
            self.assertEqual((found["key"], found["owner"]["id"]), (key, owner(names, place(key))))
            self.assertEqual(int(found["identifier"], 16), place(key))
            self.assertEqual(found["path"][-1]["id"], found["owner"]["id"])
            self.assertGreaterEqual(len(found["path"]), found["hops"])

    def check_command_line(self, node, nodes):
        ring = sorted((each.name for each in nodes), key=place)
        found = node.cli("chord", "lookup", "some key").data
        self.assertEqual(found["owner"]["id"], owner(ring, place("some key")))
        self.assertNotIn("path", found)
        traced = node.cli("chord", "lookup", "some key", "--trace", "--recursive").data
        self.assertEqual(traced["owner"], found["owner"])
        for hop in traced["path"]:
            self.assertEqual(int(hop["identifier"], 16), place(hop["id"]))
        graph = node.cli("chord", "graph").data
        start = ring.index(node.name)
        self.assertTrue(graph["complete"])
        self.assertEqual([row["id"] for row in graph["nodes"]], ring[start:] + ring[:start])
        dot = node.cli("chord", "graph", "--dot").out
        self.assertTrue(dot.startswith("digraph chord {"))
        for name in ring:
            self.assertIn(f'"{name}"', dot)
        svg = xml.etree.ElementTree.fromstring(node.cli("chord", "graph", "--svg").out)
        texts = {element.text for element in svg.iter("{http://www.w3.org/2000/svg}text")}
        self.assertEqual(texts, set(ring))

    def test_nodes_in_no_ring_form_an_overlay_that_heals_when_one_is_killed(self):
        nodes = [self.start(f"n{i}", "--chord") for i in range(COUNT)]
        for i, node in enumerate(nodes[1:]):
            through = nodes[i // 2]
            self.assertTrue(node.cli("chord", "join", f"localhost:{through.port}").reply["ok"])
        wait_until(lambda: are_neighbours_right(nodes), "all nodes know their neighbours")
        wait_until(lambda: are_fingers_right(nodes), "all fingers are as by the definition")
        self.check_lookups(nodes)
        self.check_command_line(nodes[0], nodes)

        victim = nodes.pop(3)
        victim.stop(signal.SIGKILL)
        self.check_lookups(nodes)  # at once: ways around it are found
        wait_until(lambda: are_neighbours_right(nodes), "the ring has healed")
        wait_until(lambda: are_fingers_right(nodes), "the fingers have healed")

        leaver = nodes.pop(5)
        self.assertTrue(leaver.cli("chord", "leave").reply["ok"])
        wait_until(lambda: are_neighbours_right(nodes), "the ring has closed behind who left")
        self.assertFalse(leaver.get("/v1/chord").data["member"])
        answer = leaver.get("/v1/chord/lookup/x")
        self.assertEqual((answer.status, answer.error["code"]), (409, "refused"))
        self.assertIn("no Chord ring", answer.error["message"])
        self.assertTrue(leaver.cli("chord", "join", f"localhost:{nodes[0].port}").reply["ok"])
        nodes.append(leaver)
        wait_until(lambda: are_neighbours_right(nodes), "it is back")
        self.check_lookups(nodes)

    def test_all_but_one_of_a_successor_list_may_die_at_once(self):
        nodes = [self.start(f"n{i}", "--chord", "--chord-successors", "4") for i in range(7)]
        for node in nodes[1:]:
            self.assertTrue(node.cli("chord", "join", f"localhost:{nodes[0].port}").reply["ok"])
        wait_until(lambda: are_neighbours_right(nodes, 4), "all nodes know their neighbours")
        nodes.sort(key=lambda node: place(node.name))
        for victim in nodes[2:5]:
            victim.stop(signal.SIGKILL)
        del nodes[2:5]
        wait_until(lambda: are_neighbours_right(nodes, 4), "the ring has healed")
        self.assertEqual([node.get("/v1/chord").data["counters"]["cut_off"] for node in nodes], [0] * 4)
        self.check_lookups(nodes)

    def test_nodes_started_with_the_same_list_are_one_ring_and_who_comes_back_is_in_it_again(self):
        ports = [free_port() for _ in range(3)]
        listed = ",".join(f"localhost:{port}" for port in ports)
        nodes = [self.start(f"n{i}", "--chord", "--chord-join", listed, port=port) for i, port in enumerate(ports)]
        wait_until(lambda: are_neighbours_right(nodes), "all nodes know their neighbours")
        victim = nodes.pop()
        victim.stop(signal.SIGKILL)
        wait_until(lambda: are_neighbours_right(nodes), "the ring has healed")
        nodes.append(self.start(victim.name, "--chord", "--chord-join", listed, port=ports[2]))
        wait_until(lambda: are_neighbours_right(nodes), "it is back")
        self.assertTrue(nodes[0].cli("chord", "leave").reply["ok"])
        wait_until(lambda: are_neighbours_right(nodes[1:]), "who left is out")
        self.assertFalse(nodes[0].get("/v1/chord").data["member"])

    def test_members_of_a_gossip_ring_find_one_overlay_by_themselves(self):
        nodes = [self.start("a", "--chord", "--ring", "ring")]
        meet = ("--meet", f"localhost:{nodes[0].port}")
        plain = self.start("plain", *meet)
        nodes += [self.start(name, "--chord", *meet) for name in ("b", "c")]
        wait_until(lambda: are_neighbours_right(nodes), "three rings of one node are one ring", deadline=90)
        self.check_lookups(nodes)
        self.assertEqual(plain.cli("status").data["inbound"]["casts_no_server"], 0)  # it was asked, not told

    def test_what_cannot_be_is_refused_with_its_reason_and_costs_no_ring(self):
        plain = self.start("plain")
        self.assertEqual(plain.cli("chord", "info").code, 1)
        answer = plain.get("/v1/chord")
        self.assertEqual((answer.status, answer.error["code"]), (404, "no_server"))
        self.assertIn("start it with --chord", answer.error["message"])
        node, other = self.start("n", "--chord"), self.start("m", "--chord")
        short = self.start("short", "--chord", "--chord-bits", "16")
        self.assertTrue(node.cli("chord", "join", f"localhost:{other.port}").reply["ok"])
        for port, reason in ((plain.port, "runs no Chord"), (node.port, "itself"), (1, "cannot be reached"),
                             (short.port, "has 16 bits of sha1, this node 160 bits of sha1")):
            answer = node.cli("chord", "join", f"localhost:{port}")
            self.assertEqual(answer.code, 1, answer.out)
            self.assertIn(reason, answer.reply["error"]["message"])
            self.assertEqual(answer.reply["error"]["executed"], "no")
        wait_until(lambda: are_neighbours_right([node, other]), "both are where they were")
        for words in (["info", "--trace"], ["graph", "--dot", "--svg"], ["dance"], ["lookup"], []):
            self.assertEqual(node.cli("chord", *words).code, 2, words)
        self.assertEqual(node.get("/v1/chord/lookup/x?mode=sideways").status, 400)
        forged = {"from": "m", "message": {"chord_gone": []}}  # said by a client, not by the node
        self.assertFalse(node.cli("call", "chord", "chord_mail", str(forged).replace("'", '"')).reply["ok"])
        for arguments in ([], ["lookup"], ["join", "x"], ["dance"]):
            reply = node.post("/v1/call/chord_commands/run", {"name": "chord", "args": arguments}).data
            self.assertEqual(reply["error"]["code"], "invalid_argument", arguments)
        self.assertTrue(are_neighbours_right([node, other]))


if __name__ == "__main__":
    unittest.main()
