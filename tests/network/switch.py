"""An Ethernet switch whose wires lose and delay frames. Usage: switch.py LOSS DELAY_SECONDS SEED TAP...

Does what `tc netem` does, in kernels that lack it. Ends when it is killed."""
import collections
import fcntl
import os
import random
import select
import struct
import sys
import time

TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x0002, 0x1000
FRAME_BYTES_MAX = 65_536
QUEUE_FRAMES_MAX = 20_000  # more are lost, as a real switch loses them


def open_tap(name):
    tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
    return tap


class Switch:
    def __init__(self, taps, loss, delay, seed):
        self.taps, self.loss, self.delay = taps, loss, delay
        self.rng = random.Random(seed)
        self.port_of = {}  # address -> tap, as learnt
        self.queue = collections.deque()  # (due, tap, frame): one delay for all, so in order of `due`

    def take(self, source, frame):
        self.port_of[frame[6:12]] = source
        known = self.port_of.get(frame[:6])
        for tap in self.taps if known is None else [known]:
            if tap != source and self.rng.random() >= self.loss and len(self.queue) < QUEUE_FRAMES_MAX:
                self.queue.append((time.monotonic() + self.delay, tap, frame))

    def deliver_due(self):
        while self.queue and self.queue[0][0] <= time.monotonic():
            _, tap, frame = self.queue.popleft()
            try:
                os.write(tap, frame)
            except OSError:
                pass  # the wire is cut: lost

    def run(self):
        while True:
            wait = max(0.0, self.queue[0][0] - time.monotonic()) if self.queue else None
            for tap in select.select(self.taps, [], [], wait)[0]:
                try:
                    self.take(tap, os.read(tap, FRAME_BYTES_MAX))
                except OSError:
                    pass
            self.deliver_due()


def main():
    loss, delay, seed, *names = sys.argv[1:]
    switch = Switch([open_tap(name) for name in names], float(loss), float(delay), int(seed))
    print("ready", flush=True)
    switch.run()


main()
