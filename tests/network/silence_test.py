"""Hosts that fall silent: what is sent to them vanishes, and no connection ends. Usage: silence_test.py BIN_DIR"""
import signal
import socket
import time
import unittest

from cluster import NAMES, RUNS, SLOWER, OnRealNetwork, main, now, report

KNOWN_WITHIN = 10.0  # seconds
SUSPICION_MAX = 7.0  # seconds
TCP_RTO_MAX_MS = 44


def resends_in_time():
    """Whether this kernel lets a program limit the time between two tries to send what was lost (Linux 6.15)."""
    with socket.socket() as probe:
        try:
            probe.setsockopt(socket.IPPROTO_TCP, TCP_RTO_MAX_MS, 1000)
        except OSError:
            return False
    return True


needs_resends = unittest.skipUnless(resends_in_time(), "this kernel sends again too late what an outage swallowed")


class Short(OnRealNetwork):
    def test_a_silent_host_is_known_to_all_within_ten_seconds_and_traffic_resumes_after_healing(self):
        self.start_ring()
        times, healed = [], []
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
            since = now()
            self.wait_for_all_alive()
            healed.append(now() - since)
            for other in self.others(silent):
                self.assertTrue(self.reaches(other, silent))
                self.assertTrue(self.reaches(silent, other))
        report("silent host: known after", times)
        report("silent host: all alive again after", healed)
        self.assertLess(max(times), KNOWN_WITHIN * SLOWER)

    @needs_resends
    def test_the_end_of_an_outage_is_soon_felt(self):
        """Left alone, a sender that doubles its pause at each try from 0.22 s on tries after 14, then after 28 s."""
        self.start_ring()
        self.network.split(self.others("dog"))
        time.sleep(17)  # the very thing that is tested
        self.network.heal()
        self.wait_for_all_alive(deadline=8)

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


class Long(OnRealNetwork):
    @needs_resends
    def test_outages_of_three_seconds_lose_nobody(self):
        self.start_ring()
        since = now()
        for _ in range(3 * RUNS):
            self.network.split(self.others("dog"))
            time.sleep(3)  # the very thing that is tested
            self.network.heal()
            time.sleep(3)
        self.wait_for_all_alive()
        time.sleep(SUSPICION_MAX)  # what is to come of a suspicion has come
        self.assertEqual(self.accused(since), [])


main()
