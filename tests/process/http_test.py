"""The HTTP API of real nodes. Usage: http_test.py BIN_DIR"""
import contextlib
import http.client
import json
import os
import re
import select
import signal
import sys
import tempfile
import threading
import time
import unittest

from nodes import COOKIE, DEADLINE, Node, Programs, follow, free_port, pause, wait_until
from web import EventStream, WebNode, WebSocket, exchange, jsonschema, ring_of

programs = Programs(sys.argv.pop(1))


class Api(unittest.TestCase):
    def node(self, *options, name="foo"):
        node = WebNode(programs, name, *options).start()
        self.addCleanup(node.stop, signal.SIGKILL)
        return node

    def test_ring_and_members_tell_what_the_command_line_tells(self):
        nodes = ring_of(self, programs, 3)
        for node in nodes:
            ring = node.get("/v1/ring").data
            self.assertEqual(ring["ring"], "ring")
            self.assertEqual([m["id"] for m in ring["members"]], ["node0", "node1", "node2"])
            self.assertEqual([m["port"] for m in ring["members"]], [n.port for n in nodes])
            self.assertAlmostEqual(sum(m["share"] for m in ring["members"]), 1)
            members = node.get("/v1/members").data
            self.assertEqual({m["id"]: m["state"] for m in members}, node.states())
        self.assertEqual(len({node.get("/v1/ring").data["state"] for node in nodes}), 1)

    def test_the_zone_of_a_member_is_shown_where_it_has_one(self):
        foo = self.node("--ring", "ring", "--zone", "rack 3")
        bar = self.node("--meet", f"localhost:{foo.port}", name="bar")
        wait_until(lambda: len(bar.get("/v1/ring").data["members"]) == 2, "they are one ring")
        for members in (bar.get("/v1/ring").data["members"], bar.get("/v1/ring/keys/x").data["replicas"]):
            self.assertEqual({m["id"]: m.get("zone") for m in members}, {"foo": "rack 3", "bar": None})
        wait_until(lambda: {m["id"]: m.get("zone") for m in bar.get("/v1/members").data} == {"foo": "rack 3", "bar": None},
                   "its members have their zones")

    def test_the_picture_of_the_ring_gives_each_member_its_share(self):
        node = ring_of(self, programs, 3)[0]
        shares = {m["id"]: m["share"] for m in node.get("/v1/ring").data["members"]}
        picture = node.get("/v1/ring/arcs?parts=16384").data
        self.assertEqual((picture["points"], picture["parts"], picture["members"]), (3 * 128, 16384, sorted(shares)))
        ends = [begin for begin, _ in picture["arcs"][1:]] + [picture["parts"]]
        seen = dict.fromkeys(shares, 0)
        for (begin, member), end in zip(picture["arcs"], ends):
            self.assertLess(begin, end)
            seen[picture["members"][member]] += (end - begin) / picture["parts"]
        for member, share in shares.items():
            self.assertAlmostEqual(seen[member], share, delta=0.005)
        self.assertLessEqual(len(node.get("/v1/ring/arcs").data["arcs"]), 2048)
        for bad in ("0", "16385", "x"):
            self.assertEqual(node.get("/v1/ring/arcs?parts=" + bad).status, 400)

    def test_a_key_lies_where_the_command_line_says_and_in_the_arc_of_its_owner(self):
        node = ring_of(self, programs, 3)[0]
        picture = node.get("/v1/ring/arcs?parts=16384").data
        outside = 0
        for i in range(50):
            place = node.get(f"/v1/ring/keys/key%20{i}").data
            ids = [replica["id"] for replica in place["replicas"]]
            self.assertEqual(ids[0], node.cli("owner", f"key {i}").data["id"])
            self.assertEqual(sorted(ids), ["node0", "node1", "node2"])
            part = place["position"] * picture["parts"]
            owner = [member for begin, member in picture["arcs"] if begin <= part][-1]
            outside += picture["members"][owner] != ids[0]
        self.assertLess(outside, 5)  # a part has one owner here; a few have two on the ring
        self.assertEqual(len(node.get("/v1/ring/keys/x?count=1").data["replicas"]), 1)

    def test_status_and_links_are_those_of_the_command_line(self):
        first, second = ring_of(self, programs, 2)
        wait_until(lambda: first.get("/v1/status").data["converged"], "the other has the same ring")
        status = first.get("/v1/status").data
        self.assertEqual([(m["id"], m["link"], m["state"]) for m in status["members"]],
                         [("node0", "self", "same"), ("node1", "connected", "same")])
        links = {link["id"]: link for link in first.get("/v1/links").data if link["role"] == "node"}
        self.assertEqual(list(links), ["node1"])
        self.assertEqual((links["node1"]["connected"], links["node1"]["protection"]), (True, "sign"))
        second.kill()
        wait_until(lambda: [link["connected"] for link in first.get("/v1/links").data if link["id"] == "node1"] == [False],
                   "the link is down")

    def test_a_killed_member_is_told(self):
        first, second = ring_of(self, programs, 2)
        second.kill()
        wait_until(lambda: {m["id"]: m["state"] for m in first.get("/v1/members").data}[second.name] == "unreachable",
                   "the other is known to be gone")

    def test_without_the_token_nothing_is_told_but_health(self):
        node = self.node()
        for target in ("/v1/ring", "/v1/members", "/nothing"):
            answer = node.get(target, token=False)
            self.assertEqual((answer.status, answer.error["code"]), (401, "unauthorized"))
            self.assertIn("Bearer", answer.headers["www-authenticate"])
            self.assertEqual(node.get(target, token=False, headers=[("Authorization", "Bearer " + "0" * 64)]).status, 401)
        for target in ("/healthz", "/readyz"):
            self.assertEqual(node.get(target, token=False).status, 200)

    def test_the_token_is_that_of_the_cookie_and_goes_with_it(self):
        node = self.node()
        self.assertRegex(WebNode.token, "^[0-9a-f]{64}$")
        other = programs.run_cli("-a", "another cookie for tests", "token").data
        self.assertNotEqual(other, WebNode.token)
        bearer = [("Authorization", "Bearer " + other)]
        self.assertEqual(node.get("/v1/ring", token=False, headers=bearer).status, 401)
        node.cli("key", "add", "-", stdin="another cookie for tests").data
        self.assertEqual(node.get("/v1/ring", token=False, headers=bearer).status, 200)
        keys = node.cli("key", "list").data
        node.cli("key", "use", keys[1]["fingerprint"]).data
        programs.run_cli("-p", node.port, "-a", "another cookie for tests", "key", "remove", keys[0]["fingerprint"]).data
        self.assertEqual(node.get("/v1/ring").status, 401)
        self.assertEqual(node.get("/v1/ring", token=False, headers=bearer).status, 200)

    def test_a_token_of_its_own_replaces_that_of_the_cookie(self):
        with tempfile.NamedTemporaryFile("w") as file:
            file.write("a-token-of-its-own\n")
            file.flush()
            node = self.node("--http-token-file", file.name)
        self.assertEqual(node.get("/v1/ring").status, 401)
        own = [("Authorization", "Bearer a-token-of-its-own")]
        self.assertEqual(node.get("/v1/ring", token=False, headers=own).status, 200)

    def test_a_node_that_is_to_meet_a_ring_is_ready_once_it_is_in_it(self):
        port = free_port()
        node = self.node("--meet", f"localhost:{port}")
        self.assertEqual(node.get("/healthz").status, 200)
        answer = node.get("/readyz")
        self.assertEqual((answer.status, answer.error["code"]), (503, "not_ready"))
        first = Node(programs, "first", "--ring", "ring", port=port).start()
        self.addCleanup(first.stop, signal.SIGKILL)
        wait_until(lambda: node.get("/readyz").status == 200, "it is ready")
        self.assertEqual(node.get("/v1/ring").data["ring"], "ring")

    def test_a_stop_closes_idle_connections_and_the_port(self):
        node = self.node()
        with node.connect() as idle:
            idle.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            self.assertIn(b"200 OK", idle.recv(65536))
            node.process.send_signal(signal.SIGTERM)
            self.assertEqual(idle.recv(1), b"")
        self.assertEqual(node.process.wait(DEADLINE), 0)

    def test_a_port_that_is_taken_is_an_error_and_so_is_a_bad_option(self):
        node = self.node()
        for options, code in ((["--http", str(node.web)], 1), (["--http", "localhost:x"], 2), (["--http-name", "x"], 2),
                              (["--http", "0", "--http-token-file", os.devnull], 2)):
            other = Node(programs, "bar", *options)
            with self.assertRaises(AssertionError):
                other.start()
            self.assertEqual(other.stop(), code)

    def test_calls_and_casts_reach_servers_here_and_on_other_nodes(self):
        first, second = ring_of(self, programs, 2)
        self.assertEqual(first.post("/v1/call/counter/add", {"n": 5}).data, 5)
        self.assertEqual(first.post("/v1/call/counter@node1/add", {"n": 7}).data, 7)
        sent = first.post("/v1/cast/counter%40node1/add", {"n": 2})
        self.assertEqual((sent.status, sent.json), (202, {"ok": True}))
        wait_until(lambda: second.post("/v1/call/counter/get").data == 9, "the cast has arrived")
        self.assertEqual(second.cli("call", "counter", "get").data, 9)

    def test_what_is_sent_as_json_comes_back_as_it_was(self):
        node = self.node("--demo-actors")
        for value in (None, True, 0, -1, 2 ** 64 - 1, 1.5, "", "\u20ac \u0000 \"", [], {}, {"z": [1, {"y": None}], "a": ""},
                      {"$bytes": "AAH/"}, {"$float": "nan"}, {"$text": "/w=="}):
            answer = node.request("POST", "/v1/call/echo/echo", json.dumps(value), [("Content-Type", "application/json")])
            self.assertEqual(answer.data, value)
        large = {"text": "x" * 3_000_000, "list": list(range(100_000))}
        self.assertEqual(node.post("/v1/call/echo/echo", large).data, large)

    def test_a_call_that_fails_says_why_and_whether_it_ran(self):
        first, second = ring_of(self, programs, 2)
        json_type = [("Content-Type", "application/json")]
        call = "/v1/call/counter/add"
        for answer, expected in (
                (first.post("/v1/call/nobody/add", {}), (404, "no_server", "no")),
                (first.post("/v1/call/counter@nowhere/add", {}), (503, "unreachable", "no")),
                (first.post("/v1/call/counter/nothing", {}), (400, "bad_message", "no")),
                (first.post(call, {"n": "text"}), (400, "bad_message", "no")),
                (first.request("POST", call, "{", json_type), (400, "invalid_argument", "no")),
                (first.request("POST", call, '{"n":1,"n":2}', json_type), (400, "invalid_argument", "no")),
                (first.request("POST", call, b'{"n": "\xff"}', json_type), (400, "invalid_argument", "no")),
                (first.request("POST", call, "{}"), (415, "unsupported_media_type", "no")),
                (first.post(call + "?timeout_ms=x", {}), (400, "invalid_argument", "no")),
                (first.get(call), (405, "method_not_allowed", "no")),
                (first.post("/v1/call/gateway/ask", {"number": 1}), (400, "bad_message", "no")),
                (first.post("/v1/cast/nobody/add", {}), (404, "no_server", "no"))):
            self.assertEqual((answer.status, answer.error["code"], answer.error["executed"]), expected, answer.body)
        self.assertEqual(first.post(call, {"n": 2 ** 63 - 1}).status, 200)
        overflow = first.post(call, {"n": 1})
        self.assertEqual((overflow.status, overflow.error["code"], overflow.error["executed"]), (409, "refused", "yes"))
        pause(second.process)  # it does not answer, and is not yet known to be gone
        try:
            late = first.post("/v1/call/counter@node1/get?timeout_ms=300")
        finally:
            os.kill(second.process.pid, signal.SIGCONT)
        self.assertEqual((late.status, late.error["code"], late.error["executed"]), (504, "timeout", "unknown"))

    def test_a_server_that_does_not_answer_delays_no_other_request(self):
        first, second = ring_of(self, programs, 2)
        pause(second.process)
        try:
            with first.connect() as slow:
                slow.sendall(f"POST /v1/call/counter@node1/get?timeout_ms=3000 HTTP/1.1\r\nHost: localhost\r\n"
                             f"Authorization: Bearer {WebNode.token}\r\n\r\n".encode())
                self.assertEqual(first.post("/v1/call/counter/get").data, 0)
                self.assertEqual(select.select([slow], [], [], 0)[0], [])  # the slow one still waits
                self.assertIn(b" 504 ", slow.recv(65536))
        finally:
            os.kill(second.process.pid, signal.SIGCONT)

    def test_requests_on_one_connection_are_answered_in_their_order(self):
        node = self.node("--demo-actors")
        request = (f"POST /v1/call/counter/add HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {WebNode.token}\r\n"
                   "Content-Type: application/json\r\nContent-Length: 8\r\n\r\n{\"n\": 1}").encode()
        last = request.replace(b"Host", b"Connection: close\r\nHost")
        received = node.raw(request * 99 + last)
        self.assertEqual(re.findall(rb'"data":(\d+)', received), [str(i).encode() for i in range(1, 101)])

    def test_metrics_are_those_of_the_node_in_the_form_of_prometheus(self):
        node = ring_of(self, programs, 2)[0]
        node.get("/v1/ring")
        answer = node.get("/metrics")
        self.assertTrue(answer.headers["content-type"].startswith("text/plain; version=0.0.4"))
        samples, types = {}, {}
        for line in answer.body.decode().splitlines():
            if line.startswith("#"):
                kind, name, rest = re.fullmatch(r"# (HELP|TYPE) ([a-z_]+) (.+)", line).groups()
                if kind == "TYPE":
                    self.assertNotIn(name, types)
                    types[name] = rest
                continue
            name, labels, value = re.fullmatch(r'([a-z_]+)(\{(?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)+\})? (\S+)', line).groups()
            self.assertEqual(types[name], "counter" if name.endswith("_total") else "gauge")
            self.assertNotIn((name, labels), samples)
            samples[name, labels] = float(value)
        self.assertEqual(samples["cluster_members", '{state="alive"}'], 2)
        self.assertEqual(samples["cluster_ring_virtual_nodes", None], 256)
        self.assertEqual(samples["cluster_node_info", '{id="node0",ring="ring"}'], 1)
        self.assertGreater(samples["cluster_network_messages_in_total", None], 0)
        self.assertIn(("cluster_detector_probes_total", None), samples)
        self.assertIn(("cluster_gossip_digests_equal_total", None), samples)
        self.assertGreaterEqual(samples["cluster_http_responses_total", '{status="2xx"}'], 1)
        self.assertGreater(samples["process_resident_memory_bytes", None], 1e6)


    def test_everything_in_the_openapi_document_is_there_and_is_as_it_says(self):
        node = self.node("--demo-actors", "--chord", "--kv", "--ring", "ring")
        wait_until(lambda: node.get("/v1/kv").data["settled"], "the store has settled")
        document = node.get("/v1/openapi.json", token=False).json
        jsonschema.Draft202012Validator.check_schema({"$defs": document["components"]["schemas"]})
        fill = {"{server}": "counter", "{event}": "get", "{key}": "a%2Fb", "{bucket}": "default", "{name}": "a%20file"}
        bodies = {("/v1/kv/{bucket}", "post"): '[{"get": "a"}]'}
        for template, operations in document["paths"].items():
            target = re.sub(r"\{[^}]*\}", lambda name: fill[name[0]], template)
            for method, operation in operations.items():
                if method == "parameters":
                    continue
                body = bodies.get((template, method))
                headers = [("Content-Type", "application/json")] if body else ()
                answer = node.request(method.upper(), target, body, headers)
                self.assertIn(answer.status, (200, 201, 202), template)
                self.assertEqual(answer.status, min(int(s) for s in operation["responses"] if s != "101"), template)
                open_to_all = node.request(method.upper(), target, body, headers, token=False).status != 401
                self.assertEqual(operation.get("security") == [], open_to_all, template)
        for template, method in (("/", "get"), ("/v1/ring", "get")):
            head = node.request("HEAD", template)
            self.assertEqual((head.status, head.body), (200, b""))
            self.assertGreater(int(head.headers["content-length"]), 100)
        page = node.get("/api", token=False)
        for template in document["paths"]:
            self.assertIn(f">GET {template}<" if template == "/" else template, page.body.decode(), "the list names it")

    def test_actors_tell_what_they_take(self):
        first, second = ring_of(self, programs, 2)
        actors = {actor["name"]: actor for actor in first.get("/v1/actors").data}
        self.assertLessEqual({"ring", "detector", "command", "gateway", "counter", "echo"}, actors.keys())
        add = {"event": "add", "replies": True, "fields": [{"name": "n", "type": "int64"}]}
        self.assertIn(add, actors["counter"]["events"])
        self.assertEqual(actors["gateway"]["events"], [])
        self.assertEqual(first.get("/v1/actors/counter@node1").data, actors["counter"]["events"])
        self.assertEqual(first.get("/v1/actors/nobody").status, 404)
        self.assertEqual(first.get("/v1/actors/counter@nowhere").status, 503)

    def test_pages_of_other_origins_are_served_if_an_option_allows_it(self):
        node = self.node("--http-cors", "https://pages.example", "--http-name", "cluster.example")
        page = [("Origin", "https://pages.example")]
        answer = node.get("/v1/ring", headers=page)
        self.assertEqual((answer.status, answer.headers["access-control-allow-origin"]), (200, page[0][1]))
        ask = page + [("Access-Control-Request-Method", "GET"), ("Access-Control-Request-Headers", "authorization")]
        with contextlib.closing(http.client.HTTPConnection("localhost", node.web, timeout=DEADLINE)) as browser:
            preflight = exchange(browser, "OPTIONS", "/v1/ring", headers=ask)
        self.assertEqual(preflight.status, 204)
        self.assertIn("Authorization", preflight.headers["access-control-allow-headers"])
        self.assertEqual(preflight.headers["access-control-allow-origin"], page[0][1])
        self.assertEqual(node.get("/v1/ring", headers=[("Origin", "https://evil.example")]).status, 403)
        for host, status in ((b"cluster.example", b"200"), (b"evil.example", b"421")):
            received = node.raw(b"GET /healthz HTTP/1.1\r\nConnection: close\r\nHost: " + host + b"\r\n\r\n")
            self.assertTrue(received.startswith(b"HTTP/1.1 " + status), received)


