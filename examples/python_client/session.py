"""One connection to a libcluster node, as docs/wire_format.md describes it. Standard library only."""

import hashlib
import hmac
import os
import socket
import struct
import time

import msgpack
from x25519 import generate, x25519

MAGIC = b"lcluster"
VERSION = 1
SIGN = 0  # the protection level that this client knows
ROLE_CLIENT = 1
HELLO, PROOF, VERDICT, REFUSED = 1, 2, 3, 4
RECORD_BYTES_MAX = 1024
MESSAGES, PING, PONG, GOODBYE = 0, 1, 2, 3
LANE_CONTROL, LANE_NORMAL = 0, 1
FRAGMENT, FRAGMENT_FIRST, FRAGMENT_LAST = 1, 2, 4
FRAME_BODY_BYTES_MAX = 64 * 1024
MESSAGE_BYTES_MAX = 64 * 1024 * 1024
CAST, CALL, REPLY, ERROR = 0, 1, 2, 3
EXECUTED = ("no", "unknown", "yes")
ERRC = (
    "unknown invalid_argument bad_message no_server unreachable overloaded timeout peer_lost handler_failed refused "
    "would_block would_deadlock stopped already_exists not_found duplicate_id wrong_cookie wrong_ring incompatible "
    "too_large corrupt io cancelled internal no_quorum"
).split()


class ClusterError(Exception):
    """A failure: what happened, in a word of `ERRC` and in words, and whether the operation ran."""

    def __init__(self, code: str, text: str, executed: str = "no"):
        super().__init__(text)
        self.code, self.executed = code, executed


def errc_name(number: int) -> str:
    return ERRC[number] if 0 < number < len(ERRC) else "unknown"


def cookie_key(cookie: str) -> bytes:
    """Slow on purpose: about 40 ms."""
    return hashlib.scrypt(cookie.encode(), salt=b"libcluster cookie v1", n=1 << 14, r=8, p=1, maxmem=64 << 20, dklen=32)


def hkdf(key: bytes, salt: bytes, info: bytes) -> bytes:
    """HKDF-SHA256 (RFC 5869), 32 bytes."""
    pseudorandom = hmac.digest(salt, key, "sha256")
    return hmac.digest(pseudorandom, info + b"\x01", "sha256")


def record(kind: int, body: bytes) -> bytes:
    return struct.pack(">BH", kind, len(body)) + body


def derive(key: bytes, shared: bytes, hello_d: bytes, hello_l: bytes, label: str) -> bytes:
    """A key of the session, from the cookie's key, the X25519 secret and both HELLO records."""
    transcript = bytes([VERSION]) + b"".join(struct.pack(">I", len(hello)) + hello for hello in (hello_d, hello_l))
    return hkdf(key + shared, transcript, label.encode())


def proof_record(proof_key: bytes) -> bytes:
    header = struct.pack(">BH", PROOF, 32)
    return header + hmac.digest(proof_key, header, "sha256")


def frame_tag(key: bytes, sequence: int, header_and_body: bytes) -> bytes:
    return hmac.digest(key, struct.pack(">Q", sequence) + header_and_body, "sha256")[:16]


def text8(text: str) -> bytes:
    data = text.encode()
    return bytes([len(data)]) + data


def hello_body(public_key: bytes, nonce: bytes, identity: str, boot: tuple[int, int], wall_us: int, role: int = ROLE_CLIENT,
               ring: str = "", host: str = "", port: int = 0) -> bytes:
    return (
        MAGIC
        + bytes([VERSION, VERSION, 1 << SIGN, SIGN])  # versions from, to; protections offered, least
        + struct.pack(">IQ", 0, wall_us)  # no capabilities
        + nonce
        + public_key
        + struct.pack(">BQQ", role, *boot)
        + text8(identity)
        + text8(ring)
        + text8(host)
        + struct.pack(">H", port)
    )


