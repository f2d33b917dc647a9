#!/usr/bin/env python3
"""vector_check_test.py VECTOR_CHECK VECTORS: a vector-check that finds no mismatch must have been able to.

Falsifies every kind of expected value once and demands exit code 1; then hands over malformed input and
demands exit code 2 and a sentence, never a crash.
"""
import copy
import json
import pathlib
import subprocess
import sys
import tempfile

PROGRAM, VECTORS = sys.argv[1], pathlib.Path(sys.argv[2])

# Per kind: paths to expected values in one case. "*" is the first element of a list that is not empty.
EXPECTED = {
    "chash_rings": ["state/rfactor", "state/size", "state/numberNodes", "state/weights/*/0", "state/weights/*/1",
                    "state/nodes/*/id", "state/nodes/*/host", "state/nodes/*/port", "state/nodes",
                    "state/tree/*/0", "state/tree/*/1", "state/tree/*/2", "state/tree/*/3", "state/tree", "find/*/1"],
    "chash_find": ["ids/*", "owner/*", "owner"],
    "chash_neighbors": ["queries/*/result"],
    "chash_ops": ["steps/*/after/rfactor", "steps/*/after/pfactor", "steps/*/after/size",
                  "steps/*/after/numberNodes", "steps/*/after/weights", "steps/*/after/nodes", "steps/*/after/tree",
                  "steps/*/find/*/1", "steps/*/get/1", "steps/*/get/2", "steps/*/equalsOther", "finalJSON/rfactor",
                  "finalJSON/pfactor", "finalJSON/tree/*/key", "finalJSON/tree/*/value/id",
                  "finalJSON/tree/*/value/host", "finalJSON/tree/*/value/port", "roundTripEquals"],
    "chash_equals": ["aEqualsB", "bEqualsA"],
    "vclock_ops": ["steps/*/counts", "steps/*/size", "steps/*/entries/*/0", "steps/*/entries/*/1",
                   "steps/*/entries/*/2", "steps/*/entries/*/3", "descends/*/*", "equals/*/*", "has/*/*"],
    "vclock_pairs": ["aDescendsB", "bDescendsA", "aEqualsB", "bEqualsA", "mergeAB/*/1", "mergeBA/*/3", "mergeAB"],
    "vclock_trim": ["kept/*", "kept", "size"],
}


def falsified(value):
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, str):  # a base64 key stays one, so that only the comparison can refuse it
        return ("B" if value[:1] == "A" else "A") + value[1:] if len(value) == 44 else value + "x"
    if value is None:
        return "x"
    if isinstance(value, list):
        return value[:-1] if value else ["x"]
    return {**value, "x": 1}


def falsify(value, path):
    """The value with one place changed, or None if it has no such place."""
    if not path:
        return falsified(value)
    head, rest = path[0], path[1:]
    keys = range(len(value)) if head == "*" else [int(head) if isinstance(value, list) else head]
    for key in keys:
        if isinstance(value, dict) and key not in value:
            continue
        inner = falsify(value[key], rest)
        if inner is not None:
            changed = copy.copy(value)
            changed[key] = inner
            return changed
    return None


def run(directory):
    done = subprocess.run([PROGRAM, str(directory)], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


failures = []


def demand(what, directory, code, *texts):
    got, output = run(directory)
    if got != code or any(text not in output for text in texts):
        failures.append(f"{what}: exit code {got}, expected {code} and {texts}:\n{output}")


with tempfile.TemporaryDirectory() as name:
    top = pathlib.Path(name)
    number = 0

    def directory_with(files):
        global number
        number += 1
        made = top / str(number)
        made.mkdir()
        for file, content in files.items():
            (made / file).write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        return made

    demand("the vectors as they are", VECTORS, 0, " 0 mismatches")
    for kind, paths in EXPECTED.items():
        content = json.loads((VECTORS / f"{kind}.json").read_text())
        for path in paths:
            steps = path.split("/")
            for case in content["cases"]:
                changed = falsify(case, steps)
                if changed is not None:
                    break
            else:
                sys.exit(f"{kind}: no case has {path}")
            made = directory_with({f"{kind}.json": {**content, "cases": [changed]}})
            demand(f"{kind}, falsified {path}", made, 1, f"{kind}.json, case ", "expected ")
    hashes = json.loads((VECTORS / "chash_find.json").read_text())
    hashes["hashes"][3] = falsified(hashes["hashes"][3])
    demand("a falsified hash", directory_with({"chash_find.json": hashes}), 1, "hash of ")

    demand("an empty folder", directory_with({}), 1, "0 checks, 0 mismatches")
    demand("no such folder", top / "none", 2, "none")
    demand("other files", directory_with({"README.md": b"x", "other_ops.json": b"x"}), 1, "0 checks, 0 mismatches")
    good = json.loads((VECTORS / "vclock_pairs.json").read_text())
    malformed = {
        "nothing": b"", "half": b'{"kind": "vclock_pairs", "cases": [{"a"', "list": b"[1]", "null": b"null",
        "not UTF-8": b'{"kind": "\xff"}', "deep": b"[" * 1_000_000, "unknown": b'{"kind": "vclock_x", "cases": []}',
        "no cases": b'{"kind": "vclock_pairs"}', "odd cases": b'{"kind": "vclock_pairs", "cases": [7]}',
        "odd entry": {**good, "cases": [{**good["cases"][0], "a": [["a", -1, 0, 0]]}]},
        "twice": {**good, "cases": [{**good["cases"][0], "a": [["a", 1, 0, 0], ["a", 2, 0, 0]]}]},
        "no id": {**good, "cases": [{**good["cases"][0], "a": [["", 1, 0, 0]]}]},
        "huge": {**good, "cases": [{**good["cases"][0], "a": [["a", 2**64, 0, 0]]}]},
        "field gone": {**good, "cases": [{"a": [], "b": []}]},
    }
    for what, content in malformed.items():
        demand(f"malformed, {what}", directory_with({"vclock_pairs.json": content}), 2, "vclock_pairs.json: ")
    demand("one malformed file beside a good one",
           directory_with({"vclock_ops.json": b"{", "vclock_pairs.json": good}), 2, " 0 mismatches", "vclock_ops.json: ")

    rings = json.loads((VECTORS / "chash_rings.json").read_text())
    for weight in (0, 65536):
        case = {**rings["cases"][0], "inserts": [{"id": "a", "host": "h", "port": 1, "weight": weight}]}
        demand(f"weight {weight}", directory_with({"chash_rings.json": {**rings, "cases": [case]}}), 1, "is refused")

for failure in failures:
    print(failure)
sys.exit(1 if failures else 0)