class Events(unittest.TestCase):
    def test_a_member_that_is_killed_is_told_to_streams_as_it_happens(self):
        first, second = ring_of(self, programs, 2)
        streams = [EventStream(first), WebSocket(first)]
        for stream in streams:
            self.addCleanup(stream.close)
        self.assertEqual((streams[0].status, streams[0].headers["content-type"]), (200, "text/event-stream"))
        self.assertEqual(streams[1].status, 101)
        second.kill()
        told = []
        for stream in streams:
            events = []
            while not events or (events[-1].get("id"), events[-1].get("state")) != (second.name, "unreachable"):
                events.append(stream.next())
            told.append(events)
        self.assertEqual(told[0], told[1])
        self.assertEqual([event["seq"] for event in told[0]], list(range(1, len(told[0]) + 1)))
        self.assertIn("suspect", [event.get("state") for event in told[0]])
        self.assertEqual(first.get("/v1/events").data[:len(told[0])], told[0])

    def test_a_stream_goes_on_behind_the_last_event_that_the_client_has(self):
        node = ring_of(self, programs, 2)[0]
        known = node.get("/v1/events").data
        self.assertGreater(len(known), 2)
        for stream in (EventStream(node, last_event_id=known[1]["seq"]), EventStream(node, since=known[1]["seq"]),
                       WebSocket(node, f"/v1/events?since={known[1]['seq']}")):
            with contextlib.closing(stream):
                self.assertEqual(stream.next(), known[2])
        self.assertEqual(node.get(f"/v1/events?since={known[-1]['seq']}").data[:1], [])
        self.assertEqual(node.get("/v1/events?since=x").status, 400)
        with contextlib.closing(EventStream(node, last_event_id="x")) as refused:
            self.assertEqual(refused.status, 400)

    def test_a_page_gives_its_token_in_the_subprotocol_and_only_pages_of_this_node_may(self):
        node = ring_of(self, programs, 1)[0]
        own = f"Origin: http://localhost"
        offer = f"Sec-WebSocket-Protocol: cluster.events.v1, bearer.{WebNode.token}"
        with contextlib.closing(WebSocket(node, headers=[own, offer], token=False)) as stream:
            self.assertEqual((stream.status, stream.headers["sec-websocket-protocol"]), (101, "cluster.events.v1"))
        for headers, status in (([own], 401), ([own, offer + "x"], 401), (["Origin: http://evil.example", offer], 403)):
            with contextlib.closing(WebSocket(node, headers=headers, token=False)) as stream:
                self.assertEqual(stream.status, status, headers)

    def test_a_handshake_that_is_none_is_refused_as_all_else_is(self):
        node = ring_of(self, programs, 1)[0]
        good = {"Sec-WebSocket-Key": WebSocket.KEY, "Sec-WebSocket-Version": "13"}
        for changed, status in (({"Sec-WebSocket-Version": "12"}, 426), ({"Sec-WebSocket-Version": None}, 400),
                                ({"Sec-WebSocket-Key": None}, 400), ({"Sec-WebSocket-Key": "short"}, 400)):
            with self.subTest(changed):
                headers = [(name, value) for name, value in {**good, **changed}.items() if value]
                answer = node.get("/v1/events", headers=[("Upgrade", "websocket"), ("Connection", "Upgrade"), *headers])
                self.assertEqual((answer.status, answer.headers["content-type"]), (status, "application/json"))
                self.assertNotIn("Beast", answer.headers.get("server", ""))
                self.assertEqual(answer.headers.get("sec-websocket-version"), "13" if status == 426 else None)

    def test_a_socket_answers_pings_takes_no_messages_and_says_goodbye(self):
        node = ring_of(self, programs, 1)[0]
        end = node.get("/v1/events").data[-1]["seq"]
        target = f"/v1/events?since={end}"
        with contextlib.closing(WebSocket(node, target)) as stream:
            stream.send(9, b"are you there?")
            self.assertEqual(stream.frame(), (10, b"are you there?"))
            stream.send(1, b"{}")
            self.assertEqual(stream.next(), 1003)  # not to be understood
        with contextlib.closing(WebSocket(node, target)) as stream:
            stream.send(8, (1000).to_bytes(2, "big"))
            self.assertEqual(stream.next(), 1000)
        for what, code in ((lambda s: s.send(1, b"", length=2 ** 40), 1009), (lambda s: s.send(1, b"x" * 5000), 1009),
                           (lambda s: s.send(1, b"{}", masked=False), 1002), (lambda s: s.send(3, b""), 1002),
                           (lambda s: s.send(9, b"x" * 126), 1002)):
            with contextlib.closing(WebSocket(node, target)) as stream:
                what(stream)
                self.assertIn(stream.next(), (code, None))
        self.assertEqual(node.get("/v1/ring").status, 200)

    def test_a_stop_ends_the_streams(self):
        node = ring_of(self, programs, 1)[0]
        end = node.get("/v1/events").data[-1]["seq"]
        with contextlib.closing(EventStream(node, since=end)) as events, \
                contextlib.closing(WebSocket(node, f"/v1/events?since={end}")) as socket:
            node.process.send_signal(signal.SIGTERM)
            self.assertIsNone(events.next())
            self.assertEqual(socket.next(), 1001)
        self.assertEqual(node.process.wait(DEADLINE), 0)

    def test_a_flood_of_requests_makes_nobody_suspect_a_node_nor_delays_what_nodes_say_to_each_other(self):
        nodes = ring_of(self, programs, 3, "--kv")
        flooded, others = nodes[0], nodes[1:]
        wait_until(lambda: flooded.get("/readyz").status == 200, "its store has settled")
        followers = follow(self, nodes)
        over = threading.Event()
        answered = []

        def flood():
            head = f"Host: localhost\r\nAuthorization: Bearer {WebNode.token}\r\n"
            turn = (f"GET /v1/members HTTP/1.1\r\n{head}\r\n" f"GET /v1/ring/arcs HTTP/1.1\r\n{head}\r\n"
                    f"PUT /v1/kv/default/key HTTP/1.1\r\n{head}Content-Length: 1000\r\n\r\n" + "x" * 1000).encode() * 8
            with flooded.connect() as link:
                while not over.is_set():
                    link.sendall(turn)
                    received = b""
                    while received.count(b"HTTP/1.1 200") < 24:
                        piece = link.recv(1 << 20)
                        self.assertTrue(piece)
                        received += piece
                    answered.append(24)

        floods = [threading.Thread(target=flood) for _ in range(8)]
        for thread in floods:
            thread.start()
        end = time.monotonic() + 8  # longer than a member takes to be held for unreachable
        while time.monotonic() < end:
            for node in others:
                self.assertEqual(node.cli("call", f"counter@{flooded.name}", "get").code, 0)
        over.set()
        for thread in floods:
            thread.join(DEADLINE)
            self.assertFalse(thread.is_alive())
        self.assertGreater(sum(answered), 8 * 24)
        for follower in followers:
            for node in nodes:
                self.assertNotIn("unreachable", follower.states(node.name), follower.name)
        self.assertEqual(nodes[1].states(), {node.name: "alive" for node in nodes})


if __name__ == "__main__":
    unittest.main()
