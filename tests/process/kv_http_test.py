"""The key-value store over HTTP, at real nodes. Usage: kv_http_test.py BIN_DIR"""
import http.client
import signal
import sys
import time
import unittest

from nodes import DEADLINE, Programs, wait_until
from web import EventStream, WebNode, WebSocket, exchange, ring_of

programs = Programs(sys.argv.pop(1))
EMPTY = [("X-Cluster-Context", "")]


def settled(node):
    answer = node.get("/v1/kv")
    return answer.status == 200 and answer.data["settled"]


def memory_of(node, name="VmHWM"):
    with open(f"/proc/{node.process.pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(name)) // 1024


class Store(unittest.TestCase):
    def ring(self, count=3):
        nodes = ring_of(self, programs, count, "--kv")
        for node in nodes:
            wait_until(lambda: settled(node), f"{node.name} has settled")
        return nodes

    def status(self, code, answer):
        self.assertEqual(answer.status, code, answer.body[:300])
        return answer

    def test_a_value_is_what_was_put_at_any_node_until_it_is_deleted(self):
        foo, bar, baz = self.ring()
        path = "/v1/kv/default/a%2Fb%20%C3%BC"
        value = bytes(range(256))
        self.assertEqual(self.status(404, foo.get(path)).error["code"], "not_found")
        self.status(404, foo.request("DELETE", path))
        self.status(200, foo.request("PUT", path, value))
        got = self.status(200, bar.get(path))
        self.assertEqual((got.body, got.headers["content-type"]), (value, "application/octet-stream"))
        self.status(200, baz.request("PUT", path, b"second"))
        self.assertEqual(self.status(200, foo.get(path)).body, b"second")
        head = self.status(200, foo.request("HEAD", path))
        self.assertEqual((head.body, head.headers["content-length"]), (b"", "6"))
        self.assertEqual(foo.get("/v1/kv/default").data, {"keys": ["a/b ü"], "next": None})
        self.status(200, bar.request("DELETE", path))
        self.status(404, foo.get(path))
        self.assertEqual(baz.get("/v1/kv/default").data["keys"], [])
        self.status(200, foo.request("PUT", path, b""))
        self.assertEqual(self.status(200, bar.get(path)).body, b"")

    def test_nodes_that_are_restarted_as_each_is_ready_lose_nothing_of_what_is_in_memory(self):
        nodes = self.ring()
        keys = [f"/v1/kv/default/key{i}" for i in range(200)]
        for i, key in enumerate(keys):
            self.status(200, nodes[i % 3].request("PUT", key, f"{i}".encode()))
        for i, node in enumerate(nodes):
            node.stop()
            node.options = ("--http", "0", "--meet", f"localhost:{nodes[i - 1].port}", "--kv")
            node.start()
            wait_until(lambda: node.get("/readyz").status == 200, f"{node.name} is ready")
        for i, key in enumerate(keys):
            self.assertEqual(self.status(200, nodes[i % 3].get(key)).body, f"{i}".encode())

    def test_a_node_with_a_store_is_ready_in_a_ring_alone(self):
        foo, _ = self.ring(2)  # it was not told to meet anybody
        self.assertEqual(foo.get("/readyz").status, 200)
        foo.cli("leave")
        wait_until(lambda: foo.get("/v1/ring").data["ring"] is None, "it has left")
        wait_until(lambda: foo.get("/readyz").status == 503, "it is not ready")
        self.assertIn("in no ring", foo.get("/readyz").error["message"])
        self.assertFalse(foo.get("/v1/kv").data["settled"])

    def test_post_creates_and_answers_409_if_there_is_such_a_key(self):
        foo, bar, _ = self.ring()
        self.status(201, foo.request("POST", "/v1/kv/users/ada", b"1"))
        self.assertEqual(self.status(409, bar.request("POST", "/v1/kv/users/ada", b"2")).error["code"], "already_exists")
        self.assertEqual(foo.get("/v1/kv/users/ada").body, b"1")
        self.status(404, foo.get("/v1/kv/default/ada"))
        self.status(200, foo.request("DELETE", "/v1/kv/users/ada"))
        self.status(201, bar.request("POST", "/v1/kv/users/ada", b"3"))

    def test_writers_who_knew_nothing_of_each_other_leave_siblings_and_a_context_replaces_what_it_saw(self):
        foo, bar, baz = self.ring()
        path = "/v1/kv/default/cart"
        self.status(200, foo.request("PUT", path, b"milk", EMPTY))
        self.status(200, bar.request("PUT", path, b"bread", EMPTY))
        both = self.status(300, baz.get(path))
        self.assertEqual(sorted(both.data["values"]), ["bread", "milk"])
        self.assertEqual(both.headers["x-cluster-context"], both.data["context"])
        merged = self.status(200, foo.request("PUT", path, b"bread and milk", [("X-Cluster-Context", both.data["context"])]))
        one = self.status(200, bar.get(path))
        self.assertEqual(one.body, b"bread and milk")
        # A writer with the old context has not seen it: that stays beside.
        self.status(200, baz.request("PUT", path, b"eggs", [("X-Cluster-Context", both.data["context"])]))
        self.assertEqual(sorted(self.status(300, foo.get(path)).data["values"]), ["bread and milk", "eggs"])
        self.status(200, foo.request("PUT", path, b"all"))  # replaces whatever can be read
        self.assertEqual(self.status(200, baz.get(path)).body, b"all")
        self.assertTrue(merged.data["context"])

    def test_conditions_are_those_of_http(self):
        foo, bar, _ = self.ring()
        path = "/v1/kv/default/counter"
        none = [("If-None-Match", "*")]
        self.status(200, foo.request("PUT", path, b"1", none))
        self.status(412, bar.request("PUT", path, b"2", none))
        tag = [("If-Match", bar.get(path).headers["etag"])]
        known = bar.get(path, headers=[("If-None-Match", tag[0][1])])
        self.assertEqual((known.status, known.body, known.headers["etag"]), (304, b"", tag[0][1]))
        self.assertEqual(bar.get(path, headers=tag).body, b"1")
        self.status(412, bar.get(path, headers=[("If-Match", '"another"')]))
        self.status(200, bar.request("PUT", path, b"2", tag))
        self.status(412, foo.request("PUT", path, b"3", tag))
        self.status(412, foo.request("DELETE", path, headers=tag))
        for foreign in ('"of another service"', f'W/{tag[0][1]}', f'"x", W/{tag[0][1]}', '""', '"", ""', '"kZA="'):
            self.status(412, foo.request("PUT", path, b"3", [("If-Match", foreign)]))
        self.assertEqual(foo.get(path).body, b"2")
        self.status(200, foo.request("DELETE", path, headers=[("If-Match", f'"", {foo.get(path).headers["etag"]}')]))
        self.status(404, bar.get(path))
        some = [("If-Match", "*")]
        self.status(412, foo.request("PUT", path, b"4", some))
        self.status(412, bar.request("DELETE", path, headers=some))
        self.status(404, bar.get(path))
        for value in (b"a", b"b"):
            self.status(200, foo.request("PUT", path, value, EMPTY))
        self.status(200, bar.request("PUT", path, b"5", some))
        self.assertEqual(self.status(200, foo.get(path)).body, b"5")
        self.status(200, bar.request("DELETE", path, headers=some))
        self.status(404, foo.get(path))

    def test_a_time_to_live_ends(self):
        foo, bar, _ = self.ring()
        self.status(200, foo.request("PUT", "/v1/kv/default/soon?ttl_ms=300", b"x"))
        self.status(200, bar.request("PUT", "/v1/kv/default/stays?ttl_ms=600000", b"x"))
        wait_until(lambda: bar.get("/v1/kv/default/soon").status == 404, "it is gone")
        self.assertEqual(foo.get("/v1/kv/default").data["keys"], ["stays"])

    def test_a_read_tells_what_is_left_of_the_time_to_live(self):
        foo, bar, _ = self.ring()
        path = "/v1/kv/default/key"

        def left():
            answer = bar.get(path)
            return answer.status, int(answer.headers.get("x-cluster-ttl", 0))

        self.status(200, foo.request("PUT", path + "?ttl_ms=500000", b"a", EMPTY))
        self.assertTrue(400_000 < left()[1] <= 500_000, left())
        self.assertTrue(400_000 < foo.cli("kv", "get", "key").data["ttl_ms"] <= 500_000)
        self.status(200, foo.request("PUT", path + "?ttl_ms=900000", b"b", EMPTY))  # beside it: that of the last
        self.assertTrue(800_000 < left()[1] <= 900_000 and left()[0] == 300, left())
        self.status(200, foo.request("PUT", path, b"c", EMPTY))  # one that stays
        self.assertEqual(left(), (300, 0))
        self.status(200, foo.request("PUT", path, b"d"))
        self.assertEqual(left(), (200, 0))
        self.assertNotIn("ttl_ms", foo.cli("kv", "get", "key").data)

    def test_an_entity_tag_is_of_one_body_also_once_the_time_of_a_sibling_is_over(self):
        foo, bar, _ = self.ring()
        reads = []

        def two_values():
            path = f"/v1/kv/default/k{len(reads)}"
            self.status(200, foo.request("PUT", path, b"stays", EMPTY))
            self.status(200, bar.request("PUT", path + "?ttl_ms=1000", b"goes", EMPTY))
            reads.append((path, foo.get(path)))
            return reads[-1][1].status == 300

        wait_until(two_values, "both are read while both are there")
        path, two = reads[-1]
        wait_until(lambda: bar.get(path).body == b"stays", "the time of one is over")
        one = self.status(200, bar.get(path, headers=[("If-None-Match", two.headers["etag"])]))
        self.assertEqual(one.body, b"stays")
        self.assertEqual(one.headers["x-cluster-context"], two.headers["x-cluster-context"])
        self.status(412, foo.get(path, headers=[("If-Match", two.headers["etag"])]))
        for node in (foo, bar):
            self.status(304, node.get(path, headers=[("If-None-Match", one.headers["etag"])]))
        # Nothing was written since: a write may depend on either read, and on the context alone.
        for tag in (two.headers["etag"], None):
            tag = tag or f'"{foo.get(path).headers["x-cluster-context"]}"'
            put = self.status(200, foo.request("PUT", path, b"stays", [("If-Match", tag)]))
            self.status(412, bar.request("PUT", path, b"late", [("If-Match", tag)]))
            self.status(304, bar.get(path, headers=[("If-None-Match", put.headers["etag"])]))

    def test_keys_come_in_pages(self):
        foo, bar, _ = self.ring()
        for i in range(25):
            self.status(200, foo.request("PUT", f"/v1/kv/default/k{i:02}", b"x"))
        keys, start = [], ""
        while start is not None:
            page = bar.get(f"/v1/kv/default?limit=10&from={start}").data
            self.assertLessEqual(len(page["keys"]), 10)
            keys, start = keys + page["keys"], page["next"]
        self.assertEqual(keys, [f"k{i:02}" for i in range(25)])
        self.assertEqual(bar.get("/v1/kv/default?prefix=k1&from=k18").data["keys"], ["k18", "k19"])

    def test_what_is_wrong_is_refused_with_json_that_says_why(self):
        (foo,) = self.ring(1)
        self.status(200, foo.request("PUT", "/v1/kv/b/k", b"x"))
        for method, target, headers in (("GET", "/v1/kv/b%20c/k", []), ("PUT", "/v1/kv/b/k?ttl_ms=x", []), ("PUT", "/v1/kv/b/k?ttl_ms=0", []),
                                        ("GET", "/v1/kv/b/k?timeout_ms=60001", []), ("GET", "/v1/kv/b?limit=10000", []),
                                        ("GET", "/v1/kv/b?limit=0", []),
                                        ("PUT", "/v1/kv/b/k", [("If-Match", "*"), ("If-None-Match", "*")]),
                                        ("PUT", "/v1/kv/b/k", [("If-Match", "*"), *EMPTY]),
                                        ("POST", "/v1/kv/b/k", [("If-Match", "*")]),
                                        ("GET", "/v1/kv/b/" + "k" * 1025, []), ("GET", f"/v1/kv/{'b' * 65}/k", []),
                                        ("GET", "/v1/kv/b%20c", []), ("PUT", "/v1/kv/b/k", [("X-Cluster-Context", "nonsense")]),
                                        ("PUT", "/v1/kv/b/k", [("If-Match", "AAAA")]), ("PUT", "/v1/kv/b/k", [("If-Match", "")]),
                                        ("PUT", "/v1/kv/b/k", [("If-None-Match", "x")]),
                                        ("PUT", "/v1/kv/b/k", [("If-None-Match", "*"), *EMPTY]),
                                        ("POST", "/v1/kv/b/k", [("If-None-Match", "*")]),
                                        ("PUT", "/v1/kv/b/k", [("Content-Range", "bytes 0-0/9")]),
                                        ("POST", "/v1/kv/b/new", [("Content-Range", "bytes 0-0/9")])):
            with self.subTest(f"{method} {target[:30]} {headers}"):
                self.assertTrue(self.status(400, foo.request(method, target, b"y" if method != "GET" else None, headers)).error["message"])
        self.status(401, foo.get("/v1/kv/b/k", token=False))
        self.status(405, foo.request("PATCH", "/v1/kv/b/k"))
        self.assertEqual(foo.get("/v1/kv/b/k").body, b"x")

    def test_changes_come_over_streams_of_any_node_as_they_happen_and_as_a_list(self):
        foo, bar, baz = self.ring()
        path = "/v1/watch/default"
        streams = [EventStream(foo, path=path), WebSocket(bar, path + "?prefix=")]
        for stream in streams:
            self.addCleanup(stream.close)
        begun = self.status(200, baz.get(path)).data
        self.assertEqual([(row["event"], len(row["members"])) for row in begun["changes"]], [("watching", 3)])
        for stream in streams:
            self.assertEqual(stream.next()["event"], "watching")
        self.status(200, baz.request("PUT", "/v1/kv/default/a", b"1"))
        self.status(200, foo.request("PUT", "/v1/kv/default/b", b"2"))
        self.status(200, bar.request("DELETE", "/v1/kv/default/a"))
        self.status(200, bar.request("PUT", "/v1/kv/default/end", b""))
        for stream in streams:
            seen = []
            while not seen or seen[-1] != ("put", "end"):
                row = stream.next()
                seen.append((row["event"], row["key"]))
            self.assertEqual(len(seen), len(set(seen)))
            self.assertIn(("del", "a"), seen)
            self.assertIn(("put", "b"), seen)
        changes, since = [], begun["last"]
        while ("put", "end") not in changes:
            page = self.status(200, baz.get(f"{path}?since={since}&wait_ms=5000")).data
            changes += [(row["event"], row["key"]) for row in page["changes"]]
            since = page["last"]
        self.assertEqual(len(changes), len(set(changes)))
        late = self.status(200, baz.get(path + "?since=5")).data["changes"]
        self.assertEqual(late[0]["event"], "missed")
        again = EventStream(baz, path=path, last_event_id=begun["last"])
        self.addCleanup(again.close)
        self.assertEqual((again.next()["event"], again.status), ("put", 200))
        for query in ("since=x", "wait_ms=30001"):
            self.status(400, foo.get(path + "?" + query))
        self.status(400, foo.get("/v1/watch/a%20b"))
        self.status(401, foo.get(path, token=False))

    def test_metrics_tell_of_requests_by_outcome_of_their_times_and_of_what_is_held(self):
        foo, bar, _ = self.ring()
        path = "/v1/kv/default/k"
        self.status(404, foo.get(path))
        self.status(200, foo.request("PUT", path, b"12345"))
        self.status(409, foo.request("POST", path, b"x"))
        self.status(200, foo.get(path))
        for value in (b"a", b"b"):
            self.status(200, foo.request("PUT", "/v1/kv/default/cart", value, EMPTY))
        self.status(300, foo.get("/v1/kv/default/cart"))
        lines = dict(line.rsplit(" ", 1) for line in foo.get("/metrics").body.decode().splitlines() if line[0] != "#")

        def of(operation, outcome):
            return int(lines[f'cluster_kv_requests_total{{operation="{operation}",outcome="{outcome}"}}'])
        self.assertEqual((of("get", "ok"), of("get", "absent"), of("put", "ok"), of("put", "refused")), (2, 1, 3, 1))
        self.assertEqual(int(lines["cluster_kv_reads_with_siblings_total"]), 1)
        times = [int(value) for name, value in lines.items()
                 if name.startswith('cluster_kv_request_duration_seconds_bucket{operation="get"')]
        self.assertEqual((times, times[-1]), (sorted(times), 3))
        self.assertEqual(int(lines['cluster_kv_request_duration_seconds_count{operation="put"}']), 4)
        self.assertGreater(float(lines['cluster_kv_request_duration_seconds_sum{operation="put"}']), 0)
        self.assertEqual((float(lines["cluster_kv_keys"]), float(lines["cluster_kv_stored_bytes"])), (2, 7))
        self.assertEqual(float(lines["cluster_kv_settled"]), 1)
        plain = WebNode(programs, "plain").start()
        self.addCleanup(plain.stop, signal.SIGKILL)
        self.assertNotIn("cluster_kv", plain.get("/metrics").body.decode())

    def test_without_a_store_or_enough_replicas_the_answer_is_503_and_says_whether_it_happened(self):
        plain = WebNode(programs, "plain", "--ring", "ring").start()
        self.addCleanup(plain.stop, signal.SIGKILL)
        self.assertIn("--kv", self.status(503, plain.get("/v1/kv/default/k")).error["message"])
        self.status(503, plain.get("/v1/kv/default"))
        self.status(503, plain.get("/v1/kv"))
        foo, bar, baz = self.ring()
        self.status(200, foo.request("PUT", "/v1/kv/default/k", b"x"))
        bar.kill()
        baz.kill()
        wait_until(lambda: set(foo.states().values()) == {"alive", "unreachable"}, "two are gone")
        refused = self.status(503, foo.request("PUT", "/v1/kv/default/k", b"y"))
        self.assertEqual(refused.error["executed"], "no")
        self.status(503, foo.get("/v1/kv/default/k"))

    def test_values_of_64_mib_go_in_and_out_with_bounded_memory_and_greater_ones_are_refused(self):
        foo, bar, _ = self.ring()
        value = b"0123456789abcdef" * (1 << 22)
        self.assertEqual(len(value), 64 << 20)
        begin = time.monotonic()
        self.status(200, foo.request("PUT", "/v1/kv/default/large?timeout_ms=60000", value))
        print(f"64 MiB written in {time.monotonic() - begin:.1f} s", end=" ", file=sys.stderr)
        got = self.status(200, bar.get("/v1/kv/default/large?timeout_ms=60000"))
        self.assertEqual(got.body, value)
        print(f"memory at most {[memory_of(node) for node in (foo, bar)]} MiB", end=" ", file=sys.stderr)
        for node in (foo, bar):
            self.assertLess(memory_of(node), 16 * 64)
        connection = http.client.HTTPConnection("localhost", foo.web, timeout=DEADLINE)
        self.addCleanup(connection.close)
        over = [("Content-Length", str((64 << 20) + 1))]
        self.status(413, exchange(connection, "PUT", "/v1/kv/default/large", None, over, WebNode.token))
        self.assertEqual(len(bar.get("/v1/kv/default/large?timeout_ms=60000").body), 64 << 20)


if __name__ == "__main__":
    unittest.main(verbosity=2)
