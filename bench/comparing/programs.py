"""The programs that are compared, and how one run of one workload gives its figures.

A program never outlives its run: it gets a session of its own, which is ended when its time is over, when this process is
interrupted, and (by the kernel) when this process is killed.
"""
import ctypes
import dataclasses
import json
import os
import pathlib
import signal
import subprocess

OURS = "libcluster"
QUICK_SCALE = "0.01"
SECONDS_MAX = 400
SECONDS_MAX_ALONE = 400
RUNS_ALONE = 3
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36


@dataclasses.dataclass(frozen=True)
class Figure:
    """One value that a run gave."""
    peer: str
    workload: str
    metric: str
    unit: str
    value: float


@dataclasses.dataclass(frozen=True)
class Program:
    group: str  # what --only chooses by
    path: str  # relative to the folder of the programs
    package: str  # the Debian package that it needs; empty for ours
    workloads: tuple[str, ...]
    peer: str = ""  # ours alone: the name of its figures
    options: tuple[str, ...] = ()

    def command(self, folder, workload, quick):
        if self.peer:
            return [str(folder / self.path), "--json", "--workload", workload, "--runs", "1", *self.options,
                    *(["--quick"] if quick else [])]
        return [str(folder / self.path), workload, *([QUICK_SCALE] if quick else [])]

    def figures(self, output, workload):
        """The figures in what a run printed. `chash` and such of ours have names of their own and are left out."""
        if self.peer:
            return [Figure(self.peer, one["workload"], one["metric"], one["unit"], float(one["median"]))
                    for one in json.loads(output) if one["workload"] == workload]
        lines = [line.split("\t") for line in output.splitlines() if line.startswith("RES\t")]
        return [Figure(peer, in_workload, metric, unit, float(value)) for _, peer, in_workload, metric, unit, value in lines]


COMPARED = ("W1", "W2", "W3", "W4", "W5", "W6", "thread-call", "callers", "sizes")  # what ours and peers share
WORKLOADS = (*COMPARED, "crypto", "chash")  # the last two: bounds of single operations
KV = ("kv-ring", "kv-node")
RARE = ("detect", "pause", "join", *KV)  # run only if they are named
MEMBERSHIP = ("detect", "pause", "join", "idle")
REMOTE = ("W3", "W4", "W5", "callers", "sizes")
PROGRAMS = (
    Program("ours", "cluster-bench", "", (*COMPARED, *MEMBERSHIP, *KV), OURS),
    Program("sealed", "cluster-bench", "", ("W5", "sizes"), f"{OURS}, sealed", ("--protection", "seal")),
    Program("erlang", "peers/erlang-peer", "erlang-base", ("W1", "W2", *REMOTE, "W6")),
    Program("caf", "peers/caf-peer", "libcaf-dev", ("W1", "W2", *REMOTE, "W6", "thread-call")),
    Program("zmq", "peers/zmq-peer", "libzmq3-dev", REMOTE),
    Program("memberlist", "peers/memberlist-peer", "golang-github-hashicorp-memberlist-dev", MEMBERSHIP),
    Program("etcd", "peers/etcd-peer", "etcd-server, golang-etcd-server-dev", ("kv-ring",)),
    Program("redis", "peers/redis-peer", "redis-server", ("kv-node",)),
    Program("raw", "peers/raw-tcp", "libssl-dev", REMOTE),
    Program("raw", "peers/raw-local", "g++", ("W1", "W2", "thread-call")),
    Program("raw", "peers/raw-crypto", "libssl-dev", ("crypto",)),
    Program("raw", "peers/raw-chash", "libxxhash-dev", ("chash",)),
)


def known_workloads(program, folder):
    """Those of its workloads that this build of the program has: ours can say, a peer's are what is stated here."""
    if not program.peer:
        return program.workloads
    listed = our_workloads(folder)
    return tuple(name for name in program.workloads if not listed or name in listed)


def our_workloads(folder):
    """What cluster-bench lists; nothing if it does not run."""
    try:
        listed = subprocess.run([pathlib.Path(folder) / "cluster-bench", "--list"], stdin=subprocess.DEVNULL,
                                capture_output=True, text=True, timeout=60, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(line.split()[0] for line in listed.splitlines() if line.split())


class Failed(Exception):
    """A run that gave no figures; its text says why."""


def adopt_orphans():
    """Lets the children of programs that were killed become ours, so that `reap_orphans` can wait for them."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


def reap_orphans():
    try:
        while os.waitpid(-1, os.WNOHANG)[0] != 0:
            pass
    except ChildProcessError:
        pass


def run(program, folder, workload, quick=False, seconds_max=SECONDS_MAX):
    """The figures of one run. Raises Failed."""
    output = _output(program.command(pathlib.Path(folder), workload, quick), seconds_max)
    return _read(lambda: program.figures(output, workload))


def run_alone(folder, workload, runs, quick=False, seconds_max=SECONDS_MAX_ALONE):
    """A workload that ours alone has: (least, median, greatest) as three figures of each metric. Raises Failed."""
    command = [str(pathlib.Path(folder) / "cluster-bench"), "--json", "--workload", workload, "--runs", str(runs),
               *(["--quick"] if quick else [])]
    output = _output(command, seconds_max)
    return _read(lambda: [tuple(Figure(OURS, one["workload"], one["metric"], one["unit"], float(one[which]))
                                for which in ("min", "median", "max")) for one in json.loads(output)])


def _read(parse):
    try:
        figures = parse()
    except (ValueError, KeyError, TypeError) as error:
        raise Failed(f"printed what cannot be read: {error!r}") from error
    if not figures:
        raise Failed("printed no figure")
    return figures


def _output(command, seconds_max):
    """What a command prints. Raises Failed."""
    def die_with_parent():
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)

    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               text=True, start_new_session=True, preexec_fn=die_with_parent)
    try:
        output, errors = process.communicate(timeout=seconds_max)
    except subprocess.TimeoutExpired:
        raise Failed(f"no end after {seconds_max} s") from None
    finally:
        _end(process)
    if process.returncode != 0:
        raise Failed(f"ended with {process.returncode}: {' / '.join(errors.strip().splitlines()[-2:]) or 'no word'}")
    return output


def _end(process):
    """Asks the program to end, then ends its session. Nothing to do for one that ended by itself."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            pass
    try:
        os.killpg(process.pid, signal.SIGKILL)  # the session's number stays taken while somebody is in it
    except ProcessLookupError:
        pass
    process.communicate()
    reap_orphans()
