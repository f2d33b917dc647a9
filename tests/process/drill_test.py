"""Fire drills: rings of real processes whose links are cut on demand. Usage: drill_test.py BIN_DIR"""
import signal
import subprocess
import sys
import unittest

from nodes import COOKIE, Node, Programs, wait_until

programs = Programs(sys.argv.pop(1))
WEST, EAST = ("ant", "bee"), ("cat", "dog")


class Drills(unittest.TestCase):
    def ring_of(self, *names, but=(), policy=()):
        """Nodes that allow drills, but for those in `but`."""
        self.nodes = {}
        for name in names:
            options = ["--meet", f"localhost:{self.nodes[names[0]].port}"] if self.nodes else ["--ring", "ring"]
            node = Node(programs, name, *options, *policy, *([] if name in but else ["--allow-drills"])).start()
            self.addCleanup(node.kill)
            self.addCleanup(node.stop, signal.SIGKILL)
            self.nodes[name] = node
        for node in self.nodes.values():
            wait_until(lambda: node.states() == dict.fromkeys(names, "alive"), f"{node.name} holds all alive")
        return self.nodes

    def drill(self, name, *words):
        return self.nodes[name].cli("--timeout", "20", "drill", *words)

    def begin(self, name, *words):
        answer = self.drill(name, "partition", *words)
        self.assertEqual(answer.code, 0, answer.out + answer.err)
        return answer.data["drill"]

    def phase(self, name):
        return self.drill(name, "report").data["phase"]

    def wait_for_cut(self, *names):
        for name in names:
            wait_until(lambda: self.phase(name) == "cut", f"{name} is cut")

    def final_report(self, name):
        answer = self.drill(name, "report", "--wait")
        self.assertEqual(answer.code, 0, answer.out + answer.err)
        while not answer.data["finished"]:
            answer = self.drill(name, "report", "--wait")
        return answer.data

    def refusal(self, answer):
        self.assertEqual(answer.code, 1, answer.out + answer.err)
        return answer.reply["error"]["message"]

    def check_pairs(self, report, members):
        """Whatever a drill does: within a side nothing is lost, and nowhere anything comes twice or out of order."""
        pairs = [pair for pair in report["pairs"] if {pair["from"], pair["to"]} <= set(members)]
        self.assertEqual(len(pairs), len(members) * (len(members) - 1))
        for pair in pairs:
            self.assertEqual((pair["doubled"], pair["disordered"]), (0, 0), pair)
            if not pair["cut"]:
                self.assertEqual(pair["lost"], 0, pair)
                self.assertGreater(pair["answered"], 0, pair)
        return pairs

    def test_a_partition_loses_across_and_not_within_is_seen_and_ends_with_one_ring_that_has_all_edits(self):
        nodes = self.ring_of(*WEST, *EAST)
        self.assertEqual(nodes["ant"].cli("insert", "ghost", "nowhere", "1").code, 0)
        for node in nodes.values():
            wait_until(lambda: "ghost" in node.ids(), f"{node.name} knows the ghost")
        drill = self.begin("ant", "ant,bee", "|", "cat,dog", "--for", "14s")
        self.wait_for_cut(*nodes)
        for name, words in {"ant": ["insert", "in-west", "nowhere", "2"], "bee": ["update", "ghost", "nowhere", "1", "7"],
                            "cat": ["insert", "in-east", "nowhere", "3"], "dog": ["update", "ghost", "nowhere", "1", "9"]}.items():
            self.assertEqual(nodes[name].cli(*words).code, 0)
        for side, others in ((WEST, EAST), (EAST, WEST)):
            for name in side:
                wait_until(lambda: [nodes[name].states()[each] for each in others] == ["unreachable"] * 2,
                           f"{name} misses the others")
                self.assertEqual([nodes[name].states()[each] for each in side], ["alive"] * 2)
        self.assertNotIn("in-east", nodes["bee"].ids())
        self.assertNotIn("in-west", nodes["dog"].ids())
        report = self.final_report("cat")
        self.assertEqual((report["drill"], report["partition"], report["phase"]), (drill, "ant,bee | cat,dog", "done"))
        self.assertTrue(report["together"], report)
        for pair in self.check_pairs(report, nodes):
            self.assertEqual(pair["cut"], (pair["from"] in WEST) != (pair["to"] in WEST))
            if pair["cut"]:
                self.assertGreater(pair["lost"], 100, pair)
                self.assertGreater(pair["unknown"] + pair["failed"], 10, pair)
            self.assertGreater(pair["delivered"], 20, pair)
        steps = [event for event in nodes["bee"].cli("events").data if event.get("drill") == drill]
        self.assertEqual([event["event"] for event in steps], ["links_cut", "links_healed"])
        self.assertEqual(steps[0]["members"], list(EAST))
        across, within = report["traffic"]
        self.assertGreater(across["lost"], 800)
        self.assertEqual(within["lost"], 0)
        for node in report["nodes"]:
            self.assertEqual(node["missed"], list(EAST if node["id"] in WEST else WEST))
            self.assertGreater(node["missed_first_ms"], 3000)
            self.assertGreaterEqual(node["ring_changes"], 2)
            self.assertAlmostEqual(node["cut_ms"], 14_000, delta=1000)
        self.assertIn(("ghost", "weight"), {(each["id"], each["field"]) for each in report["conflicts"]})
        for node in nodes.values():
            self.assertLessEqual({"in-west", "in-east"}, node.ids())
            self.assertEqual([node.states()[name] for name in nodes], ["alive"] * 4)
        self.assertEqual(len({nodes[name].cli("weight", "ghost").data for name in nodes}), 1)

    def test_a_member_without_a_side_keeps_all_connected_so_that_nobody_is_missed(self):
        self.ring_of(*WEST, *EAST)
        self.begin("dog", "ant|cat", "--for", "9s")
        report = self.final_report("bee")
        self.assertEqual(report["uncut"], ["bee", "dog"])
        pairs = self.check_pairs(report, self.nodes)
        self.assertEqual({(pair["from"], pair["to"]) for pair in pairs if pair["cut"]}, {("ant", "cat"), ("cat", "ant")})
        self.assertEqual([node["missed"] for node in report["nodes"]], [[]] * 4)
        self.assertTrue(report["together"])

    def test_the_smaller_side_loses_its_quorum_refuses_edits_and_finds_it_again_as_the_report_tells(self):
        nodes = self.ring_of("ant", *EAST, policy=("--partition-policy", "keep-majority", "--stable-after", "1"))
        for node in nodes.values():
            wait_until(lambda: node.cli("status").data["has_quorum"], f"{node.name} has a quorum")
        self.begin("cat", "ant | cat,dog", "--for", "10m")
        wait_until(lambda: not nodes["ant"].cli("status").data["has_quorum"], "the smaller side has no quorum")
        refused = nodes["ant"].cli("insert", "ghost", "nowhere", "1")
        self.assertEqual((refused.code, refused.reply["error"]["code"]), (1, "no_quorum"))
        self.assertEqual(nodes["dog"].cli("insert", "ghost", "nowhere", "1").code, 0)
        self.assertEqual(self.drill("ant", "heal").code, 0)
        wait_until(lambda: nodes["ant"].cli("status").data["has_quorum"], "it has one again")
        report = self.final_report("ant")
        self.assertEqual({node["id"]: (node["quorum_lost"], node["quorum_found"]) for node in report["nodes"]},
                         {"ant": (1, 1), "cat": (0, 0), "dog": (0, 0)})
        self.assertTrue(report["together"])
        self.assertIn("ghost", nodes["ant"].ids())

    def test_with_a_member_that_does_not_allow_drills_nothing_is_cut(self):
        self.ring_of(*WEST, "cat", but=("cat",))
        self.assertEqual(self.refusal(self.drill("ant", "partition", "ant | bee,cat")), "node 'cat' does not allow drills")
        self.assertEqual(self.refusal(self.drill("ant", "partition", "ant | bee")), "node 'cat' does not allow drills")
        for words in (["partition", "ant|bee"], ["report"], ["heal"]):
            self.assertEqual(self.refusal(self.drill("cat", *words)),
                             "node 'cat' does not allow drills: it was started without --allow-drills")
        self.assertEqual(self.refusal(self.drill("ant", "report")), "there was no drill since this node's start")
        self.assertEqual(self.refusal(self.drill("bee", "heal")), "no drill is under way")
        self.assertNotIn("drill", [actor["name"] for actor in self.nodes["cat"].cli("actors").data])
        called = self.nodes["cat"].cli("call", "drill", "drill_tell", "{}")
        self.assertEqual((called.code, called.reply["error"]["code"]), (1, "no_server"))

    def test_a_drill_healed_early_ends_on_both_sides_and_there_is_one_at_a_time(self):
        self.ring_of(*WEST, *EAST)
        self.begin("ant", "ant,bee | cat,dog", "--for", "10m")
        self.wait_for_cut(*self.nodes)
        for name in ("bee", "cat"):
            self.assertRegex(self.refusal(self.drill(name, "partition", "ant|bee")), "^the drill [0-9a-f]{8} is still running$")
        self.assertEqual(self.drill("dog", "heal").code, 0)
        for name in self.nodes:
            report = self.final_report(name)
            self.assertTrue(report["together"], report)
            self.check_pairs(report, self.nodes)
            self.assertLess(max(node["cut_ms"] for node in report["nodes"]), 120_000)
        self.assertEqual(self.refusal(self.drill("ant", "heal")), "no drill is under way")
        self.begin("cat", "ant,cat | bee,dog", "--for", "1s")  # the next one
        self.assertTrue(self.final_report("bee")["together"])

    def test_a_node_killed_during_a_drill_is_told_of_and_the_others_come_to_its_end(self):
        self.ring_of(*WEST, *EAST)
        self.begin("bee", "ant,bee | cat,dog", "--for", "8s")
        self.wait_for_cut(*self.nodes)
        self.nodes["dog"].stop(signal.SIGKILL)
        report = self.final_report("ant")
        self.assertFalse(report["together"])
        self.check_pairs(report, (*WEST, "cat"))
        stories = {node["id"]: node["phase"] for node in report["nodes"]}
        self.assertTrue(stories.pop("dog").startswith("no answer: "), report)
        self.assertEqual(stories, {"ant": "done", "bee": "done", "cat": "done"})
        self.assertIn("dog", next(node for node in report["nodes"] if node["id"] == "cat")["missed"])
        self.assertEqual(self.refusal(self.drill("ant", "partition", "ant | dog")), "node 'dog' does not answer")
        self.begin("ant", "ant | cat", "--for", "1s")  # without it
        self.assertTrue(self.final_report("cat")["together"])

    def test_a_node_that_starts_anew_during_a_drill_stays_on_its_side_of_the_cut(self):
        self.ring_of(*WEST, *EAST)
        self.begin("ant", "ant,bee | cat,dog", "--for", "10s")
        self.wait_for_cut(*self.nodes)
        dog = self.nodes["dog"]
        dog.stop(signal.SIGKILL)
        again = Node(programs, "dog", "--meet", f"localhost:{self.nodes['cat'].port}", "--allow-drills", port=dog.port).start()
        self.addCleanup(again.stop, signal.SIGKILL)
        wait_until(lambda: again.states().get("cat") == "alive", "it is back on its side")
        self.assertEqual(self.phase("ant"), "cut")
        links = {member["id"]: member["link"] for member in again.cli("status").data["members"]}
        self.assertEqual((links["ant"], links["bee"], links["cat"]), ("down", "down", "connected"))
        for node in (*self.nodes.values(), again):
            if node is not dog:
                wait_until(lambda: node.states() == dict.fromkeys(self.nodes, "alive"), f"{node.name} holds all alive again")

    def test_what_is_no_drill_is_refused_and_wait_shows_the_phases_and_the_report(self):
        self.ring_of("ant", "bee")
        for words in ([], ["fire"], ["partition"], ["partition", "ant"], ["partition", "ant|ant"], ["partition", "ant|"],
                      ["partition", "ant|bee", "--for", "0"], ["partition", "ant|bee", "--for", "11m"], ["report", "x"],
                      ["heal", "--wait"], ["heal", "--for", "3s"]):
            self.assertEqual(self.drill("ant", *words).code, 2, words)
        self.assertEqual(self.refusal(self.drill("ant", "partition", "ant|cow")), "'cow' is not defined in this ring.")
        node = self.nodes["bee"]
        done = subprocess.run([programs.cli, "-p", str(node.port), "-a", COOKIE, "--table", "drill", "partition", "ant", "|", "bee",
                               "--for", "2s", "--wait"], capture_output=True, text=True, timeout=60)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertRegex(done.stdout, r"^the drill has begun\n(drill [0-9a-f]{8}: (cut|healed)\n)*drill +[0-9a-f]{8}\n")
        for word in ("together", "traffic:", "across", "within", "nodes:", "pairs:", "LOST", "DOUBLED"):
            self.assertIn(word, done.stdout)
        self.assertEqual(self.nodes["ant"].cli("help", "drill").code, 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
