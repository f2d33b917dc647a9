#!/usr/bin/env python3
"""Checks that the code in a README is the code that is built, and that its console sessions run as printed.

usage: check_readme.py README.md [BIN]

A block behind `<!-- file: PATH -->` must equal that file. With BIN, the folder of the programs that the
text calls build/bin, the blocks behind `<!-- transcript -->`
are run in one shell, from the folder of the README, in order: a line after `$ ` is typed, and what it prints must
be the lines below it, where a line `...` stands for any lines. A command that ends with `&` stays running until the
end.
"""
import os
import re
import signal
import subprocess
import sys
import tempfile
import time

BLOCK = re.compile(r"<!-- (file: (?P<path>\S+)|transcript) -->\n```\w*\n(?P<text>.*?)```", re.S)


def check_files(readme, root):
    faults = 0
    for block in BLOCK.finditer(readme):
        path = block["path"]
        if path is None:
            continue
        with open(os.path.join(root, path), encoding="utf-8") as file:
            if file.read() != block["text"]:
                print(f"the block of {path} differs from the file")
                faults += 1
    return faults


def commands(readme):
    """(command, expected output lines) of all transcript blocks."""
    found = []
    for block in BLOCK.finditer(readme):
        if block["path"] is not None:
            continue
        for line in block["text"].splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            elif found:
                found[-1][1].append(line)
    return found


def as_pattern(lines):
    return "\n".join(".*" if line == "..." else re.escape(line) for line in lines)


class Shell:
    """One bash that keeps its variables; background processes are its children and end with it."""

    def __init__(self, root):
        self.bash = subprocess.Popen(["bash", "--norc"], cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                     stderr=subprocess.STDOUT, text=True, start_new_session=True)

    def run(self, command, timeout=60):
        """What `command` prints. Background programs print into a file of their own."""
        if command.endswith("&"):
            log = tempfile.NamedTemporaryFile("r", prefix="transcript", suffix=".log")
            self.bash.stdin.write(f"{command[:-1]} >{log.name} 2>&1 &\necho ~done~\n")
            self.bash.stdin.flush()
            self.read()
            deadline = time.monotonic() + timeout
            while not log.read():  # its first line says that it listens
                if time.monotonic() > deadline:
                    raise SystemExit(f"no output within {timeout} s of: {command}")
                time.sleep(0.02)  # between two looks at the file, within the deadline
            return ""
        self.bash.stdin.write(f"{command}\necho ~done~\n")
        self.bash.stdin.flush()
        return self.read()

    def read(self):
        lines = []
        for line in self.bash.stdout:
            if line == "~done~\n":
                return "".join(lines)
            lines.append(line)
        raise SystemExit("the shell ended early: " + "".join(lines))

    def close(self):
        os.killpg(self.bash.pid, signal.SIGTERM)
        self.bash.wait(20)


def check_transcript(readme, root):
    faults = 0
    shell = Shell(root)
    try:
        for command, expected in commands(readme):
            printed = shell.run(command).rstrip("\n")
            if not re.fullmatch(as_pattern(expected), printed, re.S):
                print(f"$ {command}\n  printed : {printed}\n  README  : " + "\n".join(expected))
                faults += 1
    finally:
        shell.close()
    return faults


def main():
    path = sys.argv[1]
    root = os.path.dirname(os.path.abspath(path))
    with open(path, encoding="utf-8") as file:
        readme = file.read()
    if len(sys.argv) > 2:
        faults = check_transcript(readme.replace("build/bin/", sys.argv[2] + "/"), root)
    else:
        faults = check_files(readme, root)
    print("ok" if faults == 0 else f"{faults} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
