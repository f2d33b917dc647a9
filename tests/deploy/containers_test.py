"""The command lines of Dockerfile, compose.yaml and deploy/kubernetes, run on hosts of their own as containers would run
them: with their variables, their ports, and names that stand for many addresses. Usage: containers_test.py BIN_DIR"""
import json
import os
import pathlib
import signal
import subprocess
import sys
import unittest

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1] / folder) for folder in ("network", "process")]

import network  # noqa: E402: first, as what follows must run inside
network.enter()

import manifests  # noqa: E402
from nodes import COOKIE, wait_until  # noqa: E402

BIN = pathlib.Path(sys.argv.pop(1)).resolve()
IMAGE = manifests.Image()


class Container:
    """The image's entry point on one host, under the host's name."""

    def __init__(self, host, folder, environment):
        self.host, self.folder = host, folder
        self.environment = {"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": "/nonexistent", **IMAGE.environment, **environment}
        if data := self.environment["CLUSTER_DATA_DIR"]:  # the volume
            self.environment["CLUSTER_DATA_DIR"] = data.replace(IMAGE.volume, str(folder / f"volume-{host.name}"))
        self.process = None

    @property
    def inside(self):
        return [*self.host.inside, "unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', self.host.name]

    def start(self):
        entrypoint = [str(manifests.SOURCE / "deploy/docker/entrypoint")]
        with open(self.log, "a") as log:
            self.process = subprocess.Popen([*self.inside, *entrypoint], env=self.environment, stdout=log, stderr=log)
        return self

    @property
    def log(self):
        return self.folder / f"{self.host.name}.log"

    def stop(self, how):
        if self.process.poll() is None:
            self.process.send_signal(how)
        return self.process.wait(timeout=20)

    def run(self, *command):
        """As `docker exec` does: with the container's variables, without those of its entry point."""
        return subprocess.run([*self.inside, *command], env=self.environment, capture_output=True, text=True, timeout=30)

    def states(self):
        done = self.run("cluster-cli", "-H", "localhost", "--json", "members")
        members = json.loads(done.stdout)["data"] if done.returncode == 0 else []
        return {member["id"]: member["state"] for member in members}

    def alive(self):
        return [id for id, state in self.states().items() if state == "alive"]

    def cli(self, *command):
        done = self.run("cluster-cli", "-H", "localhost", "--json", *command)
        return json.loads(done.stdout) if done.returncode == 0 else {"ok": False, "error": done.stderr}

    def http(self, path, host=None):
        """The status that a probe gets, as the kubelet asks from elsewhere."""
        script = ("import http.client, sys\nlink = http.client.HTTPConnection(sys.argv[1], 8022, timeout=10)\n"
                  "link.request('GET', sys.argv[2], headers={'Host': sys.argv[3]} if sys.argv[3] else {})\n"
                  "print(link.getresponse().status)")
        done = self.run(sys.executable, "-c", script, self.host.address, path, host or "")
        return int(done.stdout or 0)


class Containers(unittest.TestCase):
    def hosts(self, names):
        self.network = network.Network(names)
        self.addCleanup(self.network.close)
        return self.network.hosts.values()

    def publish(self, names_of):
        """`names_of(host)`: the names that stand for it."""
        lines = "127.0.0.1 localhost\n" + "".join(f"{host.address} {name}\n" for host in self.network.hosts.values()
                                                  for name in names_of(host))
        for host in self.network.hosts.values():
            host.hosts.write_text(lines)

    def start(self, host, environment):
        container = Container(host, self.network.folder, environment).start()
        self.addCleanup(container.stop, signal.SIGKILL)
        return container

    def wait(self, containers, condition, what):
        try:
            wait_until(condition, what)
        except AssertionError:
            for each in containers:
                print(f"{each.host.name}: {each.states()}\n{each.log.read_text()}", file=sys.stderr)
            raise

    def wait_for_ring(self, containers, name_of=lambda member: member):
        """Until each holds all alive, and nobody else."""
        wanted = sorted(each.host.name for each in containers)
        for each in containers:
            self.wait(containers, lambda: sorted(name_of(id) for id in each.alive()) == wanted, f"{each.host.name} holds all alive")

    def test_compose_scales_and_who_stops_leaves(self):
        services = manifests.compose()["services"]
        hosts = list(self.hosts(["f00", "a01", "b02", "c03"]))
        self.publish(lambda host: [host.name, "front" if host is hosts[0] else "node"])
        secret = self.network.folder / "cookie"
        secret.write_text(COOKIE)
        secret.chmod(services["node"]["secrets"][0]["mode"])
        containers = [self.start(host, {**services["front" if host is hosts[0] else "node"]["environment"],
                                        "CLUSTER_COOKIE_FILE": str(secret)}) for host in hosts]
        name_of = lambda member: member.split("-")[0]  # without the time of its start
        self.wait_for_ring(containers, name_of)
        front, *others = containers
        for each in containers:
            done = each.run(*IMAGE.health)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertNotIn("can be read by others", each.log.read_text())
        self.wait(containers, lambda: front.http("/readyz", "localhost:8022") == 200, "front is ready")
        self.wait(containers, lambda: all(each.cli("kv", "put", each.host.name, "kept")["ok"] for each in containers),
                  "keys are put")
        self.assertTrue(front.cli("chord", "lookup", "some key")["ok"])
        self.assertEqual(others[0].stop(getattr(signal, IMAGE.stop_signal)), 0)
        stays = [each for each in containers if each is not others[0]]
        self.wait_for_ring(stays, name_of)
        gone = [state for id, state in front.states().items() if name_of(id) == "a01"]
        self.assertIn(gone, ([], ["left"]))
        for each in containers:
            self.assertEqual(front.cli("kv", "get", each.host.name)["data"]["value"], "kept")
        others[0].start()  # the same container again
        self.wait_for_ring(containers, name_of)

    def test_kubernetes_pods_find_each_other_at_once_and_return_under_another_address(self):
        objects = manifests.kubernetes()
        (stateful,) = objects["StatefulSet"]
        headless = stateful["spec"]["serviceName"]
        names = [f"{stateful['metadata']['name']}-{i}" for i in range(stateful["spec"]["replicas"])]
        hosts = self.hosts(names)
        names_of = lambda host: [headless, f"{host.name}.{headless}"]
        self.publish(names_of)
        pods = [self.start(host, {**manifests.pod_environment(objects, host.name), "CLUSTER_COOKIE": COOKIE}) for host in hosts]
        self.wait_for_ring(pods)
        (container,) = stateful["spec"]["template"]["spec"]["containers"]
        for pod in pods:
            for probe in ("livenessProbe", "readinessProbe"):
                self.wait(pods, lambda: pod.http(container[probe]["httpGet"]["path"]) == 200, probe)
            self.assertEqual(pod.http("/healthz", "cluster-http"), 200)
        moved = pods[1]
        self.assertTrue(moved.cli("kv", "put", "key", "kept")["ok"])
        self.assertEqual(moved.stop(signal.SIGTERM), 0)
        moved.host.move_to("10.77.0.99")
        self.publish(names_of)
        moved.start()
        self.wait_for_ring(pods)
        self.wait(pods, lambda: moved.cli("kv", "get", "key").get("data", {}).get("value") == "kept", "its keys are there")


unittest.main(verbosity=2)
