#!/usr/bin/env python3
"""Who does not have the cookie, against a real cluster-node. usage: strangers_test.py BIN_DIR"""
import contextlib
import os
import random
import select
import socket
import threading

from link import COOKIE, PATIENCE, Link, closed_within, connect, hello, read_record, session
from victim import AttackTest, Victim, main

REFUSED = session.REFUSED


class Relay:
    """Stands between a dialler and a node, and may change each piece: `to_listener(number, data)`, from 0 on."""

    def __init__(self, target, to_listener=lambda number, data: data, to_dialler=lambda number, data: data):
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        self.target, self.changes = target, (to_listener, to_dialler)
        self.recorded = b""
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        with self.listening:
            dialler, _ = self.listening.accept()
        with dialler, connect(self.target) as node:
            ways = {dialler: (node, self.changes[0]), node: (dialler, self.changes[1])}
            numbers = {dialler: 0, node: 0}
            try:
                while True:
                    for ready in select.select(list(ways), [], [], PATIENCE)[0]:
                        data = ready.recv(65536)
                        if not data:
                            return
                        to, change = ways[ready]
                        data = change(numbers[ready], data)
                        numbers[ready] += 1
                        if ready is dialler:
                            self.recorded += data
                        to.sendall(data)
            except OSError:
                pass


class Refusing:
    """Listens, and answers whatever comes with a refusal that no key stands for."""

    def __init__(self, code):
        self.record = session.record(REFUSED, code.to_bytes(2, "big"))
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        self.asked = 0
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listening.accept()
                with connection:
                    connection.recv(65536)
                    self.asked += 1
                    connection.sendall(self.record)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listening.close()


