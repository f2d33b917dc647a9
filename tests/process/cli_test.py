"""cluster-cli and cluster-node as a person or a script meets them. Usage: cli_test.py BIN_DIR"""
import os
import pathlib
import pty
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

from nodes import COOKIE, Node, Programs, free_port, wait_until

programs = Programs(sys.argv.pop(1))

TREE_KEYS = ["avmox6bKHfmLdzmObwjwIrh2WC6XM471ods56FWbDo0=", "kL2YfHLEuxHGaEz4nOxWYyPSiFlGBsFMzoYDXXxuXK0=",
             "kzMt7C+SJZbxNQmrL3vhpfJ+a0RgPiGlRhrxwS57RWI="]


class WithNodes(unittest.TestCase):
    def node(self, name, *options, port=None, errors=subprocess.DEVNULL):
        started = Node(programs, name, *options, port=port).start(errors)
        self.addCleanup(started.stop)
        return started

    def fails(self, answer, code):
        """One line on stderr, nothing on stdout, and this exit code."""
        self.assertEqual(answer.code, code, answer.err)
        self.assertEqual(answer.err.count("\n"), 1, answer.err)
        self.assertEqual(answer.out, "")


class LoneNode(WithNodes):
    def test_answers_have_the_texts_of_the_reference(self):
        foo = self.node("foo", "--ring", "ring", "--rfactor", "3")
        where = '{"id": "foo", "host": "localhost", "port": %d}' % foo.port
        tree = ", ".join('{"key": "%s", "value": %s}' % (key, where) for key in TREE_KEYS)
        expected = {
            "inspect": '{"ok": true, "data": {"rfactor": 3, "pfactor": 2, "tree": [%s]}}' % tree,
            "nodes": '{"ok": true, "data": [%s]}' % where,
            "get foo": '{"ok": true, "data": %s}' % where,
            "has foo": '{"ok": true, "data": true}',
            "has bar": '{"ok": true, "data": false}',
            "weight foo": '{"ok": true, "data": 3}',
            "weights": '{"ok": true, "data": {"foo": 3}}',
            "ping": '{"ok": true, "data": "pong"}',
            "insert bar localhost 1": '{"ok": true}',
            "remove bar": '{"ok": true}',
        }
        for command, line in expected.items():
            with self.subTest(command):
                answer = foo.cli(*command.split())
                self.assertEqual((answer.out, answer.err, answer.code), (line + "\n", "", 0))
        for command, message in {"get bar": "'bar' is not defined in this ring.",
                                 "weight bar": "'bar' is not defined in this ring.",
                                 "join x": "Node already belongs to ring 'ring'"}.items():
            with self.subTest(command):
                answer = foo.cli(*command.split())
                self.assertEqual(answer.code, 1)
                self.assertFalse(answer.reply["ok"])
                self.assertEqual(answer.reply["error"]["message"], message)
                self.assertEqual(set(answer.reply["error"]), {"message", "code", "executed"})

    def test_a_weight_given_to_insert_is_the_weight(self):
        foo = self.node("foo", "--ring", "ring")
        self.assertEqual(foo.cli("insert", "-w", "7", "bar", "localhost", "1").code, 0)
        self.assertEqual(foo.cli("weight", "bar").data, 7)
        self.assertEqual(foo.cli("weight", "foo").data, 128)
        self.assertEqual(foo.cli("update", "bar", "localhost", "2", "9").code, 0)
        self.assertEqual(foo.cli("weight", "bar").data, 9)
        self.assertEqual(foo.cli("get", "bar").data["port"], 2)
        self.assertEqual(foo.cli("minsert", "a", "h", "1", "b", "h", "2", "-w", "3").code, 0)
        self.assertEqual(foo.cli("weights").data, {"a": 3, "b": 3, "bar": 9, "foo": 128})
        self.assertEqual(foo.cli("mremove", "a", "h", "1", "b", "h", "2").code, 0)
        self.assertEqual(foo.ids(), {"foo", "bar"})

    def test_a_second_insert_changes_nothing_and_says_so(self):
        foo = self.node("foo", "--ring", "ring")
        self.assertEqual(foo.cli("insert", "bar", "localhost", "1").reply, {"ok": True})
        self.assertEqual(foo.cli("insert", "bar", "localhost", "1").reply, {"ok": True})
        again = foo.cli("insert", "bar", "localhost", "2")
        self.assertEqual(again.code, 0)
        self.assertEqual(again.reply, {"ok": True, "note": "'bar' was a member already, at localhost:1 with weight 128, "
                                                           "and stays so"})
        self.assertEqual(foo.cli("get", "bar").data["port"], 1)

    def test_a_plan_changes_nothing_and_tells_what_the_change_then_does(self):
        foo = self.node("foo", "--ring", "ring")
        foo.cli("insert", "bar", "localhost", "1")
        tree = foo.cli("inspect").out
        share = lambda answer, who: {member["id"]: member["share"] for member in answer.data["members"]}[who]
        for change in [["insert", "baz", "localhost", "2", "200"], ["update", "bar", "64"], ["remove", "bar"]]:
            with self.subTest(change):
                self.assertEqual(foo.cli("plan", *change).code, 0)
                self.assertEqual(foo.cli("inspect").out, tree)
        plan = foo.cli("plan", "insert", "baz", "localhost", "2", "-w", "200").data
        self.assertEqual({move["to"] for move in plan["moves"]}, {"baz"})
        self.assertEqual(foo.cli("insert", "baz", "localhost", "2", "-w", "200").code, 0)
        balance = foo.cli("balance")
        self.assertAlmostEqual(share(balance, "baz"), plan["moved"], 5)
        self.assertAlmostEqual(sum(member["share"] for member in balance.data["members"]), 1, 5)
        for words in [["plan"], ["plan", "leave"], ["plan", "insert", "x"], ["plan", "update", "bar"],
                      ["plan", "update", "bar", "0"], ["plan", "remove", "bar", "-w", "5"], ["balance", "x"]]:
            with self.subTest(words):
                self.fails(foo.cli(*words), 2)
        self.assertEqual(foo.cli("plan", "update", "nobody", "5").reply["error"]["code"], "not_found")

    def test_wrong_usage_is_one_line_and_code_2_and_changes_nothing(self):
        foo = self.node("foo", "--ring", "ring")
        for words in [["bogus"], ["insert"], ["insert", "a", "h"], ["insert", "a", "h", "x"], ["get"], ["get", "a", "b"],
                      ["minsert", "a", "h", "1", "b", "h"], ["insert", "a", "h", "1", "-w", "0"], ["nodes", "--bogus"],
                      ["call", "counter", "add", "{n}"]]:
            with self.subTest(words):
                self.fails(foo.cli(*words), 2)
        for port in ["abc", "0", "65536", "-1", ""]:
            with self.subTest(port):
                self.fails(programs.run_cli("-a", COOKIE, f"--port={port}", "nodes"), 2)
        self.assertEqual(foo.ids(), {"foo"})

    def test_no_connection_is_one_line_and_code_3_within_the_timeout(self):
        foo = self.node("foo", "--ring", "ring")
        begin = time.monotonic()
        self.fails(programs.run_cli("-p", foo.port, "-a", "another cookie, long enough", "nodes"), 3)
        self.fails(programs.run_cli("-p", free_port(), "-a", COOKIE, "nodes"), 3)
        self.fails(programs.run_cli("-p", foo.port, "-a", COOKIE, "-I", "other", "nodes"), 3)
        self.fails(programs.run_cli("-H", "no-such-host.invalid", "-a", COOKIE, "--timeout", "5", "nodes"), 3)
        with socket.socket() as silent:  # takes connections, says nothing
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            self.fails(programs.run_cli("-H", "127.0.0.1", "-p", silent.getsockname()[1], "-a", COOKIE, "--timeout", "1",
                                        "nodes"), 3)
        self.assertLess(time.monotonic() - begin, 25)

    def test_the_cookie_may_come_from_a_file_or_the_environment_and_must_come_from_somewhere(self):
        foo = self.node("foo", "--ring", "ring")
        with tempfile.NamedTemporaryFile("w") as file:
            file.write(COOKIE + "\n")
            file.flush()
            self.assertEqual(programs.run_cli("-p", foo.port, "--cookie-file", file.name, "ping").code, 0)
        self.assertEqual(programs.run_cli("-p", foo.port, "ping", environment={"CLUSTER_COOKIE": COOKIE}).code, 0)
        self.fails(programs.run_cli("-p", foo.port, "ping"), 2)

    def test_a_script_on_stdin_gets_one_line_of_json_a_command(self):
        foo = self.node("foo", "--ring", "ring", "--demo-actors")
        answer = foo.cli(stdin='call counter add {"n": 2}\nhas \'foo\'\n\nbogus\ncall echo echo "a b"\n'
                               "call echo echo '\"a b\"'\nexit\nnodes\n")
        self.assertEqual(answer.out.splitlines(), ['{"ok": true, "data": 2}', '{"ok": true, "data": true}',
                                                   '{"ok": true, "data": "a b"}'])
        self.assertEqual(answer.err.count("\n"), 2, answer.err)  # bogus, and a b, which is no JSON
        self.assertEqual(answer.code, 2)
        self.assertEqual(foo.cli(stdin="bogus\ncall nobody get\nping\n").code, 1)  # as the last that failed
        self.assertEqual(foo.cli(stdin="ping\nping\n").code, 0)

    def test_calls_fail_at_once_where_nobody_is_called_so(self):
        foo = self.node("foo", "--ring", "ring", "--demo-actors")
        begin = time.monotonic()
        for words, code in {("nobody", "get"): "no_server", ("counter", "bogus"): "bad_message",
                            ("counter", "add", '{"n": "x"}'): "bad_message", ("counter@nowhere", "get"): "unreachable"}.items():
            with self.subTest(words):
                answer = foo.cli("call", *words)
                self.assertEqual(answer.code, 1)
                self.assertEqual(answer.reply["error"]["code"], code)
                self.assertEqual(answer.reply["error"]["executed"], "no")
        self.assertLess(time.monotonic() - begin, 5)

    def test_a_port_that_is_taken_is_one_clear_error(self):
        foo = self.node("foo")
        command = [programs.node, "-I", "foo2", "-p", str(foo.port), "-a", COOKIE]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
        self.assertEqual(done.returncode, 1)
        self.assertIn("in use", done.stderr)
        self.assertEqual(done.stderr.count("\n"), 1)

    def test_a_node_that_demands_sealing_seals_what_the_command_line_says_and_refuses_who_only_signs(self):
        strict = self.node("strict", "--ring", "ring", "--protection-min", "seal")
        self.assertEqual(strict.cli("nodes").code, 0)
        log = tempfile.NamedTemporaryFile("a+")
        self.addCleanup(log.close)
        self.node("plain", "--meet", f"localhost:{strict.port}", errors=log)
        read_log = lambda: pathlib.Path(log.name).read_text()
        wait_until(lambda: "no common protection level" in read_log(), "plain says why it does not get in")
        self.assertIn("'strict' offers seal and accepts no less than seal", read_log())
        self.assertIn("'plain' offers sign and accepts no less than sign", read_log())
        self.assertEqual(strict.ids(), {"strict"})

    def test_status_tells_how_each_connection_is_protected(self):
        foo = self.node("foo", "--ring", "ring", "--protection", "seal")
        others = {"bar": "seal", "baz": "sign"}
        for name, level in others.items():
            self.node(name, "--meet", f"localhost:{foo.port}", "--protection", level)
        shown = lambda: {member["id"]: member.get("protection") for member in foo.cli("status").data["members"]}
        wait_until(lambda: shown() == {"foo": None, **others}, "all are there")

    def test_sigterm_stops_cleanly_and_keygen_needs_no_node(self):
        self.assertEqual(Node(programs, "foo").start().stop(), 0)
        self.assertEqual(Node(programs, "foo").start().stop(signal.SIGINT), 0)
        keys = {programs.run_cli("keygen").out for _ in range(3)}
        self.assertEqual(len(keys), 3)
        self.assertTrue(all(len(key) == 45 for key in keys))


