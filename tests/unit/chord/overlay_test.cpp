#include "cluster/chord/overlay.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "cluster/chord/chord_commands.hpp"
#include "eventually.hpp"

using namespace cluster;
using testing::eventually;
using wire::Value;

namespace {

Node start(const std::string& id) {
  NodeConfig config{.id = id, .host = "127.0.0.1", .port = 0, .cookie = "a cookie for tests"};
  config.scrypt = net::Keyring::cost_for_tests();
  config.engine.workers = 1;
  return Node::start(config).value();
}

/// Nodes that run the overlay, in one ring of it, and in no other.
struct Overlay {
  explicit Overlay(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      nodes.push_back(start("n" + std::to_string(i)));
      chords.push_back(start_chord(nodes.back()).value());
      if (i > 0) REQUIRE(nodes[i].call(chords[i], JoinChord{nodes[i / 2].endpoint()}, 10s));
    }
  }
  /// The definition: the first node at or after the key's place.
  [[nodiscard]] NodeId owner(const std::string& key) const {
    const proto::ChordSpace space;
    const auto behind = [&](const Node& node) {
      return space.distance(space.place(key), space.place(node.id().str()));
    };
    return std::ranges::min_element(nodes, {}, behind)->id();
  }
  [[nodiscard]] bool finds(std::size_t from, const std::string& key, bool recursive) {
    const auto found = nodes[from].call(chords[from], FindOwner{key, recursive}, 8s);
    return found && found->owner.id == owner(key);
  }
  [[nodiscard]] std::size_t successors(std::size_t at) {
    return nodes[at].call(chords[at], ChordView{}, 8s).value().successors.size();
  }

  std::vector<Node> nodes{};
  std::vector<Ref<ChordServer>> chords{};
};

/// Is in a Chord ring, and answers for whoever asks what it knows with `view`.
class Liar : public GenServer<Liar, ChordMail, ChordView> {
 public:
  Liar(ActorSystem* system, proto::ChordContact self, ChordView::Answer view)
      : system_(system), self_(std::move(self)), view_(std::move(view)) {}

  void handle_cast(const ChordMail& mail) {
    if (const auto* ask = std::get_if<proto::ChordAsk>(&mail.message))
      say(mail.from, proto::ChordNeighbours{ask->request, {}, {}});
  }
  ChordView::Answer handle_call(const ChordView&) {
    asked = true;
    return view_;
  }
  void say(const NodeId& to, proto::ChordMessage message) {
    const Ref<ChordServer> chord(runtime::Target{std::string(ChordServer::kName), to});
    static_cast<void>(system_->cast(chord, ChordMail{self_.id, std::move(message)}));
  }

  static inline std::atomic<bool> asked = false;

 private:
  ActorSystem* system_;
  proto::ChordContact self_;
  ChordView::Answer view_;
};

/// Never says what it knows.
class Silent : public GenServer<Silent, ChordView> {
 public:
  Task<ChordView::Answer> handle_call(ChordView) {
    co_await sleep(1h);
    co_return ChordView::Answer{};
  }
};

/// Has `other` tell `node` of itself until it is its successor.
void join(Node& node, const Ref<ChordServer>& chord, Node& other, const proto::ChordContact& self) {
  REQUIRE(eventually([&] {
    const proto::ChordNotify notify{proto::ChordSpace().code(), self};
    static_cast<void>(
        other.cast(Ref<ChordServer>(runtime::Target{"chord", node.id()}), ChordMail{self.id, notify}));
    return !node.call(chord, ChordView{}, 8s).value().successors.empty();
  }));
}

Value run(Node& node, std::vector<std::string> args) {
  const proto::CommandRequest request{.name = "chord", .args = std::move(args)};
  return node.call(ChordCommands::kName, proto::CommandRequest::event, Value::of(request), 10s).value();
}

}  // namespace

TEST_CASE("chord overlay: any node finds the owner of any key, while others ask too and one stops") {
  Overlay overlay(5);
  REQUIRE(eventually([&] {
    for (std::size_t i = 0; i < overlay.nodes.size(); ++i)
      if (overlay.successors(i) != 4) return false;
    return true;
  }));
  for (int i = 0; i < 40; ++i) {
    CAPTURE(i);
    CHECK(overlay.finds(static_cast<std::size_t>(i) % 5, "key " + std::to_string(i), i % 2 == 0));
  }
  std::atomic<bool> is_over = false;
  std::atomic<int> answers = 0;
  std::thread others([&] {
    for (int i = 0; !is_over; ++i)
      if (overlay.nodes[0].call(overlay.chords[0], FindOwner{"key " + std::to_string(i), i % 2 == 0}, 8s))
        ++answers;
  });
  REQUIRE(eventually([&] { return answers > 20; }));
  REQUIRE(overlay.nodes[4].stop());
  const auto before = answers.load();
  REQUIRE(eventually([&] { return overlay.successors(0) == 3 && answers > before + 20; }));
  is_over = true;
  others.join();
  overlay.nodes.pop_back();
  for (int i = 0; i < 20; ++i)
    CHECK(overlay.finds(static_cast<std::size_t>(i) % 4, "key " + std::to_string(i), i % 2 == 0));
}

