#!/usr/bin/env python3
"""Compares the instruction counts of hot paths with stored ones.

usage: check.py PROGRAM [--update] [--tolerance 0.10]

PROGRAM is instruction-hot-paths. It runs under callgrind, which counts instructions and so gives the same figure
on a busy machine as on an idle one. expected.json beside this script holds, per compiler and processor, the counts of
one run of each path. Exit status: 0 within the tolerance, 1 more instructions than that, 77 not comparable here
(no valgrind, another compiler, other flags): ctest calls that skipped. --update writes the counts of this build.

Valgrind's processor has no SHA-NI and no AVX-512, and what else it has depends on the machine below it. So that the
counts do not, OpenSSL and glibc are told to use their SSSE3 and SSE2 code: the HMAC and SHA-256 counts are
those of slower code than a real run takes. They guard what surrounds it: blocks hashed, calls made, bytes copied.
"""
import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

SKIPPED = 77
EXPECTED = pathlib.Path(__file__).with_name("expected.json")
# Bits of CPUID that OpenSSL and glibc shall not see (OPENSSL_ia32cap(3), glibc tunables manual).
FIXED_PROCESSOR = {
    "OPENSSL_ia32cap": "~0x1800180000000000:~0xffffffffffffffff",  # no AVX, XOP, FMA, OSXSAVE; nothing of leaf 7
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX_Usable,-AVX2_Usable,-AVX2,-AVX512F,-AVX512VL,-AVX512BW,-ERMS,-FSRM,"
                      "-EVEX,-RTM,-MOVBE,-BMI1,-BMI2,-LZCNT,-POPCNT,-SSE4_2,-SSE4_1,-SSSE3",
}


def skip(why):
    print(f"skipped: {why}")
    sys.exit(SKIPPED)


def build_of(program):
    """What the program was built with, as a dict: compiler, flags, processor."""
    said = subprocess.run([program, "--build"], check=True, capture_output=True, text=True, timeout=60).stdout
    return json.loads(said)


def counts_of(program):
    """{path: instructions of one run}, from one run of the program under callgrind."""
    times = {}
    for line in subprocess.run([program, "--times"], check=True, capture_output=True, text=True,
                               timeout=60).stdout.splitlines():
        often, name = line.split(" ", 1)
        times[name] = int(often)
    with tempfile.TemporaryDirectory() as folder:
        run = subprocess.run(["valgrind", "--tool=callgrind", "--instr-atstart=no", "--dump-line=no",
                              f"--callgrind-out-file={folder}/out", program],
                             env=os.environ | FIXED_PROCESSOR, capture_output=True, text=True, timeout=240)
        if run.returncode != 0:
            sys.exit(f"valgrind ended with {run.returncode}:\n{run.stderr}")
        counted = {}
        for dump in pathlib.Path(folder).iterdir():
            text = dump.read_text(errors="replace")
            name = re.search(r"^desc: Trigger: Client Request: (.*)$", text, re.MULTILINE)
            total = re.search(r"^totals: (\d+)", text, re.MULTILINE)
            if name and total and name[1] in times:
                counted[name[1]] = int(total[1]) / times[name[1]]
    missing = sorted(set(times) - set(counted))
    if missing:
        sys.exit(f"callgrind gave no count of: {', '.join(missing)}")
    return {name: round(counted[name]) for name in times}


def compare(counted, expected, tolerance):
    """Prints a line a path; True if none takes more than it may."""
    fine = True
    for name, instructions in counted.items():
        stored = expected.get(name)
        if stored is None:
            verdict, fine = "NOT STORED: run with --update", False
        elif instructions > stored * (1 + tolerance):
            verdict, fine = f"TOO MANY: stored {stored}, tolerance {tolerance:.0%}", False
        elif instructions < stored * (1 - tolerance):
            verdict = f"fewer than the stored {stored}: --update keeps what was won"
        else:
            verdict = f"stored {stored}"
        print(f"{name:<48}{instructions:>12}   {verdict}")
    for name in expected.keys() - counted.keys():
        print(f"{name}: stored, and not measured any more: run with --update")
        fine = False
    return fine


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    options.add_argument("program")
    options.add_argument("--update", action="store_true", help="store the counts of this build")
    options.add_argument("--tolerance", type=float, help="with --update: the tolerance to store")
    given = options.parse_args()
    if not shutil.which("valgrind"):
        skip("valgrind is not installed")
    build = build_of(given.program)
    if build["sanitizer"]:
        skip(f"built with the {build['sanitizer']} sanitizer")
    stored = json.loads(EXPECTED.read_text()) if EXPECTED.exists() else {"tolerance": 0.10}
    if given.update:
        stored = {"tolerance": given.tolerance or stored["tolerance"], **build,
                  "instructions": counts_of(given.program)}
        EXPECTED.write_text(json.dumps(stored, indent=2) + "\n")
        print(f"stored {len(stored['instructions'])} counts in {EXPECTED}")
        return
    for what, is_now in build.items():
        if stored.get(what) != is_now:
            skip(f"{what} is '{is_now}', and the stored counts are of '{stored.get(what)}'")
    if not compare(counts_of(given.program), stored["instructions"], stored["tolerance"]):
        sys.exit(1)


if __name__ == "__main__":
    main()
