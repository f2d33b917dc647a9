#!/usr/bin/env python3
"""Plays attacker on a node's port; after each attack the node must answer an honest client at once.

usage: attacker.py NET_PROBE     (standard library only; loopback only)
"""
import os
import random
import select
import socket
import struct
import subprocess
import sys
import threading
import time

PROBE = sys.argv[1]
COOKIE = "the cookie of the probes"
random.seed(20)
failures = []


def check(what, good):
    print(("ok      " if good else "FAILED  ") + what, flush=True)
    if not good:
        failures.append(what)


class Node:
    def __init__(self, limit_files=None, level=()):
        prefix = ["prlimit", f"--nofile={limit_files}:{limit_files}"] if limit_files else []
        self.level = list(level)
        self.process = subprocess.Popen(
            prefix + [PROBE, *level, "serve", "victim", "0", "1"], stdout=subprocess.PIPE, text=True, stderr=subprocess.DEVNULL
        )
        self.port = int(self.process.stdout.readline().split()[1])
        self.drain = threading.Thread(target=self.process.stdout.read, daemon=True)
        self.drain.start()

    def alive(self):
        return self.process.poll() is None

    def resident_kib(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            return int(next(line for line in status if line.startswith("VmRSS")).split()[1])

    def cpu_seconds(self):
        with open(f"/proc/{self.process.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def answers(self, cookie=COOKIE):
        begun = time.monotonic()
        run = subprocess.run([PROBE, *self.level, "ping", "127.0.0.1", str(self.port), cookie], stdout=subprocess.PIPE, text=True,
                             stderr=subprocess.DEVNULL, timeout=30)
        return run.returncode, run.stdout.strip(), time.monotonic() - begun

    def honest(self, what):
        code, text, seconds = self.answers()
        check(f"{what}: the node answers ({seconds:.2f} s)", self.alive() and code == 0 and text == "pong" and seconds < 5)

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    def stop(self):
        self.process.kill()
        self.process.wait()


def closed_within(connection, seconds):
    connection.settimeout(seconds)
    try:
        while connection.recv(65536):
            pass
        return True
    except (TimeoutError, BlockingIOError):
        return False
    except OSError:
        return True


def hello(protections=b"\x01\x00", **change):
    """A HELLO record as docs/wire_format.md says."""
    field = dict(magic=b"lcluster", versions=b"\x01\x01", protections=protections, capabilities=b"\0\0\0\0",
                 wall=struct.pack(">Q", int(time.time() * 1e6)), nonce=os.urandom(32), key=os.urandom(32), role=b"\x00",
                 boot=os.urandom(16), id=b"\x03eve", ring=b"\x00", host=b"\x09127.0.0.1", port=b"\x00\x07")
    field.update(change)
    body = b"".join(field.values())
    return b"\x01" + struct.pack(">H", len(body)) + body


def is_greeted(connection):
    """Whether a HELLO is answered by one."""
    try:
        connection.sendall(hello())
        connection.settimeout(10)
        return connection.recv(1) == b"\x01"
    except OSError:
        return False


def garbage(node):
    pieces = [b'{"type":"message"}\f', b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00", b"\0" * 100_000,
              b"\xff" * 100_000, b"\x01\xff\xff", b"\x01\x00\x00", b"\n", hello()[:-1] + b"\xff" * 5000]
    pieces += [random.randbytes(random.randrange(1, 20_000)) for _ in range(200)]
    all_closed = True
    for piece in pieces:
        with node.connect() as connection:
            try:
                connection.sendall(piece)
                connection.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            all_closed = closed_within(connection, 10) and all_closed
    check("garbage: every such connection was closed", all_closed)
    node.honest("garbage")


def changed_hellos(node):
    changes = [dict(magic=b"lclusteR"), dict(versions=b"\x02\x09"), dict(versions=b"\x09\x02"), dict(protections=b"\x02\x00"),
               dict(protections=b"\x01\x09"), dict(wall=b"\xff" * 8), dict(wall=b"\0" * 8), dict(key=b"\0" * 32), dict(role=b"\x07"),
               dict(id=b"\x00"), dict(id=b"\xff" + b"i" * 20), dict(id=b"\x02\xff\xfe"), dict(id=b"\x02a\n"), dict(ring=b"\x01\x00"),
               dict(host=b"\x03a b"), dict(port=b"")]
    all_closed = True
    for change in changes:
        with node.connect() as connection:
            connection.sendall(hello(**change))
            connection.shutdown(socket.SHUT_WR)
            all_closed = closed_within(connection, 10) and all_closed
    original = hello()
    for bit in range(0, len(original) * 8, 7):
        flipped = bytearray(original)
        flipped[bit // 8] ^= 1 << bit % 8
        with node.connect() as connection:
            connection.sendall(flipped + b"\x02\x00\x20" + os.urandom(32))
            connection.shutdown(socket.SHUT_WR)
            all_closed = closed_within(connection, 10) and all_closed
    check("changed HELLOs: every such connection was closed", all_closed)
    node.honest("changed HELLOs")


def wrong_cookie(node):
    code, text, seconds = node.answers("not the cookie at all")
    check(f"wrong cookie: refused with one clear line in {seconds:.2f} s: {text}",
          code == 3 and text == "wrong_cookie: the cookies differ" and seconds < 5)
    with node.connect() as connection:
        offered = b"\x02\x01" if node.level else b"\x01\x00"
        connection.sendall(hello(offered) + b"\x02\x00\x20" + os.urandom(32))
        record = connection.recv(4096)
        said = record
        while True:
            record = connection.recv(4096)
            if not record:
                break
            said += record
    kind = said[3 + struct.unpack(">H", said[1:3])[0]]
    check("wrong cookie: a guessed proof earns a refusal that is not keyed", kind == 4)
    node.honest("wrong cookie")


def slow_loris(node):
    slow = [node.connect() for _ in range(50)]
    begun = time.monotonic()
    record = hello()
    for i in range(len(record)):
        for connection in slow:
            try:
                connection.send(record[i : i + 1])
            except OSError:
                pass
        if i == 10:
            node.honest("slow loris, meanwhile")
        if time.monotonic() - begun > 6.5:
            break
        time.sleep(0.1)
    check("slow loris: closed after the handshake's 5 s", all(closed_within(connection, 3) for connection in slow))
    for connection in slow:
        connection.close()


def half_open_flood(node):
    before = node.resident_kib()
    flood = []
    for _ in range(3000):
        try:
            flood.append(node.connect())
        except OSError:
            break
    grown = node.resident_kib() - before
    check(f"half-open flood of {len(flood)}: memory grows by {grown} KiB", grown < 60_000)
    node.honest("half-open flood")
    closed = sum(1 for connection in flood if closed_within(connection, 0.0))
    check(f"half-open flood: the oldest {closed} were evicted", closed >= len(flood) - 1024 - 1)
    for connection in flood:
        connection.close()


class Recorder:
    """Stands between an honest client and the node."""

    def __init__(self, node, change=lambda piece: piece):
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        self.node, self.change, self.sent = node, change, b""
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        client, _ = self.listening.accept()
        server = self.node.connect()
        while True:
            for ready in select.select([client, server], [], [])[0]:
                try:
                    piece = ready.recv(65536)
                except OSError:
                    piece = b""
                if not piece:
                    client.close()
                    server.close()
                    return
                try:
                    if ready is client:
                        self.sent += piece
                        server.sendall(self.change(piece))
                    else:
                        client.sendall(piece)
                except OSError:
                    pass

    def ping(self, level=None):
        level = self.node.level if level is None else level
        run = subprocess.run([PROBE, *level, "ping", "127.0.0.1", str(self.port), COOKIE], stdout=subprocess.PIPE, text=True,
                             stderr=subprocess.DEVNULL, timeout=30)
        return run.returncode, run.stdout.strip()


def replay(node):
    recorder = Recorder(node)
    check("replay: the recorded exchange was a good one", recorder.ping() == (0, "pong"))
    all_closed = True
    for _ in range(5):
        with node.connect() as connection:
            connection.sendall(recorder.sent)
            said = b""
            try:
                while piece := connection.recv(65536):
                    said += piece
            except OSError:
                pass
            kinds = said[3 + struct.unpack(">H", said[1:3])[0] :][:1]
            all_closed = all_closed and kinds == b"\x04"  # HELLO, then REFUSED; no verdict, no frame
    check("replay: a recorded connection is refused at its proof", all_closed)
    node.honest("replay")


def flipped_on_the_way(node):
    # HELLO 1, PROOF 35 bytes, then the frame: each byte of a connection altered in turn, some of them.
    good = Recorder(node)
    good.ping()
    refused = 0
    positions = random.sample(range(len(good.sent)), 40)
    for position in positions:
        seen = [0]

        def change(piece, seen=seen, position=position):
            begin = seen[0]
            seen[0] += len(piece)
            if begin <= position < seen[0]:
                piece = bytearray(piece)
                piece[position - begin] ^= 1 << random.randrange(8)
            return bytes(piece)

        code, text = Recorder(node, change).ping()
        refused += code != 0
    check(f"flipped bits: {refused} of {len(positions)} altered connections failed", refused == len(positions))
    node.honest("flipped bits")


PROTECTIONS_AT = 3 + 10  # in a HELLO record: the levels offered, then the least that is accepted


def seen_on_the_way(node):
    text = b"are you there?"  # what the probe sends
    recorder = Recorder(node)
    check("wire tap: the exchange was a good one", recorder.ping() == (0, "pong"))
    sealed = node.level != []
    check(f"wire tap: the text is {'not ' if sealed else ''}seen", (text in recorder.sent) != sealed)


def talked_down():
    """Somebody on the way changes what a HELLO says of levels; neither side may then talk in the clear."""
    strict = Node(level=["--seal"])
    code, text = Recorder(strict).ping(level=[])
    check(f"talked down: who only signs is refused by who seals, with the reason: {text}",
          code == 3 and text.startswith("incompatible: no common protection level") and "no less than seal" in text)
    plain = Node()
    code, text = Recorder(plain).ping(level=["--seal"])
    check(f"talked down: who seals is refused by who only signs: {text}", code == 3 and "no less than seal" in text)
    for what, levels in (("takes sealing out of the offer", b"\1\0"), ("adds signing to it", b"\3\0"),
                         ("lowers the least that is accepted", b"\2\0")):
        for node, level in ((strict, ["--seal"]), (strict, []), (plain, ["--seal"])):
            def change(piece, levels=levels, hello_seen=[]):  # its own: an earlier recorder may still run
                if not hello_seen:
                    hello_seen.append(True)
                    piece = piece[:PROTECTIONS_AT] + levels + piece[PROTECTIONS_AT + 2 :]
                return piece

            recorder = Recorder(node, change)
            code, text = recorder.ping(level)
            check(f"talked down: somebody {what} ({level} to {node.level}): {text}",
                  code == 3 and b"are you there?" not in recorder.sent)
    strict.honest("talked down")
    strict.stop()
    plain.stop()


def out_of_descriptors():
    node = Node(limit_files=100)
    flood = []
    for _ in range(400):
        try:
            flood.append(node.connect())
        except OSError:
            break
    time.sleep(0.3)
    before = node.cpu_seconds()
    time.sleep(1)
    used = node.cpu_seconds() - before
    check(f"out of descriptors: the node lives and does not spin ({used:.2f} s CPU in 1 s)", node.alive() and used < 0.5)
    node.honest("out of descriptors")
    newcomers = [node.connect() for _ in range(30)]
    check("out of descriptors: the newest connection is never the one that goes", all(map(is_greeted, newcomers)))
    for connection in flood + newcomers:
        connection.close()
    node.honest("out of descriptors, afterwards")
    node.stop()


node = Node()
sealed = Node(level=["--seal"])
try:
    node.honest("at first")
    for attack in (garbage, changed_hellos, wrong_cookie, slow_loris, half_open_flood, replay, flipped_on_the_way,
                   seen_on_the_way):
        attack(node)
    for attack in (wrong_cookie, replay, flipped_on_the_way, seen_on_the_way):
        print(f"-- {attack.__name__}, sealed")
        attack(sealed)
    talked_down()
    before = node.cpu_seconds()
    time.sleep(1)
    idle = node.cpu_seconds() - before
    check(f"at last: the node is idle ({idle:.2f} s CPU in 1 s) and holds {node.resident_kib()} KiB",
          idle < 0.2 and node.resident_kib() < 200_000)
    out_of_descriptors()
finally:
    node.stop()
    sealed.stop()
sys.exit(1 if failures else 0)
