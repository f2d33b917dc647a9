"""Nodes with certificates made by openssl, and those who have the cookie but not the certificate. Usage: tls_test.py BIN_DIR"""
import pathlib
import shutil
import ssl
import subprocess
import sys
import tempfile
import unittest

from link import CLIENT, NODE, connect, hello, read_exactly, read_record, session
from victim import LOG_PERIOD, Victim
from nodes import Node, Programs, wait_until

programs = Programs(sys.argv.pop(1))
TLS_ALONE = ("--protection-min", "tls")


class Authority:
    def __init__(self, folder, name="ca"):
        self.folder, self.name = folder, name
        self.key(name)
        self.openssl("req", "-x509", "-new", "-key", self.file(name, "key"), "-subj", f"/CN={name}", "-days", "300",
                     "-out", self.file(name, "pem"))

    def file(self, name, kind):
        return str(self.folder / f"{name}.{kind}")

    def openssl(self, *arguments, text=b""):
        return subprocess.run(["openssl", *arguments], input=text, capture_output=True, check=True).stdout

    def key(self, name):
        self.openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", self.file(name, "key"))

    def issue(self, name, *names):
        """The options of a program that has a certificate with these alternative names."""
        self.key(name)
        extension = ["-addext", "subjectAltName=" + ",".join(names)] if names else []
        request = self.openssl("req", "-new", "-key", self.file(name, "key"), "-subj", f"/CN={name}", *extension)
        self.openssl("x509", "-req", "-CA", self.file(self.name, "pem"), "-CAkey", self.file(self.name, "key"), "-days",
                     "300", "-copy_extensions", "copy", "-out", self.file(name, "pem"), text=request)
        return ("--tls-cert", self.file(name, "pem"), "--tls-key", self.file(name, "key"), "--tls-ca",
                self.file(self.name, "pem"))

    def of_node(self, name):
        return self.issue(name, f"URI:lcluster:node:{name}")


class TlsNode(Victim):
    def __init__(self, name, *options):
        Victim.__init__(self, programs, name, *options)


