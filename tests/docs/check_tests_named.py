#!/usr/bin/env python3
"""Checks that the tests which a page names as proof exist. usage: check_tests_named.py PAGE BUILD_DIR

In each table whose last column is headed "Shown by", names in backquotes are tests; `prefix_*` stands for one test or
more. Paths are of files or folders that are there. What is neither, as a program or another page, is not looked at. Reads what CMake wrote for ctest: `ctest -N` would overwrite the log of the run that this is part of.
"""
import fnmatch
import pathlib
import re
import sys

page, build = sys.argv[1:]
tests = [name for file in pathlib.Path(build).rglob("CTestTestfile.cmake")
         for name in re.findall(r"^ *add_test\((?:\[=*\[)?([^\s\]]+)", file.read_text(encoding="utf-8"), re.MULTILINE)]
named, in_table = [], False
with open(page, encoding="utf-8") as lines:
    for line in lines:
        in_table = line.startswith("|") and (in_table or line.rstrip().endswith("| Shown by |"))
        if in_table:
            named += [name for name in re.findall(r"`([^`]+)`", line.rstrip(" |\n").rsplit("|", 1)[1])
                      if "/" in name or ("_" in name and "." not in name)]
top = pathlib.Path(__file__).resolve().parents[2]
missing = [name for name in named if not (any(top.glob(name)) if "/" in name else fnmatch.filter(tests, name))]
print(f"{len(named)} tests are named" + (f"; there is no {', '.join(missing)}" if missing else ""))
sys.exit(1 if missing or not named else 0)
