"""The keys of one handshake, from the description in docs/wire_format.md alone: prints what handshake_test.cpp expects.

The X25519 secrets, public keys and shared secret are those of RFC 7748 section 6.1.
"""
import hashlib
import hmac
import struct

ALICE = bytes.fromhex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a")
BOB = bytes.fromhex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f")
SHARED = bytes.fromhex("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742")


def text(value):
    return bytes([len(value)]) + value.encode()


def hello(wall_us, nonce, public_key, role, boot, node_id, ring, host, port, protections=1):
    body = b"lcluster" + bytes([1, 1, protections, 0]) + struct.pack(">IQ", 0, wall_us) + nonce + public_key
    body += bytes([role]) + struct.pack(">QQ", *boot) + text(node_id) + text(ring) + text(host) + struct.pack(">H", port)
    return b"\x01" + struct.pack(">H", len(body)) + body


class Session:
    """What the cookie and the two HELLOs make."""

    def __init__(self, protections):
        self.dialler = hello(1_700_000_000_000_000, b"\x11" * 32, ALICE, 0, (1, 2), "foo", "ring", "localhost", 7022, protections)
        self.listener = hello(1_700_000_000_000_001, b"\x22" * 32, BOB, 0, (3, 4), "bar", "", "::1", 7023, protections)
        cookie_key = hashlib.scrypt(b"a cookie of some length", salt=b"libcluster cookie v1", n=2, r=1, p=1, dklen=32)
        sized = lambda record: struct.pack(">I", len(record)) + record
        self.prk = hmac.digest(b"\x01" + sized(self.dialler) + sized(self.listener), cookie_key + SHARED, "sha256")

    def derive(self, label):
        return hmac.digest(self.prk, label.encode() + b"\x01", "sha256")


session = Session(protections=1)
proof = b"\x02\x00\x20"
verdict = b"\x03\x00\x22\x00\x00"
print("proof", (proof + hmac.digest(session.derive("proof d"), proof, "sha256")).hex())
print("verdict", (verdict + hmac.digest(session.derive("proof l"), verdict, "sha256")).hex())
print("to listener", session.derive("key d→l").hex())
print("to dialler", session.derive("key l→d").hex())
frame = struct.pack(">IBBH", 6, 0, 1, 0) + struct.pack(">I", 2) + b"hi"
print("frame", (frame + hmac.digest(session.derive("key d→l"), struct.pack(">Q", 0) + frame, "sha256")[:16]).hex())
print("hello", hashlib.sha256(session.dialler).hexdigest())
sealed = Session(protections=3)
print("seal to listener", sealed.derive("seal d→l").hex())
print("seal to dialler", sealed.derive("seal l→d").hex())
