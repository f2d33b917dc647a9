"""Changing the cookie of a running cluster. Usage: keys_test.py BIN_DIR"""
import json
import os
import pathlib
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import unittest

from nodes import COOKIE, Node, Programs, free_port, wait_until

programs = Programs(sys.argv.pop(1))
NEW = "another cookie for tests, and longer"


class Traffic(threading.Thread):
    """One session that casts and calls to a counter of another node, until it is told to stop."""

    def __init__(self, through, to, cookie):
        super().__init__()
        command = [programs.cli, "--json", "-p", str(through.port), "-a", cookie, "--timeout", "20"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        text=True, bufsize=1)
        self.to, self.added, self.answers, self.enough = to, 0, [], threading.Event()
        self.start()

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        return json.loads(self.process.stdout.readline())

    def run(self):
        while not self.enough.is_set():
            for what in ("cast", "call"):
                self.answers.append(self.ask(f'{what} counter@{self.to.name} add {{"n": 1}}'))
                self.added += 1

    def end(self):
        self.enough.set()
        self.join()
        self.process.stdin.close()
        errors = self.process.stderr.read()
        self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()
        return errors


class Rotation(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="cluster-keys-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.new_file = self.folder / "new.cookie"
        self.new_file.write_text(NEW + "\n")
        self.new_file.chmod(0o600)

    def node(self, name, *options, port=None, data=True):
        folder = ["--data-dir", str(self.folder / name)] if data else []
        log = open(self.folder / f"{name}.log", "a")
        self.addCleanup(log.close)
        started = Node(programs, name, *folder, "--demo-actors", *options, port=port).start(log)
        self.addCleanup(started.stop)
        return started

    def log(self, name):
        return (self.folder / f"{name}.log").read_text()

    def with_new(self, node, *words, stdin=""):
        return programs.run_cli("-p", node.port, "-a", NEW, *words, stdin=stdin)

    def test_three_nodes_change_their_cookie_under_traffic_without_losing_or_doubling_a_message(self):
        foo = self.node("foo", "--ring", "ring")
        bar, baz = (self.node(name, "--meet", f"localhost:{foo.port}") for name in ("bar", "baz"))
        nodes = [foo, bar, baz]
        for node in nodes:
            wait_until(lambda: node.cli("status").data["converged"] and len(node.ids()) == 3, f"{node.name} sees all three")

        keys = [node.cli("key", "add", self.new_file).data for node in nodes]
        old, new = (key["fingerprint"] for key in keys[0])
        self.assertEqual([[key["fingerprint"] for key in each] for each in keys], [[old, new]] * 3)
        traffic = [Traffic(through, to, NEW) for through, to in ((foo, bar), (bar, baz), (baz, foo), (foo, baz))]
        flowing = lambda count: wait_until(lambda: all(each.added >= count for each in traffic), "messages flow")
        flowing(40)
        for node in nodes:
            self.assertEqual(node.cli("key", "use", new).data[0]["fingerprint"], new)
        flowing(80)
        for node in nodes:
            self.assertEqual(node.cli("key", "remove", old).code, 0)  # its own connection is made under it
        for node in nodes:
            wait_until(lambda: {member["key"] for member in self.with_new(node, "status").data["members"]} == {None, new},
                       "all connections between nodes are made under the new cookie")
        flowing(max(each.added for each in traffic) + 40)
        self.assertEqual([each.end() for each in traffic], [""] * 4)

        for each in traffic:
            self.assertEqual([answer for answer in each.answers if not answer["ok"]], [])
        for node in nodes:
            sent = sum(each.added for each in traffic if each.to is node)
            wait_until(lambda: self.with_new(node, "call", "counter", "get").data >= sent, "all have arrived")
            self.assertEqual(self.with_new(node, "call", "counter", "get").data, sent)
            self.assertTrue(self.with_new(node, "status").data["converged"])

        for node in nodes:
            refused = node.cli("ping")
            self.assertEqual(refused.code, 3)
            self.assertIn("cookie", refused.err)
        stranger = self.node("stranger", "--meet", f"localhost:{foo.port}", data=False)
        wait_until(lambda: "INVALID_CHECKSUM" in self.log("stranger"), "a node with the old cookie is refused")
        self.assertEqual(self.with_new(foo, "nodes").reply["ok"], True)
        self.assertNotIn("stranger", {member["id"] for member in self.with_new(foo, "nodes").data})

    def test_a_node_with_a_data_directory_remembers_its_keys_and_one_without_says_that_it_does_not(self):
        foo = self.node("foo", "--ring", "ring")
        old = foo.cli("key", "list").data[0]["fingerprint"]
        new = foo.cli("key", "add", stdin=NEW).data[1]["fingerprint"]
        self.assertNotIn("note", foo.cli("key", "use", new).reply)
        key_file = self.folder / "foo" / "keys"
        self.assertEqual(stat.S_IMODE(key_file.stat().st_mode), 0o600)
        self.assertNotIn(NEW, key_file.read_text())
        foo.stop(signal.SIGKILL)
        foo = self.node("foo", port=foo.port)
        self.assertEqual([key["fingerprint"] for key in foo.cli("key", "list").data], [new, old])
        self.assertEqual(self.with_new(foo, "key", "remove", old).code, 0)
        foo.stop(signal.SIGKILL)
        foo = self.node("foo", port=foo.port)  # started with the old one, which was removed
        self.assertEqual(foo.cli("ping").code, 3)
        self.assertEqual([key["fingerprint"] for key in self.with_new(foo, "key", "list").data], [new])
        self.assertIn("was removed", self.log("foo"))
        foo.stop()
        key_file.write_text(key_file.read_text().replace("key ", "kex "))
        foo = self.node("foo", port=foo.port)
        self.assertEqual(foo.cli("key", "list").data[0]["fingerprint"], old)
        self.assertTrue((self.folder / "foo" / "keys.bad-1").exists())
        self.assertIn("the key file in", self.log("foo"))

        bar = self.node("bar", data=False)
        self.assertIn("no data directory", bar.cli("key", "add", self.new_file).reply["note"])

    def test_what_cannot_be_done_is_refused_with_the_reason(self):
        foo = self.node("foo", data=False)
        only = foo.cli("key", "list").data[0]["fingerprint"]
        for words, part in ((("remove", only), "is in use"), (("use", "0123456789abcdef"), "no such key"),
                            (("add", "-"), "already")):
            answer = foo.cli("key", *words, stdin=COOKIE)
            self.assertEqual(answer.code, 1)
            self.assertIn(part, answer.reply["error"]["message"])
            self.assertEqual(answer.reply["error"]["executed"], "no")
        for words in (("add", "/nowhere/at/all"), ("use", "xyz"), ("remove",), ("add", "-", "more"), ("bogus",)):
            answer = foo.cli("key", *words)
            self.assertEqual((answer.code, answer.out, answer.err.count("\n")), (2, "", 1), answer.err)
        self.assertEqual(foo.cli("key", "add", stdin="").code, 2)
        weak = foo.cli("key", "add", stdin="aaaaaaaaaaaaaaaaaaaaaaaaaaa")
        self.assertEqual(weak.code, 0)
        self.assertIn("easy to guess", weak.err)

    def test_a_weak_cookie_and_a_cookie_file_that_others_can_read_are_warned_of_once(self):
        cookie = self.folder / "weak.cookie"
        cookie.write_text("hunter2")
        cookie.chmod(0o644)
        command = [programs.node, "-I", "foo", "-p", str(free_port()), "--cookie-file", str(cookie)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.assertIn("listens on", process.stdout.readline())
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=30)
        self.assertEqual(log.count("easy to guess"), 1)
        self.assertEqual(log.count("can be read by others than its owner"), 1)
        self.assertNotIn("hunter2", log)


if __name__ == "__main__":
    unittest.main(verbosity=2)
