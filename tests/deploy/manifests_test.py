"""The files that deploy a cluster agree with the programs and with each other. Usage: manifests_test.py BIN_DIR"""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import manifests
from manifests import KUBERNETES, SOURCE

BIN = pathlib.Path(sys.argv.pop(1))
OWN = {"CLUSTER_COOKIE"}  # of the programs' environment, and no option


def options():
    """The variables that stand for options of cluster-node."""
    text = subprocess.run([BIN / "cluster-node", "--help"], capture_output=True, text=True, check=True, env={}).stdout
    return OWN | {"CLUSTER_" + name.upper().replace("-", "_") for name in re.findall(r"--([a-z][a-z-]+)", text)}


class Manifests(unittest.TestCase):
    def check_variables(self, where, names):
        names = {name for name in names if name.startswith("CLUSTER_")}
        self.assertTrue(names, where)
        self.assertLessEqual(names, options(), where)

    def test_each_variable_stands_for_an_option_that_there_is(self):
        self.check_variables("Dockerfile", manifests.Image().environment)
        for name, service in manifests.compose()["services"].items():
            self.check_variables(name, service["environment"])
        self.check_variables("StatefulSet", manifests.pod_environment(manifests.kubernetes(), "cluster-0"))
        self.check_variables("node.env", manifests.environment_file(SOURCE / "deploy/systemd/node.env"))
        unit = (SOURCE / "deploy/systemd/cluster-node.service").read_text()
        self.check_variables("unit", re.findall(r"^Environment=(\w+)=", unit, re.MULTILINE))

    def test_the_image_copies_what_there_is_and_drops_its_privileges(self):
        image = manifests.Image()
        self.assertRegex(image.user, r"^[1-9]\d+:[1-9]\d+$")
        self.assertTrue(image.environment["CLUSTER_DATA_DIR"].startswith(image.volume + "/"))
        self.assertEqual(image.stop_signal, "SIGTERM")
        self.assertIn("deploy/docker/entrypoint", image.copied)
        self.assertTrue((SOURCE / "deploy/docker/entrypoint").stat().st_mode & 0o111)
        kept = set(re.findall(r"^!(\S+)$", (SOURCE / ".dockerignore").read_text(), re.MULTILINE))
        folders = set(re.findall(r"add_subdirectory\((\w+)", (SOURCE / "CMakeLists.txt").read_text())) - {"tests"}
        self.assertLessEqual(folders, kept, "what is built goes to the builder")
        self.assertIn("deploy", kept)

    def test_compose_gives_the_cookie_to_the_image_s_user_and_opens_no_port_to_other_machines(self):
        compose, image = manifests.compose(), manifests.Image()
        for name, service in compose["services"].items():
            (secret,) = service["secrets"]
            self.assertEqual(f"{secret['uid']}:{secret['gid']}", image.user)
            self.assertEqual(secret["mode"], 0o400)
            self.assertIn(secret["source"], compose["secrets"])
            self.assertEqual(service["environment"]["CLUSTER_COOKIE_FILE"], "/run/secrets/" + secret["source"])
            self.assertEqual(service["tmpfs"], [f"{image.volume}:uid={secret['uid']},gid={secret['gid']},mode=0700"])
            for found in service["environment"]["CLUSTER_DISCOVER"].split(","):
                host, port = found.split(":")
                self.assertIn(host, compose["services"])
                self.assertIn(int(port), image.ports)
            for published in service.get("ports", []):
                self.assertTrue(published.startswith("127.0.0.1:"))
        self.assertNotIn("ports", compose["services"]["node"])  # or it could not be scaled
        self.assertNotIn("container_name", compose["services"]["node"])

    def test_kubernetes_objects_name_each_other_rightly(self):
        objects, image = manifests.kubernetes(), manifests.Image()
        (stateful,), services = objects["StatefulSet"], {each["metadata"]["name"]: each["spec"] for each in objects["Service"]}
        template = stateful["spec"]["template"]
        labels = template["metadata"]["labels"]
        (container,) = template["spec"]["containers"]
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        self.assertEqual(sorted(ports.values()), sorted(image.ports))
        self.assertEqual(stateful["spec"]["selector"]["matchLabels"], labels)
        for service in services.values():
            self.assertEqual(service["selector"], labels)
            for port in service["ports"]:
                self.assertIn(port["targetPort"], ports)
        (budget,) = objects["PodDisruptionBudget"]
        self.assertEqual(budget["spec"]["selector"]["matchLabels"], labels)
        headless = stateful["spec"]["serviceName"]
        self.assertEqual(services[headless]["clusterIP"], "None")
        self.assertTrue(services[headless]["publishNotReadyAddresses"])
        environment = manifests.pod_environment(objects, "cluster-0")
        self.assertEqual(environment["CLUSTER_DISCOVER"], f"{headless}:{ports['cluster']}")
        self.assertEqual(environment["CLUSTER_HOST"], f"cluster-0.{headless}")
        self.assertTrue(environment["CLUSTER_HTTP"].endswith(f":{ports['http']}"))
        self.assertIn(environment["CLUSTER_HTTP_NAME"], services)
        for probe, path in (("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")):
            self.assertEqual((container[probe]["httpGet"]["path"], container[probe]["httpGet"]["port"]), (path, "http"))
        (claim,), (mount,) = stateful["spec"]["volumeClaimTemplates"], container["volumeMounts"]
        self.assertEqual(mount, {"name": claim["metadata"]["name"], "mountPath": image.volume})
        self.assertFalse(template["spec"]["enableServiceLinks"])

    def test_kubernetes_pods_pass_the_restricted_standard(self):
        (stateful,), image = manifests.kubernetes()["StatefulSet"], manifests.Image()
        pod = stateful["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        self.assertTrue(pod["securityContext"]["runAsNonRoot"])
        self.assertEqual(f"{pod['securityContext']['runAsUser']}:{pod['securityContext']['runAsGroup']}", image.user)
        self.assertEqual(pod["securityContext"]["seccompProfile"], {"type": "RuntimeDefault"})
        self.assertEqual(container["securityContext"], {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                                                        "capabilities": {"drop": ["ALL"]}})

    def test_kustomize_takes_all_files(self):
        (whole,) = manifests.documents(KUBERNETES / "kustomization.yaml")
        self.assertEqual(set(whole["resources"]), {path.name for path in KUBERNETES.glob("*.yaml")} - {"kustomization.yaml"})

    def test_systemd_has_nothing_to_say_about_the_unit(self):
        if not shutil.which("systemd-analyze"):
            self.skipTest("no systemd-analyze here")
        text = (SOURCE / "deploy/systemd/cluster-node.service").read_text()
        with tempfile.TemporaryDirectory() as folder:
            unit = pathlib.Path(folder) / "cluster-node.service"
            unit.write_text(text.replace("/usr/bin/cluster-node", str(BIN / "cluster-node")))
            done = subprocess.run(["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", unit],
                                  capture_output=True, text=True)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            scored = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=25", unit],
                                    capture_output=True, text=True)
            self.assertEqual(scored.returncode, 0, scored.stdout + scored.stderr)

    def test_shell_scripts_are_shell(self):
        for script in (SOURCE / "deploy/docker/entrypoint", *(SOURCE / "deploy/debian").glob("p*")):
            self.assertEqual(subprocess.run(["sh", "-n", script], capture_output=True, text=True).stderr, "")


unittest.main(verbosity=2)
