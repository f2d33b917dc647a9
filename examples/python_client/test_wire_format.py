"""The worked example of docs/wire_format.md, computed anew. `test_wire_format.py print` prints it."""

import hashlib
import hmac
import pathlib
import re
import struct
import sys
import unittest

import msgpack
import session
from x25519 import x25519

DOCUMENT = pathlib.Path(__file__).resolve().parents[2] / "docs" / "wire_format.md"


def example() -> dict:
    """Every value of the example, by the name that it has in the document."""
    e = {}
    e["cookie"] = "the cookie of the example".encode()
    e["cookie_key"] = session.cookie_key(e["cookie"].decode())
    # The secrets of RFC 7748 section 6.1.
    e["secret_d"] = bytes.fromhex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")
    e["secret_l"] = bytes.fromhex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")
    base = bytes([9]) + bytes(31)
    public_d, public_l = x25519(e["secret_d"], base), x25519(e["secret_l"], base)
    e["shared"] = x25519(e["secret_d"], public_l)
    hello_d = session.hello_body(public_d, b"\x11" * 32, "client-1", (1, 2), 1_700_000_000_000_000)
    hello_l = session.hello_body(
        public_l, b"\x22" * 32, "bar", (3, 4), 1_700_000_000_000_001, role=0, ring="ring", host="127.0.0.1", port=7022
    )
    e["hello_d"] = session.record(session.HELLO, hello_d)
    e["hello_l"] = session.record(session.HELLO, hello_l)
    key_of = lambda label: session.derive(e["cookie_key"], e["shared"], e["hello_d"], e["hello_l"], label)
    e["key_proof_d"] = key_of("proof d")
    e["proof"] = session.proof_record(e["key_proof_d"])
    e["key_proof_l"] = key_of("proof l")
    verdict = struct.pack(">BHH", session.VERDICT, 34, 0)
    e["verdict"] = verdict + hmac.digest(e["key_proof_l"], verdict, "sha256")
    e["key_to_l"], e["key_to_d"] = key_of("key d→l"), key_of("key l→d")
    e["call"] = msgpack.pack([1, 1, "counter", 0, "add", 5000, {"n": 2}])
    e["frame_call"] = frame(e["key_to_l"], e["call"])
    e["reply"] = msgpack.pack([2, 1, 2])
    e["frame_reply"] = frame(e["key_to_d"], e["reply"])
    baz = ["baz", {"host": "127.0.0.1", "port": 7024}]
    place = hashlib.sha1(b"user-17").digest()
    e["chord_ask"] = msgpack.pack(["bar", {"chord_ask": [1, 160]}])
    e["neighbours"] = msgpack.pack(["foo", {"chord_neighbours": [1, None, [baz]]}])
    e["chord_step"] = msgpack.pack(["bar", {"chord_step": [2, 160, place, False]}])
    e["chord_next"] = msgpack.pack(["foo", {"chord_next": [2, False, [], [baz]]}])
    return e


def frame(key: bytes, message: bytes) -> bytes:
    body = struct.pack(">I", len(message)) + message
    plain = struct.pack(">IBBH", len(body), session.MESSAGES, session.LANE_NORMAL, 0) + body
    return plain + session.frame_tag(key, 0, plain)


def show(name: str, value: bytes) -> str:
    lines = [value.hex()[i : i + 64] for i in range(0, 2 * len(value), 64)]
    return f"{name:12}= " + ("\n" + " " * 14).join(lines)


class WireFormat(unittest.TestCase):
    def test_the_document_says_what_this_client_does(self):
        text = DOCUMENT.read_text(encoding="utf-8")
        said = {
            name: bytes.fromhex("".join(value.split()))
            for name, value in re.findall(r"^    (\w+) *= ((?:[0-9a-f]{2})+(?:\n {18}[0-9a-f]+)*)$", text, re.MULTILINE)
        }
        self.assertEqual(said, example())

    def test_scrypt_is_that_of_rfc_7914(self):
        got = hashlib.scrypt(b"password", salt=b"NaCl", n=1024, r=8, p=16, dklen=64)
        self.assertTrue(got.hex().startswith("fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b3731622eaf30d9"))


if __name__ == "__main__":
    if sys.argv[1:] == ["print"]:
        for name, value in example().items():
            print("    " + show(name, value).replace("\n", "\n    "))
    else:
        unittest.main()
