"""Processes that are killed, paused and restarted, each on a host of its own. Usage: processes_test.py BIN_DIR"""
import os
import signal
import time

from cluster import NAMES, PORT, RUNS, SLOWER, OnRealNetwork, main, now, report

KNOWN_WITHIN = 6.0  # seconds
SUSPICION_MAX = 7.0  # seconds: the longest that a suspicion lasts before it becomes a verdict


class WithPauses(OnRealNetwork):
    def pause(self, name, seconds):
        os.kill(self.nodes[name].process.pid, signal.SIGSTOP)
        time.sleep(seconds)  # the very thing that is tested
        os.kill(self.nodes[name].process.pid, signal.SIGCONT)


class Short(WithPauses):
    def test_a_killed_process_is_known_to_all_within_six_seconds(self):
        self.start_ring()
        times = []
        for run in range(RUNS):
            victim = NAMES[run % len(NAMES)]
            killed = now()
            self.nodes[victim].stop(signal.SIGKILL)
            times += self.wait_for_word(victim, "unreachable", killed)
            self.assertEqual(self.accused(killed, self.others(victim), self.others(victim)), [])
            self.start(victim, "--ring", "ring")
            self.wait_for_all_alive()
            self.follow(victim)
        report("kill -9: known after", times)
        self.assertLess(max(times), KNOWN_WITHIN * SLOWER)

    def test_a_pause_of_three_seconds_loses_nobody(self):
        self.start_ring()
        for run in range(RUNS):
            since = now()
            self.pause(NAMES[run % len(NAMES)], 3)
            self.wait_for_all_alive()
            time.sleep(SUSPICION_MAX)  # what is to come of a suspicion has come
            self.assertEqual(self.accused(since), [])

    def test_all_may_be_restarted_one_after_the_other(self):
        self.start_ring()
        self.assertEqual(self.nodes["ant"].cli("update", "elk", "elk", PORT, "77", "--wait").code, 0)
        for name in NAMES:
            since = now()
            self.assertEqual(self.nodes[name].stop(), 0)
            self.wait_for_word(name, "stopped", since)
            self.start(name, "--ring", "ring", "--meet", f"{self.others(name)[0]}:{PORT}")
            self.wait_for_all_alive()
            self.follow(name)
            self.assertEqual(self.accused(since), [])
        for name in NAMES:
            self.assertEqual(self.nodes[name].cli("weights").data, {**dict.fromkeys(NAMES, 128), "elk": 77})


class Long(WithPauses):
    def test_a_pause_of_a_minute_is_known_and_ends_with_an_objection(self):
        self.start_ring()
        since = now()
        self.pause("dog", 60)
        report("SIGSTOP: known after", self.wait_for_word("dog", "unreachable", since))
        self.wait_for_all_alive()
        self.assertEqual(self.accused(since, of=self.others("dog")), [], "it accused nobody when it woke")
        own = next(member for member in self.nodes["ant"].cli("members").data if member["id"] == "dog")
        self.assertGreater(own["incarnation"], 0)
        for other in self.others("dog"):
            self.assertTrue(self.reaches(other, "dog"))
            self.assertTrue(self.reaches("dog", other))


main()
