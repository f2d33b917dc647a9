"""A ring under keep-majority that is cut in three and two, and heals. Usage: policy_test.py BIN_DIR"""
from cluster import PORT, OnRealNetwork, main

MINORITY, MAJORITY = ("ant", "bee"), ("cat", "dog", "elk")


class Short(OnRealNetwork):
    options = ("--partition-policy", "keep-majority", "--stable-after", "2")

    def quorums(self, names):
        return {self.nodes[name].cli("status").data["has_quorum"] for name in names}

    def told(self, name):
        return [event["event"] for event in self.followers[name].lines if event["event"].startswith("quorum_")]

    def test_the_smaller_side_must_not_change_the_ring_and_the_greater_may(self):
        self.start_ring()
        self.wait(lambda: self.quorums(self.nodes) == {True}, "all have a quorum")
        before = {name: self.told(name) for name in self.nodes}
        self.network.split(MINORITY, MAJORITY)
        self.wait(lambda: self.quorums(MINORITY) == {False}, "the smaller side knows that it is")
        for name in MINORITY:
            answer = self.nodes[name].cli("update", name, name, PORT, "1")
            self.assertEqual((answer.code, answer.reply["error"]["code"]), (1, "no_quorum"))
            self.assertIn("only 2 of the 5 members of ring 'ring' ", answer.reply["error"]["message"])
        self.assertTrue(self.reaches("ant", "bee"))
        self.assertEqual(self.quorums(MAJORITY), {True})
        self.assertEqual(self.nodes["elk"].cli("update", "elk", "elk", PORT, "9").code, 0)
        self.network.heal()
        self.wait(lambda: self.quorums(self.nodes) == {True}, "all have a quorum again")
        for name in self.nodes:
            self.wait(lambda: self.nodes[name].cli("weights").data == {**dict.fromkeys(self.nodes, 128), "elk": 9},
                      f"{name} has the one edit")
        self.assertEqual(self.nodes["ant"].cli("update", "ant", "ant", PORT, "7").code, 0)
        for name in MINORITY:
            self.wait(lambda: self.told(name) == [*before[name], "quorum_lost", "quorum_found"], f"{name} told of it")
        for name in MAJORITY:
            self.assertEqual(self.told(name), before[name], name)


main()
