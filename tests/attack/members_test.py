#!/usr/bin/env python3
"""Who has the cookie and misbehaves, against a real cluster-node: what is refused even so. What such a one can still do
is said in docs/security.md. usage: members_test.py BIN_DIR"""
import time

from link import CLIENT, NODE, Link, msgpack
from victim import AttackTest, Victim, main

WALL = time.time_ns() // 1000


def digest(ring="ring"):
    return {"ring_digest": [ring, bytes(32), WALL]}


class Members(AttackTest):
    def test_gossip_in_another_nodes_name_is_refused_counted_and_logged_once_a_period(self):
        with self.attack([("inbound", "forged", 300)], "router: a message of .* was refused"):
            with Link(self.node.port, "eve", NODE) as eve:
                for _ in range(100):
                    for name in ("bar", "victim", "eve2"):
                        eve.cast("ring", "ring_gossip", [name, digest()], lane=0)
                self.assertEqual(eve.call("ring", "ring_gossip", ["bar", digest()]), ("error", "refused", 0))
                self.assertEqual(eve.call("ring", "ring_gossip", {"from": "bar", "message": digest()})[:2], ("error", "refused"))
                forged = self.node.count("inbound", "forged")
                self.assertEqual(eve.call("ring", "ring_gossip", ["eve", digest()])[0], "reply")
                self.assertEqual(self.node.count("inbound", "forged"), forged)

    def test_a_claim_about_a_member_in_another_nodes_name_is_refused(self):
        claims = {"claims": [[["victim", {"number": 1, "nonce": 1}, 0, 2, "bar"]]]}
        with self.attack([("inbound", "forged", 20)]):
            with Link(self.node.port, "eve", NODE) as eve:
                for _ in range(20):
                    eve.cast("detector", "swim", ["bar", claims], lane=0)
                self.assertEqual(eve.call("detector", "swim", ["bar", claims]), ("error", "refused", 0))
                self.assertEqual(eve.call("detector", "swim", ["eve", claims])[0], "reply")

    def test_a_long_gossip_message_in_another_nodes_name_is_refused_too(self):
        with self.attack([("inbound", "forged", 1)]):
            with Link(self.node.port, "eve", NODE) as eve:
                message = ["bar", {"ring_foreign": ["ring", "r" * 100_000]}]
                self.assertEqual(eve.call("ring", "ring_gossip", message), ("error", "refused", 0))

    def test_a_client_gossips_in_nobodys_name_not_even_its_own(self):
        with self.attack([("inbound", "forged", 2)], "router: a message of .* was refused"):
            with Link(self.node.port, "somebody", CLIENT) as client:
                for name in ("somebody", "bar"):
                    self.assertEqual(client.call("ring", "ring_gossip", [name, digest()]), ("error", "refused", 0))

    def test_an_invitation_for_a_third_node_is_refused(self):
        with self.attack([("gossip", "refused", 1)]):
            before = self.node.ids()
            with Link(self.node.port, "eve", NODE) as eve:
                never = [0, False, 0, "mallory", 1, 0]
                member = ["mallory", never, [0, 0, "mallory", 1, 3, 0],
                          [0, {"number": 1, "nonce": 1}, 0, "mallory", 1, {"host": "127.0.0.1", "port": 9}, 0]]
                eve.call("ring", "ring_gossip", ["eve", {"meet_ask": [1, "ring", True, member]}])
            self.assertEqual(self.node.ids(), before)

    def test_what_a_node_tells_itself_cannot_be_told_from_outside(self):
        inside = {"ring": {"change_ring": [{"remove_command": {"ids": ["victim"]}}], "peer_changed": {"peer": "bar", "up": True},
                           "dial_ended": {"command": 1, "peer": "bar"}, "ring_saved": {"succeeded": True}, "tick": {}},
                  "detector": {"ring_posted": {}, "peer_link": {"peer": "bar", "up": True}, "tick": {}}}
        with self.attack([("inbound", "casts_bad", 5)]):
            before = self.node.ids()
            for role in (NODE, CLIENT):
                with Link(self.node.port, "eve", role) as eve:
                    for server, events in inside.items():
                        for event, message in events.items():
                            self.assertEqual(eve.call(server, event, message), ("error", "bad_message", 0), event)
                            eve.cast(server, event, message)
                            by_name = self.node.cli("call", server, event)
                            self.assertFalse(by_name.reply["ok"], event)
                            self.assertIn("has no event", by_name.reply["error"]["message"])
                            self.assertFalse(self.node.cli("cast", server, event).reply["ok"])
            self.assertEqual(self.node.ids(), before)

    def test_nobody_can_be_the_node_itself_or_a_living_member(self):
        bar = Victim(self.programs, "bar").start()
        try:
            with self.attack([("network", "handshakes_failed", 3)], "another process has this id"):
                self.assertTrue(self.node.cli("meet", f"127.0.0.1:{bar.port}", "--wait").reply["ok"])
                with Link(self.node.port, "victim", NODE) as twin:
                    self.assertEqual(twin.refusal[1], "duplicate_id")
                for boot in ((1, 1), (2**63, 1)):
                    with Link(self.node.port, "bar", NODE, boot=boot) as twin:
                        self.assertEqual(twin.refusal and twin.refusal[1], "duplicate_id")
                self.assertTrue(bar.alive())
                self.assertEqual(self.node.cli("call", "echo@bar", "echo", "1").data, 1)
        finally:
            bar.cli("leave", "-f")
            bar.stop()

    def test_deep_nesting_and_false_counts_are_bad_messages(self):
        bad = [b"\x91" * n + b"\xc0" for n in (65, 1_000, 60_000)] + [b"\x81\xa1a" * 20_000 + b"\xc0"]
        bad += [b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xffx", b"\xc6\xff\xff\xff\xff", b"\xc1",
                b"\xc7\x01\x05x", b"\x92\xc0"]
        with self.attack():
            with Link(self.node.port, "deep", CLIENT) as link:
                for raw in bad:
                    for server, event in (("echo", "echo"), ("ring", "ring_info"), ("command", "run")):
                        try:
                            answer = link.call(server, event, raw=raw)
                        except TimeoutError:
                            self.fail(f"{raw[:8]} to {server} was not answered")
                        self.assertEqual(answer[:2], ("error", "bad_message"), raw[:8])
                large = b"\x91" * 1_000_000 + b"\xc0"
                self.assertEqual(link.call("echo", "echo", raw=large)[:2], ("error", "bad_message"))
                self.assertEqual(link.call("echo", "echo", 1), ("reply", 1))

    def test_unknown_servers_events_and_oversized_names_are_answered_and_logged_once_a_period(self):
        unknown = ["nobody", "n" * 255, "\x1b[2J\n", "echo@victim", "\udcff", 0, 1, 2**63, 2**64 - 1]
        impossible = [("", "echo"), ("n" * 256, "echo"), ("n" * 30_000, "echo"), ("echo", ""), ("echo", "e" * 256),
                      ("echo", "e" * 30_000), (-1, "echo"), (None, "echo"), ([], "echo"), ("echo", 7)]
        counts = [("inbound", "casts_no_server", 1_000), ("inbound", "malformed", 2 * len(impossible))]
        with self.attack(counts, "a cast of .*no_server"):
            with Link(self.node.port, "lost", CLIENT) as link:
                for name in unknown:
                    self.assertEqual(link.call(name, "echo", 1)[:2], ("error", "no_server"), name)
                for event in ("nothing", "e" * 255, "\0"):
                    self.assertEqual(link.call("echo", event, 1)[:2], ("error", "bad_message"), event[:20])
                for i, (name, event) in enumerate(impossible):
                    link.send([0, name, 0, event, 1], [1, 1_000_000 + i, name, 0, event, 1_000, 1])
                for _ in range(1_000):
                    link.cast("nobody", "echo", 1)
                self.assertEqual(link.call("echo", "echo", 1), ("reply", 1))
        self.assertEqual(self.node.lines("\x1b\\[2J"), [])

    def test_commands_out_of_bounds_are_refused(self):
        requests = [{}, {"name": "insert", "args": ["x"] * 60_000}, {"name": "n" * 20_000_000}, {"name": "update", "args": ["victim"],
                    "weight": 0}, {"name": "insert", "args": ["a", "h", "1"], "weight": 2**32 - 1}, {"name": "help"},
                    {"name": "call", "args": ["\0", "x"]}, {"name": "insert", "args": ["\n", "127.0.0.1", "1"]}]
        with self.attack():
            before = self.node.ids()
            with Link(self.node.port, "bold", CLIENT) as link:
                for request in requests:
                    answer = link.call("command", "run", {"name": "", "args": [], **request})
                    self.assertTrue(answer[0] == "error" or answer[1]["ok"] is False, str(request)[:60])
            self.assertEqual(self.node.ids(), before)

    def test_gossip_out_of_bounds_is_refused_and_changes_nothing(self):
        bad = [{"ring_update": ["ring", {"members": [[]], "ranges": []}, 3, False]},
               {"ring_update": ["ring", {"members": [], "ranges": [["x", 5, 2**62]]}, 3, False]},
               {"ring_update": ["ring", {"members": [], "ranges": []}, 255, False]},
               {"ring_foreign": ["r" * 1_000, "x"]}, {"meet_answer": [9, 0, "", "ring", {}]}]
        with self.attack([("gossip", "refused", 3)], "a message of 'eve' was refused"):
            before = self.node.ids()
            with Link(self.node.port, "eve", NODE) as eve:
                for message in bad * 50:
                    eve.cast("ring", "ring_gossip", ["eve", message], lane=0)
                self.assertEqual(eve.call("echo", "echo", 1), ("reply", 1))
            self.assertEqual(self.node.ids(), before)


if __name__ == "__main__":
    main()
