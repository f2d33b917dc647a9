"""Chord's ring by its definition, and whether real nodes that serve HTTP have it."""
import hashlib


def place(text):
    return int.from_bytes(hashlib.sha1(text.encode()).digest(), "big")


def owner(names, target):
    """The first node at or after the target, clockwise."""
    ring = sorted(names, key=place)
    return next((name for name in ring if place(name) >= target), ring[0])


def neighbours(names, name, listed):
    """The predecessor of `name`, and its list of successors."""
    ring = sorted(names, key=place)
    at = ring.index(name)
    return ring[at - 1], (ring[at + 1:] + ring[:at])[:listed]


def are_fingers_of(name, names, rows):
    """Whether these rows of `chord fingers` are the fingers of `name`."""
    held = {}
    for row in rows:
        first, _, last = row["finger"].partition("-")
        for i in range(int(first), int(last or first) + 1):
            held[i] = row["id"]
    return all(held.get(i, name) == owner(names, (place(name) + 2 ** (i - 1)) % 2 ** 160) for i in range(1, 161))


def are_neighbours_right(nodes, listed=8):
    names = {node.name for node in nodes}
    for node in nodes:
        predecessor, successors = neighbours(names, node.name, listed)
        if [row["id"] for row in node.get("/v1/chord/successors").data] != successors:
            return False
        if node.get("/v1/chord").data["predecessor"] != predecessor:
            return False
    return True


def are_fingers_right(nodes):
    names = {node.name for node in nodes}
    return all(are_fingers_of(node.name, names, node.get("/v1/chord/fingers").data) for node in nodes)