def fresh_hello(public_key: bytes) -> bytes:
    wall_us = time.time_ns() // 1000
    boot = (wall_us // 1000, int.from_bytes(os.urandom(8), "big"))
    return hello_body(public_key, os.urandom(32), "client-" + os.urandom(8).hex(), boot, wall_us)


def parse_hello(body: bytes) -> dict:
    if len(body) < 106 or body[:8] != MAGIC:
        raise ClusterError("corrupt", "the peer does not speak this protocol")
    if not body[8] <= VERSION <= body[9]:
        raise ClusterError("incompatible", f"the node speaks versions {body[8]} to {body[9]}, this client {VERSION}")
    if not body[10] >> SIGN & 1 or body[11] > SIGN:
        raise ClusterError("incompatible", "the node demands encrypted frames; this client only signs them")
    size = body[105]
    return {"public_key": body[56:88], "id": body[106 : 106 + size].decode("utf-8", "replace")}


class Session:
    """Connected and proven both ways once constructed. Not for several threads."""

    def __init__(self, host: str, port: int, cookie: str, expected_id: str | None = None, timeout: float = 5.0):
        self._deadline = time.monotonic() + timeout
        key = cookie_key(cookie)
        try:
            self._socket = socket.create_connection((host, port), timeout)
        except OSError as fault:
            raise ClusterError("unreachable", f"{host}:{port}: {fault.strerror or fault}") from None
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sent = self._received = 0
        self._last_id = 0
        self._partial = {}
        try:
            self._handshake(key, expected_id)
        except BaseException:
            self._socket.close()
            raise

    # ---- handshake

    def _handshake(self, key: bytes, expected_id: str | None) -> None:
        secret, public_key = generate()
        own = record(HELLO, fresh_hello(public_key))
        self._socket.sendall(own)
        kind, theirs = self._read_record((HELLO, REFUSED))
        if kind == REFUSED:
            self._raise_reason(theirs[3:])
        peer = parse_hello(theirs[3:])
        self.peer_id = peer["id"]
        if expected_id is not None and expected_id != self.peer_id:
            raise ClusterError("not_found", f"the node there is '{self.peer_id}', not '{expected_id}'")
        shared = x25519(secret, peer["public_key"])
        if not any(shared):
            raise ClusterError("corrupt", "the node's key is of small order")

        key_of = lambda label: derive(key, shared, own, theirs, label)
        self._socket.sendall(proof_record(key_of("proof d")))
        kind, verdict = self._read_record((VERDICT, REFUSED))
        if kind == REFUSED:
            self._raise_reason(verdict[3:])
        if len(verdict) < 3 + 2 + 32:
            raise ClusterError("corrupt", "a verdict that is too short")
        proof = hmac.digest(key_of("proof l"), verdict[:-32], "sha256")
        if not hmac.compare_digest(proof, verdict[-32:]):
            raise ClusterError("wrong_cookie", "the node does not have the cookie")
        if verdict[3:5] != b"\0\0":
            self._raise_reason(verdict[3:-32])
        self._send_key, self._receive_key = key_of("key d→l"), key_of("key l→d")

    def _read_record(self, kinds) -> tuple[int, bytes]:
        header = self._read(3)
        kind, size = struct.unpack(">BH", header)
        if kind not in kinds or 3 + size > RECORD_BYTES_MAX:
            raise ClusterError("corrupt", "the peer does not speak this protocol")
        return kind, header + self._read(size)

    @staticmethod
    def _raise_reason(body: bytes) -> None:
        if len(body) < 2:
            raise ClusterError("corrupt", "a refusal that is too short")
        code = errc_name(int.from_bytes(body[:2], "big"))
        raise ClusterError("refused" if code == "unknown" else code, body[2:].decode("utf-8", "replace"))

    # ---- frames

    def _read(self, size: int) -> bytes:
        parts = []
        while size:
            left = self._deadline - time.monotonic()
            try:
                if left <= 0:
                    raise TimeoutError
                self._socket.settimeout(left)
                part = self._socket.recv(min(size, 1 << 20))
            except TimeoutError:
                raise ClusterError("timeout", "no answer in time", "unknown") from None
            except OSError as fault:
                raise ClusterError("peer_lost", fault.strerror or str(fault), "unknown") from None
            if not part:
                raise ClusterError("peer_lost", "the node closed the connection", "unknown")
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def _send_frame(self, kind: int, lane: int, body: bytes, flags: int = 0) -> None:
        frame = struct.pack(">IBBH", len(body), kind, lane, flags) + body
        try:
            self._socket.sendall(frame + frame_tag(self._send_key, self._sent, frame))
        except OSError as fault:
            raise ClusterError("peer_lost", fault.strerror or str(fault), "unknown") from None
        self._sent += 1

    def _read_frame(self) -> tuple[int, int, bytes]:
        header = self._read(8)
        size, kind, lane, flags = struct.unpack(">IBBH", header)
        if size > FRAME_BODY_BYTES_MAX or kind > GOODBYE or lane > 2 or flags > 7:
            raise ClusterError("corrupt", "a frame with a wrong header", "unknown")
        body = self._read(size)
        if not hmac.compare_digest(frame_tag(self._receive_key, self._received, header + body), self._read(16)):
            raise ClusterError("corrupt", "a frame with a wrong tag", "unknown")
        self._received += 1
        return kind, flags, body

    def _send_message(self, message: bytes) -> None:
        if len(message) > MESSAGE_BYTES_MAX:
            raise ClusterError("too_large", f"a message of {len(message)} bytes")
        if len(message) <= FRAME_BODY_BYTES_MAX - 4:
            return self._send_frame(MESSAGES, LANE_NORMAL, struct.pack(">I", len(message)) + message)
        at, flags, prefix = 0, FRAGMENT | FRAGMENT_FIRST, struct.pack(">II", 1, len(message))
        while at < len(message):
            piece = message[at : at + FRAME_BODY_BYTES_MAX - len(prefix)]
            at += len(piece)
            flags |= FRAGMENT_LAST if at == len(message) else 0
            self._send_frame(MESSAGES, LANE_NORMAL, prefix + piece, flags)
            flags, prefix = FRAGMENT, struct.pack(">I", 1)

    def _messages(self, flags: int, body: bytes):
        """The messages that a `messages` frame completes."""
        if not flags & FRAGMENT:
            while body:
                size = int.from_bytes(body[:4], "big")
                if len(body) < 4 + size:
                    raise ClusterError("corrupt", "a message longer than its frame", "unknown")
                yield body[4 : 4 + size]
                body = body[4 + size :]
            return
        stream, body = body[:4], body[4:]
        if flags & FRAGMENT_FIRST:
            self._partial[stream] = [int.from_bytes(body[:4], "big"), b""]
            body = body[4:]
        whole = self._partial.get(stream)
        if whole is None or len(whole[1]) + len(body) > min(whole[0], MESSAGE_BYTES_MAX):
            raise ClusterError("corrupt", "a fragment that continues nothing", "unknown")
        whole[1] += body
        if flags & FRAGMENT_LAST:
            del self._partial[stream]
            yield whole[1]

    def _until(self, answers):
        """Reads frames until `answers(kind, body)` gives something else than None for one, or for a message."""
        while True:
            kind, flags, body = self._read_frame()
            if kind == PING:
                self._send_frame(PONG, LANE_CONTROL, body)
            elif kind == GOODBYE:
                raise ClusterError("peer_lost", "the node said goodbye: " + body[1:].decode("utf-8", "replace"), "unknown")
            items = [body] if kind != MESSAGES else self._messages(flags, body)
            for item in items:
                answer = answers(kind, item)
                if answer is not None:
                    return answer

    # ---- what a user does

    def call(self, server: str, event: str, payload=None, timeout: float = 5.0):
        """The reply of `server` on that node. ClusterError tells whether a failed call ran."""
        self._deadline = time.monotonic() + timeout
        self._last_id += 1
        head = [CALL, self._last_id, server, 0, event, int(timeout * 1000), payload]
        self._send_message(msgpack.pack(head))

        def answer(kind, body):
            if kind != MESSAGES:
                return None
            try:
                message = msgpack.unpack(body)
            except ValueError as fault:
                raise ClusterError("corrupt", f"a message that does not decode: {fault}", "unknown") from None
            sizes = {REPLY: 3, ERROR: 5}
            if not isinstance(message, list) or len(message) < 3 or len(message) < sizes.get(message[0], 1 << 32):
                return None  # another kind: not for us
            return message if message[1] == self._last_id else None

        message = self._until(answer)
        if message[0] == REPLY:
            return message[2]
        _, _, code, text, executed = message[:5]
        raise ClusterError(errc_name(code), text, EXECUTED[executed] if executed in (0, 1, 2) else "unknown")

    def cast(self, server: str, event: str, payload=None, timeout: float = 5.0) -> None:
        """Sends one way, and returns once the node has read it. Nobody says whether there is such a server."""
        self._deadline = time.monotonic() + timeout
        self._send_message(msgpack.pack([CAST, server, 0, event, payload]))
        self.ping(timeout)

    def ping(self, timeout: float = 5.0) -> None:
        self._deadline = time.monotonic() + timeout
        token = os.urandom(8)
        # Frames are handled in the order in which they were sent, so what went before it has been read.
        self._send_frame(PING, LANE_CONTROL, token)
        self._until(lambda kind, body: True if kind == PONG and body == token else None)

    def close(self) -> None:
        try:
            self._send_frame(GOODBYE, LANE_CONTROL, b"\0done")
        except ClusterError:
            pass
        self._socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
