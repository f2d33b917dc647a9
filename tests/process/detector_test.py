"""Who is alive, as real processes find out: killed, paused, stopped and busy ones. Usage: detector_test.py BIN_DIR"""
import os
import signal
import subprocess
import sys
import time
import unittest

from nodes import COOKIE, DEADLINE, Node, Programs, follow, free_port, wait_until

programs = Programs(sys.argv[1])
BLOCKED_NODE = os.path.join(sys.argv.pop(1), "blocked_node")


class Members(unittest.TestCase):
    def ring_of(self, count):
        nodes = [Node(programs, "node0", "--ring", "ring").start()]
        self.addCleanup(nodes[0].stop, signal.SIGKILL)
        for i in range(1, count):
            node = Node(programs, f"node{i}", "--meet", f"localhost:{nodes[0].port}").start()
            self.addCleanup(node.stop, signal.SIGKILL)
            nodes.append(node)
        for node in nodes:
            wait_until(lambda: node.states() == dict.fromkeys([each.name for each in nodes], "alive"),
                       f"{node.name} holds all {count} alive")
        return nodes

    def test_a_killed_node_is_unreachable_for_all_within_six_seconds_and_comes_back(self):
        *others, victim = self.ring_of(5)
        followers = follow(self, others)
        victim.process.kill()
        killed = time.time()
        wait_until(lambda: all(f.time_of(victim.name, "unreachable") for f in followers), "all know of it")
        times = [follower.time_of(victim.name, "unreachable") - killed for follower in followers]
        print(f"killed: known after {min(times):.2f} to {max(times):.2f} s", file=sys.stderr)
        self.assertLess(max(times), 6)
        self.assertGreater(min(times), 3.4)
        for node in others:
            self.assertEqual(node.states(), {**{each.name: "alive" for each in others}, victim.name: "unreachable"})
        # Calls fail at once, and say that they did not run; casts wait.
        refused = others[0].cli("--timeout", "60", "call", f"counter@{victim.name}", "get")
        self.assertEqual((refused.code, refused.reply["error"]["code"], refused.reply["error"]["executed"]),
                         (1, "unreachable", "no"))
        self.assertEqual(others[0].cli("cast", f"counter@{victim.name}", "add", '{"n": 5}').code, 0)
        victim.stop()
        again = Node(programs, victim.name, "--ring", "ring", "--demo-actors", port=victim.port).start()
        self.addCleanup(again.stop, signal.SIGKILL)
        for node in others:
            wait_until(lambda: node.states()[victim.name] == "alive", f"{node.name} sees it again")
        wait_until(lambda: again.cli("call", "counter", "get").data == 5, "the cast that waited has arrived")

    def test_a_pause_of_three_seconds_loses_nobody(self):
        nodes = self.ring_of(5)
        followers = follow(self, nodes)
        pid = nodes[2].process.pid
        os.kill(pid, signal.SIGSTOP)
        time.sleep(3)  # the very thing that is tested
        os.kill(pid, signal.SIGCONT)
        wait_until(lambda: all(node.states()["node2"] == "alive" for node in nodes), "all hold it alive")
        time.sleep(6)  # longer than any suspicion that was left
        for follower in followers:
            for node in nodes:
                self.assertNotIn("unreachable", follower.states(node.name), follower.name)
        self.assertTrue(any("suspect" in follower.states("node2") for follower in followers))

    def test_a_long_pause_makes_a_node_unreachable_and_its_end_brings_it_back(self):
        nodes = self.ring_of(5)
        followers = follow(self, nodes)
        paused = nodes[3]
        others = [node for node in nodes if node is not paused]
        os.kill(paused.process.pid, signal.SIGSTOP)
        try:
            for node in others:
                wait_until(lambda: node.states()["node3"] == "unreachable", f"{node.name} knows")
        finally:
            os.kill(paused.process.pid, signal.SIGCONT)
        for node in nodes:
            wait_until(lambda: set(node.states().values()) == {"alive"}, f"{node.name} holds all alive again")
        self.assertEqual([follower.states(name) for follower in followers for name in ("node0", "node1", "node4")
                          if "unreachable" in follower.states(name)], [], "the sleeper accused nobody")
        own = next(member for member in paused.cli("members").data if member["id"] == "node3")
        self.assertGreater(own["incarnation"], 0)

    def test_a_clean_stop_is_known_at_once(self):
        *others, last = self.ring_of(3)
        followers = follow(self, others)
        self.assertEqual(last.stop(), 0)
        for follower in followers:
            wait_until(lambda: follower.time_of(last.name, "stopped"), "it stopped")
            self.assertNotIn("suspect", follower.states(last.name))
        down = next(event for event in followers[0].lines if event["event"] == "node_down")
        self.assertEqual((down["id"], down["state"], down["was"]), (last.name, "stopped", "alive"))
        self.assertEqual(others[0].cli("remove", last.name).code, 0)
        for node in others:
            wait_until(lambda: node.states()[last.name] == "left", f"{node.name} knows that it left")

    def test_who_follows_events_goes_on_when_the_node_is_started_again(self):
        node = Node(programs, "node0", "--ring", "ring").start()
        self.addCleanup(node.stop, signal.SIGKILL)
        (follower,) = follow(self, [node])
        node.stop()  # which its follower hears
        stopped = time.time()
        again = Node(programs, "node0", "--ring", "ring", port=node.port).start()
        self.addCleanup(again.stop, signal.SIGKILL)
        wait_until(lambda: any(event["time_ms"] / 1000 > stopped for event in list(follower.lines)), "its events come again")

    def test_handlers_that_block_every_worker_make_nobody_suspect_the_node(self):
        first, second = self.ring_of(2)
        port = free_port()
        busy = subprocess.Popen([BLOCKED_NODE, "busy", str(port), COOKIE, str(first.port)], stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, text=True)
        self.addCleanup(busy.stdout.close)
        self.addCleanup(busy.wait, timeout=DEADLINE)
        self.addCleanup(busy.stdin.close)
        self.assertIn(" listens on ", busy.stdout.readline())
        for node in (first, second):
            wait_until(lambda: node.states().get("busy") == "alive", f"{node.name} holds it alive")
        followers = follow(self, (first, second))
        for blocker in (1, 2, 3):
            self.assertEqual(first.cli("cast", f"blocker_{blocker}@busy", "block", '{"ms": 10000}').code, 0)
        time.sleep(10)  # the very thing that is tested
        seen = programs.run_cli("-p", port, "-a", COOKIE, "members")  # its command server answers, too
        self.assertEqual({member["state"] for member in seen.data}, {"alive"})
        for follower in followers:
            self.assertEqual(set(follower.states("busy")), {"alive"})


if __name__ == "__main__":
    unittest.main(verbosity=2)