class Certificates(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="cluster-tls-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.authority = Authority(self.folder)
        self.operator = self.authority.issue("operator")

    def node(self, name, *options, certificate=None):
        node = TlsNode(name, *(certificate or self.authority.of_node(name)), *options).start()
        self.addCleanup(node.kill)
        return node

    def data(self, node, *command):
        return node.cli(*self.operator, *command).data

    def over_tls(self, node, certificate="operator", version=ssl.TLSVersion.TLSv1_3):
        """A TLS connection to the node, with a certificate (None: with none). Nothing is checked at this end."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.maximum_version = version
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if certificate:
            context.load_cert_chain(self.authority.file(certificate, "pem"), self.authority.file(certificate, "key"))
        connection = context.wrap_socket(connect(node.port))
        self.addCleanup(connection.close)
        return connection

    def answer(self, node, certificate, identity, role):
        connection = self.over_tls(node, certificate)
        connection.sendall(hello(identity, role, "ring", protections=b"\4\0"))
        record = read_record(connection)
        if record[0] == session.HELLO:
            return "HELLO"
        return session.errc_name(int.from_bytes(record[3:5], "big")), record[5:].decode()

    def test_three_nodes_and_the_command_line_over_tls(self):
        foo = self.node("foo", *TLS_ALONE)
        meet = ("--meet", f"localhost:{foo.port}")
        for name in ("bar", "baz"):
            self.node(name, *TLS_ALONE, *meet)
        levels = lambda: {member["id"]: member["protection"] for member in self.data(foo, "status")["members"]}
        wait_until(lambda: levels() == {"foo": None, "bar": "tls", "baz": "tls"}, "all are there, over TLS")
        self.assertEqual(self.data(foo, "call", "counter@bar", "add", '{"n": 2}'), 2)

        plain = foo.cli("nodes")
        self.assertEqual((plain.code, plain.out), (3, ""))
        self.assertIn("no common protection level", plain.err)
        self.assertEqual(plain.err.count("\n"), 1)
        self.assertGreater(self.data(foo, "status")["network"]["handshakes_failed"], 0)

        # The files may be in the environment.
        environment = dict(zip(("CLUSTER_TLS_CERT", "CLUSTER_TLS_KEY", "CLUSTER_TLS_CA"), self.operator[1::2]))
        from_environment = programs.run_cli("-p", foo.port, "-a", "a cookie for tests only", "nodes", environment=environment)
        self.assertEqual({member["id"] for member in from_environment.data}, {"foo", "bar", "baz"})

    def test_who_has_the_cookie_and_another_certificate_cannot_be_a_node_that_is_down(self):
        foo, bar = self.node("foo", *TLS_ALONE), self.node("bar", *TLS_ALONE)
        self.assertTrue(foo.cli(*self.operator, "meet", "localhost", bar.port).reply["ok"])
        wait_until(lambda: {member["id"] for member in self.data(bar, "nodes")} == {"foo", "bar"}, "one ring")
        foo.kill()
        self.authority.of_node("eve")
        for name in ("eve", "operator"):
            for _ in range(3):
                code, text = self.answer(bar, name, "foo", NODE)
                self.assertEqual(code, "refused")
                self.assertEqual(text, "the certificate is not that of node 'foo': the URI lcluster:node:foo is not among "
                                       "its alternative names")
        self.assertEqual(self.data(bar, "status")["network"]["certificates_refused"], 6)
        lines = bar.lines("not that of node 'foo'")
        self.assertLessEqual(len(lines), 3, f"logged once in {LOG_PERIOD:.0f} s: {lines}")
        self.assertGreaterEqual(len(lines), 1)
        self.assertEqual(self.answer(bar, "eve", "eve", NODE), "HELLO")
        self.assertEqual(self.answer(bar, "operator", "client-1", CLIENT), "HELLO")
        foo.start()
        wait_until(lambda: {member["id"]: member["state"] for member in self.data(bar, "members")}["foo"] == "alive",
                   "the holder of the certificate is foo again")

    def test_who_has_no_certificate_of_the_authority_is_refused(self):
        foo = self.node("foo", *TLS_ALONE)
        with self.assertRaises((ssl.SSLError, ConnectionError, EOFError)):  # TLS 1.3: told with the first read
            self.over_tls(foo, None).recv(1)
        stranger = Authority(self.folder, "strange")
        stranger.of_node("mallory")
        with self.assertRaises((ssl.SSLError, ConnectionError, EOFError)):
            self.over_tls(foo, "mallory").recv(1)
        self.assertEqual(self.data(foo, "status")["network"]["certificates_refused"], 2)
        with self.assertRaises((ssl.SSLError, ConnectionError)):  # nor does it speak an older version
            self.over_tls(foo, version=ssl.TLSVersion.TLSv1_2)
        with connect(foo.port) as plain:
            plain.sendall(hello())
            record = read_record(plain)
            self.assertEqual(session.errc_name(int.from_bytes(record[3:5], "big")), "incompatible")
        with connect(foo.port) as half:  # a ClientHello that never ends
            half.sendall(b"\x16\x03\x01\x02\x00\x01")
            with self.assertRaises((EOFError, ConnectionError)):
                read_exactly(half, 1)
        self.assertTrue(foo.alive())

    def test_strangers_who_begin_with_tls_and_go_no_further_take_little_memory(self):
        foo = self.node("foo", *TLS_ALONE)
        self.data(foo, "status")
        before = foo.resident_kib()
        for length in (131_000, 16_000):  # of the ClientHello, as they say: the first is refused at once
            hello_begun = b"\x16\x03\x01\x04\x04\x01" + length.to_bytes(3, "big") + bytes(1024)
            strangers = [connect(foo.port) for _ in range(400)]
            for stranger in strangers:
                self.addCleanup(stranger.close)
                stranger.sendall(hello_begun)
            self.assertEqual([member["id"] for member in self.data(foo, "nodes")], ["foo"])
            self.assertLess(foo.resident_kib() - before, 60 * 1024)

    def test_while_certificates_are_rolled_out_both_kinds_of_nodes_are_one_cluster(self):
        foo = self.node("foo")
        bar = Node(programs, "bar", "--meet", f"localhost:{foo.port}", "--protection", "seal").start()
        self.addCleanup(bar.kill)
        baz = self.node("baz", "--meet", f"localhost:{bar.port}")
        levels = lambda: {member["id"]: member["protection"] for member in baz.cli("status").data["members"]}
        wait_until(lambda: levels() == {"foo": "tls", "bar": "seal", "baz": None}, "each pair has the most that both have")
        refused = bar.cli(*self.operator, "nodes")
        self.assertEqual(refused.code, 3)
        self.assertIn("one end speaks TLS, and the other has no certificate", refused.err)

    def test_files_that_cannot_be_used_are_one_clear_error(self):
        good = self.authority.of_node("foo")
        other = Authority(self.folder, "other").of_node("bar")

        def refused(*options, name="foo"):
            command = [programs.node, "-I", name, "-p", "1", "-a", "a cookie for tests only", *options]
            done = subprocess.run(command, capture_output=True, text=True, timeout=30)
            self.assertEqual((done.returncode, done.stderr.count("\n")), (2, 1), done.stderr)
            return done.stderr

        self.assertIn("go together", refused(*good[:4]))
        self.assertIn(f"the key '{other[3]}' does not belong to the certificate '{good[1]}'",
                      refused(*good[:3], other[3], *good[4:]))
        self.assertIn("is not of the authority in", refused(*good[:5], other[5]))
        self.assertIn("cannot be read: No such file", refused("--tls-cert", "/none", *good[2:]))
        self.assertIn("is not that of node 'bar'", refused(*good, name="bar"))
        self.assertIn("needs --tls-cert", refused("--protection", "tls"))


if __name__ == "__main__":
    unittest.main()
