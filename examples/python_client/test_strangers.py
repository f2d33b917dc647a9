"""The client against fake nodes: without the cookie, with altered frames, silent, or not of this protocol."""

import hmac
import io
import socket
import struct
import threading
import time
import unittest
from contextlib import redirect_stderr, redirect_stdout

import cluster_client
import msgpack
import session
from x25519 import generate, x25519

COOKIE = "the cookie of these tests"
PATIENCE = 60  # seconds; a busy machine is no failure


class FakeNode:
    """Listens once and runs `behaviour(connection)` on its own thread."""

    def __init__(self, behaviour):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._failure = None
        self._thread = threading.Thread(target=self._run, args=(behaviour,))
        self._thread.start()

    def _run(self, behaviour):
        connection, _ = self._listener.accept()
        with connection:
            connection.settimeout(PATIENCE)
            try:
                behaviour(connection)
            except OSError:
                pass  # the client has seen enough
            except BaseException as failure:
                self._failure = failure

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._thread.join()
        self._listener.close()
        if self._failure:
            raise self._failure


def read(connection, size):
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            raise OSError("closed")
        data += part
    return data


def read_record(connection):
    header = read(connection, 3)
    return header + read(connection, int.from_bytes(header[1:], "big"))


def accept_handshake(connection, cookie):
    """The listener's side; returns the keys of both directions, whatever the dialler's proof is worth."""
    secret, public_key = generate()
    theirs = read_record(connection)
    body = session.hello_body(public_key, bytes(32), "fake", (1, 2), 3, role=0, host="127.0.0.1", port=7022)
    own = session.record(session.HELLO, body)
    connection.sendall(own)
    read_record(connection)
    shared = x25519(secret, session.parse_hello(theirs[3:])["public_key"])
    key_of = lambda label: session.derive(session.cookie_key(cookie), shared, theirs, own, label)
    verdict = struct.pack(">BHH", session.VERDICT, 34, 0)
    connection.sendall(verdict + hmac.digest(key_of("proof l"), verdict, "sha256"))
    return key_of("key d→l"), key_of("key l→d")


def frame(key, sequence, body, kind=session.MESSAGES, flags=0):
    plain = struct.pack(">IBBH", len(body), kind, 1, flags) + body
    return plain + session.frame_tag(key, sequence, plain)


def read_call(connection):
    size = struct.unpack(">I", read(connection, 8)[:4])[0]
    body = read(connection, size)
    read(connection, 16)
    return msgpack.unpack(body[4:])


def message(*elements):
    data = msgpack.pack(list(elements))
    return struct.pack(">I", len(data)) + data


