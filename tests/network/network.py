"""A network of its own for a test: one network namespace a host, joined by bridges that the test may cut.

Everything lives in namespaces of the test's process (network, mounts, processes): nothing of the machine
changes, names cannot clash, and the kernel clears it all away however the test ends.
"""
import ctypes
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

SKIPPED = 77  # the exit code that tells ctest so
INSIDE = "CLUSTER_TEST_NETWORK"
PR_SET_PDEATHSIG, SIGKILL = 1, 9


def skip(why):
    print(f"skipped: {why}", flush=True)
    sys.exit(SKIPPED)


def enter():
    """Goes on inside namespaces of our own; where that is not allowed, says so and ends the program."""
    if os.environ.get(INSIDE):
        if (failed := attempt("mount", "-t", "tmpfs", "tmpfs", "/run")) or (failed := attempt("ip", "link", "set", "lo", "up")):
            skip(f"no network of our own: {failed}")
        return
    own = ["unshare", *([] if os.geteuid() == 0 else ["--map-root-user"]), "--net", "--mount", "--pid", "--fork",
           "--kill-child", "--mount-proc"]
    if failed := attempt(*own, "ip", "link", "add", "probe", "type", "bridge"):
        skip(f"no network namespaces here: {failed}")
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, SIGKILL)  # do not outlive who started the test
    os.execvpe(own[0], [*own, sys.executable, "-B", *sys.argv], {**os.environ, INSIDE: "1"})


def attempt(*command):
    """Why the command cannot be run; empty if it did."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    except OSError as error:
        return str(error)
    return (done.stderr.strip() or f"{command[0]} failed") if done.returncode else ""


def run(*command):
    if failed := attempt(*command):
        raise AssertionError(f"{' '.join(command)}: {failed}")


class Host:
    """A namespace whose `eth0` leads to the network's bridge, and a hosts file of its own."""

    def __init__(self, network, name, address):
        self.network, self.name, self.wire = network, name, f"wire-{name}"
        self.hosts = network.folder / f"hosts-{name}"
        run("ip", "netns", "add", name)
        run("ip", "link", "add", self.wire, "type", "veth", "peer", "name", "eth0", "netns", name)
        self.ip("link", "set", "lo", "up")
        self.address = None
        self.move_to(address)
        run("ip", "link", "set", self.wire, "up")

    def ip(self, *words):
        run("ip", "-n", self.name, *words)

    def move_to(self, address):
        """Another address; nobody is told."""
        if self.address:
            self.ip("address", "flush", "dev", "eth0", "scope", "global")
        self.address = address
        self.ip("address", "add", address + ("/64" if ":" in address else "/24"), "dev", "eth0",
                *(["nodad"] if ":" in address else []))
        self.ip("link", "set", "eth0", "up")

    @property
    def inside(self):
        """What to put before a command for it to run on this host."""
        return ("ip", "netns", "exec", self.name, "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"', str(self.hosts))


class Network:
    """Hosts that reach each other by name, until the test cuts or spoils their wires."""

    def __init__(self, names, *, version=4):
        self.scratch = tempfile.TemporaryDirectory(dir="/run")  # ours alone
        self.folder = pathlib.Path(self.scratch.name)
        self.weather, self.taps = None, []
        self.bridges = []
        address = {4: "10.77.0.{:d}", 6: "fd77::{:x}"}[version]
        self.hosts = {name: Host(self, name, address.format(i)) for i, name in enumerate(names, 1)}
        self.publish_names()
        self.heal()

    def publish_names(self):
        """Tells each host where each name is now."""
        lines = "".join(f"{host.address} {host.name}\n" for host in self.hosts.values())
        for host in self.hosts.values():
            host.hosts.write_text(lines)  # in place: the file is mounted

    def heal(self):
        """All wires are sound, and end at one bridge."""
        self.clear_weather()
        self.split(list(self.hosts))

    def split(self, *groups):
        """Only within each group frames get through. No cable is seen to be pulled: what is sent elsewhere vanishes.
        A host in no group reaches nobody."""
        self.remove_bridges()
        for number, names in enumerate(groups):
            bridge = self.add_bridge(f"bridge{number}")
            for name in names:
                run("ip", "link", "set", self.hosts[name].wire, "master", bridge)

    def set_weather(self, *, loss=0.0, delay=0.0, seed=1):
        """From now on a frame is lost with this chance, and takes this many seconds (each way)."""
        self.clear_weather()
        self.remove_bridges()
        self.taps = []
        for host in self.hosts.values():
            tap = f"tap-{host.name}"
            if failed := attempt("ip", "tuntap", "add", tap, "mode", "tap"):
                raise unittest.SkipTest(f"no TAP devices to spoil the network with: {failed}")
            self.taps.append(tap)
            bridge = self.add_bridge(f"to-{host.name}")
            run("ip", "link", "set", tap, "master", bridge, "up")
            run("ip", "link", "set", host.wire, "master", bridge)
        switch = pathlib.Path(__file__).with_name("switch.py")
        self.weather = subprocess.Popen([sys.executable, "-B", str(switch), str(loss), str(delay), str(seed), *self.taps],
                                        stdout=subprocess.PIPE, text=True)
        assert self.weather.stdout.readline() == "ready\n", "the switch did not start"

    def clear_weather(self):
        if self.weather:
            self.weather.kill()
            self.weather.wait()
            self.weather.stdout.close()
            self.weather = None
        while self.taps:
            run("ip", "link", "delete", self.taps.pop())

    def add_bridge(self, name):
        run("ip", "link", "add", name, "type", "bridge", "mcast_snooping", "0")
        run("ip", "link", "set", name, "up")
        self.bridges.append(name)
        return name

    def remove_bridges(self):
        while self.bridges:
            run("ip", "link", "delete", self.bridges.pop())

    def close(self):
        self.clear_weather()
        self.remove_bridges()
        for host in self.hosts.values():
            run("ip", "link", "delete", host.wire)  # here, as connections that nobody ended may keep the namespace a while
            run("ip", "netns", "delete", host.name)
        self.scratch.cleanup()
