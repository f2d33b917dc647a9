#!/usr/bin/env python3
"""Who has the cookie and misbehaves, against a real cluster-node: what is refused even so. What such a one can still do
is said in docs/security.md. usage: members_test.py BIN_DIR"""
import time

from link import CLIENT, NODE, Link, msgpack
from victim import LOG_PERIOD, AttackTest, Victim, main, wait_until

WALL = time.time_ns() // 1000


def digest(ring="ring"):
    return {"ring_digest": [ring, bytes(32), WALL]}


def records(eve):
    """What the node holds of the members of its ring, by id."""
    eve.cast("ring", "ring_gossip", [{"ring_pull": ["ring"]}, eve.identity], lane=0)
    while True:
        message = eve.read_message()
        gossip = message[2][0] if message[0] == 4 and isinstance(message[2], list) else {}
        if "ring_update" in gossip:
            return {member[0]: member for member in gossip["ring_update"][1]["members"]}


class Members(AttackTest):
    def test_gossip_in_another_nodes_name_is_refused_counted_and_logged_once_a_period(self):
        with self.attack([("inbound", "forged", 300)], "router: a message of .* was refused"):
            with Link(self.node.port, "eve", NODE) as eve:
                for _ in range(100):
                    for name in ("bar", "victim", "eve2"):
                        eve.cast("ring", "ring_gossip", [digest(), name], lane=0)
                self.assertEqual(eve.call("ring", "ring_gossip", [digest(), "bar"]), ("error", "refused", 0))
                self.assertEqual(eve.call("ring", "ring_gossip", {"from": "bar", "message": digest()})[:2], ("error", "refused"))
                forged = self.node.count("inbound", "forged")
                self.assertEqual(eve.call("ring", "ring_gossip", [digest(), "eve"])[0], "reply")
                self.assertEqual(self.node.count("inbound", "forged"), forged)

    def test_a_claim_about_a_member_in_another_nodes_name_is_refused(self):
        claims = {"claims": [[["victim", {"number": 1, "nonce": 1}, 0, 2, "bar"]]]}
        with self.attack([("inbound", "forged", 20)]):
            with Link(self.node.port, "eve", NODE) as eve:
                for _ in range(20):
                    eve.cast("detector", "swim", [claims, "bar"], lane=0)
                self.assertEqual(eve.call("detector", "swim", [claims, "bar"]), ("error", "refused", 0))
                self.assertEqual(eve.call("detector", "swim", [claims, "eve"])[0], "reply")

    def test_a_long_gossip_message_in_another_nodes_name_is_refused_too(self):
        with self.attack([("inbound", "forged", 1)]):
            with Link(self.node.port, "eve", NODE) as eve:
                message = [{"ring_foreign": ["ring", "r" * 100_000]}, "bar"]
                self.assertEqual(eve.call("ring", "ring_gossip", message), ("error", "refused", 0))

    def test_a_client_gossips_in_nobodys_name_not_even_its_own(self):
        with self.attack([("inbound", "forged", 2)], "router: a message of .* was refused"):
            with Link(self.node.port, "somebody", CLIENT) as client:
                for name in ("somebody", "bar"):
                    self.assertEqual(client.call("ring", "ring_gossip", [digest(), name]), ("error", "refused", 0))

    def test_a_client_answers_no_call_whatever_it_calls_itself(self):
        with self.attack([("inbound", "forged", 40)], "router: a message of .* was refused"):
            for name in ("somebody", "bar"):
                with Link(self.node.port, name, CLIENT) as client:
                    for number in range(10):
                        client.send([2, number, 4711])
                        client.send([3, number, 1, "forged", 0])
                    self.assertEqual(client.call("echo", "echo", 1), ("reply", 1))

    def test_an_invitation_for_a_third_node_is_refused(self):
        with self.attack([("gossip", "refused", 1)]):
            before = self.node.ids()
            with Link(self.node.port, "eve", NODE) as eve:
                never = [0, False, 0, "mallory", 1, 0]
                member = ["mallory", never, [0, 0, "mallory", 1, 3, 0],
                          [0, {"number": 1, "nonce": 1}, 0, "mallory", 1, {"host": "127.0.0.1", "port": 9}, 0]]
                eve.call("ring", "ring_gossip", [{"meet_ask": [1, "ring", True, member]}])
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

    def test_nobody_takes_the_place_of_a_living_member_by_naming_its_boot(self):
        bar = Victim(self.programs, "bar").start()
        try:
            with self.attack():
                self.assertTrue(self.node.cli("meet", f"127.0.0.1:{bar.port}", "--wait").reply["ok"])
                with Link(self.node.port, "eve", NODE) as eve:
                    boot = records(eve)["bar"][3][1]
                for capabilities in (0, 1, 3):
                    with Link(self.node.port, "bar", NODE, ring="ring", boot=(boot["number"], boot["nonce"]),
                              capabilities=capabilities) as twin:
                        self.assertEqual(twin.refusal and twin.refusal[1], "already_exists", capabilities)
                    self.assertEqual(self.node.cli("call", "echo@bar", "echo", "1").data, 1)
        finally:
            bar.cli("leave", "-f")
            bar.stop()

    def test_no_gossip_ends_a_process_or_takes_it_out_of_its_ring(self):
        with self.attack([], "two processes have the id"):
            with Link(self.node.port, "eve", NODE) as eve:
                own = records(eve)["victim"]
                own[2][4] += 1  # another weight under the same number of an edit
                updates = [own]
                for boot in range(1, 9):  # a newer process, again and again
                    newer = [own[0], own[1], own[2], list(own[3])]
                    newer[3][1] = {"number": time.time_ns() // 10**6 + 1000 * boot, "nonce": 1}
                    newer[3][2], newer[3][3], newer[3][4] = time.time_ns() // 1000 + 10**6 * boot, "eve", time.time_ns() // 10**6
                    updates.append(newer)
                for update in updates:
                    message = {"ring_update": ["ring", {"members": [update], "ranges": []}, 0, False]}
                    self.assertEqual(eve.call("ring", "ring_gossip", [message, "eve"])[0], "reply")
            self.assertIn("victim", self.node.ids())
            at = lambda: next(m for m in self.node.cli("members").data if m["id"] == "victim")["port"]
            wait_until(lambda: at() == self.node.port, "it states its own address again")

    def test_a_record_of_the_far_future_does_not_stop_the_last_writer_from_winning(self):
        far = 2**61 - 1
        for name, place, value in (("changed", 1, far), ("count", 3, far), ("born", 0, far)):
            register = [WALL, WALL, "eve", WALL // 1000, 3, 0]
            register[place] = value
            born = [WALL, False, WALL, "eve", WALL // 1000, 0]
            endpoint = [WALL, {"number": 1, "nonce": 1}, WALL, "eve", WALL // 1000, {"host": "127.0.0.1", "port": 9}, 0]
            lies = [["ghost", born, register, endpoint], ["victim", [0, False, 0, "victim", 1, 0], register, endpoint]]
            with self.attack([("gossip", "refused", 2)], "ahead of the clock here"):
                self.assertTrue(self.node.cli("insert", "ghost", "127.0.0.1", "9", "-w", "4").reply["ok"])
                with Link(self.node.port, "eve", NODE) as eve:
                    for lie in lies:
                        message = {"ring_update": ["ring", {"members": [lie], "ranges": []}, 0, False]}
                        self.assertEqual(eve.call("ring", "ring_gossip", [message, "eve"])[0], "reply", name)
                for weight in (5, 6):
                    self.assertTrue(self.node.cli("update", "ghost", "127.0.0.1", "9", str(weight)).reply["ok"])
                    self.assertEqual(self.node.cli("weights").data["ghost"], weight, name)
                self.assertTrue(self.node.cli("remove", "ghost").reply["ok"])

    def test_no_claim_about_a_living_member_makes_it_unreachable_for_good(self):
        bar = Victim(self.programs, "bar").start()
        try:
            with self.attack([("detector", "refused", 2)], "ahead of this node's clock"):
                self.assertTrue(self.node.cli("meet", f"127.0.0.1:{bar.port}", "--wait").reply["ok"])
                held = lambda: next(m for m in self.node.cli("members").data if m["id"] == "bar")
                wait_until(lambda: held()["state"] == "alive", "bar is held for alive")
                in_an_hour = time.time_ns() // 10**6 + 3_600_000
                for number, incarnation in ((2**61, 0), (2**60, 5), (in_an_hour, 2**61), (in_an_hour + 1, 2**61)):
                    lie = {"claims": [[["bar", {"number": number, "nonce": 2**63}, incarnation, 2, "eve"]]]}
                    with Link(self.node.port, "eve", NODE) as eve:
                        self.assertEqual(eve.call("detector", "swim", [lie, "eve"])[0], "reply")
                    wait_until(lambda: held()["state"] == "alive", f"bar has objected to {number}, {incarnation}")
                    self.assertEqual(self.node.cli("call", "echo@bar", "echo", "1").data, 1)
        finally:
            bar.cli("leave", "-f")
            bar.stop()

    def test_false_suspicions_fill_neither_the_log_nor_the_events(self):
        bar = Victim(self.programs, "bar").start()
        try:
            with self.attack():
                self.assertTrue(self.node.cli("meet", f"127.0.0.1:{bar.port}", "--wait").reply["ok"])
                held = lambda: next(m for m in self.node.cli("members").data if m["id"] == "bar")
                wait_until(lambda: held()["state"] == "alive", "bar is held for alive")
                events = lambda: self.node.cli("events").data
                first = events()[0]
                told, lines = len(events()), len(self.node.lines("'bar' is "))
                begun, number = time.monotonic(), held()["incarnation"]
                with Link(self.node.port, "eve", NODE) as eve:
                    boot = records(eve)["bar"][3][1]
                    for number in range(number, number + 3_000):  # objects herself, as bar cannot that fast
                        lies = [["bar", boot, number, 1, "eve"], ["bar", boot, number + 1, 0, "bar"]]
                        self.assertEqual(eve.call("detector", "swim", [{"claims": [lies]}, "eve"])[0], "reply")
                    lie = ["bar", boot, number + 1, 1, "eve"]
                    self.assertEqual(eve.call("detector", "swim", [{"claims": [[lie]]}, "eve"])[0], "reply")
                most = 10 + 2 + (time.monotonic() - begun) / LOG_PERIOD
                self.assertLess(len(self.node.lines("'bar' is ")) - lines, most)
                self.assertLess(len(events()) - told, most)
                wait_until(lambda: held()["state"] == "alive", "bar has objected to all")
                last = lambda: [event for event in events() if event.get("id") == "bar"][-1]
                is_told = lambda: last()["state"] == "alive" and last()["incarnation"] == held()["incarnation"]
                wait_until(is_told, "the last event tells it")
                self.assertGreater(last()["left_out"], 5_000)
                self.assertTrue(self.node.lines("'bar' is alive.*changes before were not logged"))
                self.assertEqual(events()[0], first)
                bar.process.terminate()
                wait_until(lambda: last()["state"] == "stopped", "it ends")
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
                    eve.cast("ring", "ring_gossip", [message], lane=0)
                self.assertEqual(eve.call("echo", "echo", 1), ("reply", 1))
            self.assertEqual(self.node.ids(), before)


class Chord(AttackTest):
    """A ring of the node and bar, and eve, who says about Chord what she likes."""

    options = ("--chord",)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.bar = Victim(cls.programs, "bar", "--chord").start()
        assert cls.bar.cli("chord", "join", f"localhost:{cls.node.port}").reply["ok"]

    @classmethod
    def tearDownClass(cls):
        cls.bar.stop()
        super().tearDownClass()

    def setUp(self):
        wait_until(self.is_ring_of_two, "both know each other")

    def info(self):
        return self.node.cli("chord", "info").data

    def is_ring_of_two(self):
        return (self.info()["predecessor"] == "bar"
                and [row["id"] for row in self.node.cli("chord", "successors").data] == ["bar"])

    def test_overlay_messages_in_another_nodes_name_or_of_a_client_are_refused(self):
        gone = {"chord_gone": []}
        inside = {"chord_link_lost": {"peer": "bar"}, "chord_dialed": {"command": 0}, "tick": {},
                  "introduce_chord": {"node": ["x", {"host": "x", "port": 1}]}}
        with self.attack([("inbound", "forged", 200)], "router: a message of .* was refused"):
            buried = self.info()["counters"]["buried"]
            with Link(self.node.port, "eve", NODE) as eve, Link(self.node.port, "somebody", CLIENT) as client:
                for _ in range(100):
                    eve.cast("chord", "chord_mail", ["bar", gone], lane=0)
                    client.cast("chord", "chord_mail", ["somebody", gone], lane=0)
                self.assertEqual(eve.call("chord", "chord_mail", ["bar", gone]), ("error", "refused", 0))
                for event, message in inside.items():
                    self.assertEqual(eve.call("chord", event, message), ("error", "bad_message", 0), event)
            self.assertEqual(self.info()["counters"]["buried"], buried)

    def test_overlay_messages_out_of_bounds_are_refused_and_change_nothing(self):
        space, target = 160, b"\xff" * 20
        contact = ["eve", {"host": "127.0.0.1", "port": 7}]
        nobody, nowhere = ["", contact[1]], ["x", {"host": "", "port": 0}]
        find = [1, space, contact, 1, target, False, 0, 0, []]
        refused = [{"chord_neighbours": [1, None, [contact] * 33]}, {"chord_neighbours": [1, nowhere, []]},
                   {"chord_next": [1, False, [contact] * 60, []]}, {"chord_next": [1, False, [], [nowhere]]},
                   {"chord_notify": [space, ["bar", contact[1]]]}, {"chord_notify": [space, nowhere]},
                   {"chord_find": [*find[:2], nowhere, *find[3:]]}, {"chord_find": [*find[:8], ["x"] * 513]},
                   {"chord_found": [1, nowhere, 0, 0, []]}, {"chord_refusal": [1, 9, space]}]
        ignored = [{"chord_neighbours": [2**64 - 1, None, [contact] * 32]}, {"chord_next": [5, True, [contact], [contact]]},
                   {"chord_taken": [7]}, {"chord_found": [3, contact, 65_535, 65_535, ["x"] * 512]}, {"chord_hint": []},
                   {"chord_gone": []}, {"chord_refusal": [2, 0, 65_535]}, {"chord_ask": [1, 65_535]}, {"chord_ask": [0, 7]},
                   {"chord_step": [1, 7, target, True]}, {"chord_notify": [7, contact]}]
        malformed = [{"chord_find": [*find[:2], nobody, *find[3:]]}, {"chord_neighbours": [1, nobody, []]}, {"chord_ask": [-1, 0]},
                     {"chord_step": [1, space, b"short", False]}, {"chord_what": []}, {}, [], None,
                     {"chord_neighbours": [1, None, "x" * 60_000]}]
        with self.attack():
            before = self.info()["counters"]["refused"]
            with Link(self.node.port, "eve", NODE) as eve:
                for message in (refused + ignored) * 20:
                    eve.cast("chord", "chord_mail", ["eve", message], lane=0)
                for message in malformed:
                    answer = eve.call("chord", "chord_mail", ["eve", message])
                    self.assertEqual(answer[:2], ("error", "bad_message"), str(message)[:60])
            self.assertEqual(self.info()["counters"]["refused"] - before, 20 * len(refused))
            self.assertTrue(self.is_ring_of_two())

    def test_who_takes_part_and_lies_is_forgotten_with_all_she_invented_when_she_falls_silent(self):
        ghosts = [[f"ghost {i}", {"host": "127.0.0.1", "port": 9}] for i in range(32)]
        with self.attack():
            with Link(self.node.port, "eve", NODE) as eve:
                say = lambda message: eve.cast("chord", "chord_mail", ["eve", message], lane=0)
                say({"chord_notify": [160, ["eve", {"host": "127.0.0.1", "port": 7}]]})
                for i in range(5_000):  # lookups to be handed on, to an asker who is not there
                    say({"chord_find": [i, 160, ghosts[0], 1, bytes([i % 256] * 20), False, 0, 0, []]})
                told = 0
                while told < 5:
                    message = eve.read_message()
                    if message[:2] == [0, "chord"] and "chord_ask" in message[4][1]:
                        number = message[4][1]["chord_ask"][0]
                        say({"chord_neighbours": [number, ghosts[told], ghosts]})
                        told += 1
            wait_until(self.is_ring_of_two, "eve and her ghosts are forgotten")
            self.assertIn(self.node.cli("chord", "lookup", "user-17").data["owner"]["id"], ("victim", "bar"))


if __name__ == "__main__":
    main()
