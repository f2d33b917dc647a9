"""The Debian package: made, looked into, unpacked, and its node run as the unit runs it.
Usage: package_test.py BUILD_DIR"""
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "process"))

import manifests  # noqa: E402
from nodes import COOKIE, free_port  # noqa: E402

BUILD = pathlib.Path(sys.argv.pop(1))


def run(*command, **options):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, **options)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


class Package(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        scratch = tempfile.TemporaryDirectory()
        cls.addClassCleanup(scratch.cleanup)
        cls.folder = pathlib.Path(scratch.name)
        run("cpack", "--config", BUILD / "CPackConfig.cmake", "-G", "DEB", "-B", cls.folder,
            "-D", "CPACK_COMPONENTS_ALL=programs;service", "-D", f"CPACK_OUTPUT_FILE_PREFIX={cls.folder}", cwd=cls.folder)
        (cls.package,) = cls.folder.glob("*.deb")
        cls.root = cls.folder / "root"
        run("dpkg-deb", "--extract", cls.package, cls.root)

    def test_it_says_what_it_is_and_needs(self):
        fields = dict(re.findall(r"^(\w[\w-]*): (.*)$", run("dpkg-deb", "--field", self.package), re.MULTILINE))
        self.assertEqual(fields["Package"], "cluster-node")
        self.assertRegex(self.package.name, rf"^cluster-node_{fields['Version']}_{fields['Architecture']}\.deb$")
        for library in ("libc6", "librocksdb7.8", "libssl3", "libstdc++6"):
            self.assertRegex(fields["Depends"], rf"(^|, ){re.escape(library)} \(>= ")
        self.assertNotIn("-dev", fields["Depends"])

    def test_it_holds_programs_unit_settings_and_manual_and_nothing_else(self):
        files = {str(path.relative_to(self.root)) for path in self.root.rglob("*") if path.is_file()}
        self.assertEqual(files, {"usr/bin/cluster-node", "usr/bin/cluster-cli", "usr/lib/cluster/cluster-kv-rocksdb.so",
                                 "lib/systemd/system/cluster-node.service",
                                 "etc/cluster/node.env", "usr/share/man/man1/cluster-node.1.gz",
                                 "usr/share/man/man1/cluster-cli.1.gz",
                                 "usr/share/doc/cluster-node/copyright"})
        for line in run("dpkg-deb", "--contents", self.package).splitlines():
            self.assertIn(" root/root ", line)
            self.assertEqual(line.split()[0], "-rw-------" if line.endswith("node.env") else
                             "drwxr-xr-x" if line.endswith("/") else
                             "-rwxr-xr-x" if "/usr/bin/" in line else "-rw-r--r--", line)

    def test_its_settings_are_kept_over_upgrades_and_its_scripts_run(self):
        control = self.folder / "control"
        run("dpkg-deb", "--control", self.package, control)
        self.assertEqual((control / "conffiles").read_text(), "/etc/cluster/node.env\n")
        for script, argument in (("postinst", "configure"), ("prerm", "upgrade"), ("postrm", "upgrade")):
            self.assertTrue(os.access(control / script, os.X_OK))
            run(control / script, argument)

    def test_lintian_finds_no_error(self):
        if not shutil.which("lintian"):
            self.skipTest("no lintian here")
        # Debian's rules for what it distributes itself; and the package has no maintainer whom one could write to.
        allowed = ("no-changelog,no-copyright-file,maintainer-script-calls-systemctl,extended-description-is-probably-too-short,"
                   "bogus-mail-host")
        run("lintian", "--fail-on", "error", "--suppress-tags", allowed, self.package)

    def test_the_unpacked_node_starts_with_the_settings_as_the_unit_says(self):
        unit = (self.root / "lib/systemd/system/cluster-node.service").read_text()
        command = re.search(r"^ExecStart=(.*)$", unit, re.MULTILINE)[1].split()
        set_by_unit = dict(re.findall(r"^Environment=(\w+)=(.*)$", unit, re.MULTILINE))
        settings = (self.root / "etc/cluster/node.env").read_text()
        active = dict(re.findall(r"^([A-Z_]+)=(.*)$", settings, re.MULTILINE))
        port = str(free_port())
        environment = {name: value.replace("%S", str(self.folder / "state")) for name, value in set_by_unit.items()}
        environment |= active | {"CLUSTER_PORT": port, "CLUSTER_COOKIE": COOKIE, "CLUSTER_KV": "true"}
        without_cookie = subprocess.run([self.root / command[0].lstrip("/")], env=environment | {"CLUSTER_COOKIE": ""},
                                        capture_output=True, text=True)
        prevented = re.search(r"^RestartPreventExitStatus=(\d+)$", unit, re.MULTILINE)[1]
        self.assertEqual(without_cookie.returncode, int(prevented), without_cookie.stderr)
        node = subprocess.Popen([self.root / command[0].lstrip("/"), *command[1:]], env=environment, stdout=subprocess.PIPE, text=True)
        try:
            self.assertIn("in ring 'ring'", node.stdout.readline())
            cli = subprocess.run([self.root / "usr/bin/cluster-cli", "ping"], env=environment, capture_output=True, text=True)
            self.assertEqual(cli.stdout, '{"ok": true, "data": "pong"}\n')
            self.assertTrue((self.folder / "state/cluster-node/ring").is_file())
            self.assertTrue((self.folder / "state/cluster-node/kv/CURRENT").is_file(), "RocksDB was found and keeps keys there")
            node.send_signal(signal.SIGTERM)
            self.assertEqual(node.wait(timeout=20), 0)
        finally:
            node.kill()
            node.wait()
            node.stdout.close()


unittest.main(verbosity=2)
