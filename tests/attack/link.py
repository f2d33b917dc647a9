"""An attacker's end of a connection: the parts of the wire format one by one, each to be done wrong. Frames are signed.

Uses the Python client of examples/python_client, which shares nothing with the C++ code.
"""
import hmac
import os
import pathlib
import socket
import struct
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "examples" / "python_client"))
import msgpack  # noqa: E402
import session  # noqa: E402
from x25519 import generate, x25519  # noqa: E402

COOKIE = "a cookie for tests only"
KEY = session.cookie_key(COOKIE)
OWN = generate()  # of every attacker: the node's key is fresh each time
NODE, CLIENT = 0, 1
PATIENCE = 20.0


def closed_within(connection, seconds):
    """Whether the other end closes the connection in that time."""
    connection.settimeout(max(seconds, 0.0))
    try:
        while connection.recv(65536):
            pass
        return True
    except (TimeoutError, BlockingIOError):
        return False
    except OSError:
        return True


def connect(port):
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)


def read_exactly(connection, size):
    data = b""
    while len(data) < size:
        piece = connection.recv(size - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data


def read_record(connection):
    header = read_exactly(connection, 3)
    return header + read_exactly(connection, int.from_bytes(header[1:], "big"))


def hello(identity="eve", role=NODE, ring="", boot=None, public_key=None, protections=b"\1\0", capabilities=0):
    """A HELLO record."""
    boot = boot or (time.time_ns() // 1_000_000, int.from_bytes(os.urandom(8), "big"))
    host, port = ("127.0.0.1", 7) if role == NODE else ("", 0)
    body = session.hello_body(public_key or OWN[1], os.urandom(32), identity, boot, time.time_ns() // 1000, role=role,
                              ring=ring, host=host, port=port)
    return session.record(session.HELLO, body[:10] + protections + capabilities.to_bytes(4, "big") + body[16:])


class Link:
    """A connection after its handshake. `refusal` is set instead of keys if the node refused it."""

    def __init__(self, port, identity="eve", role=NODE, ring="", boot=None, key=KEY, change_hello=None, change_proof=None,
                 capabilities=0):
        self.socket = connect(port)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.identity = identity
        self.sent = self.received = self.calls = 0
        self.refusal = None
        try:
            self.shake_hands(hello(identity, role, ring, boot, capabilities=capabilities), key, change_hello, change_proof)
        except BaseException:
            self.close()
            raise

    def shake_hands(self, own, key, change_hello, change_proof):
        self.socket.sendall(change_hello(own) if change_hello else own)
        theirs = read_record(self.socket)
        if theirs[0] != session.HELLO:
            self.refuse(theirs)
            return
        shared = x25519(OWN[0], theirs[3:][56:88])
        key_of = lambda label: session.derive(key, shared, own, theirs, label)
        proof = session.proof_record(key_of("proof d"))
        self.socket.sendall(change_proof(proof) if change_proof else proof)
        verdict = read_record(self.socket)
        if verdict[0] != session.VERDICT or verdict[3:5] != b"\0\0":
            self.refuse(verdict)
            return
        assert hmac.digest(key_of("proof l"), verdict[:-32], "sha256") == verdict[-32:]
        self.send_key, self.receive_key = key_of("key d→l"), key_of("key l→d")

    def refuse(self, record):
        size = 32 if record[0] == session.VERDICT else 0
        self.refusal = (record[0], session.errc_name(int.from_bytes(record[3:5], "big")),
                        record[5 : len(record) - size].decode())

    def frame(self, body, kind=session.MESSAGES, lane=1, flags=0, sequence=None, length=None):
        """The next frame; it counts as sent."""
        header = struct.pack(">IBBH", len(body) if length is None else length, kind, lane, flags)
        tag = session.frame_tag(self.send_key, self.sent if sequence is None else sequence, header + body)
        self.sent += 1
        return header + body + tag

    def send(self, *messages, lane=1):
        """Messages as values, or as bytes that are no message at all; in one frame."""
        encoded = [m if isinstance(m, bytes) else msgpack.pack(m) for m in messages]
        self.socket.sendall(self.frame(b"".join(struct.pack(">I", len(m)) + m for m in encoded), lane=lane))

    def send_large(self, message, lane=1):
        at, flags, prefix = 0, 3, struct.pack(">II", 1, len(message))
        while at < len(message):
            piece = message[at : at + 60_000]
            at += len(piece)
            self.socket.sendall(self.frame(prefix + piece, lane=lane, flags=flags | (4 if at >= len(message) else 0)))
            flags, prefix = 1, struct.pack(">I", 1)

    def cast(self, server, event, payload=None, lane=1):
        self.send([0, server, 0, event, payload], lane=lane)

    def call(self, server, event, payload=None, raw=None):
        """("reply", value) or ("error", code, executed). `raw`: the payload's bytes instead."""
        self.calls += 1
        message = msgpack.pack([1, self.calls, server, 0, event, 10_000, payload])
        if raw is not None:
            message = message[:-1] + raw
        if len(message) > 65_000:
            self.send_large(message)
        else:
            self.send(message)
        while True:
            answer = self.read_message()
            if answer[0] in (2, 3) and answer[1] == self.calls:
                return ("reply", answer[2]) if answer[0] == 2 else ("error", session.errc_name(answer[2]), answer[4])

    def read_message(self):
        """The next reply or error; pings are answered. Small messages alone."""
        while not getattr(self, "waiting", None):
            self.socket.settimeout(PATIENCE)
            header = read_exactly(self.socket, 8)
            size, kind, _, flags = struct.unpack(">IBBH", header)
            body = read_exactly(self.socket, size)
            assert session.frame_tag(self.receive_key, self.received, header + body) == read_exactly(self.socket, 16)
            self.received += 1
            if kind == session.PING:
                self.socket.sendall(self.frame(body, kind=session.PONG, lane=0))
            elif kind == session.GOODBYE:
                raise EOFError
            elif kind == session.MESSAGES and flags == 0:
                self.waiting = []
                while body:
                    length = int.from_bytes(body[:4], "big")
                    self.waiting.append(msgpack.unpack(body[4 : 4 + length]))
                    body = body[4 + length :]
        return self.waiting.pop(0)

    def closed(self, seconds=PATIENCE):
        return closed_within(self.socket, seconds)

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
