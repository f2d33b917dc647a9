#!/usr/bin/env python3
"""Too much, and too slow, against a real cluster-node. usage: floods_test.py BIN_DIR"""
import resource
import socket
import struct
import time

from link import CLIENT, PATIENCE, Link, closed_within, connect, hello, session
from victim import AttackTest, main, wait_until

HALF_OPEN = 10_000
HALF_OPEN_MAX = 1_024  # that the node keeps


class Floods(AttackTest):
    def test_ten_thousand_half_open_connections_keep_nobody_out(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        count = min(HALF_OPEN, hard - 200)
        flood = []
        try:
            with self.attack([("network", "evicted", count - HALF_OPEN_MAX)], "have not proven"):
                for i in range(count):
                    flood.append(connect(self.node.port))
                    if i % 2 == 0:
                        flood[-1].sendall(hello())
                wait_until(lambda: sum(not closed_within(one, 0.0) for one in flood) <= HALF_OPEN_MAX,
                           "the oldest are closed, those that waited to be accepted too")
            print(f"{count} connections" + ("" if count == HALF_OPEN else f", not {HALF_OPEN}: RLIMIT_NOFILE is {hard}"))
        finally:
            for connection in flood:
                connection.close()
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    def test_a_slow_handshake_is_hung_up_on_after_its_five_seconds(self):
        record = hello()
        with self.attack([("network", "handshakes_failed", 50)], "no handshake"):
            slow = [connect(self.node.port) for _ in range(50)]
            begun = time.monotonic()
            for at in range(len(record)):
                for connection in slow:
                    try:
                        connection.send(record[at : at + 1])
                    except OSError:
                        pass
                if time.monotonic() - begun > 6:
                    break
                time.sleep(0.1)
            self.assertTrue(all(closed_within(connection, PATIENCE) for connection in slow))
            for connection in slow:
                connection.close()

    def test_a_slow_frame_is_hung_up_on_after_its_five_seconds(self):
        with self.attack([("network", "frames_timed_out", 10)], "not finished in time"):
            slow = [Link(self.node.port, f"slow-{i}", CLIENT) for i in range(10)]
            frame = slow[0].frame(bytes(200))
            begun = time.monotonic()
            for at in range(len(frame)):
                for link in slow:
                    try:
                        link.socket.send(frame[at : at + 1])
                    except OSError:
                        pass
                if time.monotonic() - begun > 6:
                    break
                time.sleep(0.1)
            self.assertTrue(all(link.closed() for link in slow))
            for link in slow:
                link.close()

    def test_who_never_reads_what_it_asked_for_costs_no_more_than_its_queue(self):
        with self.attack():
            link = Link(self.node.port, "deaf", CLIENT)
            link.socket.settimeout(0.5)
            sent = 0
            try:
                for i in range(4_000):  # answers of 200 MB
                    link.send([1, i + 1, "echo", 0, "echo", 10_000, "x" * 50_000])
                    sent += 1
            except (TimeoutError, OSError):
                pass  # the node does not read on, or has hung up
            self.assertGreater(sent, 100)
            link.close()

    def test_a_flood_of_connections_that_prove_themselves_and_go_leaves_nothing(self):
        with self.attack():
            for i in range(200):
                Link(self.node.port, f"passing-{i}", i % 2).close()
            with Link(self.node.port) as link:
                self.assertEqual(link.call("echo", "echo", 1), ("reply", 1))

    def test_frames_of_garbage_with_right_tags_are_dropped_counted_and_logged_once_a_period(self):
        with self.attack([("inbound", "malformed", 5_000)], "was dropped: "):
            with Link(self.node.port, "mad", CLIENT) as link:
                for i in range(50):
                    link.send(*[bytes([0xC1, i, k]) for k in range(100)])
                self.assertEqual(link.call("echo", "echo", 1), ("reply", 1))



class LargeMessages(AttackTest):
    """A node of their own: what it held once, its allocator keeps."""

    def test_messages_that_are_begun_and_never_finished_hold_bounded_memory_and_keep_no_other_out(self):
        whole, sent, liars = 64 << 20, 40 << 20, 12
        piece = bytes(60_000)
        links = [Link(self.node.port, f"liar-{i}", CLIENT) for i in range(liars)]
        begun = self.node.resident_kib()
        try:
            with self.under_way(self.node) as honest:
                for link in links:
                    link.socket.settimeout(0.2)
                    try:
                        link.socket.sendall(link.frame(struct.pack(">II", 1, whole) + piece, flags=3))
                        for _ in range(sent // len(piece)):
                            link.socket.sendall(link.frame(struct.pack(">I", 1) + piece, flags=1))
                    except OSError:  # it is not read from, or has been closed
                        pass
                held = self.node.resident_kib() - begun
                with Link(self.node.port, "bulky", CLIENT) as bulky:
                    nested = b"\x91" * (8 << 20) + b"\xc0"  # whose answer is short
                    self.assertEqual(bulky.call("echo", "echo", raw=nested)[:2], ("error", "bad_message"))
            self.assertIsNone(honest.failure)
            held = max(held, self.node.resident_kib() - begun)
            print(f"{liars} messages of {whole >> 20} MiB begun: {held >> 10} MiB, the slowest honest call {honest.slowest * 1000:.0f} ms")
            self.assertLess(held, 300 * 1024)
            self.assertGreater(self.node.count("network", "frames_timed_out"), 0)
            self.assertTrue(self.node.lines("others waited for its room"))
        finally:
            for link in links:
                link.close()


class UnreadAnswers(AttackTest):
    """A node of its own, for the same reason."""

    def test_many_that_never_read_what_they_asked_for_share_one_bound_and_keep_no_other_out(self):
        deaf, calls = 40, 450  # answers of 27 MB each, of which the sockets take some
        payload = b"\xc6" + struct.pack(">I", 60_000) + bytes(60_000)
        call = b"\x97\x01\x05\xa4echo\x00\xa4echo\x00" + payload
        links = [Link(self.node.port, f"deaf-{i}", CLIENT) for i in range(deaf)]
        begun = self.node.resident_kib()
        try:
            with self.under_way(self.node) as honest:
                for link in links:
                    for _ in range(calls):
                        link.socket.sendall(link.frame(struct.pack(">I", len(call)) + call))
                wait_until(lambda: self.node.count("network", "overloaded") > 0, "answers are refused")
                with Link(self.node.port, "bulky", CLIENT) as bulky:
                    self.assertEqual(bulky.call("echo", "echo", "x" * 50_000), ("reply", "x" * 50_000))
                held = self.node.resident_kib() - begun
            self.assertIsNone(honest.failure)
            print(f"{deaf} clients that do not read: {held >> 10} MiB, the slowest honest call {honest.slowest * 1000:.0f} ms")
            self.assertGreater(held, 200 * 1024)
            self.assertLess(held, 450 * 1024)
            self.assertTrue(self.node.lines("a reply was not sent: .*queue"))
        finally:
            for link in links:
                link.close()


if __name__ == "__main__":
    main()
