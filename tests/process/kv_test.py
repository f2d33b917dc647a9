"""The key-value store of real nodes, some of which are killed. Usage: kv_test.py BIN_DIR"""
import json
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from nodes import COOKIE, DEADLINE, Node, Programs, free_port, pause, wait_until

programs = Programs(sys.argv.pop(1))
NAMES = ("foo", "bar", "baz")


class Session:
    """One connection of cluster-cli to a node: an answer for each line."""

    def __init__(self, node):
        self.process = subprocess.Popen(
            [programs.cli, "-H", "localhost", "-p", str(node.port), "-a", COOKIE, "--json", "--timeout", "4"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def run(self, line):
        """The reply; None if there is none: what was asked may have happened."""
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
            answer = self.process.stdout.readline()
            return json.loads(answer) if answer.startswith("{") else None
        except (BrokenPipeError, ValueError):
            return None

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


class Writer(threading.Thread):
    """Writes keys of its own, one after the other, through whatever node answers, and remembers what was acknowledged."""

    def __init__(self, name, nodes):
        super().__init__(daemon=True)
        self.name_of_keys, self.nodes = name, nodes
        self.acknowledged, self.tried, self.ended = {}, 0, False

    def run(self):
        session, at = None, 0
        while not self.ended:
            session = session or Session(self.nodes[at % len(self.nodes)])
            key, value = f"{self.name_of_keys}-{self.tried % 40}", str(self.tried)
            self.tried += 1
            reply = session.run(f"kv put {key} {value}")
            if reply and reply["ok"]:
                self.acknowledged[key] = int(value)
            else:
                session.close()
                session, at = None, at + 1
        if session:
            session.close()


class KeyValueStore(unittest.TestCase):
    def setUp(self):
        self.disk = pathlib.Path(tempfile.mkdtemp(prefix="cluster-kv-"))
        self.addCleanup(shutil.rmtree, self.disk)

    def node(self, name, *options, port=None):
        started = Node(programs, name, "--kv", "--data-dir", str(self.disk / name), *options, port=port).start()
        self.addCleanup(started.kill)
        return started

    def settled(self, node):
        reply = node.cli("kv", "status")
        return reply.code == 0 and reply.data["settled"]

    def ring_of_three(self):
        foo = self.node("foo", "--ring", "ring")
        nodes = [foo] + [self.node(name, "--meet", f"localhost:{foo.port}") for name in NAMES[1:]]
        for node in nodes:
            wait_until(lambda: node.ids() == set(NAMES) and self.settled(node), f"{node.name} has settled among three")
        return nodes

    def test_what_one_node_writes_the_others_read_list_and_delete(self):
        foo, bar, baz = self.ring_of_three()
        self.assertEqual(foo.cli("kv", "get", "greeting").code, 1)
        self.assertEqual(foo.cli("kv", "put", "greeting", "hello").code, 0)
        self.assertEqual(bar.cli("kv", "get", "greeting").data["value"], "hello")
        self.assertEqual(baz.cli("kv", "put", "greeting", "hello again").code, 0)
        self.assertEqual(foo.cli("kv", "get", "greeting").data["value"], "hello again")
        self.assertEqual(foo.cli("kv", "put", "large", stdin="x" * 1_000_000).code, 0)
        self.assertEqual(len(bar.cli("kv", "get", "large").data["value"]), 1_000_000)
        self.assertEqual(baz.cli("kv", "ls").data, ["greeting", "large"])
        self.assertEqual(baz.cli("kv", "ls", "gr").data, ["greeting"])
        self.assertEqual(bar.cli("kv", "del", "greeting").code, 0)
        self.assertEqual(foo.cli("kv", "get", "greeting").code, 1)
        self.assertEqual(foo.cli("kv", "ls").data, ["large"])

    def test_a_put_does_not_wait_for_a_paused_replica(self):
        foo, bar, baz = self.ring_of_three()
        key = next(key for key in map(str, range(1000)) if foo.cli("owner", f"default/{key}").data["id"] == "baz")
        self.assertEqual(foo.cli("kv", "put", key, "before").code, 0)
        pause(baz.process)
        begun = time.monotonic()
        self.assertEqual(foo.cli("kv", "put", key, "after").reply, {"ok": True})
        self.assertLess(time.monotonic() - begun, 2.5)  # it is found unreachable in some 4 s
        self.assertEqual(bar.cli("kv", "put", key, "last").reply, {"ok": True})
        baz.process.send_signal(signal.SIGCONT)
        wait_until(lambda: baz.cli("kv", "get", key).reply.get("data", {}).get("value") == "last", "it has what it missed")
        self.assertEqual(foo.cli("kv", "get", key).data["value"], "last")

    def test_a_batch_with_a_put_of_nothing_is_refused(self):
        foo = self.node("foo", "--ring", "ring")
        wait_until(lambda: self.settled(foo), "it has settled")
        refused = foo.cli("kv", "batch", stdin='[{"put": "a"}]')
        self.assertEqual(refused.code, 1)
        self.assertEqual(refused.reply["error"]["code"], "invalid_argument")
        self.assertEqual(foo.cli("kv", "get", "a").code, 1)

    def test_a_look_that_is_refused_is_said_not_to_have_happened(self):
        foo = self.node("foo", "--ring", "ring")
        wait_until(lambda: self.settled(foo), "it has settled")
        for words in (("watch", "--bucket", "bad*"), ("ls", "--bucket", "bad*"), ("ls", "--limit", "0")):
            refused = foo.cli("kv", *words)
            self.assertEqual((refused.code, refused.reply["error"]["code"], refused.reply["error"]["executed"]),
                             (1, "invalid_argument", "no"), words)

    def test_a_batch_heeds_its_conditions_or_refuses_them(self):
        foo = self.node("foo", "--ring", "ring")
        wait_until(lambda: self.settled(foo), "it has settled")
        foo.cli("kv", "put", "k", "first")
        context = foo.cli("kv", "get", "k").data["context"]
        put = {"put": "k", "value": "x"}
        for entry in ({**put, "if_absent": True, "context": context}, {**put, "if_unchanged": True}, {**put, "if_absent": "yes"},
                      {**put, "if_absent": 1}, {**put, "if_unchanged": 1, "context": context}, {**put, "context": 1},
                      {**put, "ttl_ms": "1s"}, {**put, "ttl_ms": -1}, {**put, "ttl_ms": 0}, {**put, "if_absnt": True}, {"del": "k", "if_absent": True},
                      {"del": "k", "if_unchanged": True}, {"get": "k", "context": context}, {"get": "k", "ttl_ms": 1}):
            with self.subTest(entry):
                refused = foo.cli("kv", "batch", stdin=json.dumps([{"put": "other", "value": "x"}, entry]))
                self.assertEqual((refused.code, refused.reply["error"]["code"]), (1, "invalid_argument"))
        self.assertEqual(foo.cli("kv", "get", "k").data["value"], "first")
        self.assertEqual(foo.cli("kv", "get", "other").code, 1)
        done = foo.cli("kv", "batch", stdin=json.dumps([{**put, "if_absent": True}, {**put, "if_unchanged": True, "context": context},
                                                        {"put": "new", "value": "x", "if_absent": True, "if_unchanged": False}]))
        self.assertEqual([row["ok"] for row in done.data], [False, True, True])

    def test_a_key_is_what_every_door_can_say(self):
        foo = self.node("foo", "--ring", "ring")
        wait_until(lambda: self.settled(foo), "it has settled")
        for key in ("a\nb", "\x7f", ".", ".."):
            refused = foo.cli("kv", "put", key, "v")
            self.assertEqual((refused.code, refused.reply["error"]["code"]), (1, "invalid_argument"), key)
            batch = foo.cli("kv", "batch", stdin=json.dumps([{"put": key, "value": "v"}]))
            self.assertEqual(batch.data[0]["error"]["code"], "invalid_argument", key)
            self.assertEqual(foo.cli("kv", "get", key).reply["error"]["code"], "not_found", key)
        bytes_of = [{"put": {"$text": "/w=="}, "value": "v"}]
        self.assertEqual(foo.cli("kv", "batch", stdin=json.dumps(bytes_of)).data[0]["error"]["code"], "invalid_argument")
        for key in ("...", "a b/c", "\u00fc"):
            self.assertEqual(foo.cli("kv", "put", key, "v").reply, {"ok": True})

    def watch(self, node, *options):
        """The lines that a `kv watch` says, from the one on that tells that it watches."""
        process = subprocess.Popen([programs.cli, "-H", "localhost", "-p", str(node.port), "-a", COOKIE, "--json", "kv", "watch",
                                    *options], stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        begun = json.loads(process.stdout.readline())
        self.assertEqual((begun["event"], sorted(begun["members"]), begun["silent"]), ("watching", sorted(NAMES), []))
        return process.stdout

    def test_who_watches_at_one_node_sees_what_is_written_at_others_once_while_a_node_dies(self):
        foo, bar, baz = self.ring_of_three()
        lines = self.watch(foo, "--prefix", "w", "--bucket", "carts")

        def until(key):
            seen = []
            for line in lines:
                row = json.loads(line)
                if "key" in row:
                    seen.append((row["event"], row["key"]))
                if row.get("key") == key:
                    return seen
            self.fail("the watch has ended")
        for i in range(10):
            node = (bar, baz)[i % 2]
            self.assertEqual(node.cli("kv", "put", f"w{i}", "x", "carts").code, 0)
        self.assertEqual(bar.cli("kv", "put", "other", "x", "carts").code, 0)
        self.assertEqual(bar.cli("kv", "del", "w3", "--bucket", "carts").code, 0)
        self.assertEqual(bar.cli("kv", "put", "w-end", "x", "carts").code, 0)
        seen = until("w-end")
        self.assertEqual(sorted(seen), sorted(set(seen)))
        self.assertEqual({key for _, key in seen}, {f"w{i}" for i in range(10)} | {"w-end"})
        self.assertIn(("del", "w3"), seen)
        baz.kill()
        wait_until(lambda: foo.cli("kv", "put", "w after", "x", "carts").code == 0, "two of three take a write")
        self.assertEqual(until("w after"), [("put", "w after")])
        self.node("baz", "--meet", f"localhost:{foo.port}", port=baz.port)
        wait_until(lambda: foo.cli("kv", "put", "w again", "x", "carts").code == 0, "all three take a write")
        self.assertEqual(until("w again"), [("put", "w again")])

    def test_a_script_gets_the_bytes_of_a_value_and_nothing_else(self):
        foo = self.node("foo", "--ring", "ring")
        wait_until(lambda: self.settled(foo), "it has settled")

        def raw(*arguments, stdin=b""):
            done = subprocess.run([programs.cli, "-H", "localhost", "-p", str(foo.port), "-a", COOKIE, "kv", *arguments],
                                  input=stdin, capture_output=True, timeout=DEADLINE)
            return done.returncode, done.stdout, done.stderr
        for value in (b"", b"text", b"a line\n", bytes(range(256)), "\u00fc".encode()):
            self.assertEqual(raw("put", "raw", stdin=value)[0], 0)
            self.assertEqual(raw("get", "raw", "--raw"), (0, value, b""))
        code, out, err = raw("get", "nothing", "--raw")
        self.assertEqual((code, out), (1, b""))
        self.assertIn(b"there is no key", err)
        for value in (b"milk", b"bread"):
            self.assertEqual(raw("put", "cart", "--context", "", stdin=value)[0], 0)
        code, out, err = raw("get", "cart", "--raw")
        self.assertEqual((code, out), (1, b""))
        self.assertIn(b"siblings", err)

    def test_a_value_of_64_mib_goes_through_the_command_line_and_a_greater_one_is_refused_there(self):
        foo = self.node("foo", "--ring", "ring")
        wait_until(lambda: self.settled(foo), "it has settled")
        value = "x" * (64 << 20)
        self.assertEqual(foo.cli("--timeout", "60", "kv", "put", "large", "-", stdin=value).code, 0)
        refused = foo.cli("--timeout", "60", "kv", "put", "large", "-", stdin=value + "x")
        self.assertEqual((refused.code, refused.out), (2, ""))
        self.assertIn("64 MiB", refused.err)
        self.assertTrue(foo.cli("--timeout", "60", "kv", "get", "large").data["value"] == value)

    def test_the_keys_of_great_values_are_listed_without_reading_the_values(self):
        foo = self.node("foo", "--ring", "ring")
        wait_until(lambda: self.settled(foo), "it has settled")
        keys = [f"great-{i:02}" for i in range(24)]
        value = "x" * (16 << 20)
        for key in keys:
            self.assertEqual(foo.cli("--timeout", "60", "kv", "put", key, "-", stdin=value).code, 0)
        foo.stop()
        foo = self.node("foo", port=foo.port)
        wait_until(lambda: self.settled(foo), "it has settled again")

        def told(name, file):
            lines = pathlib.Path(f"/proc/{foo.process.pid}/{file}").read_text().splitlines()
            return next(int(line.split()[1]) for line in lines if line.startswith(name))

        pathlib.Path(f"/proc/{foo.process.pid}/clear_refs").write_text("5")  # the most memory is counted anew
        read, memory = told("rchar", "io"), told("VmHWM", "status")
        self.assertEqual(foo.cli("kv", "ls").data, keys)
        self.assertEqual(foo.cli("kv", "scan", "great-1").data, keys[10:20])
        self.assertLess(told("rchar", "io") - read, 4 << 20)
        self.assertLess(told("VmHWM", "status") - memory, 16 << 10)
        self.assertEqual(foo.cli("kv", "del", keys[3]).code, 0)
        self.assertEqual(foo.cli("kv", "ls").data, keys[:3] + keys[4:])
        self.assertTrue(foo.cli("--timeout", "60", "kv", "get", keys[4]).data["value"] == value)

    def test_buckets_are_kept_as_their_options_say_and_conditions_hold(self):
        options = ("--kv-bucket", "*:n=2,r=1,w=2", "--kv-bucket", "newest:last", "--kv-bucket", "lists:union")
        foo = self.node("foo", "--ring", "ring", *options)
        wait_until(lambda: self.settled(foo), "it has settled")
        shown = {bucket["name"]: bucket for bucket in foo.cli("kv", "status").data["buckets"]}
        self.assertEqual(shown["newest"], {"name": "newest", "n": 2, "r": 1, "w": 2, "resolve": "last"})
        self.assertEqual(shown["lists"]["resolve"], "union")
        for bucket, expected in (("default", None), ("newest", "two"), ("lists", "one\ntwo\n")):
            for text in ("one", "two"):
                self.assertEqual(foo.cli("kv", "put", "key", text, bucket, "--context", "").code, 0)
            data = foo.cli("kv", "get", "key", bucket).data
            self.assertEqual(data.get("value"), expected, bucket)
            self.assertEqual(sorted(data.get("values", [])), [] if expected else ["one", "two"])
        context = foo.cli("kv", "get", "key").data["context"]
        self.assertEqual(foo.cli("kv", "put", "key", "x", "--if-absent").reply["error"]["code"], "already_exists")
        self.assertEqual(foo.cli("kv", "put", "key", "both", "--context", context, "--if-unchanged").code, 0)
        self.assertEqual(foo.cli("kv", "put", "key", "again", "--context", context, "--if-unchanged").reply["error"]["code"], "refused")
        self.assertEqual(foo.cli("kv", "get", "key").data["value"], "both")
        self.assertEqual(foo.cli("kv", "put", "soon", "gone", "--ttl", "200ms").code, 0)
        wait_until(lambda: foo.cli("kv", "get", "soon").code == 1, "it has gone")
        batch = json.dumps([{"put": "a", "value": "1"}, {"put": "key", "value": "x", "if_absent": True}, {"get": "a"}, {"del": "key"}])
        outcomes = foo.cli("kv", "batch", stdin=batch).data
        self.assertEqual([outcome["ok"] for outcome in outcomes], [True, False, True, True])
        self.assertEqual(outcomes[2]["values"], ["1"])
        self.assertEqual(foo.cli("kv", "scan").data, ["a"])
        self.assertEqual(foo.cli("kv", "batch", stdin='[{"nonsense": 1}]').code, 1)

    def test_a_bucket_of_the_file_store_cannot_be_given_other_rules(self):
        refused = subprocess.run([programs.node, "-I", "foo", "-p", str(free_port()), "-a", COOKIE, "--kv", "--kv-bucket",
                                  "file.blobs:n=5"], capture_output=True, text=True, timeout=DEADLINE)
        self.assertEqual(refused.returncode, 2, refused.stderr)
        self.assertIn("--kv-bucket: bucket 'file.blobs' is the file store's own", refused.stderr)

    def test_a_node_without_a_store_says_so(self):
        node = Node(programs, "plain").start()
        self.addCleanup(node.kill)
        answer = node.cli("kv", "get", "key")
        self.assertEqual(answer.code, 1)
        self.assertEqual(answer.reply["error"]["code"], "no_server")

    def test_a_program_without_rocksdb_beside_it_keeps_keys_in_memory_and_says_that_it_can_keep_none_on_a_disk(self):
        bare = Programs(self.disk)
        shutil.copy(programs.node, bare.node)
        shutil.copy(programs.cli, bare.cli)
        refused = subprocess.run([bare.node, "-I", "foo", "-p", str(free_port()), "-a", COOKIE, "--kv", "--data-dir",
                                  self.disk / "data"], capture_output=True, text=True, timeout=DEADLINE)
        self.assertEqual(refused.returncode, 1, refused.stderr)
        self.assertIn("a data directory needs RocksDB, which this build lacks", refused.stderr)
        node = Node(bare, "foo", "--ring", "ring", "--kv").start()
        self.addCleanup(node.kill)
        wait_until(lambda: self.settled(node), "it has settled")
        self.assertEqual(node.cli("kv", "put", "key", "value").code, 0)
        self.assertFalse(node.cli("kv", "status").data["durable"])

    def test_one_node_that_restarts_has_its_keys(self):
        foo = self.node("foo", "--ring", "ring")
        wait_until(lambda: self.settled(foo), "it has settled")
        self.assertEqual(foo.cli("kv", "put", "key", "value").code, 0)
        foo.stop(signal.SIGKILL)
        foo = self.node("foo", port=foo.port)
        wait_until(lambda: self.settled(foo), "it has settled again")
        self.assertEqual(foo.cli("kv", "get", "key").data["value"], "value")

    def test_the_replicas_of_each_key_span_the_zones_and_one_that_dies_as_a_whole_takes_none_of_them(self):
        names = [f"n{i}" for i in range(6)]
        zones = {name: "abc"[i % 3] for i, name in enumerate(names)}
        first = self.node("n0", "--ring", "ring", "--zone", "a")
        nodes = {"n0": first} | {name: self.node(name, "--meet", f"localhost:{first.port}", "--zone", zones[name])
                                 for name in names[1:]}

        def zones_at(node):
            return {member["id"]: member.get("zone") for member in node.cli("members").data}

        def settle(what):
            for node in nodes.values():
                wait_until(lambda: zones_at(node) == zones and node.ids() == set(names) and self.settled(node),
                           f"{node.name} has settled {what}", 60)
        settle("among six")
        self.assertEqual({m["id"]: m["zone"] for m in first.cli("status").data["members"]}, zones)
        self.assertEqual({p["value"]["id"]: p["value"]["zone"] for p in first.cli("inspect").data["tree"]}, zones)
        keys = [f"key {i}" for i in range(40)]
        for i, key in enumerate(keys):
            holders = [[m["id"] for m in nodes[name].cli("owner", f"default/{key}", 3).data] for name in ("n0", "n5")]
            self.assertEqual(holders[0], holders[1])
            self.assertEqual(sorted(zones[holder] for holder in holders[0]), ["a", "b", "c"])
            self.assertEqual(nodes[names[i % 6]].cli("kv", "put", key, key).code, 0)
        alive = [nodes[name] for name in names if zones[name] != "b"]
        writer = Writer("w", alive)
        writer.start()
        wait_until(lambda: len(writer.acknowledged) > 10, "writes go on")
        for name in names:
            if zones[name] == "b":
                nodes[name].stop(signal.SIGKILL)
        so_far = writer.tried
        wait_until(lambda: writer.tried > so_far + 20, "writes go on without a zone")
        writer.ended = True
        writer.join(30)
        self.assertFalse(writer.is_alive())
        expected = dict.fromkeys(keys) | writer.acknowledged

        def read_all(at):
            for session in map(Session, at):
                for key, number in expected.items():
                    reply = session.run(f"kv get '{key}'")
                    self.assertTrue(reply and reply["ok"], f"{key}: {reply}")
                    if number is None:
                        self.assertEqual(reply["data"]["value"], key)
                    else:
                        self.assertGreaterEqual(max(map(int, reply["data"].get("values", [reply["data"].get("value")]))), number)
                session.close()
        read_all(alive)
        # Back, one of them in another zone: its keys move, and each still spans three.
        zones["n1"] = "d"
        for name in ("n1", "n4"):
            nodes[name] = self.node(name, "--zone", zones[name], port=nodes[name].port)
        settle("with a fourth zone")
        for key in keys:
            holders = [m["id"] for m in nodes["n2"].cli("owner", f"default/{key}", 3).data]
            self.assertEqual(len({zones[holder] for holder in holders}), 3)
        read_all(nodes.values())

    def test_nothing_acknowledged_is_lost_when_nodes_are_killed_with_their_disks_kept_and_lost(self):
        nodes = self.ring_of_three()
        writers = [Writer(f"w{i}", nodes) for i in range(2)]
        for writer in writers:
            writer.start()

        def progress(what):
            before = [len(writer.acknowledged) + writer.tried for writer in writers]
            wait_until(lambda: all(len(w.acknowledged) > 0 and w.tried + len(w.acknowledged) > b + 10
                                   for w, b in zip(writers, before)), f"writes go on {what}")

        progress("at first")
        for place, lost in ((1, False), (2, True), (0, False), (1, True)):
            victim = nodes[place]
            victim.stop(signal.SIGKILL)
            progress("without one node")
            if lost:
                shutil.rmtree(self.disk / victim.name / "kv")
            nodes[place] = self.node(victim.name, port=victim.port)
            for writer in writers:
                writer.nodes = nodes
            wait_until(lambda: all(self.settled(node) for node in nodes), "all have settled again", 60)
            progress("with all nodes again")
        for writer in writers:
            writer.ended = True
        for writer in writers:
            writer.join(30)
            self.assertFalse(writer.is_alive())
        for node in nodes:
            session = Session(node)
            for writer in writers:
                for key, number in writer.acknowledged.items():
                    reply = session.run(f"kv get {key}")
                    self.assertTrue(reply and reply["ok"], f"{key} at {node.name}: {reply}")
                    data = reply["data"]
                    values = [int(value) for value in data.get("values", [data.get("value")])]
                    self.assertGreaterEqual(max(values), number, f"{key} at {node.name}")
            session.close()


if __name__ == "__main__":
    unittest.main(verbosity=2)
