"""A ring that keeps few links, of real processes. Usage: links_test.py BIN_DIR"""
import sys
import tempfile
import unittest

from nodes import Node, Programs, wait_until

programs = Programs(sys.argv.pop(1))
COUNT = 8


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


if __name__ == "__main__":
    unittest.main()
