"""What rings do when members are silent, by their partition policy. Usage: policy_test.py BIN_DIR"""
import os
import signal
import sys
import tempfile
import unittest

from nodes import Node, Programs, follow, wait_until

programs = Programs(sys.argv.pop(1))


def has_quorum(node):
    return node.cli("status").data["has_quorum"]


class Policies(unittest.TestCase):
    def start(self, name, *options, port=None):
        node = Node(programs, name, *options, port=port).start()
        self.addCleanup(node.kill)
        return node

    def ring_of(self, count, *policy):
        options = ("--partition-policy", *policy, "--stable-after", "1", "--demo-actors")
        nodes = [self.start("node0", "--ring", "ring", *options)]
        for i in range(1, count):
            nodes.append(self.start(f"node{i}", "--meet", f"localhost:{nodes[0].port}", *options))
        for node in nodes:
            wait_until(lambda: node.states() == dict.fromkeys([each.name for each in nodes], "alive"),
                       f"{node.name} holds all {count} alive")
            wait_until(lambda: has_quorum(node), f"{node.name} has a quorum")
        return nodes

    def wait_for_quorum(self, nodes, expected):
        for node in nodes:
            wait_until(lambda: has_quorum(node) == expected, f"{node.name} {'has a' if expected else 'has no'} quorum")

    def assert_refused(self, answer, here, members):
        self.assertEqual((answer.code, answer.reply["error"]["code"], answer.reply["error"]["executed"]),
                         (1, "no_quorum", "no"))
        self.assertIn(f"only {here} of the {members} members of ring 'ring' ", answer.reply["error"]["message"])

    def test_without_its_majority_a_ring_is_not_changed_until_the_others_are_back(self):
        here, there = (nodes := self.ring_of(5, "keep-majority"))[:2], nodes[2:]
        stranger = self.start("stranger")
        followers = follow(self, here)
        self.assertEqual(here[0].cli("status").data["partition_policy"], "keep-majority")
        for node in there:
            node.stop(signal.SIGKILL)
        self.wait_for_quorum(here, False)
        for node in here:
            for words in (["insert", "ghost", "nowhere", "1"], ["minsert", "ghost", "nowhere", "1"],
                          ["update", "node1", "localhost", here[1].port, "7"], ["remove", "node4"],
                          ["mremove", "node3", "node4"], ["meet", "localhost", stranger.port]):
                self.assert_refused(node.cli(*words), 2, 5)
        self.assert_refused(stranger.cli("meet", "localhost", here[0].port), 2, 5)
        # All else goes on, and who knows better may force it.
        self.assertEqual(here[0].ids(), {node.name for node in nodes})
        self.assertEqual(here[0].cli("call", "counter@node1", "add", '{"n": 5}').data, 5)
        self.assertEqual(here[0].cli("cast", "counter@node1", "add", '{"n": 5}').code, 0)
        self.assertEqual(here[0].cli("meet", "localhost", here[1].port).code, 0)
        self.assertEqual(here[0].cli("insert", "ghost", "nowhere", "1", "-f").code, 0)
        self.assertEqual(here[0].cli("remove", "ghost", "-f").code, 0)
        for node in there:
            node.start()
        self.wait_for_quorum(nodes, True)
        self.assertEqual(here[1].cli("insert", "ghost", "nowhere", "1").code, 0)
        for node in nodes:
            wait_until(lambda: node.ids() == {"ghost", *(each.name for each in nodes)}, f"{node.name} has the edit")
        for follower in followers:
            lost, found = [event for event in follower.lines if event["event"].startswith("quorum_")][-2:]
            self.assertEqual((lost["event"], lost["here"], lost["members"]), ("quorum_lost", 2, 5), follower.name)
            self.assertEqual((found["event"], found["members"]), ("quorum_found", 5), follower.name)
            self.assertGreaterEqual(found["here"], 3)

    def test_a_static_quorum_is_lost_while_others_are_paused(self):
        nodes = self.ring_of(3, "static-quorum", "--quorum", "2")
        for node in nodes[1:]:
            os.kill(node.process.pid, signal.SIGSTOP)
        try:
            self.wait_for_quorum(nodes[:1], False)
            self.assert_refused(nodes[0].cli("remove", "node2"), 1, 3)
        finally:
            for node in nodes[1:]:
                os.kill(node.process.pid, signal.SIGCONT)
        self.wait_for_quorum(nodes, True)
        self.assertEqual(nodes[0].cli("remove", "node2").code, 0)

    def test_without_the_oldest_a_ring_is_not_changed_however_many_are_left(self):
        nodes = self.ring_of(5, "keep-oldest")
        nodes[4].stop(signal.SIGKILL)
        for node in nodes[:4]:
            wait_until(lambda: node.states()["node4"] == "unreachable", f"{node.name} knows")
        nodes[0].stop(signal.SIGKILL)
        self.wait_for_quorum(nodes[1:4], False)
        self.assert_refused(nodes[1].cli("remove", "node4"), 3, 5)
        nodes[0].start()  # now it is the youngest
        self.wait_for_quorum(nodes[:4], True)

    def test_who_restarts_among_too_few_has_no_quorum_from_the_start(self):
        with tempfile.TemporaryDirectory() as disk:
            nodes = []
            for i in range(3):
                meet = ["--meet", f"localhost:{nodes[0].port}"] if nodes else ["--ring", "ring"]
                nodes.append(self.start(f"node{i}", "--partition-policy", "keep-majority", "--stable-after", "300",
                                        "--data-dir", f"{disk}/{i}", *meet))
            everybody = {node.name for node in nodes}
            for node in nodes:
                wait_until(lambda: node.ids() == everybody, f"{node.name} knows all")
            for node in nodes:
                node.stop(signal.SIGKILL)
            nodes[2].start()
            self.wait_for_quorum(nodes[2:], False)
            self.assert_refused(nodes[2].cli("insert", "ghost", "nowhere", "1"), 1, 3)
            nodes[1].start()
            self.wait_for_quorum(nodes[1:], True)  # at once, not after 300 s
            for node in nodes[1:]:
                node.stop()

    def test_who_is_silent_too_long_is_removed_and_comes_back_only_by_a_meet(self):
        *others, victim = self.ring_of(4, "remove-after", "--remove-after", "1")
        followers = follow(self, others)
        victim.stop(signal.SIGKILL)
        rest = {node.name for node in others}
        for node in others:
            wait_until(lambda: node.ids() == rest, f"{node.name} has removed it")
        victim.start()  # it tries to meet, as at its first start
        wait_until(lambda: victim.cli("status").data["ring"] is None, "it knows that it was removed")
        self.assertEqual([node.ids() for node in others], [rest] * 3)
        self.assertEqual(others[1].cli("meet", "localhost", victim.port).code, 0)
        for node in (*others, victim):
            wait_until(lambda: node.ids() == {*rest, victim.name}, f"{node.name} has it again")
        for follower in followers:
            self.assertFalse([event for event in follower.lines if event["event"].startswith("quorum_")])


if __name__ == "__main__":
    unittest.main(verbosity=2)
