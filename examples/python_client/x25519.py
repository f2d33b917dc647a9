"""X25519 (RFC 7748 section 5) in plain Python.

Python's integers do not run in constant time, so a watcher of this machine's clock could learn about the secret; the
secret lives for one handshake only.
"""

import os

P = 2**255 - 19
A24 = 121665


def x25519(scalar: bytes, u_coordinate: bytes) -> bytes:
    """The shared point's u coordinate, 32 bytes."""
    k = int.from_bytes(scalar, "little")
    k = k & ~7 & ~(1 << 255) | 1 << 254
    x1 = int.from_bytes(u_coordinate, "little") & (1 << 255) - 1
    x2, z2, x3, z3, swap = 1, 0, x1, 1, 0
    for t in reversed(range(255)):
        bit = k >> t & 1
        if swap ^ bit:
            x2, x3, z2, z3 = x3, x2, z3, z2
        swap = bit
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        da, cb, aa, bb = d * a % P, c * b % P, a * a % P, b * b % P
        e = aa - bb
        x3, z3 = (da + cb) ** 2 % P, x1 * (da - cb) ** 2 % P
        x2, z2 = aa * bb % P, e * (aa + A24 * e) % P
    if swap:
        x2, z2 = x3, z3
    return (x2 * pow(z2, P - 2, P) % P).to_bytes(32, "little")


def generate() -> tuple[bytes, bytes]:
    """A fresh secret and its public key."""
    secret = os.urandom(32)
    return secret, x25519(secret, (9).to_bytes(32, "little"))
