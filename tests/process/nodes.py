"""Starts real cluster-node processes on loopback and talks to them with cluster-cli."""
import json
import os
import pathlib
import signal
import subprocess
import tempfile
import threading
import time

from ports import free_port

COOKIE = "a cookie for tests only"
DEADLINE = 30.0  # seconds for whatever must happen soon, on a slow and busy machine


def wait_until(condition, what, deadline=DEADLINE):
    end = time.monotonic() + deadline
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"not within {deadline:.0f} s: {what}")
        time.sleep(0.05)


def pause(process):
    """SIGSTOP, and waits until it has reached each thread: the others may go on until the first has run."""
    os.kill(process.pid, signal.SIGSTOP)

    def has_stopped(thread):
        return pathlib.Path(f"/proc/{process.pid}/task/{thread}/stat").read_text().rsplit(")", 1)[1].split()[0] == "T"

    wait_until(lambda: all(map(has_stopped, os.listdir(f"/proc/{process.pid}/task"))), "the process has stopped")


class Answer:
    """What one run of cluster-cli gave."""

    def __init__(self, done):
        self.code = done.returncode
        self.out = done.stdout
        self.err = done.stderr

    @property
    def reply(self):
        return json.loads(self.out)

    @property
    def data(self):
        assert self.reply["ok"], self.out
        return self.reply["data"]


class Programs:
    def __init__(self, bin_dir):
        self.node = str(pathlib.Path(bin_dir) / "cluster-node")
        self.cli = str(pathlib.Path(bin_dir) / "cluster-cli")

    def run_cli(self, *arguments, stdin="", environment=None, inside=()):
        with tempfile.TemporaryDirectory() as home:  # so that no ~/.cluster.cookie plays a part
            env = {"PATH": os.environ["PATH"], "HOME": home, **(environment or {})}
            done = subprocess.run([*inside, self.cli, *map(str, arguments)], input=stdin, capture_output=True, text=True,
                                  timeout=60, env=env)
        return Answer(done)


class Node:
    """`inside`: the words before a command that make it run where the node shall run, which is then host `host`."""

    log_level = "warn"

    def __init__(self, programs, name, *options, port=None, host="localhost", inside=()):
        self.programs, self.name, self.host, self.inside = programs, name, host, inside
        self.port = port or free_port()
        self.options = options
        self.process = None

    def start(self, errors=subprocess.DEVNULL):
        command = [*self.inside, self.programs.node, "-I", self.name, "-H", self.host, "-p", str(self.port), "-a", COOKIE,
                   "--log-level", self.log_level, *self.options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
        line = self.process.stdout.readline()
        assert " listens on " in line, f"{self.name} did not start: {line!r}"
        return self

    def cli(self, *arguments, stdin=""):
        return self.programs.run_cli("-H", self.host, "-p", self.port, "-a", COOKIE, *arguments, stdin=stdin,
                                     inside=self.inside)

    def ids(self):
        return {member["id"] for member in self.cli("nodes").data}

    def kill(self):
        """Ends it if it runs, even while it is paused."""
        if self.process.poll() is None:
            self.stop(signal.SIGKILL)

    def stop(self, how=signal.SIGTERM):
        """The exit code."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        code = self.process.wait(timeout=DEADLINE)
        self.process.stdout.close()
        return code

    def states(self):
        """What this node holds of each member: alive, suspect, unreachable ..."""
        return {member["id"]: member["state"] for member in self.cli("members").data}


class Follower:
    """What `cluster-cli events --follow` prints for a node, as it comes."""

    def __init__(self, node):
        self.name = node.name
        self.lines = []
        self.process = subprocess.Popen([*node.inside, node.programs.cli, "-H", node.host, "-p", str(node.port), "-a", COOKIE,
                                         "events", "--follow"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        for line in self.process.stdout:
            self.lines.append(json.loads(line))

    def states(self, name, since=0.0):
        """What the followed node held of member `name`, in order, from `since` on (seconds since 1970)."""
        return [event["state"] for event in list(self.lines)
                if event.get("id") == name and "state" in event and event["time_ms"] / 1000 >= since]

    def time_of(self, name, state, since=0.0):
        """When member `name` was first in this state after `since`, in seconds since 1970; None: not yet."""
        times = (event["time_ms"] / 1000 for event in list(self.lines)
                 if event.get("id") == name and event.get("state") == state)
        return next((time for time in times if time >= since), None)

    def close(self):
        self.process.kill()
        self.process.wait()
        self.thread.join()
        self.process.stdout.close()


def follow(test, nodes):
    """The events of each node from now on; they end with the test."""
    followers = [Follower(node) for node in nodes]
    for follower in followers:
        test.addCleanup(follower.close)
        wait_until(lambda: follower.lines, f"the events of {follower.name}")
    return followers


def read_all(link):
    """What comes over a socket until the other end closes it."""
    received = b""
    while True:
        try:
            piece = link.recv(65536)
        except ConnectionResetError:
            return received
        if not piece:
            return received
        received += piece
