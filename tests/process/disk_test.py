"""Nodes with a data directory: crashes, restarts, and disks that fail. Usage: disk_test.py BIN_DIR"""
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

from nodes import COOKIE, Node, Programs, free_port, wait_until
from web import WebNode

programs = Programs(sys.argv.pop(1))


class WithDisk(unittest.TestCase):
    def setUp(self):
        self.disk = pathlib.Path(tempfile.mkdtemp(prefix="cluster-disk-"))
        self.addCleanup(shutil.rmtree, self.disk)

    def node(self, name, *options, port=None, folder=None, kind=Node):
        log = open(self.disk / f"{name}.log", "a")
        self.addCleanup(log.close)
        started = kind(programs, name, "--data-dir", str(folder or self.disk / name), *options, port=port).start(errors=log)
        self.addCleanup(started.stop)
        return started

    def again(self, node, *options):
        """A new process of a node that ended."""
        return self.node(node.name, *options, port=node.port)

    def log(self, name):
        return (self.disk / f"{name}.log").read_text()

    def files(self, name):
        return {file.name for file in (self.disk / name).iterdir()}

    def ring_of_three(self):
        foo = self.node("foo", "--ring", "ring")
        bar, baz = (self.node(name, "--meet", f"localhost:{foo.port}") for name in ("bar", "baz"))
        for node in (foo, bar, baz):
            wait_until(lambda: node.ids() == {"foo", "bar", "baz"}, f"{node.name} sees all three")
        return foo, bar, baz

    def mount(self, *options):
        """A disk of its own, or a skipped test."""
        if os.geteuid() != 0:
            self.skipTest("only root can mount a disk to fill or to protect")
        folder = self.disk / "mounted"
        folder.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", *options, "tmpfs", str(folder)], capture_output=True, text=True)
        if done.returncode != 0:
            self.skipTest(f"no disk to fill or to protect: {done.stderr.strip()}")
        self.addCleanup(subprocess.run, ["umount", "-l", str(folder)])
        return folder


