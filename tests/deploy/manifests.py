"""What the files in deploy/, Dockerfile and compose.yaml say, for the tests of them."""
import json
import pathlib
import re
import shlex
import sys

try:
    import yaml
except ImportError:  # the interpreter is not Debian's, its package is there all the same
    sys.path.append("/usr/lib/python3/dist-packages")
    import yaml

SOURCE = pathlib.Path(__file__).resolve().parents[2]
KUBERNETES = SOURCE / "deploy" / "kubernetes"


def documents(path):
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


def compose():
    return documents(SOURCE / "compose.yaml")[0]


def kubernetes():
    """By kind, all objects but kustomize's."""
    found = {}
    for path in sorted(KUBERNETES.glob("*.yaml")):
        if path.name != "kustomization.yaml":
            for each in documents(path):
                found.setdefault(each["kind"], []).append(each)
    return found


def dockerfile():
    """(instruction, rest) of each, with joined lines."""
    text = re.sub(r"\\\n", " ", (SOURCE / "Dockerfile").read_text(encoding="utf-8"))
    return [line.split(None, 1) for line in text.splitlines() if line.strip() and not line.startswith("#")]


class Image:
    """What containers of the image get."""

    def __init__(self):
        last = max(i for i, (word, _) in enumerate(dockerfile()) if word == "FROM")
        stage = dockerfile()[last:]
        self.environment = dict(pair.split("=", 1) for word, rest in stage if word == "ENV" for pair in shlex.split(rest))
        rest = dict(stage)
        self.user = rest["USER"]
        self.volume = rest["VOLUME"]
        self.ports = [int(port) for port in rest["EXPOSE"].split()]
        self.stop_signal = rest["STOPSIGNAL"]
        self.entrypoint = json.loads(rest["ENTRYPOINT"])
        self.health = json.loads(rest["HEALTHCHECK"].split("CMD", 1)[1])
        self.copied = [word for kind, line in stage if kind == "COPY" for word in line.split()]


def environment_file(path):
    """NAME=VALUE lines, those that are commented out too."""
    return dict(re.findall(r"^#?([A-Z_]+)=(.*)$", path.read_text(encoding="utf-8"), re.MULTILINE))


def pod_environment(objects, name):
    """What the container of pod `name` gets, but for its secrets."""
    container = objects["StatefulSet"][0]["spec"]["template"]["spec"]["containers"][0]
    maps = {each["metadata"]["name"]: each["data"] for each in objects["ConfigMap"]}
    found = {}
    for source in container["envFrom"]:
        found.update(maps[source["configMapRef"]["name"]])
    for entry in container["env"]:
        if entry.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath") == "metadata.name":
            found[entry["name"]] = name
        elif "value" in entry:
            found[entry["name"]] = re.sub(r"\$\((\w+)\)", lambda match: found[match[1]], entry["value"])
    return found
