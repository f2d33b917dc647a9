"""The part of MessagePack that libcluster uses: no extensions, text keys in maps.

Python's str stands for text. A str that came as something else than UTF-8 keeps its bytes as lone surrogates
("surrogateescape"), so that it can be sent back unchanged.
"""

import struct

DEPTH_MAX = 64


def pack(value) -> bytes:
    if value is None:
        return b"\xc0"
    if isinstance(value, bool):
        return b"\xc3" if value else b"\xc2"
    if isinstance(value, int):
        return _pack_int(value)
    if isinstance(value, float):
        return struct.pack(">Bd", 0xCB, value)
    if isinstance(value, str):
        data = value.encode("utf-8", "surrogateescape")
        return _head(len(data), 0xA0, 31, (0xD9, 0xDA, 0xDB)) + data
    if isinstance(value, bytes):
        return _head(len(value), None, -1, (0xC4, 0xC5, 0xC6)) + value
    if isinstance(value, (list, tuple)):
        return _head(len(value), 0x90, 15, (None, 0xDC, 0xDD)) + b"".join(map(pack, value))
    if isinstance(value, dict):
        head = _head(len(value), 0x80, 15, (None, 0xDE, 0xDF))
        return head + b"".join(pack(key) + pack(item) for key, item in value.items())
    raise TypeError(f"no MessagePack for {type(value).__name__}")


def _pack_int(n: int) -> bytes:
    if -32 <= n < 128:
        return struct.pack(">b", n) if n < 0 else bytes([n])
    unsigned = ((0xCC, "B", 8), (0xCD, "H", 16), (0xCE, "I", 32), (0xCF, "Q", 64))
    signed = ((0xD0, "b", 7), (0xD1, "h", 15), (0xD2, "i", 31), (0xD3, "q", 63))
    for tag, code, bits in unsigned if n >= 0 else signed:
        if -(1 << bits) <= n < 1 << bits:
            return struct.pack(">B" + code, tag, n)
    raise OverflowError("an integer has at most 64 bits")


def _head(size: int, fix, fix_max: int, tags) -> bytes:
    if size <= fix_max:
        return bytes([fix | size])
    for tag, code, bits in zip(tags, "BHI", (8, 16, 32)):
        if tag is not None and size < 1 << bits:
            return struct.pack(">B" + code, tag, size)
    raise OverflowError("more than 2^32 - 1 bytes or elements")


def unpack(data: bytes):
    """The one value that `data` holds. ValueError for anything else."""
    value, at = _unpack(data, 0, 0)
    if at != len(data):
        raise ValueError(f"{len(data) - at} bytes after the value")
    return value


_NUMBERS = {0xCA: "f", 0xCB: "d", 0xCC: "B", 0xCD: "H", 0xCE: "I", 0xCF: "Q", 0xD0: "b", 0xD1: "h", 0xD2: "i", 0xD3: "q"}
_SIZES = {0xC4: "B", 0xC5: "H", 0xC6: "I", 0xD9: "B", 0xDA: "H", 0xDB: "I", 0xDC: "H", 0xDD: "I", 0xDE: "H", 0xDF: "I"}


def _take(data: bytes, at: int, code: str):
    size = struct.calcsize(">" + code)
    if at + size > len(data):
        raise ValueError("the input ends inside a value")
    return struct.unpack_from(">" + code, data, at)[0], at + size


def _unpack(data: bytes, at: int, depth: int):
    tag, at = _take(data, at, "B")
    if tag < 0x80:
        return tag, at
    if tag >= 0xE0:
        return tag - 0x100, at
    if tag in (0xC0, 0xC2, 0xC3):
        return {0xC0: None, 0xC2: False, 0xC3: True}[tag], at
    if tag in _NUMBERS:
        return _take(data, at, _NUMBERS[tag])
    if tag in _SIZES:
        size, at = _take(data, at, _SIZES[tag])
    elif tag < 0xC0:
        size = tag & (0x1F if tag >= 0xA0 else 0x0F)
    else:
        raise ValueError(f"unexpected tag {tag:02x}")
    if size > len(data) - at:  # each element takes a byte at least
        raise ValueError("the input ends inside a value")
    if 0xA0 <= tag < 0xC0 or 0xD9 <= tag <= 0xDB:
        return data[at : at + size].decode("utf-8", "surrogateescape"), at + size
    if 0xC4 <= tag <= 0xC6:
        return bytes(data[at : at + size]), at + size
    if depth == DEPTH_MAX:
        raise ValueError("nested too deeply")
    if 0x90 <= tag < 0xA0 or tag in (0xDC, 0xDD):
        items = []
        for _ in range(size):
            item, at = _unpack(data, at, depth + 1)
            items.append(item)
        return items, at
    members = {}
    for _ in range(size):
        key, at = _unpack(data, at, depth + 1)
        if not isinstance(key, str) or key in members:
            raise ValueError("a map's keys are text, each once")
        members[key], at = _unpack(data, at, depth + 1)
    return members, at