class Restarts(WithDisk):
    def test_a_cluster_that_was_killed_as_a_whole_finds_itself_again(self):
        foo, bar, baz = self.ring_of_three()
        self.assertEqual(foo.cli("insert", "ghost", "localhost", "1", "-w", "5", "--timeout", "5").code, 0)
        self.assertEqual(bar.cli("update", "foo", "localhost", foo.port, "77").code, 0)
        for node in (foo, bar, baz):
            wait_until(lambda: node.cli("weights").data.get("foo") == 77 and "ghost" in node.ids(), "both edits are known")
        weights = foo.cli("weights").data
        for node in (foo, bar, baz):
            node.stop(signal.SIGKILL)
        nodes = [self.again(node) for node in (foo, bar, baz)]  # without --ring and --meet
        for node in nodes:
            wait_until(lambda: node.cli("status").data["ring"] == "ring", f"{node.name} is in its ring")
            wait_until(lambda: {member["id"] for member in node.cli("status").data["members"]
                                if member["link"] == "connected"} == {"foo", "bar", "baz"} - {node.name},
                       f"{node.name} is connected to the others")
            wait_until(lambda: node.cli("weights").data == weights, f"{node.name} knows all edits")
            self.assertNotIn("no server named", self.log(node.name))  # who was quick met a node that is whole

    def test_nodes_that_have_changed_addresses_among_themselves_find_each_other(self):
        nodes = self.ring_of_three()
        for node in nodes:
            wait_until(lambda: all(other.name.encode() in (self.disk / node.name / "ring").read_bytes() for other in nodes),
                       f"{node.name} has all of them on its disk")
        for node in nodes:
            node.stop(signal.SIGKILL)
        ports = [node.port for node in nodes]
        moved = [self.node(node.name, port=port) for node, port in zip(nodes, ports[1:] + ports[:1])]
        expected = {(node.name, node.port, "alive") for node in moved}
        for node in moved:
            wait_until(lambda: {(member["id"], member["port"], member["state"]) for member in node.cli("members").data} == expected,
                       f"{node.name} knows where all are")

    def test_an_edit_that_was_answered_survives_the_crash_that_follows_at_once(self):
        foo = self.node("foo", "--ring", "ring")
        for i in range(10):
            self.assertEqual(foo.cli("insert", f"m{i}", "localhost", "1", "-w", i + 1).reply, {"ok": True})
            foo.stop(signal.SIGKILL)
            foo = self.again(foo)
            self.assertEqual(foo.cli("weights").data, {"foo": 128, **{f"m{j}": j + 1 for j in range(i + 1)}})

    def test_a_member_that_was_removed_while_all_were_down_stays_away(self):
        foo, bar, baz = self.ring_of_three()
        baz.stop(signal.SIGKILL)
        self.assertEqual(foo.cli("remove", "baz").code, 0)
        wait_until(lambda: bar.ids() == {"foo", "bar"}, "bar knows of the removal")
        foo.stop(signal.SIGKILL)
        bar.stop(signal.SIGKILL)
        baz = self.again(baz)  # it thinks that it is a member, and dials the others
        foo, bar = self.again(foo), self.again(bar)
        wait_until(lambda: baz.cli("status").data["ring"] is None, "baz is told")
        self.assertEqual(foo.ids(), {"foo", "bar"})
        baz.stop()
        baz = self.again(baz, "--ring", "ring", "--meet", f"localhost:{foo.port}")
        self.assertIsNone(baz.cli("status").data["ring"])  # it remembers, whatever its command line says
        self.assertIn("not in ring 'ring', which this node left or was removed from", self.log("baz"))
        self.assertEqual(foo.ids(), {"foo", "bar"})
        self.assertEqual(foo.cli("meet", "localhost", baz.port).code, 0)
        wait_until(lambda: bar.ids() == baz.ids() == {"foo", "bar", "baz"}, "a person undoes the removal")

    def test_who_left_is_in_no_ring_after_a_restart(self):
        foo, bar, baz = self.ring_of_three()
        self.assertEqual(baz.cli("leave").code, 0)
        baz.stop(signal.SIGKILL)
        baz = self.again(baz)
        self.assertIsNone(baz.cli("status").data["ring"])
        self.assertEqual(baz.ids(), {"baz"})
        self.assertEqual(baz.cli("join", "another").code, 0)
        baz.stop(signal.SIGKILL)
        self.assertEqual(self.again(baz).cli("status").data["ring"], "another")
        self.assertEqual(foo.ids(), {"foo", "bar"})

    def test_a_folder_belongs_to_one_process_of_one_node_of_one_ring(self):
        foo = self.node("foo", "--ring", "ring")

        def refused(*arguments):
            command = [programs.node, "-p", str(free_port()), "-a", COOKIE, "--data-dir", str(self.disk / "foo"), *arguments]
            done = subprocess.run(command, capture_output=True, text=True, timeout=30)
            self.assertNotEqual(done.returncode, 0)
            return done.stderr

        self.assertIn("is in use by another process", refused("-I", "foo"))
        foo.stop()
        before = (self.disk / "foo" / "ring").read_bytes()
        self.assertIn("belongs to node 'foo'", refused("-I", "bar"))
        self.assertIn("belongs to ring 'ring', not 'other'", refused("-I", "foo", "--ring", "other"))
        self.assertEqual((self.disk / "foo" / "ring").read_bytes(), before)
        self.assertEqual(self.files("foo"), {"ring"})


class BadFiles(WithDisk):
    def test_a_file_that_cannot_be_used_is_named_and_kept_and_the_node_starts(self):
        foo = self.node("foo", "--ring", "ring")
        foo.cli("insert", "ghost", "localhost", "1")
        foo.stop()
        good = (self.disk / "foo" / "ring").read_bytes()
        newer = good[:11] + bytes([good[11] + 1]) + good[12:]
        bad = {"is cut off: it has": good[:-1], "is empty": b"", "is no ring file": b"something else\n",
               "of a newer version": newer, "has a wrong checksum": good[:-1] + bytes([good[-1] ^ 1])}
        for number, (why, content) in enumerate(bad.items(), 1):
            with self.subTest(why):
                (self.disk / "foo" / "ring").write_bytes(content)
                foo = self.again(foo)
                self.assertEqual(foo.ids(), {"foo"})
                self.assertIn(why, self.log("foo"))
                foo.stop()
                self.assertEqual((self.disk / "foo" / f"ring.bad-{number}").read_bytes(), content)
        self.assertEqual(self.files("foo"), {"ring", *(f"ring.bad-{number}" for number in range(1, len(bad) + 1))})
        (self.disk / "foo" / "ring").write_bytes(good)
        self.assertEqual(self.again(foo).ids(), {"foo", "ghost"})


