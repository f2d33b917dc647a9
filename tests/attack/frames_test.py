#!/usr/bin/env python3
"""Frames altered on their way, against a real cluster-node: the attacker is on the path and has no key; what an honest
client sent is played, with changes, over its connection. usage: frames_test.py BIN_DIR"""
import struct

from link import CLIENT, Link, session
from victim import AttackTest, main

import msgpack

ADD = msgpack.pack([0, "counter", 0, "add", {"n": 1}])
BODY = struct.pack(">I", len(ADD)) + ADD


class Frames(AttackTest):
    def total(self):
        with Link(self.node.port, "reader", CLIENT) as link:
            return link.call("counter", "get")[1]

    def played(self, make, seconds=20.0, cut=False):
        """Plays the bytes that `make(link)` gives; whether the node then closed the connection."""
        with Link(self.node.port, "sender", CLIENT) as link:
            try:
                link.socket.sendall(make(link))
                if cut:
                    link.socket.shutdown(1)
            except OSError:
                return True
            return link.closed(seconds)

    def test_each_bit_of_a_frame_matters(self):
        bits = (8 + len(BODY) + 16) * 8
        before = self.total()
        with self.attack([("network", "bad_frames", bits * 3 // 4)], "disconnected .*sender"):
            waiting = []
            for bit in range(bits):
                link = Link(self.node.port, "sender", CLIENT)
                frame = bytearray(link.frame(BODY))
                frame[bit // 8] ^= 1 << bit % 8
                link.socket.sendall(frame)
                if bit // 8 >= 4:
                    self.assertTrue(link.closed(), bit)
                    link.close()
                else:
                    waiting.append(link)  # another length: the frame may now never end, which takes 5 s to see
            self.assertTrue(all(link.closed() for link in waiting))
            for link in waiting:
                link.close()
        self.assertEqual(self.total(), before)

    def test_a_frame_cut_off_at_any_byte_is_not_handled(self):
        before = self.total()
        with self.attack():
            for size in range(8 + len(BODY) + 16):
                self.assertTrue(self.played(lambda link: link.frame(BODY)[:size], cut=True), size)
        self.assertEqual(self.total(), before)

    def test_a_replayed_frame_is_refused_and_ends_the_connection(self):
        before = self.total()
        with self.attack([("network", "bad_frames", 5)], "disconnected .*sender"):
            for _ in range(5):
                self.assertTrue(self.played(lambda link: link.frame(BODY) * 2))
        self.assertEqual(self.total(), before + 5)  # the first of each two

    def test_reordered_frames_are_refused_all_of_them(self):
        before = self.total()

        def swapped(link):
            first, second = link.frame(BODY), link.frame(BODY)
            return second + first

        with self.attack([("network", "bad_frames", 5)]):
            for _ in range(5):
                self.assertTrue(self.played(swapped))
        self.assertEqual(self.total(), before)

    def test_a_frame_left_out_ends_the_connection_at_the_next(self):
        before = self.total()

        def second(link):
            link.frame(BODY)
            return link.frame(BODY)

        with self.attack([("network", "bad_frames", 1)]):
            self.assertTrue(self.played(second))
        self.assertEqual(self.total(), before)

    def test_a_frame_of_another_connection_is_refused(self):
        before = self.total()
        with self.attack([("network", "bad_frames", 1)]), Link(self.node.port, "other", CLIENT) as other:
            self.assertTrue(self.played(lambda link: other.frame(BODY)))
        self.assertEqual(self.total(), before)

    def test_a_frame_sent_back_to_its_sender_is_refused(self):
        """The two directions have keys of their own."""
        with self.attack([("network", "bad_frames", 1)]):
            with Link(self.node.port, "sender", CLIENT) as link:
                link.send([1, 1, "echo", 0, "echo", 10_000, "back"])
                link.socket.settimeout(20)
                frame = link.socket.recv(65536)
                link.socket.sendall(frame)
                self.assertTrue(link.closed())

    def test_huge_lengths_end_the_connection_at_once_and_cost_no_memory(self):
        huge = [lambda link, n=n: link.frame(b"", length=n) for n in (65_537, 1 << 24, (1 << 31) - 1, (1 << 32) - 1)]
        huge += [lambda link, n=n: link.frame(struct.pack(">I", n) + ADD) for n in (len(ADD) + 1, 1 << 31, (1 << 32) - 1)]
        huge += [lambda link, n=n: link.frame(struct.pack(">II", 1, n) + ADD, flags=3) for n in ((64 << 20) + 1, (1 << 32) - 1)]
        huge += [lambda link: link.frame(struct.pack(">II", 1, len(ADD) - 1) + ADD, flags=7)]
        with self.attack([("network", "bad_frames", len(huge))], "disconnected .*sender"):
            for make in huge:
                self.assertTrue(self.played(make))

    def test_announced_sizes_take_no_memory_and_are_bounded(self):
        begin = lambda link, stream: link.frame(struct.pack(">II", stream, 60 << 20) + b"x", flags=3)
        with self.attack([("network", "bad_frames", 1)]):
            links = [Link(self.node.port, f"announcer-{i}", CLIENT) for i in range(20)]
            for link in links:
                link.socket.sendall(begin(link, 1) + begin(link, 2))  # 2.4 GB in all
            self.assertEqual(links[-1].call("echo", "echo", 1), ("reply", 1))
            links[0].socket.sendall(begin(links[0], 3))
            self.assertTrue(links[0].closed())
            for link in links:
                link.close()

    def test_unknown_kinds_lanes_and_flags_end_the_connection(self):
        odd = [dict(kind=5), dict(kind=255), dict(lane=3), dict(flags=16), dict(flags=0x8000)]
        with self.attack([("network", "bad_frames", len(odd))]):
            for how in odd:
                self.assertTrue(self.played(lambda link: link.frame(BODY, **how)), how)


if __name__ == "__main__":
    main()
