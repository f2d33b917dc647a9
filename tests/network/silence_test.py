"""Hosts that fall silent: what is sent to them vanishes, and no connection ends. Usage: silence_test.py BIN_DIR"""
import signal

from cluster import NAMES, RUNS, SLOWER, OnRealNetwork, main, now, report

KNOWN_WITHIN = 10.0  # seconds


class Short(OnRealNetwork):
    def test_a_silent_host_is_known_to_all_within_ten_seconds_and_traffic_resumes_after_healing(self):
        self.start_ring()
        times = []
        for run in range(RUNS):
            silent = NAMES[run % len(NAMES)]
            caller, *rest = self.others(silent)
            self.network.split(self.others(silent))
            since = now()
            times += self.wait_for_word(silent, "unreachable", since)
            refused = self.nodes[caller].cli("--timeout", "60", "call", f"counter@{silent}", "get").reply["error"]
            self.assertEqual((refused["code"], refused["executed"]), ("unreachable", "no"))
            self.assertEqual(self.accused(since, self.others(silent), self.others(silent)), [])
            self.network.heal()
            self.wait_for_all_alive()
            for other in self.others(silent):
                self.assertTrue(self.reaches(other, silent))
                self.assertTrue(self.reaches(silent, other))
        report("silent host: known after", times)
        self.assertLess(max(times), KNOWN_WITHIN * SLOWER)

    def test_a_connection_whose_other_end_died_unheard_is_replaced(self):
        """The new process knows nothing of the old connections, and their other ends still hold them."""
        self.start_ring()
        lost = "elk"
        self.network.split(self.others(lost))
        self.nodes[lost].stop(signal.SIGKILL)
        self.start(lost, "--ring", "ring")  # dials nobody: it has nobody to meet
        self.network.heal()
        self.wait_for_all_alive()
        for other in self.others(lost):
            self.assertEqual(self.nodes[other].cli("call", f"counter@{lost}", "add", '{"n": 1}').code, 0)
        self.wait(lambda: self.nodes[lost].cli("call", "counter", "get").data == 4, "each call ran once")


main()
