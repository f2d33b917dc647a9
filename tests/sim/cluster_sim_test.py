"""What cluster-sim prints and how it ends, and that the examples of docs/simulator.md run."""
import json
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree

SIM = None  # pathlib.Path of cluster-sim
DOCS = pathlib.Path(__file__).resolve().parents[2] / "docs" / "simulator.md"
FIELDS = ("nodes", "seed", "converged", "converged_ms", "edits_total", "lost_edits", "conflicts", "full_state_exchanges",
          "false_positives", "detection_ms", "bytes_per_node_per_s", "violations")


def run(*arguments, cwd=None):
    return subprocess.run([SIM, *arguments], capture_output=True, text=True, timeout=100, check=False, cwd=cwd)


class ClusterSim(unittest.TestCase):
    def test_the_json_summary_has_the_stated_fields(self):
        done = run("run", "--nodes", "10", "--seed", "7", "--loss", "0.05", "--kill", "3@10s", "--edits", "1",
                   "--duration", "40s", "--json")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        report = json.loads(done.stdout)
        for field in FIELDS:
            self.assertIn(field, report)
        self.assertEqual((report["nodes"], report["seed"], report["converged"]), (10, 7, True))
        self.assertEqual((report["lost_edits"], report["violations"]), (0, []))
        self.assertEqual(set(report["detection_ms"]) & {"p50", "p99", "max"}, {"p50", "p99", "max"})
        self.assertLessEqual(report["detection_ms"]["max"], 6000)

    def test_one_seed_gives_one_report_and_another_seed_another(self):
        same = [run("--nodes", "6", "--chaos", "--seed", seed, "--json").stdout for seed in ("5", "5", "6")]
        self.assertEqual(same[0], same[1])
        self.assertNotEqual(same[0], same[2])

    def test_a_failed_check_gives_exit_code_1_the_seed_and_a_command_that_fails_as_well(self):
        done = run("--nodes", "8", "--break", "digest", "--seed", "3", "--json")
        self.assertEqual(done.returncode, 1)
        report = json.loads(done.stdout)
        self.assertTrue(report["violations"])
        self.assertIn("seed 3 fails; replay: " + report["replay"], done.stderr)
        again = run(*shlex.split(report["replay"])[1:], "--no-shrink")
        self.assertEqual(again.returncode, 1)
        self.assertIn("FAILED, seed 3", again.stdout)

    def test_many_seeds_are_summed_up_and_the_failed_ones_named(self):
        good = json.loads(run("--nodes", "5", "--chaos", "--seeds", "10", "--json").stdout)
        self.assertEqual((good["seeds"], good["seeds_failed"]), (10, []))
        bad = run("--nodes", "5", "--break", "merge", "--seeds", "5", "--json", "--no-shrink")
        self.assertEqual(bad.returncode, 1)
        self.assertTrue(json.loads(bad.stdout)["seeds_failed"])

    def test_wrong_usage_gives_exit_code_2_and_names_what_is_wrong(self):
        for arguments, said in ((("--nodes", "0"), "1 to"), (("--loss", "2"), "probability"), (("--bogus",), "--bogus"),
                                (("--partition", "A|B"), "partition"), (("--kill", "9@10s"), "0 to 4"),
                                (("--kill", "1@90s"), "ends after"), (("--duration", "soon"), "duration"),
                                (("--break", "everything"), "choose merge"), (("--loss", ""), "--loss"), (("--delay", ""), "delay"),
                                (("--mesh-max", "-1"), "--mesh-max"), (("--no-handshake", "--intruders", "1"), "intruder"),
                                (("--partition", "A,B|B,C@10s"), "twice"), (("--seeds", "2", "--svg", "x.svg"), "one seed"), (("--svg", "/nowhere/x.svg"), "cannot write")):
            done = run(*arguments)
            self.assertEqual(done.returncode, 2, arguments)
            self.assertIn(said, done.stderr)

    def test_a_ring_that_comes_apart_after_its_last_fault_is_a_failure(self):
        for network in (("--delay", "1h"), ("--loss", "0.999", "--duration", "20s"), ("--loss", "0.75", "--edits", "0.01")):
            done = run("--nodes", "5", *network, "--no-shrink")
            self.assertEqual(done.returncode, 1, network)

    def test_what_is_no_fault_of_the_cluster_is_no_failure(self):
        for arguments in (("--no-handshake", "--chaos", "--seeds", "5"), ("--edits", "1000", "--duration", "10s")):
            done = run("--nodes", "5", *arguments, "--no-shrink")
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_a_planted_bug_is_looked_for_by_chaos_beside_faults_of_ones_own(self):
        own = ("--nodes", "8", "--break", "merge", "--kill", "1@10s", "--no-shrink")
        self.assertIn("without --chaos", run(*own).stderr)
        self.assertEqual(run(*own, "--chaos", "--seeds", "5").returncode, 1)

    def test_trace_and_picture_are_written(self):
        with tempfile.TemporaryDirectory() as folder:
            trace, svg = pathlib.Path(folder, "t.jsonl"), pathlib.Path(folder, "t.svg")
            done = run("--nodes", "6", "--seed", "2", "--kill", "4@10s..30s", "--partition", "0,1|2-5@35s..50s", "--edits", "1",
                       "--trace", str(trace), "--svg", str(svg))
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            lines = [json.loads(line) for line in trace.read_text().splitlines()]
            self.assertEqual([line["t"] for line in lines], sorted(line["t"] for line in lines))
            self.assertGreaterEqual({line["what"] for line in lines}, {"fault", "fault_over", "edit", "health", "end"})
            texts = "".join(xml.etree.ElementTree.parse(svg).getroot().itertext())
            self.assertIn("kill 4@10s..30s", texts)

    def test_the_examples_of_the_page_run(self):
        commands = re.findall(r"^    \$ cluster-sim ((?:[^\n]*\\\n)*[^\n]*)", DOCS.read_text(encoding="utf-8"), re.MULTILINE)
        self.assertGreaterEqual(len(commands), 4)
        with tempfile.TemporaryDirectory() as folder:
            for command in commands:
                words = shlex.split(command.replace("\\\n", " "))
                done = run(*words, cwd=folder)
                self.assertEqual(done.returncode, 1 if "--break" in words else 0, command + "\n" + done.stderr)


