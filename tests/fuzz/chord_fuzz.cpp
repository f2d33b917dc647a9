#include <array>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <variant>

#include "cluster/base/assert.hpp"
#include "cluster/proto/chord.hpp"
#include "fuzz.hpp"
#include "stream.hpp"

namespace {
using namespace cluster;
using namespace cluster::proto;

ChordContact contact(const char* id) { return {NodeId(id), {"127.0.0.1", 7022}}; }

/// A member of a ring of five that has looked keys up, and what must hold of it whatever it is told.
class Member {
 public:
  Member() : chord_({.self = contact("self"), .successors = 3}, Rng(1)) {
    heed(chord_.form(now_, {contact("d"), {contact("c"), contact("a"), contact("b")}, {}}));
    ask();
  }

  void ask() {
    for (const auto mode : {ChordMode::iterative, ChordMode::recursive}) {
      const auto command = ++asked_last_;
      open_.insert(command);
      heed(chord_.lookup(now_, command, chord_.space().place(std::to_string(command)), mode));
    }
  }
  /// An answer comes from who was asked, what says who it is of mostly from that one, the rest from one after
  /// the other.
  void hear(const ChordMessage& message) {
    auto from = peers_[++turn_ % peers_.size()];
    const auto in_own_name = [&](const NodeId& id) {
      if (turn_ % 4 != 0 && !id.empty() && id != chord_.self().id) from = id;
    };
    std::visit(
        [&](const auto& m) {
          if constexpr (requires { m.self; }) in_own_name(m.self.id);
          if constexpr (requires { m.owner; }) in_own_name(m.owner.id);
          if constexpr (requires { m.request; })
            if (const auto asked = asked_.find(m.request); asked != asked_.end()) from = asked->second;
        },
        message);
    heed(chord_.on_message(now_, from, message));
    pass(110ms);
  }
  /// Every lookup is answered, once and in time.
  void end() {
    pass(chord_.config().lookup_timeout);
    CLUSTER_ASSERT(open_.empty());
  }

 private:
  void pass(Duration time) {
    now_ += time;
    heed(chord_.on_time(now_));
    // A finger that is known at once is followed by the next one.
    for (unsigned i = 0; i < 2 * ChordId::kBitsMax && chord_.next_deadline() <= now_; ++i)
      heed(chord_.on_time(now_));
    CLUSTER_ASSERT(chord_.next_deadline() > now_);
    const auto& self = chord_.self().place;
    const auto& space = chord_.space();
    const auto& successors = chord_.successors();
    CLUSTER_ASSERT(successors.size() <= chord_.config().successors);
    for (std::size_t i = 0; i < successors.size(); ++i)
      CLUSTER_ASSERT(space.between(i == 0 ? self : successors[i - 1].place, successors[i].place, self));
  }
  void heed(const ChordActions& actions) {
    for (const auto& action : actions) {
      if (const auto* sent = std::get_if<ChordSend>(&action)) {
        CLUSTER_ASSERT(check(sent->message));
        CLUSTER_ASSERT(sent->to != chord_.self().id || sent->endpoint.host.empty());
        note(*sent);
      } else if (const auto* done = std::get_if<ChordLookupDone>(&action)) {
        CLUSTER_ASSERT(open_.erase(done->command) == 1);
        if (done->answer) CLUSTER_ASSERT(done->answer->path.size() <= kChordHopsMax + 1);
      }
    }
  }
  void note(const ChordSend& sent) {
    if (const auto* ask = std::get_if<ChordAsk>(&sent.message)) asked_[ask->request] = sent.to;
    if (const auto* step = std::get_if<ChordStep>(&sent.message)) asked_[step->request] = sent.to;
    if (const auto* find = std::get_if<ChordFind>(&sent.message)) asked_[find->request] = sent.to;
  }

  const std::array<NodeId, 4> peers_{"a", "b", "c", "d"};
  Instant now_{};
  Chord chord_;
  std::map<std::uint64_t, NodeId> asked_{};
  std::set<std::uint64_t> open_{};
  std::uint64_t asked_last_ = 0;
  std::size_t turn_ = 0;
};

}  // namespace

// The input is what other nodes say to a member of a Chord ring.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Member member;
  take_messages<ChordMessage>({data, size}, [&](const ChordMessage& message) { member.hear(message); });
  member.end();
  return 0;
}
