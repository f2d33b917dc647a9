#!/usr/bin/env python3
"""Hostile HTTP against a real cluster-node. usage: http_test.py BIN_DIR"""
import http.client
import re
import resource
import socket
import threading
import time

from victim import COOKIE, AttackTest, main, wait_until  # it also finds the folder of what follows
from nodes import read_all

CONNECTIONS_MAX = 1_024  # that the node keeps
HEAD_SECONDS = 10  # for the head of a request
BODY_SECONDS = 20  # for a body, and more for a long one
BODY_MAX = 64 << 20
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"


class HttpAttack(AttackTest):
    options = ("--http", "0")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.web = int(re.search(r":(\d+)/$", cls.node.process.stdout.readline())[1])
        cls.token = cls.programs.run_cli("-a", COOKIE, "token").data

    def connect(self):
        return socket.create_connection(("localhost", self.web), timeout=60)

    def get(self, target="/v1/ring", token=True):
        """(status, body) of an honest request."""
        connection = http.client.HTTPConnection("localhost", self.web, timeout=60)
        try:
            connection.request("GET", target, headers={"Authorization": f"Bearer {self.token}"} if token else {})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def metric(self, name):
        return float(re.search(rf"^{name} (\S+)$", self.get("/metrics")[1].decode(), re.M)[1])

    def send(self, data):
        """All that comes back until the node closes, which the last of `data` must bring about."""
        with self.connect() as link:
            link.sendall(data)
            link.shutdown(socket.SHUT_WR)
            return read_all(link)

    def statuses(self, data):
        return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d+) ", self.send(data))]

    def head(self, *lines, start=b"POST /v1/call/echo/echo HTTP/1.1"):
        return b"\r\n".join([start, b"Host: localhost", b"Content-Type: application/json",
                             b"Authorization: Bearer " + self.token.encode(), *lines]) + b"\r\n\r\n"


