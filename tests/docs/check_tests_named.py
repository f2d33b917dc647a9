#!/usr/bin/env python3
"""Checks that the tests which a page names as proof exist. usage: check_tests_named.py PAGE CTEST BUILD_DIR

In each table whose last column is headed "Shown by", names in backquotes are tests, but for paths and files; `prefix_*`
stands for one test or more.
"""
import fnmatch
import re
import subprocess
import sys

page, ctest, build = sys.argv[1:]
listed = subprocess.run([ctest, "--test-dir", build, "-N"], capture_output=True, text=True, check=True).stdout
tests = re.findall(r"Test +#\d+: (\S+)", listed)
named, in_table = [], False
with open(page, encoding="utf-8") as lines:
    for line in lines:
        in_table = line.startswith("|") and (in_table or line.rstrip().endswith("| Shown by |"))
        if in_table:
            named += [name for name in re.findall(r"`([^`]+)`", line.rstrip(" |\n").rsplit("|", 1)[1])
                      if "/" not in name and "." not in name]
missing = [name for name in named if not fnmatch.filter(tests, name)]
print(f"{len(named)} tests are named" + (f"; there is no {', '.join(missing)}" if missing else ""))
sys.exit(1 if missing or not named else 0)