class Terminal(WithNodes):
    """A session at a terminal, key by key."""

    def open(self, foo):
        self.seen = ""
        pid, self.terminal = pty.fork()
        if pid == 0:
            os.environ.update(TERM="xterm", LC_ALL="C.UTF-8")
            os.execv(programs.cli, [programs.cli, "-p", str(foo.port), "-a", COOKIE])
        self.addCleanup(os.close, self.terminal)
        return pid

    def expect(self, text):
        """Reads on until `text`; what is behind it is left for the next time."""
        end = time.monotonic() + 30
        while text not in self.seen:
            ready, _, _ = select.select([self.terminal], [], [], max(0, end - time.monotonic()))
            self.assertTrue(ready, f"{text!r} did not come after {self.seen!r}")
            self.seen += os.read(self.terminal, 4096).decode()
        self.seen = self.seen.split(text, 1)[1]

    def type(self, keys):
        os.write(self.terminal, keys.encode())

    def test_a_session_completes_shows_tables_drops_a_line_and_ends(self):
        foo = self.node("foo", "--ring", "ring", "--rfactor", "3")
        pid = self.open(foo)
        self.expect("Connected to foo")
        self.expect("foo> ")
        self.type("weig\ts\n")  # Tab completes as far as it is clear: weight, or weights
        self.expect("foo  3\r\n")
        self.expect("foo> ")
        self.type("bogus")
        self.expect("bogus")
        self.type("\x03")  # Ctrl-C drops the line, not the session
        self.expect("foo> ")
        self.type("get bar\n")
        self.expect("error: 'bar' is not defined in this ring.")
        self.expect("foo> ")
        self.type("\x1b[A\n")  # the last command again
        self.expect("error: 'bar' is not defined in this ring.")
        self.expect("foo> ")
        self.type("exit\n")
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 0)


