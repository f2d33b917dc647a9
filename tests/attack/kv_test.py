#!/usr/bin/env python3
"""Messages to the server `kv` from somebody who has the cookie, against a real cluster-node with a store.
usage: kv_test.py BIN_DIR"""
import contextlib
import os
import random

from link import CLIENT, NODE, Link, msgpack
from victim import AttackTest, main

BIG = 1 << 62


class Store(AttackTest):
    options = ("--kv",)

    @contextlib.contextmanager
    def attack(self, *rest):
        """And the store has its key, before and after."""
        self.assertEqual(self.node.cli("kv", "put", "key", "value").code, 0)
        with super().attack(*rest):
            yield
        self.assertEqual(self.node.cli("kv", "get", "key").data["value"], "value")

    def test_garbage_and_lies_of_a_node_are_refused_or_mean_nothing(self):
        record = [[], []]
        key = ["default", "key"]
        member = ["x", 65_535, ""]
        ring = [[BIG, 1], [[f"n{i}", 65_535, ""] for i in range(300)]]
        lies = [
            {"hello": [0, 1, True, True, [ring] * 100, True, True, [ring] * 60, True, [BIG, 7]]},
            {"hello": [0, 1, True, True, [ring] * 129, True, True, [], True, [0, 0]]},
            {"hello": [0, 1, True, True, [[[1, 1], [member] * 5]], False, True, [], False, [0, 0]]},
            {"read": [1, key, 0]}, {"read": [1, ["bad bucket", "key"], 0]}, {"read": [1, ["default", "k" * 2000], 0]},
            {"read": [1, ["default", ""], 0]}, {"write": [1, key, 0, record]},
            {"write": [1, key, 0, [[[[[1, 1, 1], [b"x", False, 0, 0]]] * 100], [[1, 1, 1]]]]},
            {"read_reply": [BIG, 0, True, record]}, {"read_reply": [1, 77, True, record]}, {"write_reply": [BIG, 0, True]},
            {"forward": [1, [1, key, b"evil", [], 2, 0, 0]]}, {"forward": [2, [9, key, b"evil", [], 0, 0, 0]]},
            {"forward": [3, [1, ["default", "key"], b"evil", [], 0, (1 << 64) - 1, 1]]},
            {"forwarded": [1, [[b"x"] * 100, []], None]}, {"forwarded": [BIG, [[], []], [65_535, "x", 9]]},
            {"sync_ask": [1, 0, [0] * 64]}, {"sync_ask": [1, 0, [0] * 63]}, {"sync_ask": [1, 0, [BIG] * 100_000]},
            {"sync_differ": [1, 1, 0, [[99, [0] * 64]]]}, {"sync_leaf": [1, 0, 4096, 0, [], True]},
            {"sync_leaf": [1, 0, 1, 0, [[5, 5], [4, 4]], True]}, {"sync_leaf": [1, 0, 1, 0, [[i, i] for i in range(5000)], True]},
            {"sync_records": [1, 0, 0, 1, [[key, record]] * 50, [1] * 5000, 0, False]}, {"sync_taken": [BIG, 65_535]},
            {"forget": [1, 0, [[key, BIG]] * 300, True]}, {"forget": [1, 0, [[key, 1]], True]}, {"forget_reply": [BIG, 0, [True] * 300]},
            {"nonsense": []}, {}, {"read": []}, {"read": {"id": 1}}, {"read": [1, key, 0], "write": []}, None, "x", b"\xff" * 1000,
        ]
        with self.attack(), Link(self.node.port, "eve", NODE) as eve:
            for lie in lies:
                eve.call("kv", "peer", ["eve", lie])
            self.assertEqual(eve.call("kv", "peer", ["bar", {"sync_taken": [1, 1]}])[:2], ("error", "refused"))
            for event in ("reachable", "synced", "tick", "look"):
                self.assertEqual(eve.call("kv", event, ["bar", False])[:2], ("error", "bad_message"), event)

    def test_bytes_by_chance_where_a_message_should_be_harm_nobody(self):
        chance = random.Random(7)
        with self.attack(), Link(self.node.port, "eve", NODE) as eve:
            for _ in range(300):
                raw = bytearray(b"\x92\xa3eve\x81\xa5write\x94\x01\x92\xa7default\xa3key\x00\x92\x90\x90")
                for _ in range(chance.randrange(1, 6)):
                    raw[chance.randrange(len(raw))] = chance.randrange(256)
                eve.call("kv", "peer", raw=bytes(raw + os.urandom(chance.randrange(8))))
            for raw in (b"\x92\xa3eve\x81\xa5write\x94\x01\x92\xdb\xff\xff\xff\xff", b"\x92\xa3eve\xdf\xff\xff\xff\xff",
                        b"\x92\xa3eve\x81\xa5hello\x9a\x00\x01\xc3\xc3\xdd\xff\xff\xff\xff"):
                self.assertEqual(eve.call("kv", "peer", raw=raw)[:2], ("error", "bad_message"))

    def test_a_client_cannot_be_a_replica_and_asks_within_bounds(self):
        with self.attack(), Link(self.node.port, "somebody", CLIENT) as client:
            self.assertEqual(client.call("kv", "peer", ["somebody", {"read": [1, ["default", "key"], 0]}])[:2],
                             ("error", "refused"))
            for ask in ({"request": [1, ["", ""], b"", [], 0, 0, 0]}, {"request": [1, ["default", "k" * 5000], b"", [], 0, 0, 0]},
                        {"request": [1, ["default", "k"], b"x", [], 2, 0, 0]}, {"request": [0, ["default", "k"], b"", [], 0, 0, 1]}):
                client.call("kv", "ask", ask)
            self.assertEqual(client.call("kv", "batch", {"requests": []})[:2], ("error", "invalid_argument"))
            one = [0, ["default", "key"], b"", [], 0, 0, 0]
            self.assertEqual(client.call("kv", "batch", {"requests": [one] * 1025})[:2], ("error", "invalid_argument"))
            self.assertEqual(client.call("kv", "scan", {"bucket": "a b"})[:2], ("error", "invalid_argument"))

    def test_large_records_that_nobody_asked_for_are_dropped(self):
        record = [[[[1, 1, 1], [b"x" * (16 << 20), False, 0, 0]]], [[1, 1, 1]]]
        with self.attack(), Link(self.node.port, "eve", NODE) as eve:
            for i in range(6):
                eve.send_large(msgpack.pack([0, "kv", 0, "peer", ["eve", {"read_reply": [BIG + i, 0, True, record]}]]), lane=2)
                eve.call("kv", "peer", ["eve", {"write_reply": [i, 0, True]}])


if __name__ == "__main__":
    main()
