"""Nodes that leave alive hand over first what they hold. Usage: kv_leave_test.py BIN_DIR"""
import json
import pathlib
import resource
import shutil
import signal
import sys
import tempfile
import time
import unittest

from nodes import Node, Programs, wait_until

programs = Programs(sys.argv.pop(1))
ONE = ("--kv-bucket", "one:n=1,r=1,w=1")


class Leaving(unittest.TestCase):
    def ring(self, count, *options, on_disk=False):
        """So many nodes that have settled."""
        nodes = []
        disk = pathlib.Path(tempfile.mkdtemp(prefix="cluster-leave-"))
        self.addCleanup(shutil.rmtree, disk)
        for i in range(count):
            entry = ("--meet", f"localhost:{nodes[0].port}") if nodes else ("--ring", "ring")
            folder = ("--data-dir", str(disk / f"n{i}")) if on_disk else ()
            nodes.append(Node(programs, f"n{i}", "--kv", *options, *entry, *folder).start())
            self.addCleanup(nodes[-1].kill)
        names = {node.name for node in nodes}
        for node in nodes:
            wait_until(lambda: node.ids() == names and self.settled(node), f"{node.name} has settled among {count}")
        return nodes

    def settled(self, node):
        reply = node.cli("kv", "status")
        return reply.code == 0 and reply.data["settled"]

    def batch(self, node, bucket, entries):
        return node.cli("kv", "batch", bucket, stdin=json.dumps(entries)).data

    def fill(self, node, bucket, count):
        put = self.batch(node, bucket, [{"put": f"key {i}", "value": f"value {i}"} for i in range(count)])
        self.assertTrue(all(row["ok"] for row in put))

    def missing(self, node, bucket, count):
        """How many of the keys cannot be read, or have another value."""
        got = self.batch(node, bucket, [{"get": f"key {i}"} for i in range(count)])
        return sum(row.get("values") != [f"value {i}"] for i, row in enumerate(got))

    def weights(self, node):
        return {member["id"]: member["weight"] for member in node.cli("status").data["members"]}

    def ends_by_itself(self, node):
        self.assertEqual(node.process.wait(timeout=60), 0)
        node.process.stdout.close()

    def test_who_leaves_hands_over_the_only_copies(self):
        for on_disk in (False, True):
            with self.subTest(on_disk=on_disk):
                nodes = self.ring(4, *ONE, on_disk=on_disk)
                self.fill(nodes[0], "one", 200)
                held = len(nodes[2].cli("kv", "scan", "--bucket", "one").data)
                self.assertGreater(held, 0)
                self.assertEqual(nodes[2].cli("leave").reply, {"ok": True})
                self.assertEqual(nodes[2].cli("kv", "scan", "--bucket", "one").data, [])
                self.assertGreaterEqual(nodes[2].cli("kv", "status").data["counters"]["handed_over"], held)
                for node in (nodes[0], nodes[1], nodes[3]):
                    wait_until(lambda: node.ids() == {"n0", "n1", "n3"} and self.settled(node), "the others have settled")
                    self.assertEqual(self.missing(node, "one", 200), 0)
                for node in nodes:
                    node.kill()

    def test_more_than_a_key_has_copies_stop_at_once_and_leave_all_keys(self):
        nodes = self.ring(7, "--leave-on-stop")
        self.fill(nodes[0], "default", 300)
        leavers, stayers = nodes[:4], nodes[4:]
        for node in leavers:
            node.process.send_signal(signal.SIGTERM)
        for node in leavers:
            self.ends_by_itself(node)
        for node in stayers:
            wait_until(lambda: node.ids() == {"n4", "n5", "n6"} and self.settled(node), "those who stay have settled")
            self.assertEqual(self.missing(node, "default", 300), 0)

    def test_members_that_are_removed_while_they_live_hand_over_first(self):
        nodes = self.ring(4)
        self.fill(nodes[0], "default", 300)
        self.assertEqual(nodes[3].cli("mremove", "n0", "n1", "n2").reply, {"ok": True})
        wait_until(lambda: nodes[3].ids() == {"n3"} and self.settled(nodes[3]), "the last one has settled")
        self.assertEqual(self.missing(nodes[3], "default", 300), 0)

    def ring_with_one_dead(self, *options):
        """Its keys, and those that go to it, cannot be handed over."""
        nodes = self.ring(3, *ONE, *options)
        self.fill(nodes[0], "one", 200)
        nodes[2].kill()
        for node in nodes[:2]:
            wait_until(lambda: node.states()["n2"] == "unreachable", "it is found dead")
        return nodes

    def test_who_cannot_hand_over_in_time_stays_and_says_why(self):
        nodes = self.ring_with_one_dead()
        late = nodes[1].cli("leave", "--drain-timeout", "2s")
        self.assertEqual(late.code, 1)
        self.assertRegex(late.reply["error"]["message"], "keys are left to hand over.*--drain-timeout.*-f")
        self.assertEqual(late.reply["error"]["executed"], "no")
        wait_until(lambda: set(self.weights(nodes[0]).values()) == {128}, "its weight is what it was")
        late = nodes[0].cli("remove", "n1", "--drain-timeout", "2s")
        self.assertEqual(late.code, 1)
        wait_until(lambda: set(self.weights(nodes[0]).values()) == {128}, "its weight is what it was")
        begun = time.monotonic()
        self.assertEqual(nodes[0].cli("remove", "n2").reply, {"ok": True})  # is dead: at once
        self.assertEqual(nodes[1].cli("leave", "-f").reply, {"ok": True})
        self.assertLess(time.monotonic() - begun, 10)

    def ring_with_a_full_disk(self, count):
        """The last one's store has failed: no file of it can grow."""
        nodes = self.ring(count, "--leave-on-stop", on_disk=True)
        self.fill(nodes[0], "default", 100)
        full = nodes[-1]
        before = resource.prlimit(full.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(full.process.pid, resource.RLIMIT_FSIZE, (0, before[1]))

        def fault():
            self.fill(nodes[0], "filler", 20)
            return full.cli("kv", "status").data["fault"]

        wait_until(fault, "its store has failed")
        return nodes

    def test_who_leaves_hands_over_to_those_whose_disks_work(self):
        nodes = self.ring_with_a_full_disk(4)
        begun = time.monotonic()
        self.assertEqual(nodes[2].cli("leave").reply, {"ok": True})
        self.assertLess(time.monotonic() - begun, 30)
        self.assertEqual(nodes[2].cli("kv", "scan").data, [])
        for node in (nodes[0], nodes[1], nodes[3]):
            self.assertEqual(self.missing(node, "default", 100), 0)

    def test_whose_disk_failed_is_told_at_once_that_it_can_only_be_forced_to_leave(self):
        nodes = self.ring_with_a_full_disk(4)
        for refused in (nodes[3].cli("leave"), nodes[0].cli("remove", "n3")):
            self.assertEqual((refused.code, refused.reply["error"]["executed"]), (1, "no"))
            self.assertRegex(refused.reply["error"]["message"], "'n3': its store has failed: .*File too large.*-f")
        wait_until(lambda: set(self.weights(nodes[0]).values()) == {128}, "its weight is what it was")
        nodes[3].process.send_signal(signal.SIGTERM)  # leaves all the same, without waiting
        self.ends_by_itself(nodes[3])
        for node in nodes[:3]:
            wait_until(lambda: node.ids() == {"n0", "n1", "n2"} and self.settled(node), "those who stay have settled")
            self.assertEqual(self.missing(node, "default", 100), 0)

    def test_who_is_killed_while_it_drains_comes_back_with_its_weight(self):
        nodes = self.ring(3, on_disk=True)
        self.assertEqual(nodes[0].cli("update", "n1", "localhost", nodes[1].port, "50").reply, {"ok": True})
        wait_until(lambda: self.weights(nodes[1])["n1"] == 50, "n1 knows its weight")
        nodes[0].cli("call", "drain@n1", "drain_node", '{"wait_ms": 0}')
        wait_until(lambda: self.weights(nodes[0])["n1"] == 0, "it drains")
        nodes[1].kill()
        nodes[1].start()
        for node in nodes:
            wait_until(lambda: self.weights(node) == {"n0": 128, "n1": 50, "n2": 128}, "its weight is what it was")

    def test_another_signal_ends_the_wait_of_a_node_that_stops(self):
        nodes = self.ring_with_one_dead("--leave-on-stop", "--drain-timeout", "600")
        nodes[1].process.send_signal(signal.SIGTERM)
        wait_until(lambda: self.weights(nodes[0])["n1"] == 0, "it hands over")
        self.assertEqual(nodes[1].stop(), 0)
        wait_until(lambda: nodes[0].ids() == {"n0", "n2"}, "it has left")

    def test_the_last_one_who_stays_waits_for_those_whose_drains_are_broken_off(self):
        nodes = self.ring(3)
        self.fill(nodes[0], "default", 50)
        drain = lambda node: nodes[0].cli("call", f"drain@{node.name}", "drain_node", '{"wait_ms": 5000}').data
        wait_until(lambda: all(drain(node)["done"] for node in nodes[1:]), "two have handed over to the third")
        # Nobody removes them, so they are members of full weight again after a while.
        self.assertEqual(nodes[0].cli("leave").reply, {"ok": True})
        for node in nodes[1:]:
            wait_until(lambda: node.ids() == {"n1", "n2"} and self.settled(node), "the others have settled")
            self.assertEqual(self.missing(node, "default", 50), 0)

    def test_where_no_other_answers_a_leave_is_refused_unless_forced(self):
        nodes = self.ring(2)
        self.fill(nodes[0], "default", 10)
        nodes[1].kill()
        wait_until(lambda: nodes[0].states()["n1"] == "unreachable", "it is found dead")
        refused = nodes[0].cli("leave", "--drain-timeout", "1s")
        self.assertEqual((refused.code, refused.reply["error"]["executed"]), (1, "no"))
        self.assertIn("no other member that stays answers", refused.reply["error"]["message"])
        self.assertEqual(nodes[0].cli("leave", "-f").reply, {"ok": True})

    def test_where_nobody_stays_nobody_waits(self):
        nodes = self.ring(3, *ONE, "--leave-on-stop", "--drain-timeout", "600")
        self.fill(nodes[0], "one", 200)
        for node in nodes:
            node.process.send_signal(signal.SIGTERM)
        for node in nodes:
            self.ends_by_itself(node)


if __name__ == "__main__":
    unittest.main()
