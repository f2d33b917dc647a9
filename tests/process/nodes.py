"""Starts real cluster-node processes on loopback and talks to them with cluster-cli."""
import json
import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import time

COOKIE = "a cookie for tests only"
DEADLINE = 30.0  # seconds for whatever must happen soon, on a slow and busy machine


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(condition, what):
    end = time.monotonic() + DEADLINE
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"not within {DEADLINE:.0f} s: {what}")
        time.sleep(0.05)


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

    def run_cli(self, *arguments, stdin="", environment=None):
        with tempfile.TemporaryDirectory() as home:  # so that no ~/.cluster.cookie plays a part
            env = {"PATH": os.environ["PATH"], "HOME": home, **(environment or {})}
            done = subprocess.run([self.cli, *map(str, arguments)], input=stdin, capture_output=True, text=True,
                                  timeout=60, env=env)
        return Answer(done)


class Node:
    log_level = "warn"

    def __init__(self, programs, name, *options, port=None):
        self.programs, self.name = programs, name
        self.port = port or free_port()
        self.options = options
        self.process = None

    def start(self, errors=subprocess.DEVNULL):
        command = [self.programs.node, "-I", self.name, "-p", str(self.port), "-a", COOKIE, "--log-level",
                   self.log_level, *self.options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
        line = self.process.stdout.readline()
        assert " listens on " in line, f"{self.name} did not start: {line!r}"
        return self

    def cli(self, *arguments, stdin=""):
        return self.programs.run_cli("-p", self.port, "-a", COOKIE, *arguments, stdin=stdin)

    def ids(self):
        return {member["id"] for member in self.cli("nodes").data}

    def stop(self, how=signal.SIGTERM):
        """The exit code."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        code = self.process.wait(timeout=DEADLINE)
        self.process.stdout.close()
        return code
