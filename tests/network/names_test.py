"""Nodes are found by the names of their hosts. Usage: names_test.py BIN_DIR"""
import signal

from cluster import OnRealNetwork, main


class Short(OnRealNetwork):
    def test_a_node_that_returns_with_another_address_is_found_by_its_name(self):
        self.start_ring()
        moved = self.network.hosts["cat"]
        self.nodes["cat"].stop(signal.SIGKILL)
        moved.move_to("10.77.0.33")
        self.network.publish_names()
        self.start("cat", "--ring", "ring")  # meets nobody: the others must find it
        self.wait_for_all_alive()
        for other in self.others("cat"):
            self.assertTrue(self.reaches(other, "cat"))
            self.assertTrue(self.reaches("cat", other))

    def test_a_ring_needs_no_ipv4(self):
        self.start_ring(version=6)
        self.assertTrue(all(":" in host.address for host in self.network.hosts.values()))
        for one in self.nodes:
            for other in self.others(one):
                self.assertTrue(self.reaches(one, other))
        self.assertEqual(self.nodes["ant"].cli("insert", "ghost", "fd77::99", "1").code, 0)
        for name in self.nodes:
            self.wait(lambda: "ghost" in self.nodes[name].ids(), f"{name} knows the edit")


main()
