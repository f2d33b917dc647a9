#pragma once
#include "net_support.hpp"
#include "raw_socket.hpp"

namespace cluster::net::test {

/// foo dials bar through a proxy that sees all that foo sends.
struct Watched {
  Watched(NetConfig of_foo, NetConfig of_bar) : foo(std::move(of_foo)), bar(std::move(of_bar)) {
    foo.kernel->add_peer("bar", proxy.at());
    REQUIRE(drive([&] { return connected(); }));
  }
  bool drive(const std::function<bool()>& done) {
    return test::drive({&foo, &bar}, [&] {
      proxy.pump();
      return done();
    });
  }
  [[nodiscard]] bool connected() const {
    return foo.connected_to("bar") && bar.connected_to("foo") && foo.ups.size() == bar.ups.size();
  }
  /// Of what foo sends from now on, the byte `at` is altered.
  void alter(std::size_t at) {
    proxy.on_bytes = [at, seen = std::size_t{0}](Bytes& bytes) mutable {
      if (at >= seen && at < seen + bytes.size()) bytes[at - seen] ^= 1;
      seen += bytes.size();
    };
  }
  /// The connection has ended, comes back, and carries what is sent.
  void check_comes_back() {
    proxy.on_bytes = nullptr;
    bar.messages.clear();
    REQUIRE(drive([&] { return bar.ups.size() == 2 && connected(); }));
    CHECK(foo.send("bar", "after it"));
    REQUIRE(drive([&] { return !bar.messages.empty(); }));
    CHECK(bar.messages[0].text == "after it");
  }

  TestNode foo;
  TestNode bar;
  Proxy proxy{bar.at()};
};

}  // namespace cluster::net::test
