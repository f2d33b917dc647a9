"""Wires that lose and delay what they carry. Usage: weather_test.py BIN_DIR"""
import sys
import time

from cluster import NAMES, RUNS, OnRealNetwork, main, now, report


STORM = 10.0  # seconds of it, at least


class Short(OnRealNetwork):
    def work(self, round_, deadline):
        """Edits reach all, calls and casts reach their servers. How long each edit took."""
        seconds = []
        for name in NAMES:
            begin = time.monotonic()
            ghost = f"{name}-{round_}"
            self.assertEqual(self.nodes[name].cli("--timeout", "30", "insert", ghost, "nowhere", "1").code, 0)
            for other in NAMES:
                self.wait(lambda: ghost in self.nodes[other].ids(), f"{other} has {name}'s edit", deadline)
            seconds.append(time.monotonic() - begin)
        for name, other in zip(NAMES, NAMES[1:] + NAMES[:1]):
            self.wait(lambda: self.nodes[name].cli("cast", f"counter@{other}", "add", '{"n": 2}').code == 0,
                      f"{name} may cast to {other}", deadline)
            self.wait(lambda: self.nodes[other].cli("call", "counter", "get").data == 2 * round_,
                      f"{name}'s cast reached {other}", deadline)
            self.wait(lambda: self.nodes[name].cli("--timeout", "30", "call", f"counter@{other}", "get").code == 0,
                      f"{name} calls {other}", deadline)
        return seconds

    def test_a_ring_works_while_a_frame_takes_200_ms_each_way(self):
        self.start_ring()
        self.network.set_weather(delay=0.2)
        since = now()
        report("200 ms each way: an edit is seen at all, which are asked in turn, after", self.work(1, 30))
        self.assertEqual(self.accused(since), [], "slow is not dead")

    def test_a_ring_works_while_30_percent_of_the_frames_are_lost(self):
        for seed in range(1, RUNS + 1):
            with self.subTest(seed=seed):
                self.doCleanups()
                self.start_ring()
                self.network.set_weather(loss=0.3, seed=seed)
                since, seconds, rounds = now(), [], 0
                while rounds == 0 or now() - since < STORM:
                    rounds += 1
                    seconds += self.work(rounds, 60)
                report("30 % loss: an edit is seen at all, which are asked in turn, after", seconds)
                print(f"30 % loss, seed {seed}: {len(self.accused(since))} of 20 pairs had a false alarm in "
                      f"{now() - since:.0f} s", file=sys.stderr)
                self.network.heal()
                for name in NAMES:
                    self.wait(lambda: {self.nodes[name].states()[each] for each in NAMES} == {"alive"},
                              f"{name} holds all alive after the storm")


main()