class Strangers(unittest.TestCase):
    def client(self, port, *words, timeout=str(PATIENCE)):
        out, err = io.StringIO(), io.StringIO()
        arguments = ["-H", "127.0.0.1", "-p", str(port), "-a", COOKIE, "--timeout", timeout]
        with redirect_stdout(out), redirect_stderr(err):
            code = cluster_client.run([*arguments, *(words or ("call", "counter", "get"))])
        self.assertLessEqual(err.getvalue().count("\n"), 1, "one clear line")
        return code, out.getvalue(), err.getvalue()

    def test_a_node_without_the_cookie_is_refused(self):
        with FakeNode(lambda c: accept_handshake(c, "another cookie")) as node:
            code, out, err = self.client(node.port)
        self.assertEqual((code, out), (3, ""))
        self.assertEqual(err, "cannot connect: wrong_cookie: the node does not have the cookie\n")

    def test_a_node_that_sends_back_our_own_proof_is_refused(self):
        def mirror(connection):
            hello = read_record(connection)
            connection.sendall(hello)
            connection.sendall(b"\3" + struct.pack(">HH", 34, 0) + read_record(connection)[-32:])

        with FakeNode(mirror) as node:
            self.assertEqual(self.client(node.port)[0], 3)

    def test_a_refusal_is_told(self):
        def refuse(connection):
            read_record(connection)
            connection.sendall(session.record(session.REFUSED, struct.pack(">H", 18) + b"no common version"))

        with FakeNode(refuse) as node:
            code, _, err = self.client(node.port)
        self.assertEqual((code, err), (3, "cannot connect: incompatible: no common version\n"))

    def test_another_protocol_silence_and_a_closed_port_end_with_one_line(self):
        with FakeNode(lambda c: c.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as node:
            self.assertEqual(self.client(node.port)[0], 3)
        with FakeNode(lambda c: c.sendall(b"\1\xff\xff")) as node:
            self.assertEqual(self.client(node.port)[0], 3)
        with FakeNode(lambda c: None) as node:
            self.assertEqual(self.client(node.port)[0], 3)
        begun = time.monotonic()
        with FakeNode(lambda c: c.recv(4096) and c.recv(4096)) as node:
            code, _, err = self.client(node.port, timeout="0.5")
        self.assertEqual((code, err), (3, "cannot connect: timeout: no answer in time\n"))
        self.assertLess(time.monotonic() - begun, PATIENCE / 2)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.assertEqual(self.client(port)[0], 3)

    def test_a_reply_is_printed_as_json(self):
        def answer(connection):
            keys = accept_handshake(connection, COOKIE)
            call = read_call(connection)
            self.assertEqual(call, [1, 1, "counter", 0, "add", PATIENCE * 1000, {"n": 2}])
            connection.sendall(frame(keys[1], 0, bytes(8), session.PING))  # pings come at any time
            connection.sendall(frame(keys[1], 1, message(2, 99, "of another call") + message(7, "another kind", 1)))
            connection.sendall(frame(keys[1], 2, message(2, call[1], {"total": 2, "raw": b"\1"})))
            read(connection, 8 + 8 + 16)

        with FakeNode(answer) as node:
            code, out, err = self.client(node.port, "call", "counter", "add", '{"n": 2}')
        self.assertEqual((code, out, err), (0, '{"total": 2, "raw": {"$bytes": "AQ=="}}\n', ""))

    def test_an_error_says_whether_the_call_ran(self):
        for executed, expected in ((0, 1), (1, 4), (2, 1)):

            def answer(connection):
                keys = accept_handshake(connection, COOKIE)
                call = read_call(connection)
                connection.sendall(frame(keys[1], 0, message(3, call[1], 9, "not today", executed)))

            with FakeNode(answer) as node:
                code, out, err = self.client(node.port)
            word = session.EXECUTED[executed]
            self.assertEqual((code, out, err), (expected, "", f"refused: not today (executed: {word})\n"))

    def test_a_long_reply_comes_in_fragments(self):
        def answer(connection):
            keys = accept_handshake(connection, COOKIE)
            data = message(2, read_call(connection)[1], "x" * 150_000)[4:]
            pieces = [data[i : i + 60_000] for i in range(0, len(data), 60_000)]
            for i, piece in enumerate(pieces):
                flags = 1 | (2 if i == 0 else 0) | (4 if i == len(pieces) - 1 else 0)
                prefix = struct.pack(">II", 9, len(data)) if i == 0 else struct.pack(">I", 9)
                connection.sendall(frame(keys[1], i, prefix + piece, flags=flags))

        with FakeNode(answer) as node:
            code, out, _ = self.client(node.port)
        self.assertEqual((code, out), (0, '"' + "x" * 150_000 + '"\n'))

    def test_altered_replayed_and_reordered_frames_are_refused(self):
        def flipped(data, bit):
            return data[: bit // 8] + bytes([data[bit // 8] ^ 1 << bit % 8]) + data[bit // 8 + 1 :]

        good = lambda key, sequence, call: frame(key, sequence, message(2, call[1], "forged"))
        for tampered in (
            lambda key, call: flipped(good(key, 0, call), 8 * 15),  # the body
            lambda key, call: flipped(good(key, 0, call), 8 * 5),  # the lane
            lambda key, call: flipped(good(key, 0, call), len(good(key, 0, call)) * 8 - 1),  # the tag
            lambda key, call: good(key, 1, call),  # another sequence
            lambda key, call: frame(key, 0, b"") * 2,  # the same frame twice
        ):

            def answer(connection):
                keys = accept_handshake(connection, COOKIE)
                connection.sendall(tampered(keys[1], read_call(connection)))
                read(connection, 1)

            with FakeNode(answer) as node:
                code, out, err = self.client(node.port)
            self.assertEqual((code, out), (4, ""))
            self.assertIn("a frame with a wrong tag", err)

    def test_a_frame_of_a_huge_length_is_refused_at_once(self):
        def answer(connection):
            accept_handshake(connection, COOKIE)
            read_call(connection)
            connection.sendall(struct.pack(">IBBH", 1 << 31, 0, 1, 0))
            read(connection, 1)

        with FakeNode(answer) as node:
            self.assertEqual(self.client(node.port)[0], 4)


if __name__ == "__main__":
    unittest.main()
