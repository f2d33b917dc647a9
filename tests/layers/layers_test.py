#!/usr/bin/env python3
"""layers_test.py SOURCE INCLUDE_DIRS COMPILER: the arrows between layers hold, and both who hold them notice.

1. No file of the tree breaks a rule of check_layers.py.
2. Each of the includes planted below, in a copy of the tree, is found, and nothing else.
3. The compiler, given the include folders of a layer (INCLUDE_DIRS has a line "layer|folder;folder..." for
   each), finds the headers of that layer and those below it, and of no other.
4. Each public header of the library is in a list of headers, by which it is installed.
"""
import pathlib
import shutil
import subprocess
import sys
import tempfile

from check_layers import BELOW, findings

SOURCE, INCLUDE_DIRS, COMPILER = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]
failures = []

count, found = findings(SOURCE)
failures += found
if count < 40:
    failures.append(f"only {count} files were looked at")

# (file, line to plant, what the finding must say)
PLANTED = [
    ("libcluster/include/cluster/base/planted.hpp", '#include "cluster/crypto/sha256.hpp"', "base may not include layer crypto"),
    ("libcluster/src/ds/planted.cpp", '#include "cluster/wire/codec.hpp"', "ds may not include layer wire"),
    ("libcluster/src/ds/planted.cpp", '#include <cluster/runtime/engine.hpp>', "ds may not include layer runtime"),
    ("libcluster/src/proto/planted.cpp", ' # include "cluster/net/net_kernel.hpp"', "proto may not include layer net"),
    ("libcluster/src/net/planted.cpp", '#include "cluster/sim/simulator.hpp"', "net may not include layer sim"),
    ("libcluster/src/sim/planted.cpp", '#include "cluster/net/net_kernel.hpp"', "sim may not include layer net"),
    ("libcluster/src/runtime/planted.cpp", '#include "cluster/node/node.hpp"', "runtime may not include layer node"),
    ("actors/node/planted.cpp", '#include "cluster/sim/simulator.hpp"', "node may not include layer sim"),
    ("libcluster/src/wire/planted.cpp", '#include "cluster/nonsense/x.hpp"', "'nonsense' is not a layer"),
    ("libcluster/src/planted/planted.cpp", '#include "cluster/base/bytes.hpp"', "the folder is not a layer"),
    ("actors/kv/planted.cpp", '#include "cluster/sim/simulator.hpp"', "kv may not include layer sim"),
    ("libcluster/src/node/planted.cpp", '#include "cluster/kv/x.hpp"', "node may not include layer kv"),
    ("actors/node/planted.cpp", '#include <rocksdb/db.h>', "rocksdb may be included only in"),
    ("bench/planted.cpp", '#include "cluster/sim/simulator.hpp"', "bench may not include layer sim"),
    ("libcluster/include/cluster/runtime/planted.hpp", "#include <caf/all.hpp>", "caf may be included only in"),
    ("libcluster/src/net/planted.cpp", "#include <caf/all.hpp>", "caf may be included only in"),
    ("libcluster/src/runtime/planted.cpp", "#include <boost/asio.hpp>", "boost may be included only in"),
    ("libcluster/include/cluster/net/planted.hpp", "#include <boost/asio/io_context.hpp>", "boost may be included only in"),
    ("libcluster/src/net/planted.cpp", "#include <boost/beast.hpp>", "boost may be included only in"),
    ("libcluster/src/ds/planted.cpp", "#include <boost/pfr.hpp>", "boost may be included only in"),
    ("libcluster/src/net/planted.cpp", "#include <openssl/ssl.h>", "openssl may be included only in"),
    ("libcluster/include/cluster/crypto/planted.hpp", "#include <openssl/evp.h>", "openssl may be included only in"),
    ("libcluster/include/cluster/ds/planted.hpp", "#include <nlohmann/json.hpp>", "nlohmann may be included only in"),
    ("libcluster/src/base/result.cpp", "#include <vector>", "includes its own header first, result.hpp"),
    ("actors/node/ring_board.cpp", "int nothing;", "includes its own header first, ring_board.hpp"),
    ("libcluster/src/proto/planted.cpp", '#include "../net/x.hpp"', "does not climb"),
    ("libcluster/src/proto/planted.cpp", '#include "evp.hpp"', "from its own folder only"),
]
with tempfile.TemporaryDirectory() as name:
    copy = pathlib.Path(name) / "tree"
    for top in ("libcluster", "actors", "cli", "gateway", "examples", "bench"):
        if (SOURCE / top).is_dir():
            shutil.copytree(SOURCE / top, copy / top)
    for file, line, expected in PLANTED:
        planted = copy / file
        new_folder = not planted.parent.exists()
        planted.parent.mkdir(parents=True, exist_ok=True)
        planted.write_text(f'// "{line}" in a comment is nothing.\n{line}\n')
        fresh = [text for text in findings(copy)[1] if text not in found]
        if len(fresh) != 1 or file not in fresh[0] or expected not in fresh[0]:
            failures.append(f"planted in {file}: {line}: found {fresh}, expected one with '{expected}'")
        planted.unlink()
        if new_folder:
            planted.parent.rmdir()

    folders = {}
    for line in INCLUDE_DIRS.read_text().splitlines():
        layer, _, list_of = line.partition("|")
        folders[layer] = [folder for folder in list_of.split(";") if folder]
    header_of = {}  # one header of each layer that has any
    for layer in BELOW:
        top = SOURCE / ("actors/node" if layer == "node" else f"libcluster/include/cluster/{layer}")
        headers = sorted(path.name for path in top.glob("*.hpp") if path.name != "json.hpp")
        if headers:
            header_of[layer] = headers[0]
    tried = 0
    for layer in BELOW.keys() & folders.keys() & header_of.keys():
        for target, header in header_of.items():
            allowed = target in BELOW[layer]
            program = pathlib.Path(name) / "planted.cpp"
            program.write_text(f'#include "cluster/{target}/{header}"\n')
            only_find = ["-M"] if allowed else ["-fsyntax-only"]
            done = subprocess.run([COMPILER, "-std=c++20", *only_find, *(f"-I{folder}" for folder in folders[layer]),
                                   str(program)], capture_output=True, text=True)
            tried += 1
            if allowed != (done.returncode == 0) or (not allowed and f"cluster/{target}/{header}" not in done.stderr):
                failures.append(f"compiling an include of cluster/{target}/{header} in layer {layer}: exit code "
                                f"{done.returncode}\n{done.stderr}")
    if tried < 9:
        failures.append(f"only {tried} includes were compiled")

listed = " ".join(path.read_text() for path in (SOURCE / "libcluster/src").glob("*/CMakeLists.txt")).split()
for path in sorted((SOURCE / "libcluster/include/cluster").rglob("*.hpp")):
    if path.name not in listed and path.parent.name + "/" + path.name not in listed:
        failures.append(f"{path.relative_to(SOURCE)}: no list of headers has it")

for failure in failures:
    print(failure)
print(f"{count} files, {len(PLANTED)} planted includes, {tried} compiled includes, {len(failures)} failures")
sys.exit(1 if failures else 0)
