"""Nodes that serve HTTP, and a client of theirs that hides nothing: what is sent is sent as it stands."""
import http.client
import json
import re
import signal
import socket
import sys
import urllib.request

try:
    import jsonschema
except ImportError:  # the interpreter is not Debian's, its package is there all the same
    sys.path.append("/usr/lib/python3/dist-packages")
    import jsonschema

from nodes import COOKIE, DEADLINE, Node, read_all, wait_until


class Contract:
    """What the OpenAPI document of a node says of its answers."""

    def __init__(self, document):
        self.document = document
        self.seen = set()  # (path, method, status) of the answers that were checked

    def operation(self, method, path):
        for template, operations in self.document["paths"].items():
            if re.fullmatch(re.sub(r"\\{[^}]*\\}", "[^/]+", re.escape(template)), path):
                return template, operations.get("get" if method == "HEAD" else method.lower())
        return None, None

    def resolved(self, part):
        while "$ref" in part:
            found = self.document
            for name in part["$ref"].removeprefix("#/").split("/"):
                found = found[name]
            part = found
        return part

    def check(self, method, target, answer):
        template, operation = self.operation(method, target.partition("?")[0])
        if operation is None:  # what is said of paths and methods that are not there
            assert answer.status in (400, 401, 404, 405, 421), (method, target, answer.status)
            responses = self.document["components"]["responses"]
        else:
            responses = operation["responses"]
        status = str(answer.status)
        assert status in responses, f"{method} {target}: {status} is not in the document: {answer.body[:200]}"
        self.seen.add((template, method, answer.status))
        if method == "HEAD" or answer.status in (204, 304):
            return
        contents = self.resolved(responses[status])["content"]
        kind = answer.headers["content-type"]
        assert kind in contents or "*/*" in contents, f"{method} {target}: {kind} is not in the document"
        if kind == "application/json" and kind in contents:
            schema = {**contents[kind]["schema"], "components": self.document["components"]}
            jsonschema.Draft202012Validator(schema).validate(answer.json)


class Answer:
    def __init__(self, response, body):
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def data(self):
        assert self.json["ok"], self.body
        return self.json["data"]

    @property
    def error(self):
        assert not self.json["ok"], self.body
        return self.json["error"]


class WebNode(Node):
    """A node with --http; `web` is the port. Each answer to `request` is held against the OpenAPI document."""

    token = None
    contract = None

    def __init__(self, programs, name, *options, port=None, web=0):
        super().__init__(programs, name, "--http", str(web), *options, port=port)
        self.web = None

    def start(self, **arguments):
        super().start(**arguments)
        line = self.process.stdout.readline()
        found = re.fullmatch(r"HTTP at http://localhost:(\d+)/\n", line)
        assert found, f"{self.name} does not say where it serves HTTP: {line!r}"
        self.web = int(found[1])
        if WebNode.token is None:
            WebNode.token = self.programs.run_cli("-a", COOKIE, "token").data
            with urllib.request.urlopen(f"http://localhost:{self.web}/v1/openapi.json", timeout=DEADLINE) as document:
                WebNode.contract = Contract(json.load(document))
        return self

    def request(self, method, target, body=None, headers=(), token=True):
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection("localhost", self.web, timeout=DEADLINE)
        try:
            answer = exchange(connection, method, target, body, headers, token and WebNode.token)
            self.contract.check(method, target, answer)
            return answer
        finally:
            connection.close()

    def get(self, target, **arguments):
        return self.request("GET", target, **arguments)

    def post(self, target, value=None, **arguments):
        """`value` goes as JSON; None: no body."""
        body = None if value is None else json.dumps(value)
        return self.request("POST", target, body, [("Content-Type", "application/json")], **arguments)

    def connect(self):
        return socket.create_connection(("localhost", self.web), timeout=DEADLINE)

    def raw(self, data):
        """Everything that comes back until the node closes the connection."""
        with self.connect() as link:
            link.sendall(data)
            return read_all(link)


def exchange(connection, method, target, body=None, headers=(), token=None):
    connection.putrequest(method, target, skip_accept_encoding=True)
    if token:
        connection.putheader("Authorization", "Bearer " + token)
    for name, value in headers:
        connection.putheader(name, value)
    if body is not None:
        body = body.encode() if isinstance(body, str) else body
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body)
    response = connection.getresponse()
    return Answer(response, response.read())


