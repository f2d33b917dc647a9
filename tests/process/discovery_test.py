"""Nodes that find each other by a name or a file. Usage: discovery_test.py BIN_DIR"""
import pathlib
import signal
import sys
import tempfile
import unittest

from nodes import Node, Programs, wait_until

programs = Programs(sys.argv.pop(1))


class Discovery(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)
        self.file = self.folder / "nodes"

    def node(self, name, *options):
        """Not yet started."""
        node = Node(programs, name, "--ring", "ring", *options)
        node.log = self.folder / f"{name}.log"
        return node

    def start(self, node):
        with open(node.log, "a") as log:
            node.start(log)
        self.addCleanup(node.stop, signal.SIGKILL)
        return node

    def wait_for_ring(self, nodes):
        names = {node.name for node in nodes}
        for node in nodes:
            wait_until(lambda: node.ids() == names, f"{node.name} knows {names}")

    def publish(self, *nodes, more=""):
        lines = "".join(f"localhost:{node.port}  # {node.name}\n" for node in nodes)
        whole = self.folder / "new"
        whole.write_text(more + lines)
        whole.replace(self.file)

    def test_all_that_start_at_once_with_one_file_become_one_ring_and_bad_lines_are_named(self):
        nodes = [self.node(f"node{i}", "--discover-file", str(self.file)) for i in range(5)]
        self.publish(*nodes, more="# all of them\n\nlocalhost\n")
        for node in nodes:
            self.start(node)
        self.wait_for_ring(nodes)
        for node in nodes:
            log = node.log.read_text()
            self.assertEqual(log.count("line 3: 'localhost' is not HOST:PORT"), 1)
            self.assertNotIn("itself", log)

    def test_nodes_alone_stay_up_and_find_each_other_when_the_file_comes(self):
        nodes = [self.start(self.node(name, "--discover-file", str(self.file))) for name in ("foo", "bar")]
        for node in nodes:
            wait_until(lambda: f"there is no {self.file}" in node.log.read_text(), "the missing file is told")
            self.assertEqual(node.ids(), {node.name})
        self.publish(nodes[0])  # the other one finds it
        self.wait_for_ring(nodes)

    def test_a_name_is_looked_up_and_ones_own_address_behind_it_does_no_harm(self):
        first = self.node("foo")
        first.options = (*first.options, "--discover", f"no-such-name.invalid:1,localhost:{first.port}", "--bind", "127.0.0.1")
        first.host = "127.0.0.1"
        self.start(first)
        wait_until(lambda: "the name 'no-such-name.invalid' is not known" in first.log.read_text(), "the unknown name is told")
        second = self.start(self.node("bar", "--discover", f"localhost:{first.port}"))
        self.wait_for_ring([first, second])

    def test_who_was_removed_does_not_come_back_by_discovery(self):
        nodes = [self.node(name, "--discover-file", str(self.file)) for name in ("foo", "bar")]
        self.publish(*nodes)
        for node in nodes:
            node.log_level = "info"
            self.start(node)
        self.wait_for_ring(nodes)
        stays, goes = nodes
        self.assertEqual(stays.cli("remove", goes.name, "--wait").code, 0)
        refusals = ((goes, f"localhost:{stays.port}: Node '{goes.name}' was removed from ring 'ring'"),
                    (stays, f"localhost:{goes.port}: Node '{goes.name}' left ring 'ring' or was removed from it"))
        for node, refusal in refusals:
            wait_until(lambda: refusal in node.log.read_text(), f"{node.name} asked, and was refused")
        self.assertEqual(stays.ids(), {stays.name})
        self.assertEqual(stays.cli("meet", "localhost", goes.port).code, 0)  # a person may
        self.wait_for_ring(nodes)


unittest.main(verbosity=2)
