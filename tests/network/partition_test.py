"""A ring that is cut in two, and heals. Usage: partition_test.py BIN_DIR"""
from cluster import OnRealNetwork, main, now

WEST, EAST = ("ant", "bee"), ("cat", "dog", "elk")


class Short(OnRealNetwork):
    def members_of(self, name):
        return self.nodes[name].cli("weights").data

    def test_edits_of_both_sides_survive_and_merge(self):
        self.start_ring()
        everybody = dict.fromkeys(self.nodes, 128)
        self.assertEqual(self.nodes["ant"].cli("insert", "ghost", "nowhere", "1").code, 0)
        for name in self.nodes:
            self.wait(lambda: "ghost" in self.nodes[name].ids(), f"{name} knows the ghost")
        self.network.split(WEST, EAST)
        cut = now()
        for name, words in {"ant": ["insert", "in-west", "nowhere", "2", "-w", "5"], "bee": ["remove", "ghost"],
                            "cat": ["insert", "in-east", "nowhere", "3", "-w", "7"],
                            "elk": ["update", "ghost", "nowhere", "1", "9"]}.items():
            self.assertEqual(self.nodes[name].cli(*words).code, 0)
        for name in WEST:
            self.wait(lambda: self.members_of(name) == {**everybody, "in-west": 5}, f"{name} has the edits of the west")
        for name in EAST:
            self.wait(lambda: self.members_of(name) == {**everybody, "ghost": 9, "in-east": 7},
                       f"{name} has the edits of the east")
        for side, others in ((WEST, EAST), (EAST, WEST)):
            for name in side:
                self.wait(lambda: self.followed(name, others) == ["unreachable"] * len(others), f"{name} misses the others")
                self.assertEqual({self.nodes[name].states()[each] for each in side}, {"alive"})
        self.assertEqual(self.nodes["ant"].cli("call", "counter@dog", "get").reply["error"]["code"], "unreachable")
        self.assertEqual(self.accused(cut, WEST, WEST) + self.accused(cut, EAST, EAST), [])
        self.network.heal()
        for name in self.nodes:
            self.wait(lambda: self.members_of(name) == {**everybody, "in-west": 5, "in-east": 7}, f"{name} has all edits")
        self.wait_for_all_alive_but({"in-west", "in-east"})
        for name in EAST:
            self.assertTrue(self.reaches("ant", name))

    def followed(self, name, others):
        """The last that `name` said of each of the others."""
        return [(self.followers[name].states(other) or [None])[-1] for other in others]

    def wait_for_all_alive_but(self, ghosts):
        for name in self.nodes:
            self.wait(lambda: {each: state for each, state in self.nodes[name].states().items()
                                if each not in ghosts and state != "left"} == dict.fromkeys(self.nodes, "alive"),
                       f"{name} holds all alive again")


main()