class Strangers(AttackTest):
    def refuses(self, **how):
        with Link(self.node.port, **how) as link:
            self.assertIsNotNone(link.refusal)
            self.assertTrue(link.closed())
            return link.refusal

    def test_a_wrong_cookie_is_refused_with_nothing_keyed_counted_and_logged_once_a_period(self):
        counts = [("network", "proofs_failed", 100), ("network", "handshakes_failed", 100)]
        with self.attack(counts, "INVALID_CHECKSUM"):
            for _ in range(100):
                self.assertEqual(self.refuses(key=os.urandom(32))[:2], (REFUSED, "wrong_cookie"))

    def test_no_word_of_a_listener_without_the_cookie_ends_a_node(self):
        with self.attack([("network", "handshakes_failed", 4)]):
            for code in (1, 13, 14, 15, 16, 39):
                with Refusing(code) as stranger:
                    self.assertFalse(self.node.cli("meet", f"127.0.0.1:{stranger.port}", "--timeout", "2").reply["ok"], code)
                    self.assertGreater(stranger.asked, 0)

    def test_the_records_of_a_node_reflected_to_it_prove_nothing(self):
        """The node is made to dial the attacker, who sends all it says back, or to its own listening port."""

        def mirror(listening):
            connection, _ = listening.accept()
            with connection:
                try:
                    while data := connection.recv(65536):
                        connection.sendall(data)
                except OSError:
                    pass

        with self.attack([("network", "handshakes_failed", 2)]):
            before = self.node.ids()
            with socket.create_server(("127.0.0.1", 0)) as listening:
                threading.Thread(target=mirror, args=(listening,), daemon=True).start()
                met = self.node.cli("meet", f"127.0.0.1:{listening.getsockname()[1]}")
            self.assertFalse(met.reply["ok"], met.out)
            met = self.node.cli("meet", f"127.0.0.1:{Relay(self.node.port).port}")
            self.assertFalse(met.reply["ok"], met.out)
            self.assertEqual(self.node.ids(), before)

    def test_a_hello_of_the_node_used_by_another_dialler_leads_nowhere(self):
        with self.attack([("network", "handshakes_failed", 1)]):
            with connect(self.node.port) as first, connect(self.node.port) as second:
                first.sendall(hello())
                second.sendall(read_record(first))  # the node's own id and boot
                second.sendall(session.proof_record(os.urandom(32)))
                self.assertEqual(read_record(second)[0], REFUSED)
                self.assertTrue(closed_within(second, PATIENCE))

    def test_a_recorded_connection_played_again_is_refused_at_its_proof(self):
        with self.attack([("network", "proofs_failed", 5)]):
            relay = Relay(self.node.port)
            with Link(self.node.port) as link:
                total = link.call("counter", "get")
            with Link(relay.port) as link:
                self.assertEqual(link.call("counter", "add", {"n": 1}), ("reply", total[1] + 1))
            for _ in range(5):
                with connect(self.node.port) as again:
                    again.sendall(relay.recorded)
                    self.assertEqual(read_record(again)[0], session.HELLO)
                    self.assertEqual(read_record(again)[0], REFUSED)
                    self.assertTrue(closed_within(again, PATIENCE))
            with Link(self.node.port) as link:
                self.assertEqual(link.call("counter", "get"), ("reply", total[1] + 1))

    def test_a_flipped_bit_anywhere_in_a_handshake_is_noticed(self):
        flip = lambda bit: lambda record: record[: bit // 8] + bytes([record[bit // 8] ^ 1 << bit % 8]) + record[bit // 8 + 1 :]
        hello_bits, proof_bits = len(hello()) * 8, 35 * 8
        with self.attack([("network", "handshakes_failed", proof_bits)]):
            accepted = []
            for what, bits in (("change_hello", hello_bits), ("change_proof", proof_bits)):
                for bit in range(0, bits, 3 if what == "change_hello" else 1):
                    if what == "change_hello" and bit // 8 in (1, 2):
                        continue  # of the length: the node waits for more; see the truncated ones
                    try:
                        with Link(self.node.port, **{what: flip(bit)}) as link:
                            if link.refusal is None:
                                accepted.append((what, bit))
                    except (EOFError, OSError, TimeoutError):
                        pass
            self.assertEqual(accepted, [])

    def test_a_handshake_cut_off_at_any_byte_ends_its_connection_alone(self):
        records = hello() + session.proof_record(os.urandom(32))
        with self.attack([("network", "handshakes_failed", len(records))], "no handshake"):
            for size in range(len(records)):
                with connect(self.node.port) as cut:
                    cut.sendall(records[:size])
                    cut.shutdown(socket.SHUT_WR)
                    self.assertTrue(closed_within(cut, PATIENCE), size)

    def test_oversized_records_and_names_are_refused_before_memory_is_taken(self):
        long = hello("i" * 255, ring="r" * 255)
        cases = [b"\1\xff\xff" + bytes(65535), b"\1\4\0", hello()[:1] + b"\4\xff" + bytes(1279), long[:-1] + b"\xff" * 2000]
        with self.attack([("network", "handshakes_failed", len(cases) - 1)]):
            for case in cases:
                with connect(self.node.port) as stranger:
                    stranger.sendall(case)
                    with contextlib.suppress(OSError):  # it may have hung up already
                        stranger.shutdown(socket.SHUT_WR)
                    self.assertTrue(closed_within(stranger, PATIENCE))

    def test_garbage_is_hung_up_on(self):
        chance = random.Random(7)
        pieces = [b'{"type":"message"}\f', b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\1\2\0\1\0", bytes(100_000), b"\n",
                  b"\xff" * 100_000]
        pieces += [chance.randbytes(chance.randrange(1, 20_000)) for _ in range(500)]
        with self.attack([("network", "handshakes_failed", len(pieces))], "no handshake"):
            for piece in pieces:
                with connect(self.node.port) as stranger:
                    try:
                        stranger.sendall(piece)
                        stranger.shutdown(socket.SHUT_WR)
                    except OSError:
                        pass  # hung up before all of it was sent
                    self.assertTrue(closed_within(stranger, PATIENCE))


PROTECTIONS_AT = 3 + 10  # in a HELLO record: the levels offered, then the least that is accepted


class TalkedDown(AttackTest):
    """Somebody on the way changes what the HELLOs say of protection levels; both ends offer to seal."""

    options = ("--protection", "seal")

    def test_a_level_taken_out_of_the_hellos_fails_their_transcript(self):
        def only_sign(number, data):
            return data if number else data[:PROTECTIONS_AT] + b"\1\0" + data[PROTECTIONS_AT + 2 :]

        whole = lambda number, data: data
        with self.attack([("network", "proofs_failed", 1)]):
            for to_listener, to_dialler in ((only_sign, only_sign), (only_sign, whole), (whole, only_sign)):
                relay = Relay(self.node.port, to_listener, to_dialler)
                answer = self.programs.run_cli("-p", relay.port, "-a", COOKIE, "nodes")
                self.assertEqual(answer.code, 3, answer.out)
                self.assertNotIn(b"nodes", relay.recorded)
            unchanged = Relay(self.node.port)
            self.assertEqual(self.programs.run_cli("-p", unchanged.port, "-a", COOKIE, "nodes").code, 0)

    def test_a_node_that_demands_sealing_refuses_who_only_signs(self):
        strict = Victim(self.programs, "strict", "--protection-min", "seal").start()
        try:
            for offered in (b"\1\0", b"\1\1", b"\4\0", b"\0\0"):
                with connect(strict.port) as signer:
                    signer.sendall(hello(protections=offered))
                    records = [read_record(signer)]
                    if records[0][0] == session.HELLO:
                        records.append(read_record(signer))
                    self.assertEqual(records[-1][0], REFUSED)
                    self.assertEqual(session.errc_name(int.from_bytes(records[-1][3:5], "big")), "incompatible")
            self.assertEqual(strict.cli("ping").code, 0)
            self.assertEqual(len(strict.lines("incompatible")), 1)
        finally:
            strict.stop()


class Sealed(AttackTest):
    """Encrypted connections of cluster-cli, changed on their way; the others are in frames_test.py."""

    options = ("--protection", "seal", "--protection-min", "seal")
    signs = False
    def test_an_altered_or_repeated_sealed_frame_is_not_handled_and_ends_its_connection(self):
        def flipped(position):
            def change(number, data):
                if number != 2:  # HELLO, PROOF, then the command
                    return data
                at = position % len(data)
                return data[:at] + bytes([data[at] ^ 1 << position % 8]) + data[at + 1 :]

            return change

        add = ("cast", "counter", "add", '{"n": 1}')
        changes = [flipped(position) for position in range(4, 120, 5)]  # behind the length
        changes += [lambda number, data: data if number != 2 else data[:-1] + bytes([data[-1] ^ 1])]
        before = self.node.cli("call", "counter", "get").data
        bad = self.node.count("network", "bad_frames")
        for change in changes:
            done = self.programs.run_cli("-p", Relay(self.node.port, change).port, "-a", COOKIE, *add)
            self.assertIn(done.code, (3, 4), done.out)
        self.assertEqual(self.node.cli("call", "counter", "get").data, before)
        self.assertGreaterEqual(self.node.count("network", "bad_frames") + self.node.count("network", "frames_timed_out"),
                                bad + len(changes))
        twice = Relay(self.node.port, lambda number, data: data * 2 if number == 2 else data)
        self.programs.run_cli("-p", twice.port, "-a", COOKIE, *add)
        self.assertEqual(self.node.cli("call", "counter", "get").data, before + 1)
        self.assertTrue(self.node.lines("disconnected "))

    def test_what_is_sealed_is_not_seen(self):
        secret = "nobody reads this"
        relay = Relay(self.node.port)
        done = self.programs.run_cli("-p", relay.port, "-a", COOKIE, "call", "echo", "echo", f'"{secret}"')
        self.assertEqual(done.data, secret)
        self.assertNotIn(secret.encode(), relay.recorded)


if __name__ == "__main__":
    main()