class FailingDisks(WithDisk):
    def test_a_full_disk_is_warned_of_and_shown_and_once_it_has_room_the_ring_is_saved(self):
        folder = self.mount("-o", "size=64k")
        foo = self.node("foo", "--ring", "ring", folder=folder)
        self.assertEqual(foo.cli("insert", "a", "localhost", "1").reply, {"ok": True})
        filler = folder / "filler"
        with open(filler, "wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                pass
        for name in ("b", "c", "d"):  # they hold, with a word of warning
            answer = foo.cli("insert", name, "localhost", "1")
            self.assertEqual(answer.code, 0)
            self.assertIn("not on this node's disk", answer.reply["note"])
            self.assertIn("No space left on device", answer.reply["note"])
        self.assertIn("No space left on device", foo.cli("status").data["data"]["error"])
        self.assertEqual(foo.ids(), {"foo", "a", "b", "c", "d"})
        self.assertEqual(self.log("foo").count("No space left on device"), 1)
        filler.unlink()
        wait_until(lambda: foo.cli("status").data["data"]["error"] is None, "it is written by itself")
        foo.stop(signal.SIGKILL)
        self.assertEqual(self.node("foo", port=foo.port, folder=folder).ids(), {"foo", "a", "b", "c", "d"})

    def test_a_store_with_a_full_disk_says_so_and_is_no_worse_than_a_dead_one(self):
        folder = self.mount("-o", "size=48m")
        foo = self.node("foo", "--ring", "ring", "--kv", kind=WebNode)
        bar, baz = (self.node(name, "--meet", f"localhost:{foo.port}", "--kv", kind=WebNode, folder=of)
                    for name, of in (("bar", None), ("baz", folder)))

        def status(node):
            answer = node.get("/v1/kv")
            return answer.data if answer.status == 200 else {"settled": False, "fault": None}

        for node in (foo, bar, baz):
            wait_until(lambda: node.ids() == {"foo", "bar", "baz"} and status(node)["settled"], f"{node.name} has settled")
        self.assertEqual(baz.get("/readyz").status, 200)
        with open(folder / "filler", "wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(65536))
            except OSError:
                pass

        def fill():
            foo.request("PUT", "/v1/kv/default/filler", os.urandom(200_000))
            return status(baz)["fault"]

        wait_until(fill, "baz has no room")
        self.assertIn("No space left on device", baz.cli("kv", "status").data["fault"])
        self.assertFalse(status(baz)["settled"])
        self.assertEqual(self.log("baz").count("this node's store takes part in nothing any more"), 1)
        self.assertIn("No space left on device", self.log("baz"))
        ready = baz.get("/readyz")
        self.assertEqual(ready.status, 503)
        self.assertIn("disk", ready.error["message"])
        self.assertIn("\ncluster_kv_failed 1\n", baz.get("/metrics").body.decode())
        self.assertIn("\ncluster_kv_failed 0\n", foo.get("/metrics").body.decode())
        nodes = (foo, bar, baz)
        for i in range(45):
            path, value = f"/v1/kv/default/k{i}", str(i).encode()
            headers = ([], [("If-None-Match", "*")], [("X-Cluster-Context", "")])[i // 3 % 3]
            self.assertEqual(nodes[i % 3].request("PUT", path, value, headers).status, 200, (i, headers))
            for node in nodes:
                self.assertEqual((node.get(path).status, node.get(path).body), (200, value))
            if i % 9 == 0:
                self.assertEqual(nodes[i % 2].request("DELETE", path).status, 200)
        self.assertEqual(foo.request("PUT", "/v1/files/file", os.urandom(3_000_000)).status, 200)
        (folder / "filler").unlink()
        baz.stop()
        baz = self.node("baz", "--kv", port=baz.port, folder=folder, kind=WebNode)
        wait_until(lambda: status(baz)["settled"], "it is whole again")
        self.assertEqual(baz.get("/readyz").status, 200)

    def test_a_node_on_a_read_only_disk_starts_with_what_is_there(self):
        folder = self.mount()
        foo = self.node("foo", "--ring", "ring", folder=folder)
        foo.cli("insert", "ghost", "localhost", "1")
        foo.stop()
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        foo = self.node("foo", port=foo.port, folder=folder)
        self.assertEqual(foo.ids(), {"foo", "ghost"})
        self.assertIn("Read-only file system", foo.cli("insert", "b", "localhost", "1").reply["note"])
        self.assertIn("Read-only file system", self.log("foo"))
        self.assertEqual(foo.ids(), {"foo", "ghost", "b"})
        foo.stop()
        subprocess.run(["mount", "-o", "remount,rw", str(folder)], check=True)
        (folder / "ring").write_bytes(b"garbage")
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        foo = self.node("foo", port=foo.port, folder=folder)
        foo.cli("insert", "b", "localhost", "1")
        self.assertEqual((folder / "ring").read_bytes(), b"garbage")  # it cannot be moved, so nothing takes its place
        subprocess.run(["mount", "-o", "remount,rw", str(folder)], check=True)
        wait_until(lambda: foo.cli("status").data["data"]["error"] is None, "it is written by itself")
        self.assertEqual((folder / "ring.bad-1").read_bytes(), b"garbage")


if __name__ == "__main__":
    unittest.main(verbosity=2)