class Malformed(HttpAttack):
    def test_a_body_whose_end_is_in_doubt_is_refused_and_nothing_behind_it_is_read(self):
        chunked = b"Transfer-Encoding: chunked"
        heads = [(b"Content-Length: 1", chunked), (chunked, b"Content-Length: 1"), (b"Content-Length: 1", b"Content-Length: 2"),
                 (b"Content-Length: 1, 2",), (b"Content-Length: +1",), (b"Content-Length: -1",), (b"Content-Length: 0x1",),
                 (b"Content-Length: 1 1",), (b"Content-Length: 99999999999999999999",), (b"Content-Length:",),
                 (b"Content-Length : 1",), (b"Transfer-Encoding: xchunked",), (b"Transfer-Encoding: chunked, identity",),
                 (b"Transfer-Encoding: gzip, chunked",), (b"Transfer-Encoding : chunked",), (chunked, chunked),
                 (b"Transfer-Encoding: \x0bchunked",), (b"Transfer-Encoding: identity",), (b"X: y\nTransfer-Encoding: chunked",)]
        chunks = [b"-1\r\n", b"0x1\r\n1\r\n", b" 1\r\n1\r\n", b"1 1\r\n1\r\n", b"\r\n", b"g\r\n", b"10000000000000000\r\n",
                  b"FFFFFFFFFFFFFFFFF\r\n", b"1\n1\n0\n\n", b"1\r\n12\r\n", b"1;a=\"\n\r\n1\r\n"]
        with self.attack():
            for lines in heads:
                found = self.statuses(self.head(*lines) + b"0\r\n\r\n" + SMUGGLED)
                self.assertEqual(found, [400], lines)
            for chunk in chunks:
                found = self.statuses(self.head(chunked) + chunk + b"\r\n0\r\n\r\n" + SMUGGLED)
                self.assertIn(found, ([400], []), chunk)  # no answer: it ended before it could be judged
            self.assertEqual(self.statuses(self.head(chunked) + b"1;ext=1\r\n1\r\n0\r\nTrailer: x\r\n\r\n"), [200])
            body_of_get = self.head(b"Content-Length: %d" % len(SMUGGLED), start=b"GET /v1/ring HTTP/1.1") + SMUGGLED
            self.assertEqual(self.statuses(body_of_get), [400])

    def test_what_is_no_request_is_refused(self):
        hello = bytes.fromhex("16030100c8010000c40303") + bytes(200)
        requests = [b"\r\n\r\n\r\n", b"GET\r\n\r\n", b"GET /\r\n\r\n", b"GET / HTTP/1.1\n\n", hello, bytes(range(256)),
                    b"GET / HTTP/1.1\r\nno colon\r\n\r\n", b"GET / HTTP/1.1\r\n: no name\r\n\r\n",
                    b"GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n",
                    b"GET /\0 HTTP/1.1\r\nHost: localhost\r\n\r\n", b"G\0T / HTTP/1.1\r\nHost: localhost\r\n\r\n",
                    b"GET  / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"GET / HTTP/1.1 \r\nHost: localhost\r\n\r\n",
                    b"GET / HTTQ/1.1\r\nHost: localhost\r\n\r\n", b" GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
                    b"GET / HTTP/1.1\r\n Host: localhost\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n"]
        with self.attack():
            for request in requests:
                self.assertEqual(self.statuses(request + SMUGGLED)[:1], [400], request)
            for version in (b"0.9", b"2.0", b"1.2", b"9.9"):
                self.assertIn(self.statuses(b"GET / HTTP/%s\r\nHost: localhost\r\n\r\n" % version), ([505], [400]))

    def test_targets_that_climb_or_hide_something_are_refused(self):
        targets = [b"/..", b"/../etc/passwd", b"/v1/../../etc/passwd", b"/%2e%2e/x", b"/v1/%2e%2e%2fx/..", b"/./v1/ring",
                   b"/%00", b"/v1/ring%00", b"/v1/ring%0d%0aX:y", b"/%ff", b"/%c0%ae%c0%ae/", b"/%ed%a0%80", b"/%", b"/%g0",
                   b"/v1/ring?%", b"/v1/ring?a=%ff", b"/\xc3\xa9", b"/\x80", b"*", b"v1/ring", b"/v1/ring#x", b"localhost:80",
                   b"https://localhost/v1/ring"]
        with self.attack():
            for target in targets:
                self.assertEqual(self.statuses(self.head(start=b"GET " + target + b" HTTP/1.1")), [400], target)
            for target in (b"/v1/ring/", b"//v1/ring", b"/v1/ring%2f", b"/V1/ring", b"/v1/ring;x", b"/etc/passwd", b"/v1/%72ingx"):
                self.assertEqual(self.statuses(self.head(start=b"GET " + target + b" HTTP/1.1")), [404], target)
            for method in (b"CONNECT", b"TRACE", b"PATCH", b"get", b"BREW"):
                self.assertEqual(self.statuses(self.head(start=method + b" /v1/ring HTTP/1.1")), [405], method)
            for host in (b"evil.example", b"localhost.evil.example"):
                self.assertEqual(self.statuses(b"GET /healthz HTTP/1.1\r\nHost: " + host + b"\r\n\r\n"), [421])

    def test_heads_that_are_too_large_are_refused(self):
        many = b"".join(b"X-%d: y\r\n" % i for i in range(3000))
        with self.attack():
            self.assertEqual(self.statuses(b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n"), [431])
            self.assertEqual(self.statuses(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 20_000), [431])
            self.assertEqual(self.statuses(b"GET / HTTP/1.1\r\nHost: localhost\r\n" + many), [431])
            self.assertEqual(self.statuses(self.head(b"X: " + b"a" * 15_000, start=b"GET /v1/ring HTTP/1.1")), [200])
            self.statuses(self.head(b"Transfer-Encoding: chunked") + b"1;" + b"a" * 1_000_000)


class Large(HttpAttack):
    def test_bodies_over_the_limit_are_refused_before_they_are_read(self):
        with self.attack():
            self.assertEqual(self.statuses(self.head(b"Content-Length: %d" % (BODY_MAX + 1))), [413])
            stranger = b"POST /v1/call/echo/echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % BODY_MAX
            self.assertEqual(self.statuses(stranger + b"x" * 1_000_000), [401])
            with self.connect() as link:
                link.sendall(self.head(b"Transfer-Encoding: chunked"))
                try:
                    for _ in range(BODY_MAX // 65536 + 2):
                        link.sendall(b"10000\r\n" + b" " * 65536 + b"\r\n")
                except (BrokenPipeError, ConnectionResetError):
                    pass
                else:
                    self.assertIn(b" 413 ", link.recv(65536))

    def test_a_body_of_the_largest_size_is_taken(self):
        text = b'"' + b"x" * (BODY_MAX - 2) + b'"'
        with self.attack(), self.connect() as link:
            link.sendall(self.head(b"Content-Length: %d" % len(text), b"Expect: 100-continue"))
            self.assertEqual(link.recv(65536), b"HTTP/1.1 100 Continue\r\n\r\n")
            link.sendall(text)
            answer = http.client.HTTPResponse(link)
            answer.begin()
            self.assertEqual(answer.status, 200)
            self.assertEqual(answer.read(), b'{"ok":true,"data":' + text + b"}\n")

    def test_all_bodies_together_have_a_limit(self):
        links = []
        with self.attack():
            for _ in range(5):
                links.append(self.connect())
                links[-1].sendall(self.head(b"Content-Length: %d" % BODY_MAX))
                links[-1].sendall(b" ")
            self.assertIn(b" 503 ", links[-1].recv(65536))
            self.assertEqual(self.get()[0], 200)
            for link in links:
                link.close()

    def test_json_that_is_small_as_text_and_large_in_memory_is_refused(self):
        bomb = b"[" + b"0," * 8_000_000 + b"0]"
        deep = b"[" * 4_000_000
        keys = b"{" + b",".join(b'"%d":0' % i for i in range(300_000)) + b',"0":0}'
        with self.attack():
            for body, status in ((bomb, 413), (deep, 400), (keys, 400)):
                found = self.statuses(self.head(b"Content-Length: %d" % len(body)) + body)
                self.assertEqual(found, [status])


class Slow(HttpAttack):
    def test_who_never_ends_a_head_is_cut_off(self):
        with self.attack(), self.connect() as link:
            begun = time.monotonic()
            link.settimeout(0.5)
            received, ended = b"", False
            while not ended and time.monotonic() - begun < 6 * HEAD_SECONDS:
                try:
                    link.sendall(b"G" if not received else b"")
                    ended = link.recv(100) == b""
                except TimeoutError:
                    pass
                except OSError:
                    ended = True
            self.assertTrue(ended)

    def test_who_never_ends_a_body_is_cut_off(self):
        with self.attack(), self.connect() as link:
            link.sendall(self.head(b"Content-Length: 100") + b"1")
            link.settimeout(6 * BODY_SECONDS)
            self.assertEqual(link.recv(100), b"")

    def test_more_connections_than_are_kept_shut_nobody_out(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        count = min(3 * CONNECTIONS_MAX, hard - 200)
        flood = []
        try:
            with self.attack():
                for i in range(count):
                    flood.append(self.connect())
                    if i % 2 == 0:
                        flood[-1].sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ")
                    if i % 500 == 0:
                        self.assertEqual(self.get()[0], 200)
                self.assertEqual(self.get()[0], 200)
                self.assertGreaterEqual(self.metric("cluster_http_evicted_total"), count - CONNECTIONS_MAX)
                self.assertLessEqual(self.metric("cluster_http_connections"), CONNECTIONS_MAX)
        finally:
            for link in flood:
                link.close()
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    def test_who_asks_and_does_not_read_holds_nobody_up(self):
        with self.attack(), self.connect() as link:
            link.setblocking(False)
            request = self.head(start=b"GET /v1/openapi.json HTTP/1.1")
            try:
                for _ in range(100_000):
                    link.send(request)
            except BlockingIOError:
                pass
            self.assertEqual(self.get()[0], 200)

    def test_guesses_at_the_token_are_counted_and_fill_no_log(self):
        guess = b"GET /v1/ring HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %d\r\n\r\n"
        before = self.metric("cluster_http_unauthorized_total")
        with self.attack(line="wrong token"):
            found = self.statuses(b"".join(guess % i for i in range(2000)))
            self.assertEqual(found, [401] * 2000)
        self.assertEqual(self.metric("cluster_http_unauthorized_total") - before, 2000)


if __name__ == "__main__":
    main()