TEST_CASE("chord overlay: who left looks nothing up, and a second start or a wrong setup is refused") {
  Overlay overlay(2);
  CHECK(start_chord(overlay.nodes[0]).error().code() == Errc::already_exists);
  auto plain = start("plain");
  CHECK(start_chord(plain, {.bits = 7}).error().code() == Errc::invalid_argument);
  const auto through_plain = overlay.nodes[1].call(overlay.chords[1], JoinChord{plain.endpoint()}, 10s);
  CHECK(through_plain.error().message() == "'plain' runs no Chord: start it with --chord");
  CHECK(overlay.finds(1, "still in its ring", false));
  REQUIRE(overlay.nodes[1].call(overlay.chords[1], LeaveChord{}, 8s));
  const auto found = overlay.nodes[1].call(overlay.chords[1], FindOwner{"x"}, 8s);
  CHECK(found.error().code() == Errc::refused);
  CHECK(overlay.nodes[1].call(overlay.chords[1], LeaveChord{}, 8s).error().code() == Errc::refused);
  REQUIRE(eventually([&] { return overlay.successors(0) == 0; }));
  REQUIRE(overlay.nodes[1].call(overlay.chords[1], JoinChord{}, 8s));  // a ring of its own
  CHECK(overlay.nodes[1].call(overlay.chords[1], FindOwner{"x"}, 8s).value().owner.id == NodeId("n1"));
}

TEST_CASE("chord overlay: a walk around the ring believes nobody who says what cannot be") {
  struct Row {
    const char* what;
    const char* name;  // that the other gives for itself
    std::uint16_t ghosts;
    bool is_believed;
  };
  const std::array rows{Row{"the truth", "other", 0, true},
                        Row{"thousands of successors", "other", 5'000, false},
                        Row{"somebody else's name", "ghost", 0, false}};
  for (const auto& row : rows) {
    CAPTURE(row.what);
    auto node = start("node");
    const auto chord = start_chord(node).value();
    auto other = start("other");
    other.actors().kernel().add_peer(node.id(), node.endpoint());
    const proto::ChordContact self{other.id(), other.endpoint()};
    ChordView::Answer view{.self = {NodeId(row.name), self.endpoint}, .member = true, .bits = 160};
    for (std::uint16_t i = 1; i < row.ghosts; ++i)
      view.successors.push_back({NodeId("ghost" + std::to_string(i)), {"127.0.0.1", i}});
    if (row.ghosts == 0) view.successors.push_back({node.id(), node.endpoint()});
    Liar::asked = false;
    REQUIRE(other.spawn<Liar>({.name = std::string(ChordServer::kName)}, &other.actors(), self, view));
    join(node, chord, other, self);
    const auto walked = run(node, {"graph"});
    CHECK(Liar::asked);
    CHECK(*walked.find("ok") == Value(true));
    CHECK(*walked.find("data")->find("complete") == Value(row.is_believed));
    CHECK(walked.find("data")->find("nodes")->array()->size() == (row.is_believed ? 2 : 1));
  }
}

TEST_CASE("chord overlay: a walk past silent nodes ends in the time of who asks, with what it found") {
  auto node = start("node");
  const auto chord = start_chord(node).value();
  auto other = start("other");
  other.actors().kernel().add_peer(node.id(), node.endpoint());
  const proto::ChordContact self{other.id(), other.endpoint()};
  ChordView::Answer view{.self = self, .member = true, .bits = 160};
  std::vector<Node> silent;
  for (int i = 0; i < 4; ++i) {
    silent.push_back(start("silent" + std::to_string(i)));
    REQUIRE(silent.back().spawn<Silent>({.name = std::string(ChordServer::kName)}));
    view.successors.push_back({silent.back().id(), silent.back().endpoint()});
  }
  view.successors.push_back({node.id(), node.endpoint()});
  REQUIRE(other.spawn<Liar>({.name = std::string(ChordServer::kName)}, &other.actors(), self, view));
  join(node, chord, other, self);
  const proto::CommandRequest request{.name = "chord", .args = {"graph"}, .timeout_ms = 3'000};
  const auto walked = node.call("command", proto::CommandRequest::event, Value::of(request), 3s);
  REQUIRE(walked);
  REQUIRE(*walked->find("ok") == Value(true));
  CHECK(*walked->find("data")->find("complete") == Value(false));
  CHECK(walked->find("data")->find("nodes")->array()->size() == 2);
}
