"""Files in the store of real nodes, some of which are killed. Usage: file_test.py BIN_DIR"""
import concurrent.futures
import hashlib
import http.client
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

from nodes import COOKIE, DEADLINE, Node, Programs, wait_until
from web import WebNode, exchange

programs = Programs(sys.argv.pop(1))
CHUNK = 1 << 20
NAMES = ("foo", "bar", "baz")


def content(size, seed=1):
    return random.Random(seed).randbytes(size)


class Files(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.disk = pathlib.Path(tempfile.mkdtemp(prefix="cluster-file-"))
        cls.nodes = {}
        try:
            for name in NAMES:
                options = ("--meet", f"localhost:{cls.nodes['foo'].port}") if cls.nodes else ("--ring", "ring")
                cls.nodes[name] = WebNode(programs, name, "--kv", "--data-dir", str(cls.disk / name), *options).start()
            cls.wait_until_settled()
        except BaseException:
            cls.tearDownClass()
            raise

    @classmethod
    def tearDownClass(cls):
        for node in cls.nodes.values():
            node.kill()
        shutil.rmtree(cls.disk)

    @classmethod
    def wait_until_settled(cls):
        for node in cls.nodes.values():
            def settled():
                reply = node.cli("kv", "status")
                return reply.code == 0 and reply.data["settled"] and node.ids() == set(NAMES)
            wait_until(settled, f"{node.name} has settled among three", 60)

    @classmethod
    def restart(cls, name):
        old = cls.nodes[name]
        cls.nodes[name] = WebNode(programs, name, *old.options[2:], port=old.port).start()  # without its --http
        cls.wait_until_settled()

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(dir=self.disk, prefix="files-"))
        self.foo, self.bar, self.baz = (self.nodes[name] for name in NAMES)

    def begin(self, node, *arguments, timeout=10):
        """A command that goes on while the test does."""
        return subprocess.Popen([programs.cli, "-H", "localhost", "-p", str(node.port), "-a", COOKIE, "--timeout", str(timeout),
                                 *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, cwd=self.folder)

    def run_here(self, node, *arguments, stdin=b""):
        """The exit code, standard output as bytes, and standard error."""
        process = self.begin(node, *arguments)
        out, err = process.communicate(stdin, timeout=60)
        return process.returncode, out, err.decode()

    def put(self, node, data, name):
        path = self.folder / "source"
        path.write_bytes(data)
        answer = node.cli("file", "put", path, name)
        self.assertEqual(answer.code, 0, answer.out + answer.err)
        return answer.data

    def get(self, node, name):
        path = self.folder / "fetched"
        answer = node.cli("file", "get", name, path, "-f")
        self.assertEqual(answer.code, 0, answer.out + answer.err)
        return path.read_bytes()

    def refused(self, answer, code):
        self.assertEqual(answer.code, 1, answer.out + answer.err)
        self.assertEqual(answer.reply["error"]["code"], code)

    def leftovers(self):
        return [path for path in self.folder.iterdir() if path.name.endswith(".part")]

    def partial_bytes(self):
        return sum(path.stat().st_size for path in self.leftovers())

    def test_files_of_sizes_around_the_limits_come_back_as_they_were_at_other_nodes(self):
        for size in (0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 5 * CHUNK + 17):
            with self.subTest(size=size):
                data = content(size, seed=size)
                details = self.put(self.foo, data, f"size {size}")
                self.assertEqual((details["size"], details["chunks"]), (size, -(-size // CHUNK)))
                if size <= CHUNK:
                    self.assertEqual(details["hash"], hashlib.sha256(data).hexdigest())
                self.assertEqual(self.get(self.bar, f"size {size}"), data)
                self.assertEqual(self.baz.cli("file", "stat", f"size {size}").data["size"], size)

    def test_a_file_of_50_mb_comes_back_as_it_was(self):
        data = content(50_000_000)
        self.put(self.foo, data, "50 MB")
        self.assertEqual(self.get(self.baz, "50 MB"), data)
        code, out, err = self.run_here(self.bar, "file", "get", "50 MB", "-")
        self.assertEqual((code, out, err), (0, data, ""))

    def test_files_are_listed_replaced_and_removed(self):
        first, second = content(3 * CHUNK, 1), content(10, 2)
        self.put(self.foo, first, "list/a")
        self.put(self.bar, b"", "list/b")
        self.put(self.bar, second, "list/a")
        self.assertEqual([(row["name"], row["size"]) for row in self.baz.cli("file", "ls", "list/").data],
                         [("list/a", 10), ("list/b", 0)])
        self.assertEqual(self.get(self.foo, "list/a"), second)
        self.assertEqual(self.baz.cli("file", "rm", "list/a").code, 0)
        for command in ("rm", "stat"):
            self.refused(self.foo.cli("file", command, "list/a"), "not_found")
        self.refused(self.foo.cli("file", "get", "list/a", self.folder / "x"), "not_found")
        self.assertEqual([row["name"] for row in self.foo.cli("file", "ls", "list/").data], ["list/b"])
        self.assertIn("list/b", self.foo.cli("--table", "file", "ls", "list/").out)

    def test_what_no_file_names_any_more_is_collected_and_nothing_else(self):
        def blobs():
            return self.foo.cli("kv", "ls", "", "file.blobs").data
        before, uploads = set(blobs()), set(self.foo.cli("kv", "ls", "", "file.uploads").data)
        self.put(self.foo, content(2 * CHUNK, 1), "collected")
        self.put(self.foo, content(3 * CHUNK, 2), "collected")
        self.put(self.foo, content(2 * CHUNK, 3), "kept")
        self.assertEqual(len(set(blobs()) - before), (2 + 1) + (3 + 1) + (2 + 1))
        for node in self.nodes.values():  # what was replaced just now may be read by somebody
            node.cli("call", "files", "collect")
        self.assertEqual(len(set(blobs()) - before), 10)
        self.assertEqual(self.bar.cli("file", "rm", "collected").code, 0)

        def collected():
            for node in self.nodes.values():
                node.cli("call", "files", "collect", '{"at_once": true}')
            return len(set(blobs()) - before) == 3
        wait_until(collected, "the blobs of two files are gone")
        self.assertEqual(self.get(self.baz, "kept"), content(2 * CHUNK, 3))
        self.assertLessEqual(set(self.foo.cli("kv", "ls", "", "file.uploads").data), uploads)

    def test_any_name_is_a_key_and_none_is_a_path(self):
        names = ["a b", "../../etc/passwd", "/etc/passwd", "..\\..\\up", "-rf", "--help", "*?[x]$(id);`id`'\"", "%2e%2e%2f",
                 "\u00fc\u20ac\U0001f600", "\u202eright to left", "x" * 255, "\u20ac" * 85, ".hidden", "a/../b", "CON", "null\\0"]
        for i, name in enumerate(names):
            with self.subTest(name=name):
                (self.folder / "in").write_bytes(b"%d" % i)
                code, out, err = self.run_here(self.foo, "file", "put", "in", "--", name)
                self.assertEqual(code, 0, err)
                code, out, err = self.run_here(self.bar, "file", "get", "--", name, "-")
                self.assertEqual((code, out), (0, b"%d" % i), err)
        self.assertLessEqual(set(names), {row["name"] for row in self.baz.cli("file", "ls").data})
        before = set(self.folder.iterdir())
        for name in ("../../etc/passwd", "/etc/passwd", "a/../b"):  # without a FILE there is none to write to
            code, out, err = self.run_here(self.foo, "file", "get", name)
            self.assertEqual((code, out), (2, b""), err)
        self.assertEqual(set(self.folder.iterdir()), before)
        for name in ("", ".", "..", "x" * 256, "a\nb", "\x1b[2J", "\x7f"):
            with self.subTest(refused=name):
                self.assertEqual(self.run_here(self.foo, "file", "put", "in", "--", name)[0], 2)

    def test_a_file_that_is_there_is_replaced_only_if_that_was_asked_for(self):
        self.put(self.foo, b"new", "precious")
        target = self.folder / "precious"
        target.write_bytes(b"old")
        self.refused(self.foo.cli("file", "get", "precious", target), "already_exists")
        self.assertEqual(target.read_bytes(), b"old")
        self.assertEqual(self.run_here(self.foo, "file", "get", "precious", "-f")[0], 0)
        self.assertEqual(target.read_bytes(), b"new")
        elsewhere = self.folder / "elsewhere"
        elsewhere.write_bytes(b"untouched")
        target.unlink()
        target.symlink_to(elsewhere)  # the link is replaced, not what it leads to
        self.assertEqual(self.run_here(self.foo, "file", "get", "precious", "-f")[0], 0)
        self.assertEqual((elsewhere.read_bytes(), target.is_symlink()), (b"untouched", False))
        self.refused(self.foo.cli("file", "get", "precious", self.folder, "-f"), "already_exists")
        self.refused(self.foo.cli("file", "get", "precious", "/dev/null", "-f"), "already_exists")
        self.assertEqual(self.leftovers(), [])
        self.refused(self.foo.cli("file", "put", self.folder / "missing"), "io")
        self.assertEqual(self.foo.cli("file", "put", "-").code, 2)
        self.refused(self.foo.cli("file", "get", "precious", self.folder / "no" / "folder"), "io")

    def test_standard_input_is_stored_and_a_command_in_a_session_cannot_take_it(self):
        data = content(2 * CHUNK + 5)
        code, out, err = self.run_here(self.foo, "file", "put", "-", "piped", stdin=data)
        self.assertEqual(code, 0, err)
        self.assertEqual(self.get(self.bar, "piped"), data)
        self.assertEqual(self.run_here(self.foo, stdin=b"file put - piped\n")[0], 2)

    def test_a_blob_that_was_changed_is_not_given_out(self):
        data = content(3 * CHUNK)
        self.put(self.foo, data, "damaged")
        blob = next(key for key in self.foo.cli("kv", "ls", "", "file.blobs").data
                    if key.endswith("/" + hashlib.sha256(data[CHUNK:2 * CHUNK]).hexdigest()))
        self.assertEqual(self.foo.cli("kv", "put", blob, "something else", "file.blobs").code, 0)
        self.refused(self.bar.cli("file", "get", "damaged", self.folder / "out"), "corrupt")
        self.assertFalse((self.folder / "out").exists())
        code, out, err = self.run_here(self.bar, "file", "get", "damaged", "-")
        self.assertEqual((code, err.count("\n")), (1, 1), err)
        self.assertEqual(data[:len(out)], out, "nothing but the file comes out")
        self.assertEqual(self.foo.cli("kv", "del", blob, "file.blobs").code, 0)
        self.refused(self.bar.cli("file", "get", "damaged", self.folder / "out"), "not_found")

    def test_a_put_that_broke_off_shows_no_file_and_goes_on_where_it_ended(self):
        data = content(12 * CHUNK + 3, 5)
        process = self.begin(self.foo, "file", "put", "-", "half")
        process.stdin.write(data[:10 * CHUNK])
        process.stdin.flush()
        wait_until(lambda: sum(key.endswith(hashlib.sha256(data[i * CHUNK:(i + 1) * CHUNK]).hexdigest())
                               for key in self.foo.cli("kv", "ls", "", "file.blobs").data for i in range(4)) == 4,
                   "some of it is stored")
        process.kill()
        process.communicate()
        self.refused(self.foo.cli("file", "stat", "half"), "not_found")
        self.assertEqual(self.foo.cli("file", "ls", "half").data, [])
        details = self.put(self.bar, data, "half")  # at another node
        self.assertLessEqual(details["sent"], len(data) - 4 * CHUNK + CHUNK)
        self.assertEqual(self.get(self.baz, "half"), data)

    def test_a_get_that_broke_off_leaves_no_file_and_goes_on_with_what_is_right_of_it(self):
        data = content(40 * CHUNK, 6)
        self.put(self.foo, data, "long")
        target = self.folder / "long"
        process = self.begin(self.foo, "file", "get", "long", "long")
        wait_until(lambda: self.partial_bytes() >= 4 * CHUNK, "some of it is here")
        process.kill()
        process.communicate()
        if target.exists():
            self.skipTest("it was complete before it could be ended")
        partial, = self.leftovers()
        with partial.open("r+b") as file:
            file.seek(CHUNK + 7)
            file.write(b"damage")
        here = partial.stat().st_size // CHUNK
        answer = self.bar.cli("file", "get", "long", target)
        self.assertEqual(answer.code, 0, answer.err)
        self.assertLessEqual(answer.data["received"], len(data) - (here - 5) * CHUNK)
        self.assertEqual(target.read_bytes(), data)
        self.assertEqual(self.leftovers(), [])

    def test_the_death_of_a_node_in_a_put_and_in_a_get_is_not_noticed_at_another(self):
        data = content(30 * CHUNK, 7)
        (self.folder / "in").write_bytes(data)
        process = self.begin(self.foo, "file", "put", "in", "survivor", timeout=40)
        wait_until(lambda: any(key.endswith(hashlib.sha256(data[:CHUNK]).hexdigest())
                               for key in self.foo.cli("kv", "ls", "", "file.blobs").data), "it has begun")
        self.nodes["baz"].stop(signal.SIGKILL)
        out, err = process.communicate(timeout=90)
        self.assertEqual(process.returncode, 0, err)
        self.assertEqual(self.get(self.bar, "survivor"), data)
        self.restart("baz")
        process = self.begin(self.foo, "file", "get", "survivor", "out", timeout=40)
        wait_until(lambda: process.poll() is not None or self.partial_bytes() >= CHUNK, "it has begun")
        self.nodes["bar"].stop(signal.SIGKILL)
        out, err = process.communicate(timeout=90)
        self.assertEqual(process.returncode, 0, err)
        self.assertEqual((self.folder / "out").read_bytes(), data)
        self.restart("bar")

    def test_when_its_own_node_dies_a_command_goes_on_at_another(self):
        data = content(16 * CHUNK, 8)
        process = self.begin(self.foo, "file", "put", "-", "moved", timeout=2)
        process.stdin.write(data[:9 * CHUNK])
        process.stdin.flush()
        wait_until(lambda: any(key.endswith(hashlib.sha256(data[3 * CHUNK:4 * CHUNK]).hexdigest())
                               for key in self.bar.cli("kv", "ls", "", "file.blobs").data), "some of it is stored")
        self.nodes["foo"].stop(signal.SIGKILL)
        try:
            process.stdin.write(data[9 * CHUNK:])
        except BrokenPipeError:
            pass
        process.communicate(timeout=60)
        self.assertIn(process.returncode, (1, 3, 4))
        (self.folder / "in").write_bytes(data)
        process = self.begin(self.bar, "file", "put", "in", "moved", timeout=40)
        out, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 0, err)
        self.assertEqual(self.get(self.baz, "moved"), data)
        self.restart("foo")
        self.assertEqual(self.get(self.nodes["foo"], "moved"), data)

    def test_what_too_few_nodes_are_there_for_is_said_not_to_have_happened(self):
        self.put(self.foo, b"before", "there before")
        for name in ("bar", "baz"):
            self.nodes[name].stop(signal.SIGKILL)
        try:
            for method, path, body in (("PUT", "/v1/files/never", b"x"), ("GET", "/v1/files/there%20before", None),
                                       ("DELETE", "/v1/files/there%20before", None), ("GET", "/v1/files?limit=1", None)):
                answer = self.foo.request(method, path, body)
                self.assertIn(answer.status, (503, 504), answer.body)
                self.assertEqual(answer.error["executed"], "no", (method, path, answer.body))
            (self.folder / "in").write_bytes(b"x")
            for command in (("put", self.folder / "in", "never"), ("stat", "there before"), ("rm", "there before")):
                answer = self.foo.cli("file", *command)
                self.assertEqual((answer.code, answer.reply["error"]["executed"]), (1, "no"), (command, answer.out))
        finally:
            for name in ("bar", "baz"):
                old = self.nodes[name]
                self.nodes[name] = WebNode(programs, name, *old.options[2:], port=old.port).start()
            self.wait_until_settled()
        self.assertEqual(self.foo.get("/v1/files/never").status, 404)
        self.assertEqual(self.get(self.nodes["bar"], "there before"), b"before")

    def test_over_http_a_file_is_put_given_in_parts_and_removed(self):
        data = content(9 * CHUNK + 100, 9)
        path = "/v1/files/over%20http%2F%C3%BC"
        stored = self.foo.request("PUT", path, data, [("Content-Type", "text/plain")]).data
        self.assertEqual((stored["name"], stored["size"], stored["type"]), ("over http/\u00fc", len(data), "text/plain"))
        whole = self.bar.get(path)
        self.assertEqual((whole.status, whole.body, whole.headers["content-type"]), (200, data, "text/plain"))
        self.assertEqual(self.get(self.baz, "over http/\u00fc"), data)
        tag = whole.headers["etag"]
        head = self.baz.request("HEAD", path)
        self.assertEqual((head.status, head.body, head.headers["content-length"], head.headers["etag"]),
                         (200, b"", str(len(data)), tag))
        for first, last in ((0, 0), (CHUNK - 1, CHUNK), (5, 7 * CHUNK + 5), (len(data) - 1, len(data) - 1)):
            part = self.baz.get(path, headers=[("Range", f"bytes={first}-{last}")])
            self.assertEqual((part.status, part.headers["content-range"]), (206, f"bytes {first}-{last}/{len(data)}"))
            self.assertEqual(part.body, data[first:last + 1])
        self.assertEqual(self.foo.get(path, headers=[("Range", f"bytes={len(data)}-")]).status, 416)
        self.assertEqual(self.foo.get(path, headers=[("If-None-Match", tag)]).status, 304)
        for match, status in ((tag, 200), ("*", 200), ('"other"', 412), (f"W/{tag}", 412)):
            self.assertEqual(self.foo.get(path, headers=[("If-Match", match)]).status, status)
        long_ago, ahead = "Mon, 01 Jan 2001 00:00:00 GMT", "Tue, 01 Jan 2097 00:00:00 GMT"
        for header, date, status in (("If-Modified-Since", long_ago, 200), ("If-Modified-Since", ahead, 304),
                                     ("If-Modified-Since", whole.headers["last-modified"], 304),
                                     ("If-Unmodified-Since", long_ago, 412), ("If-Unmodified-Since", ahead, 200),
                                     ("If-Unmodified-Since", whole.headers["last-modified"], 200)):
            self.assertEqual(self.foo.get(path, headers=[(header, date)]).status, status, (header, date))
        for condition, status in ((tag, 206), ('"other"', 200)):
            answer = self.foo.get(path, headers=[("Range", "bytes=0-0"), ("If-Range", condition)])
            self.assertEqual(answer.status, status)
        self.assertIn(stored, self.bar.get("/v1/files?prefix=over").data["files"])
        self.assertEqual(self.bar.request("DELETE", path).status, 200)
        self.assertEqual((self.foo.get(path).status, self.foo.request("DELETE", path).status), (404, 404))
        for target in ("/v1/files/a%0Ab", "/v1/files/%2E%2E", "/v1/files/" + "x" * 256):
            self.assertEqual(self.foo.request("PUT", target, b"x").status, 400)
        self.assertEqual(self.foo.request("PUT", "/v1/files/x", b"x", [("Content-Type", "nothing")]).status, 400)
        self.assertEqual(self.foo.request("PUT", "/v1/files/x", b"x", [("Content-Encoding", "gzip")]).status, 415)
        self.assertEqual(self.foo.request("PUT", "/v1/files/x", b"x", token=False).status, 401)
        self.assertEqual(self.foo.request("POST", "/v1/files/x", b"x").status, 405)

    def test_over_http_a_file_is_changed_under_a_condition_or_not_at_all(self):
        path, absent, other = "/v1/files/conditional", ("If-None-Match", "*"), ("If-Match", f'"{"0" * 64}", "other", W/"x"')
        def change(method, header, body=b""):
            answer = self.foo.request(method, path, body if method == "PUT" else None, [header])
            return answer.status, answer.headers.get("etag")
        self.assertEqual(change("PUT", ("If-Match", "*"), b"none yet")[0], 412)
        status, first = change("PUT", absent, b"first")
        self.assertEqual((status, first), (200, self.bar.get(path).headers["etag"]))
        for method, header in (("PUT", absent), ("PUT", other), ("DELETE", other)):
            self.assertEqual(change(method, header, b"x")[0], 412, header)
        status, second = change("PUT", ("If-Match", f'"other", {first}'), b"second")
        self.assertEqual(status, 200)
        for method in ("PUT", "DELETE"):
            self.assertEqual(change(method, ("If-Match", first), b"late")[0], 412)
        for method, header in (("PUT", ("If-None-Match", first)), ("DELETE", absent),
                               ("PUT", ("If-Unmodified-Since", "Sun, 06 Nov 1994 08:49:37 GMT")),
                               ("PUT", ("Content-Range", "bytes 0-1/2"))):
            self.assertEqual(change(method, header, b"no")[0], 400, header)
        self.assertEqual(self.baz.get(path).body, b"second")
        since = ("If-Unmodified-Since", "Sun, 06 Nov 1994 08:49:37 GMT")  # before the file was stored
        for tag, status in ((first, 412), (second, 200)):
            answer = self.foo.request("PUT", path, b"second", [("If-Match", tag), since])
            self.assertEqual(answer.status, status)
        self.assertEqual(change("DELETE", ("If-Match", second))[0], 200)
        self.assertEqual(self.foo.get(path).status, 404)

    def test_of_many_who_create_a_file_at_once_one_does(self):
        def create(i):
            node = (self.foo, self.bar, self.baz)[i % 3]
            return node.request("PUT", "/v1/files/created%20once", b"%d" % i, [("If-None-Match", "*")]).status
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            answers = list(pool.map(create, range(6)))
        self.assertEqual(sorted(answers), [200] + 5 * [412])
        self.assertEqual(self.foo.get("/v1/files/created%20once").body, b"%d" % answers.index(200))

    def test_who_puts_the_same_name_at_the_same_time_does_not_disturb_the_other(self):
        slow, fast = content(3 * CHUNK + 1, 20), content(2 * CHUNK + 1, 21)
        head = f"PUT /v1/files/shared HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {WebNode.token}\r\n"
        with self.foo.connect() as link:
            link.sendall((head + f"Content-Length: {len(slow)}\r\n\r\n").encode() + slow[:2 * CHUNK])
            self.assertEqual(self.foo.request("PUT", "/v1/files/shared", fast).status, 200)
            self.assertEqual(self.bar.get("/v1/files/shared").body, fast)
            link.sendall(slow[2 * CHUNK:])
            self.assertTrue(link.makefile("rb").readline().startswith(b"HTTP/1.1 200"))
        self.assertEqual(self.bar.get("/v1/files/shared").body, slow)
        process = self.begin(self.foo, "file", "put", "-", "shared")  # of two commands that share an attempt
        process.stdin.write(slow[:2 * CHUNK])
        process.stdin.flush()
        wait_until(lambda: self.foo.cli("kv", "ls", "shared", "file.drafts").data == ["shared"], "the attempt has begun")
        self.put(self.bar, fast, "shared")
        process.communicate(slow[2 * CHUNK:], timeout=60)
        self.assertIn(self.get(self.baz, "shared"), (slow, fast))
        sources = [self.folder / str(i) for i in range(4)]  # files can be read again from their beginning
        for i, source in enumerate(sources):
            source.write_bytes(content(2 * CHUNK, 22 + i))
        processes = [self.begin(self.foo, "file", "put", source, "shared") for source in sources]
        for process in processes:
            out, err = process.communicate(timeout=60)
            self.assertEqual(process.returncode, 0, out + err)
        self.assertIn(self.get(self.baz, "shared"), [source.read_bytes() for source in sources])

    def test_over_http_files_are_listed_in_pages(self):
        names = [f"page {i}" for i in range(5)]
        for name in names:
            self.assertEqual(self.foo.request("PUT", "/v1/files/" + name.replace(" ", "%20"), b"").status, 200)
        found, after = [], ""
        while after is not None:
            page = self.bar.get(f"/v1/files?prefix=page&limit=2&after={after.replace(' ', '%20')}").data
            self.assertLessEqual(len(page["files"]), 2)
            found += [file["name"] for file in page["files"]]
            after = page["next"]
        self.assertEqual(found, names)
        for query in ("limit=0", "limit=1001", "limit=x"):
            self.assertEqual(self.bar.get("/v1/files?" + query).status, 400)

    def test_over_http_a_put_in_chunks_is_stored_and_one_that_breaks_off_is_not(self):
        data = content(6 * CHUNK + 1, 10)
        head = f"PUT /v1/files/chunked HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {WebNode.token}\r\n"
        with self.foo.connect() as link:
            link.sendall((head + "Transfer-Encoding: chunked\r\n\r\n").encode())
            for begin in range(0, len(data), 1_000_003):
                piece = data[begin:begin + 1_000_003]
                link.sendall(b"%x\r\n" % len(piece) + piece + b"\r\n")
            link.sendall(b"0\r\n\r\n")
            self.assertTrue(link.makefile("rb").readline().startswith(b"HTTP/1.1 200"))
        self.assertEqual(self.bar.get("/v1/files/chunked").body, data)
        before = set(self.foo.cli("kv", "ls", "", "file.blobs").data)
        with self.foo.connect() as link:
            link.sendall((head + f"Content-Length: {len(data)}\r\n\r\n").encode() + content(5 * CHUNK, 11))
            wait_until(lambda: set(self.foo.cli("kv", "ls", "", "file.blobs").data) - before, "some of it is stored")
        with self.foo.connect() as link:
            link.sendall((head + "Transfer-Encoding: chunked\r\n\r\nnonsense\r\n").encode())
            self.assertTrue(link.makefile("rb").readline().startswith(b"HTTP/1.1 400"))
        self.assertEqual(self.bar.get("/v1/files/chunked").body, data)

        def gone():  # what came of it is not kept for a day
            for node in self.nodes.values():
                node.cli("call", "files", "collect", '{"at_once": true}')
            return not set(self.foo.cli("kv", "ls", "", "file.blobs").data) - before
        wait_until(gone, "the blobs of the request that broke off are gone")

    def test_many_transfers_at_a_time_wait_for_each_other(self):
        data = content(CHUNK + 1, 13)

        def transfer(i):
            put = self.foo.request("PUT", f"/v1/files/many{i}", data)
            return put.status, self.foo.get(f"/v1/files/many{i}").body == data
        with concurrent.futures.ThreadPoolExecutor(20) as pool:
            self.assertEqual(list(pool.map(transfer, range(20))), [(200, True)] * 20)
        for i in range(20):
            self.assertEqual(self.foo.request("DELETE", f"/v1/files/many{i}").status, 200)
        for node in self.nodes.values():  # listing the keys of blobs reads the blobs
            node.cli("--timeout", "40", "call", "files", "collect", '{"at_once": true}')

    def test_over_http_a_damaged_file_is_cut_off(self):
        data = content(12 * CHUNK, 12)
        self.assertEqual(self.foo.request("PUT", "/v1/files/cut", data).status, 200)
        blob = next(key for key in self.foo.cli("kv", "ls", "", "file.blobs").data
                    if key.endswith("/" + hashlib.sha256(data[6 * CHUNK:7 * CHUNK]).hexdigest()))
        self.assertEqual(self.foo.cli("kv", "put", blob, "something else", "file.blobs").code, 0)
        connection = http.client.HTTPConnection("localhost", self.bar.web, timeout=DEADLINE)
        self.addCleanup(connection.close)
        with self.assertRaises(http.client.IncompleteRead) as cut:
            exchange(connection, "GET", "/v1/files/cut", token=WebNode.token)
        self.assertEqual(cut.exception.partial, data[:len(cut.exception.partial)])
        self.assertLessEqual(len(cut.exception.partial), 6 * CHUNK)
        self.assertEqual(self.bar.get("/v1/files/cut", headers=[("Range", "bytes=0-9")]).body, data[:10])

    def test_a_node_without_a_store_says_so(self):
        node = WebNode(programs, "plain").start()
        self.addCleanup(node.kill)
        self.refused(node.cli("file", "ls"), "no_server")
        self.assertEqual([node.request(method, "/v1/files/x", b"").status for method in ("GET", "PUT")], [503, 503])
        self.assertEqual(programs.run_cli("-p", "1", "-a", COOKIE, "file", "ls").code, 3)


if __name__ == "__main__":
    unittest.main(verbosity=2)