class ThreeNodes(WithNodes):
    def ring_of_three(self):
        foo = self.node("foo", "--ring", "ring", "--demo-actors")
        bar, baz = (self.node(name, "--meet", f"localhost:{foo.port}", "--demo-actors") for name in ("bar", "baz"))
        nodes = [foo, bar, baz]
        for node in nodes:
            wait_until(lambda: node.ids() == {"foo", "bar", "baz"}, f"{node.name} sees all three")
        return nodes

    def test_an_edit_with_wait_is_known_everywhere_when_it_is_answered(self):
        foo, bar, baz = self.ring_of_three()
        # ghost does not exist, so the ring cannot all know it, and --wait says so in time.
        answer = foo.cli("--timeout", "3", "insert", "ghost", "localhost", "1", "-w", "5", "--wait")
        self.assertEqual(answer.code, 1)
        self.assertEqual(answer.reply["error"]["executed"], "yes")
        self.assertEqual(answer.reply["error"]["message"],
                         "done at this node, but not yet known to 'ghost' (no process)")
        states = {member["id"]: member["state"] for member in foo.cli("status").data["members"]}
        self.assertEqual(states, {"foo": "same", "bar": "same", "baz": "same", "ghost": "no process"})
        self.assertEqual([node.cli("weight", "ghost").data for node in (bar, baz)], [5, 5])
        self.assertEqual(bar.cli("remove", "ghost", "--wait").code, 0)
        self.assertEqual([node.ids() for node in (foo, baz)], [{"foo", "bar", "baz"}] * 2)
        status = baz.cli("status").data
        self.assertTrue(status["converged"])
        self.assertEqual({member["link"] for member in status["members"]}, {"self", "connected"})

    def test_inserts_at_two_nodes_at_the_same_time_both_stay(self):
        foo, bar, baz = self.ring_of_three()
        foo.cli("insert", "a", "localhost", "1")
        bar.cli("insert", "b", "localhost", "2")
        for node in (foo, bar, baz):
            wait_until(lambda: node.ids() == {"foo", "bar", "baz", "a", "b"}, f"{node.name} has both")

    def test_a_call_and_a_cast_reach_an_actor_of_another_node(self):
        foo, bar, baz = self.ring_of_three()
        self.assertEqual(foo.cli("call", "counter@bar", "add", '{"n": 40}').data, 40)
        self.assertEqual(baz.cli("cast", "counter@bar", "add", '{"n": 2}').reply, {"ok": True})
        wait_until(lambda: bar.cli("call", "counter", "get").data == 42, "the cast arrives")
        self.assertEqual(foo.cli("call", "counter", "get").data, 0)
        events = foo.cli("describe", "counter@baz").data
        self.assertEqual([event["event"] for event in events], ["add", "get"])

    def test_a_removed_node_is_told_and_does_not_come_back_by_itself(self):
        foo, bar, baz = self.ring_of_three()
        self.assertEqual(foo.cli("remove", "baz", "--wait").code, 0)
        wait_until(lambda: baz.cli("status").data["ring"] is None, "baz is told")
        self.assertEqual(baz.ids(), {"baz"})
        self.assertEqual([node.ids() for node in (foo, bar)], [{"foo", "bar"}] * 2)
        self.assertEqual(baz.stop(), 0)
        again = self.node("baz", "--ring", "ring", "--meet", f"localhost:{foo.port}", port=baz.port)
        wait_until(lambda: again.cli("status").data["ring"] is None, "a restart does not undo the removal")
        self.assertEqual(foo.ids(), {"foo", "bar"})
        self.assertEqual(foo.cli("meet", "baz", "localhost", baz.port, "--wait").code, 0)
        self.assertEqual(foo.ids(), {"foo", "bar", "baz"})

    def test_leave_then_join_then_meet_works(self):
        foo, bar, baz = self.ring_of_three()
        self.assertEqual(baz.cli("leave").reply, {"ok": True})
        self.assertEqual(baz.ids(), {"baz"})
        wait_until(lambda: foo.ids() == bar.ids() == {"foo", "bar"}, "the others know")
        self.assertEqual(baz.cli("join", "ring").reply, {"ok": True})
        self.assertEqual(baz.cli("meet", "localhost", foo.port, "--wait").reply, {"ok": True})
        for node in (foo, bar, baz):
            wait_until(lambda: node.ids() == {"foo", "bar", "baz"}, f"{node.name} sees all three again")
        self.assertEqual(baz.cli("leave", "--force").code, 0)
        self.assertEqual(baz.cli("join", "another").code, 0)
        refused = baz.cli("meet", f"localhost:{foo.port}")
        self.assertEqual(refused.code, 1)
        self.assertIn("belongs to ring '", refused.reply["error"]["message"])

    def test_stopping_is_not_leaving_and_a_killed_node_finds_its_ring_again(self):
        foo, bar, baz = self.ring_of_three()
        baz.stop(signal.SIGKILL)
        foo.cli("insert", "ghost", "localhost", "1")
        self.assertEqual(foo.ids(), {"foo", "bar", "baz", "ghost"})
        again = self.node("baz", "--ring", "ring", "--meet", f"localhost:{foo.port}", "--demo-actors", port=baz.port)
        wait_until(lambda: again.ids() == {"foo", "bar", "baz", "ghost"}, "baz is back and up to date")
        wait_until(lambda: bar.cli("call", "counter@baz", "get").code == 0, "its actors are reached again")
        leaver = self.node("qux", "--meet", f"localhost:{foo.port}", "--leave-on-stop")
        wait_until(lambda: "qux" in foo.ids() and "qux" in leaver.ids() and len(leaver.ids()) > 1, "qux is in")
        self.assertEqual(leaver.stop(), 0)
        wait_until(lambda: "qux" not in foo.ids(), "qux left")

    def test_a_second_process_with_an_id_that_lives_ends_by_itself(self):
        foo, bar, _ = self.ring_of_three()
        command = [programs.node, "-I", "bar", "-p", str(free_port()), "-a", COOKIE, "--meet", f"localhost:{foo.port}",
                   "--log-level", "off"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
        self.assertEqual((done.returncode, done.stderr), (1, "cluster-node: another living process is 'bar'\n"))
        self.assertEqual(foo.ids(), {"foo", "bar", "baz"})
        self.assertEqual(foo.cli("get", "bar").data["port"], bar.port)

    def test_a_changed_port_is_dialled(self):
        foo, bar, baz = self.ring_of_three()
        baz.stop()
        moved = self.node("baz", "--ring", "ring", "--demo-actors")  # waits to be found at another port
        self.assertEqual(foo.cli("update", "baz", "localhost", moved.port).code, 0)
        wait_until(lambda: foo.cli("call", "counter@baz", "get").code == 0, "foo reaches baz at its new port")
        wait_until(lambda: bar.cli("get", "baz").data["port"] == moved.port, "bar knows the new port")
        wait_until(lambda: bar.cli("call", "counter@baz", "get").code == 0, "so does bar")

    def test_a_node_that_does_not_answer_leaves_the_outcome_open(self):
        foo, bar, _ = self.ring_of_three()
        os.kill(bar.process.pid, signal.SIGSTOP)
        self.addCleanup(os.kill, bar.process.pid, signal.SIGCONT)
        self.assertEqual(foo.cli("--timeout", "1", "call", "counter@bar", "get").code, 4)
        self.fails(bar.cli("--timeout", "1", "nodes"), 3)


if __name__ == "__main__":
    unittest.main(verbosity=2)
