"""Frames of both levels, from the description in docs/wire_format.md alone: prints what frame_protection_test.cpp expects.

AES-256-GCM is written out here (FIPS 197, NIST SP 800-38D), so that the standard library is enough.
"""
import hmac
import struct


def multiply(a, b):
    """In the field of AES: polynomials over GF(2) modulo x^8 + x^4 + x^3 + x + 1."""
    product = 0
    while b:
        if b & 1:
            product ^= a
        a = a << 1 ^ (0x11B if a & 0x80 else 0)
        b >>= 1
    return product


def s_box(byte):
    inverse = next((x for x in range(256) if multiply(byte, x) == 1), 0)
    rotate = lambda n: (inverse << n | inverse >> 8 - n) & 0xFF
    return inverse ^ rotate(1) ^ rotate(2) ^ rotate(3) ^ rotate(4) ^ 0x63


S_BOX = [s_box(byte) for byte in range(256)]


def round_keys(key):
    words = [key[i : i + 4] for i in range(0, 32, 4)]
    constant = 1
    for i in range(8, 60):
        word = words[-1]
        if i % 8 == 0:
            word = bytes(S_BOX[b] for b in word[1:] + word[:1])
            word = bytes([word[0] ^ constant]) + word[1:]
            constant = multiply(constant, 2)
        elif i % 8 == 4:
            word = bytes(S_BOX[b] for b in word)
        words.append(bytes(a ^ b for a, b in zip(word, words[-8])))
    return [b"".join(words[i : i + 4]) for i in range(0, 60, 4)]


def aes_256(key, block):
    keys = round_keys(key)
    state = bytes(a ^ b for a, b in zip(block, keys[0]))
    for number, round_key in enumerate(keys[1:], 1):
        state = bytes(S_BOX[state[(i + 4 * (i % 4)) % 16]] for i in range(16))  # substitute, shift rows
        if number < 14:
            mixed = []
            for column in range(0, 16, 4):
                s = state[column : column + 4]
                mixed += [multiply(s[i], 2) ^ multiply(s[(i + 1) % 4], 3) ^ s[(i + 2) % 4] ^ s[(i + 3) % 4] for i in range(4)]
            state = bytes(mixed)
        state = bytes(a ^ b for a, b in zip(state, round_key))
    return state


def ghash(h, data):
    """Bit 0 is the leftmost; the field's polynomial is x^128 + x^7 + x^2 + x + 1."""
    y, h = 0, int.from_bytes(h, "big")
    for i in range(0, len(data), 16):
        x, v, y = y ^ int.from_bytes(data[i : i + 16], "big"), h, 0
        for bit in range(127, -1, -1):
            if x >> bit & 1:
                y ^= v
            v = v >> 1 ^ (0xE1 << 120 if v & 1 else 0)
    return y.to_bytes(16, "big")


def gcm(key, nonce, text, associated):
    """The encrypted text, and the tag."""
    padded = lambda data: data + bytes(-len(data) % 16)
    stream = b"".join(aes_256(key, nonce + struct.pack(">I", n)) for n in range(2, 2 + len(padded(text)) // 16))
    cipher = bytes(a ^ b for a, b in zip(text, stream))
    lengths = struct.pack(">QQ", 8 * len(associated), 8 * len(cipher))
    hashed = ghash(aes_256(key, bytes(16)), padded(associated) + padded(cipher) + lengths)
    return cipher, bytes(a ^ b for a, b in zip(hashed, aes_256(key, nonce + struct.pack(">I", 1))))


def header(body):
    return struct.pack(">IBBH", len(body), 0, 1, 0)


def signed(secret, sequence, body):
    return header(body) + body + hmac.digest(secret, struct.pack(">Q", sequence) + header(body) + body, "sha256")[:16]


def expand(secret, label):
    return hmac.digest(secret, label.encode() + b"\x01", "sha256")


def sealed(secret, sequence, body, ratchets=0):
    for _ in range(ratchets):
        secret = expand(secret, "seal next")
    cipher, tag = gcm(expand(secret, "seal key"), struct.pack(">IQ", 0, sequence), body, header(body))
    return header(body) + cipher + tag


if __name__ == "__main__":
    # NIST's own: GCM test case 16 of McGrew and Viega.
    assert gcm(
        bytes.fromhex("feffe9928665731c6d6a8f9467308308" * 2), bytes.fromhex("cafebabefacedbaddecaf888"),
        bytes.fromhex("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525"
                      "b16aedf5aa0de657ba637b39"),
        bytes.fromhex("feedfacedeadbeeffeedfacedeadbeefabaddad2"),
    )[1].hex() == "76fc6ece0f4e1768cddf8853bb2d551b"
    secret = bytes(range(32))
    bodies = [b"", b"\0\0\0\5hello", bytes(range(100))]
    for sequence, body in enumerate(bodies):
        print("sign", sequence, signed(secret, sequence, body).hex())
    for sequence, body in enumerate(bodies):
        print("seal", sequence, sealed(secret, sequence, body).hex())
    for sequence in range(3):  # a new key with each frame
        print("ratchet", sequence, sealed(secret, sequence, b"hello", sequence).hex())