def ring_of(test, programs, count, *options):
    """`count` nodes in one ring, all known to all as alive; they end with the test."""
    nodes = []
    for i in range(count):
        way = ("--meet", f"localhost:{nodes[0].port}") if nodes else ("--ring", "ring")
        node = WebNode(programs, f"node{i}", "--demo-actors", *way, *options).start()
        test.addCleanup(node.stop, signal.SIGKILL)
        nodes.append(node)
    names = {node.name: "alive" for node in nodes}
    for node in nodes:
        wait_until(lambda: node.states() == names, f"{node.name} holds all {count} alive")
    return nodes


class EventStream:
    """Server-sent events, as a browser reads them: (id, data) pairs, and comments."""

    def __init__(self, node, since=None, last_event_id=None, path="/v1/events"):
        query = "" if since is None else f"?since={since}"
        last = "" if last_event_id is None else f"Last-Event-ID: {last_event_id}\r\n"
        self.link = node.connect()
        self.link.sendall(f"GET {path}{query} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n{last}"
                          f"Authorization: Bearer {WebNode.token}\r\n\r\n".encode())
        self.file = self.link.makefile("rb")
        self.status = int(self.file.readline().split()[1])
        self.headers = {}
        for line in iter(self.file.readline, b"\r\n"):
            name, _, value = line.decode().partition(": ")
            self.headers[name.lower()] = value.strip()

    def next(self):
        """The next event; None at the end of the stream."""
        number = None
        for line in self.file:
            field, _, value = line.decode().rstrip("\n").partition(": ")
            if field == "id":
                number = int(value)
            elif field == "data":
                event = json.loads(value)
                assert event["seq"] == number, (number, event)
                return event
        return None

    def close(self):
        self.file.close()
        self.link.close()


class WebSocket:
    """A WebSocket client that shows its frames (RFC 6455)."""

    KEY = "dGhlIHNhbXBsZSBub25jZQ=="
    ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

    def __init__(self, node, target="/v1/events", headers=(), token=True):
        self.link = node.connect()
        lines = [f"GET {target} HTTP/1.1", "Host: localhost", "Upgrade: websocket", "Connection: Upgrade",
                 f"Sec-WebSocket-Key: {self.KEY}", "Sec-WebSocket-Version: 13", *headers]
        if token:
            lines.append(f"Authorization: Bearer {WebNode.token}")
        self.link.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        self.file = self.link.makefile("rb")
        self.status = int(self.file.readline().split()[1])
        self.headers = {}
        for line in iter(self.file.readline, b"\r\n"):
            name, _, value = line.decode().partition(": ")
            self.headers[name.lower()] = value.strip()
        if self.status == 101:
            assert self.headers["sec-websocket-accept"] == self.ACCEPT

    def send(self, opcode, payload, masked=True, length=None):
        length = len(payload) if length is None else length
        size = bytes([length]) if length < 126 else b"\x7e" + length.to_bytes(2, "big") if length < 65536 \
            else b"\x7f" + length.to_bytes(8, "big")
        mask = b"\x01\x02\x03\x04" if masked else b""
        head = bytes([0x80 | opcode, size[0] | (0x80 if masked else 0)]) + size[1:] + mask
        body = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload)) if masked else payload
        self.link.sendall(head + body)

    def frame(self):
        """(opcode, payload); None at the end."""
        head = self.file.read(2)
        if len(head) < 2:
            return None
        length = head[1] & 127
        if length >= 126:
            length = int.from_bytes(self.file.read(2 if length == 126 else 8), "big")
        return head[0] & 15, self.file.read(length)

    def next(self):
        """The next event, or the code with which the other side closes; None at the end."""
        while True:
            frame = self.frame()
            if frame is None:
                return None
            opcode, payload = frame
            if opcode == 1:
                return json.loads(payload)
            if opcode == 8:
                return int.from_bytes(payload[:2], "big")
            if opcode == 9:
                self.send(10, payload)

    def close(self):
        self.file.close()
        self.link.close()
