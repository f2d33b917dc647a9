"""Which layer may include which, and where each foreign library may be included.

    libcluster: base <- crypto <- ds <- wire <- proto <- net <- runtime; sim beside net, on proto
    sim/:       the program cluster-sim, on layer sim alone
    actors/:    node on runtime, the others on node
    gateway/:   on the actors; cli, gateway, examples and bench may use all but sim

`findings(root)` reads every source and header below `root` and returns what breaks a rule, as texts.
"""
import pathlib
import re

BELOW = {}
for layer, direct in (("base", []), ("crypto", ["base"]), ("ds", ["crypto"]), ("wire", ["ds"]), ("proto", ["wire"]),
                      ("sim", ["proto"]), ("net", ["proto"]), ("runtime", ["net"]), ("node", ["runtime"])):
    BELOW[layer] = {layer}.union(*(BELOW[lower] for lower in direct))
# Ready-made actors that stand on another one.
STANDS_ON = {"files": {"kv"}}
TOPS = {"cli", "gateway", "examples", "bench"}

# Each foreign library: how its includes begin, and the places that may have them (a prefix of the path).
FOREIGN = (
    (r"caf/", ["libcluster/src/runtime/"]),
    (r"boost/(asio|system)", ["libcluster/src/net/", "gateway/"]),
    (r"boost/beast", ["gateway/"]),
    (r"boost/pfr", ["libcluster/src/wire/", "libcluster/include/cluster/wire/"]),
    (r"boost/", ["libcluster/src/wire/", "libcluster/include/cluster/wire/", "libcluster/src/net/", "gateway/"]),
    (r"openssl/", ["libcluster/src/crypto/"]),
    (r"xxh", ["libcluster/src/ds/"]),
    (r"nlohmann/", ["libcluster/include/cluster/ds/json.hpp", "libcluster/include/cluster/wire/json.hpp", "cli/",
                    "gateway/", "actors/node/", "examples/", "bench/", "sim/"]),
    (r"spdlog/", ["actors/node/", "cli/"]),
    (r"CLI/", ["cli/", "bench/", "sim/"]),
    (r"(histedit|editline)", ["cli/"]),
    (r"rocksdb/", ["actors/kv/kv_rocksdb.cpp"]),
    (r"prometheus/", ["gateway/"]),
    (r"doctest/", []),
)
OTHERS = "bench/peers"  # what libcluster is compared with: programs that use nothing of it
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)


def layer_of(path):
    """The layer that the file belongs to; None below libcluster in a folder that is no layer's."""
    parts = path.parts
    if parts[0] != "libcluster":
        return parts[1] if parts[0] == "actors" else parts[0]
    name = parts[3] if parts[1] == "include" else parts[2]
    return name if name in BELOW else None


def may_include(layer, target):
    if layer in BELOW:
        return target in BELOW[layer]
    if layer in TOPS:
        return target != "sim"
    return target == layer or target in BELOW["node"] | STANDS_ON.get(layer, set())  # a ready-made actor


def problem(root, path, quote, included):
    layer = layer_of(path)
    if layer is None:
        return "the folder is not a layer"
    if ".." in pathlib.PurePosixPath(included).parts:
        return "an include does not climb out of its folder"
    ours = re.match(r"cluster/([^/]+)/", included)
    if ours:
        target = ours[1]
        if target not in {*BELOW, "gateway"} and not (root / "actors" / target).is_dir():
            return f"'{target}' is not a layer"
        return None if may_include(layer, target) else f"layer {layer} may not include layer {target}"
    for pattern, places in FOREIGN:
        if re.match(pattern, included):
            if any(str(path).startswith(place) for place in places):
                return None
            return f"{included.split('/')[0]} may be included only in {', '.join(places) or 'tests'}"
    if quote == '"':
        here = root / path.parent / included
        if not here.exists() and not here.with_name(here.name + ".in").exists():
            return "a private header is included from its own folder only"
    return None


def own_header(root, path):
    """The public header that a source implements: the one of its name in its layer; None if there is none."""
    parts = path.parts
    if path.suffix != ".cpp" or parts[0] not in ("libcluster", "actors", "gateway"):
        return None
    layer = layer_of(path)
    folder = f"libcluster/include/cluster/{layer}" if parts[0] == "libcluster" else path.parent.as_posix()
    return path.stem + ".hpp" if (root / folder / (path.stem + ".hpp")).exists() else None


def findings(root):
    root = pathlib.Path(root)
    found = []
    files = [path for top in ("libcluster", "actors", "cli", "gateway", "examples", "bench", "sim")
             for path in sorted((root / top).rglob("*"))
             if path.suffix in (".hpp", ".cpp", ".h", ".ipp") and root / OTHERS not in path.parents]
    for file in files:
        path = file.relative_to(root)
        text = COMMENT.sub("", file.read_text(encoding="utf-8"))
        for quote, included in INCLUDE.findall(text):
            why = problem(root, path, quote, included)
            if why:
                found.append(f"{path}: #include {included}: {why}")
        own, first = own_header(root, path), INCLUDE.search(text)
        if own and pathlib.PurePosixPath(first[2] if first else "").name != own:
            found.append(f"{path}: a source includes its own header first, {own}")
    return len(files), found