CHORD_FIELDS = ("nodes", "seed", "lookups", "failed_lookups", "path_length", "timeouts_mean", "invariant_violations")


class ChordSim(unittest.TestCase):
    def test_the_json_summary_has_the_stated_fields_and_one_seed_gives_one_summary(self):
        runs = [run("chord", "--nodes", "300", "--seed", seed, "--lookups", "1000", "--fail", "0.2", "--json")
                for seed in ("7", "7", "8")]
        self.assertEqual(runs[0].returncode, 0, runs[0].stdout + runs[0].stderr)
        self.assertEqual(runs[0].stdout, runs[1].stdout)
        self.assertNotEqual(runs[0].stdout, runs[2].stdout)
        report = json.loads(runs[0].stdout)
        for field in CHORD_FIELDS:
            self.assertIn(field, report)
        self.assertLessEqual({"mean", "p1", "p99"}, set(report["path_length"]))
        self.assertEqual((report["nodes"], report["lookups"], report["invariant_violations"]), (300, 1000, 0))

    def test_the_teaching_mode_prints_each_finger_table_and_verifies_it(self):
        done = run("chord", "--local", "--nodes", "32", "--bits", "16", "--show")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(done.stdout.count("successor(start)"), 32)
        self.assertIn("512 fingers held against the definition: all right", done.stdout)
        self.assertNotIn("WRONG", done.stdout)
        done = run("chord", "--local", "--nodes", "32", "--bits", "16", "--json")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        report = json.loads(done.stdout)
        self.assertEqual([report[field] for field in ("nodes_joined", "fingers_checked", "fingers_wrong", "invariant_violations")],
                         [32, 512, 0, 0])

    def test_what_would_not_be_heeded_or_written_is_wrong_usage_at_once(self):
        for words, why in ((("--show",), "--local"), (("--local", "--fail", "0.2"), "--fail"), (("--local", "--churn", "1"), "--churn"),
                           (("--local", "--show", "--json"), "--json"), (("--figures", ".", "--nodes", "9"), "--nodes"),
                           (("--figures", "/proc/nope"), "/proc/nope"), (("--figures", sys.argv[0]), "no folder")):
            done = run("chord", *words)
            self.assertEqual((done.returncode, done.stdout), (2, ""), words)
            self.assertIn(why, done.stderr, words)

    def test_wrong_usage_is_exit_code_2(self):
        for words in (("--stabilize", "0s"), ["--nodes", "0"], ["--bits", "7"], ["--fail", "1"], ["--dance"], ["--nodes", "100", "--bits", "8"]):
            self.assertEqual(run("chord", *words).returncode, 2, words)


KV_FIELDS = ("nodes", "seed", "writes_acknowledged", "reads", "lost", "stale", "siblings", "violations", "unavailable")


