"""Ports of loopback for nodes that start later, or again where they were: nobody else comes to have one meanwhile.

They are below those that the system gives to outgoing connections, in blocks, as tests/support/ports.hpp has them:
who holds the first port of a block has the rest of it for itself."""
import random
import socket

FIRST, BLOCK, BLOCKS = 10_000, 100, 220


def bound(port):
    """A socket that holds `port`, or None."""
    holder = socket.socket()
    try:
        holder.bind(("127.0.0.1", port))
        return holder
    except OSError:
        holder.close()
        return None


def free_ports():
    held = []  # until the process ends
    for block in random.sample(range(BLOCKS), BLOCKS):
        first = FIRST + block * BLOCK
        if not (holder := bound(first)):
            continue
        held.append(holder)
        for port in range(first + 1, first + BLOCK):
            if probe := bound(port):
                probe.close()
                yield port
    raise OSError("no free port on loopback")


ports = free_ports()


def free_port():
    """Each call gives another one."""
    return next(ports)
