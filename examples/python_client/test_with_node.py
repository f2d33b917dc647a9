"""The client against a real node: test_with_node.py PATH_OF_CLUSTER_NODE."""

import json
import os
import subprocess
import sys
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(HERE, "..", "..", "tests", "process"))
from ports import free_port  # noqa: E402

CLIENT = os.path.join(HERE, "cluster_client.py")
COOKIE = "the cookie of the python client's test"
START_SECONDS_MAX = 60


class WithNode(unittest.TestCase):
    program = ""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.cookie_file = os.path.join(cls.folder.name, "cookie")
        with open(os.open(cls.cookie_file, os.O_CREAT | os.O_WRONLY, 0o600), "w", encoding="utf-8") as file:
            file.write(COOKIE + "\n")
        cls.port, cls.node = cls.start_node("home", "--ring", "ring", "--demo-actors")
        deadline = time.monotonic() + START_SECONDS_MAX
        while cls.client("call", "counter", "get")[0] != 0:
            if cls.node.poll() is not None or time.monotonic() > deadline:
                raise AssertionError("the node did not start")

    @classmethod
    def start_node(cls, name, *options):
        port = free_port()
        command = [cls.program, "-I", name, "-H", "127.0.0.1", "-p", str(port), "--cookie-file", cls.cookie_file,
                   "--log-level", "error", *options]  # fmt: skip
        return port, subprocess.Popen(command, stdout=subprocess.DEVNULL)

    @classmethod
    def tearDownClass(cls):
        cls.node.terminate()
        cls.node.wait(START_SECONDS_MAX)
        cls.folder.cleanup()

    @classmethod
    def client(cls, *words, cookie=None, options=(), stdin=None, port=None):
        who = ["-a", cookie] if cookie else ["--cookie-file", cls.cookie_file]
        command = [sys.executable, CLIENT, "-H", "127.0.0.1", "-p", str(port or cls.port), "--timeout", "60", *who, *options, *words]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=120, check=False)
        return done.returncode, done.stdout, done.stderr

    def test_calls_and_casts_reach_the_actor_in_order(self):
        total = json.loads(self.client("call", "counter", "get")[1])
        self.assertEqual(self.client("call", "counter", "add", '{"n": 2}'), (0, f"{total + 2}\n", ""))
        self.assertEqual(self.client("cast", "counter", "add", '{"n": 40}'), (0, "true\n", ""))
        self.assertEqual(self.client("call", "counter", "get"), (0, f"{total + 42}\n", ""))

    def test_any_message_comes_back_from_the_echo(self):
        for message in (
            None, True, -5, 2**64 - 1, 1.5, "grüße", [], {"a": [1, {"b": None}]}, {"$bytes": "AQID"},
            {"$text": "/w=="}, {"$float": "inf"}, {"__proto__": 1}, "x" * 200_000,
        ):  # fmt: skip
            code, out, err = self.client("call", "echo", "echo", "-", stdin=json.dumps(message))
            self.assertEqual((code, err), (0, ""))
            self.assertEqual(json.loads(out), message)

    def test_a_failed_call_says_why_and_that_it_did_not_run(self):
        code, out, err = self.client("call", "nobody", "get")
        self.assertEqual((code, out), (1, ""))
        self.assertRegex(err, r"^no_server: .*nobody.* \(executed: no\)\n$")
        code, out, err = self.client("call", "counter", "no_such_event")
        self.assertEqual((code, out), (1, ""))
        self.assertRegex(err, r"^bad_message: .* \(executed: no\)\n$")
        code, out, err = self.client("call", "counter", "add", '{"n": "two"}')
        self.assertEqual((code, out), (1, ""))
        self.assertRegex(err, r"^bad_message: .*'n'.* \(executed: no\)\n$")

    def test_a_wrong_cookie_or_another_id_is_refused_in_one_line(self):
        code, out, err = self.client("call", "counter", "get", cookie="not the cookie")
        self.assertEqual((code, out), (3, ""))
        self.assertEqual(err, "cannot connect: wrong_cookie: the cookies differ\n")
        code, out, err = self.client("call", "counter", "get", options=("-I", "abroad"))
        self.assertEqual((code, out), (3, ""))
        self.assertEqual(err, "cannot connect: not_found: the node there is 'home', not 'abroad'\n")

    def test_a_node_that_demands_sealing_refuses_this_client_in_one_line(self):
        port, strict = self.start_node("strict", "--protection-min", "seal")
        try:
            deadline = time.monotonic() + START_SECONDS_MAX
            while "Connection refused" in (done := self.client("call", "counter", "get", port=port))[2]:
                self.assertLess(time.monotonic(), deadline)
        finally:
            strict.terminate()
            strict.wait(START_SECONDS_MAX)
        self.assertEqual(done[0], 3)
        self.assertEqual(done[2].count("\n"), 1)
        self.assertIn("incompatible: no common protection level: 'strict' offers seal and accepts no less than seal", done[2])

    def test_wrong_usage_ends_with_2(self):
        for words in ((), ("call",), ("shout", "counter", "get"), ("call", "counter", "add", "{n: 2}"), ("call", "", "get")):
            self.assertEqual(self.client(*words)[0], 2)


if __name__ == "__main__":
    WithNode.program = sys.argv.pop(1)
    unittest.main()