class KvSim(unittest.TestCase):
    def test_good_seeds_pass_and_the_json_summary_has_the_stated_fields(self):
        done = run("kv", "--nodes", "6", "--seed", "7", "--zones", "3", "--clients", "8", "--duration", "30s", "--json")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        report = json.loads(done.stdout)
        for field in KV_FIELDS:
            self.assertIn(field, report)
        self.assertEqual((report["nodes"], report["seed"], report["lost"], report["stale"], report["violations"]), (6, 7, 0, 0, []))
        self.assertGreater(report["writes_acknowledged"], 0)
        self.assertGreater(report["reads"], 0)
        self.assertEqual(run("kv", "-N", "5", "-R", "3", "-W", "3", "--disks-at-once", "2", "--seeds", "5").returncode, 0)
        self.assertEqual(run("kv", "-N", "1", "-R", "1", "-W", "1", "--seeds", "5").returncode, 0)
        for rule in ("siblings", "last", "union"):
            self.assertEqual(run("kv", "--rule", rule, "--ttl", "0.3", "--batches", "0.3", "--seeds", "3").returncode, 0, rule)

    def test_one_seed_gives_one_report_and_another_seed_another(self):
        same = [run("kv", "--seed", seed, "--duration", "20s", "--json").stdout for seed in ("5", "5", "6")]
        self.assertEqual(same[0], same[1])
        self.assertNotEqual(same[0], same[2])

    def test_only_the_faults_that_were_named_happen(self):
        calm = json.loads(run("kv", "--no-chaos", "--json").stdout)
        self.assertEqual((calm["unavailable"], calm["writes_unknown"], calm["disks_lost"], calm["left"]), (0, 0, 0, 0))
        disks = json.loads(run("kv", "--faults", "disks", "--json").stdout)
        self.assertGreater(disks["disks_lost"], 10)

    def test_planted_mistakes_are_found_within_the_stated_seeds_and_the_replay_fails_as_well(self):
        stated = dict(re.findall(r"^ +([a-z-]+): .* \((\d+)\)$", run("kv", "--help").stdout, re.MULTILINE))
        self.assertGreaterEqual(len(stated), 13)
        for name in ("early-ack", "half-merge", "hasty-leave"):
            done = run("kv", "--break", name, "--seeds", stated[name], "--no-shrink")
            self.assertEqual(done.returncode, 1, name)
            self.assertIn("FAILED, seed", done.stdout)
        done = run("kv", "--break", "amnesia", "--seeds", stated["amnesia"], "--json")
        self.assertEqual(done.returncode, 1)
        report = json.loads(done.stdout)
        self.assertTrue(report["violations"])
        self.assertGreater(report["lost"] + report["stale"], 0)
        self.assertIn(f"seed {report['seeds_failed'][0]} fails; replay: " + report["replay"], done.stderr)
        again = run(*shlex.split(report["replay"])[1:], "--no-shrink")
        self.assertEqual(again.returncode, 1, report["replay"])
        self.assertIn("FAILED, seed", again.stdout)

    def test_what_a_bucket_does_not_promise_is_said_and_seen(self):
        stale = run("kv", "-R", "1", "-W", "2", "--seeds", "10", "--json", "--no-shrink")
        self.assertEqual(stale.returncode, 1)
        self.assertIn("R + W <= N", stale.stderr)
        self.assertGreater(json.loads(stale.stdout)["stale"], 0)
        lost = run("kv", "--disks-at-once", "2", "--faults", "disks,partitions", "--seeds", "10", "--json", "--no-shrink")
        self.assertIn("lost at once", lost.stderr)
        self.assertTrue(json.loads(lost.stdout)["violations"])

    def test_wrong_usage_gives_exit_code_2_and_names_what_is_wrong(self):
        for arguments, said in ((("--nodes", "0"), "1 to 64"), (("--nodes", "65"), "1 to 64"), (("--nodes", "-1"), "--nodes"),
                                (("--nodes", "many"), "--nodes"), (("--seed", "-1"), "--seed"), (("--seed", str(2 ** 64)), "too great"), (("--seeds", "0"), "--seeds"),
                                (("-N", "0"), "replicas"), (("-R", "4"), "R and W"), (("-W", "4"), "R and W"), (("-N", "6"), "replicas"),
                                (("--clients", "0"), "clients"), (("--keys", "2000"), "keys"), (("--zones", "6"), "zones"), (("--rule", "first"), "siblings, last or union"), (("--rule", "last,n=9"), "siblings, last or union"),
                                (("--ttl", "2"), "share"), (("--batches", "-1"), "--batches"),
                                (("--duration", "soon"), "duration"), (("--duration", "0s"), "1s to 24h"),
                                (("--faults", "rain"), "'rain' is no fault"), (("--faults", ""), "no fault"),
                                (("--faults", "all", "--no-chaos"), "exclude"), (("--disks-at-once", "6"), "disks"),
                                (("--break", "everything"), "choose early-ack"), (("--bogus",), "--bogus"), (("chord",), "chord")):
            done = run("kv", *arguments)
            self.assertEqual(done.returncode, 2, arguments)
            self.assertIn(said, done.stderr)


if __name__ == "__main__":
    SIM = pathlib.Path(sys.argv.pop(1)).resolve()
    unittest.main()
