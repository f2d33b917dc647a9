#include <doctest/doctest.h>

#include <fstream>
#include <map>
#include <numeric>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "cluster/proto/chord_messages.hpp"
#include "cluster/proto/command.hpp"
#include "cluster/proto/handshake.hpp"
#include "cluster/wire/codec.hpp"
#include "cluster/wire/codec_types.hpp"
#include "cluster/wire/frame.hpp"
#include "cluster/wire/message.hpp"

// The worked example of docs/wire_format.md, which another implementation computes too:
// examples/python_client.

namespace {
using namespace cluster;
using namespace cluster::proto;

struct Add {
  std::int64_t n = 0;
};

/// The lines "    name = hex", and what goes on behind them, indented further.
std::map<std::string, std::string> values_of_document() {
  std::ifstream file(CLUSTER_WIRE_FORMAT_DOCUMENT);
  REQUIRE(file);
  const std::string digits = "0123456789abcdef";
  std::map<std::string, std::string> values;
  std::string name;
  for (std::string line; std::getline(file, line);) {
    const auto is_hex = [&](std::string_view text) {
      return !text.empty() && text.find_first_not_of(digits) == std::string_view::npos;
    };
    if (const auto equals = line.find("= ");
        line.starts_with("    ") && equals == 16 && is_hex(line.substr(18))) {
      name = line.substr(4, line.find(' ', 4) - 4);
      values[name] = line.substr(18);
    } else if (line.starts_with(std::string(18, ' ')) && is_hex(line.substr(18))) {
      values[name] += line.substr(18);
    } else {
      name.clear();
    }
  }
  return values;
}

HandshakeSecrets secrets(const std::string& secret, std::uint8_t nonce_byte) {
  HandshakeSecrets made{crypto::x25519_from_secret(*from_hex(secret)).value(), {}};
  made.nonce.fill(nonce_byte);
  return made;
}

/// All records that `actions` send, and the keys if they establish a session.
void take(HandshakeActions actions, Bytes& sent, std::optional<SessionKeys>& keys) {
  for (auto& action : actions) {
    if (const auto* record = std::get_if<SendRecord>(&action))
      sent.insert(sent.end(), record->bytes.begin(), record->bytes.end());
    if (auto* established = std::get_if<Established>(&action)) keys = std::move(established->keys);
    CHECK_FALSE(std::holds_alternative<HandshakeFailed>(action));
  }
}

std::string frame_around(ByteView message, ByteView key) {
  const auto length = static_cast<std::uint32_t>(wire::kMessagePrefixBytes + message.size());
  Bytes frame(wire::kFrameHeaderBytes + wire::kMessagePrefixBytes);
  wire::write_header(frame.data(), {.length = length});
  store_be<std::uint32_t>(frame.data() + wire::kFrameHeaderBytes, static_cast<std::uint32_t>(message.size()));
  frame.insert(frame.end(), message.begin(), message.end());
  const auto tag = wire::FrameSealer(Protection::sign, key)
                       .seal(ByteView(frame).first(wire::kFrameHeaderBytes),
                             std::span(frame).subspan(wire::kFrameHeaderBytes));
  return hex(frame) + hex(tag);
}

}  // namespace

TEST_CASE("wire format: the document's worked example is what two nodes really send") {
  auto said = values_of_document();
  REQUIRE(said.size() == 21);

  const auto keyring = Keyring::from_cookies({"the cookie of the example"}).value();
  CHECK(hex(as_bytes("the cookie of the example")) == said["cookie"]);
  CHECK(hex(keyring.key(0)) == said["cookie_key"]);

  HandshakeConfig client{
      .dialler = true,
      .self = {.id = "client-1", .boot = {1, 2}, .role = Role::client, .ring = {}, .advertised = {}},
      .keyring = keyring,
      .expected = {},
      .wall = wall_from_micros(1'700'000'000'000'000)};
  HandshakeConfig node{.dialler = false,
                       .self = {.id = "bar",
                                .boot = {3, 4},
                                .role = Role::node,
                                .ring = "ring",
                                .advertised = {"127.0.0.1", 7022}},
                       .keyring = keyring,
                       .expected = {},
                       .wall = wall_from_micros(1'700'000'000'000'001)};
  Handshake dialler(Instant{}, std::move(client), secrets(said["secret_d"], 0x11));
  Handshake listener(Instant{}, std::move(node), secrets(said["secret_l"], 0x22));

  std::optional<SessionKeys> dialler_keys, listener_keys;
  Bytes hello_d, hello_l, proof, verdict, nothing;
  take(dialler.start(), hello_d, dialler_keys);
  ByteView bytes = hello_d;
  take(listener.on_bytes(bytes), nothing, listener_keys);
  take(listener.proceed(), hello_l, listener_keys);
  bytes = hello_l;
  take(dialler.on_bytes(bytes), nothing, dialler_keys);
  take(dialler.proceed(), proof, dialler_keys);
  bytes = proof;
  take(listener.on_bytes(bytes), nothing, listener_keys);
  take(listener.proceed(), verdict, listener_keys);
  bytes = verdict;
  take(dialler.on_bytes(bytes), nothing, dialler_keys);

  CHECK(nothing.empty());
  CHECK(hex(hello_d) == said["hello_d"]);
  CHECK(hex(hello_l) == said["hello_l"]);
  CHECK(hex(proof) == said["proof"]);
  CHECK(hex(verdict) == said["verdict"]);
  REQUIRE(dialler_keys);
  REQUIRE(listener_keys);
  CHECK(hex(dialler_keys->send.view()) == said["key_to_l"]);
  CHECK(hex(listener_keys->send.view()) == said["key_to_d"]);

  Bytes call;
  wire::begin_call(call, {.id = 1, .to = "counter", .from = 0, .event = "add", .ttl = 5s});
  wire::encode_to(call, Add{2});
  CHECK(hex(call) == said["call"]);
  CHECK(frame_around(call, dialler_keys->send.view()) == said["frame_call"]);
  Bytes reply;
  wire::begin_reply(reply, 1);
  wire::encode_to(reply, std::int64_t{2});
  CHECK(hex(reply) == said["reply"]);
  CHECK(frame_around(reply, listener_keys->send.view()) == said["frame_reply"]);
}

TEST_CASE("wire format: the document has all fields of a command, in their order, and no others") {
  std::ifstream file(CLUSTER_WIRE_FORMAT_DOCUMENT);
  std::string row;
  while (std::getline(file, row) && !row.starts_with("| `command` | `run` |")) {
  }
  const auto begin = row.find('{');
  REQUIRE(begin != std::string::npos);
  std::istringstream fields(row.substr(begin + 1, row.find('}') - begin - 1));
  std::vector<std::string> said;
  for (std::string field; std::getline(fields >> std::ws, field, ',');)
    said.push_back(field.substr(0, field.find(':')));
  const auto& sent = wire::field_names<CommandRequest>;
  CHECK(said == std::vector<std::string>(sent.begin(), sent.end()));
}

TEST_CASE("wire format: the document's messages of Chord are those that are sent") {
  const auto said = values_of_document();
  const ChordContacts baz{{NodeId("baz"), {"127.0.0.1", 7024}}};
  const auto place = ChordSpace().place("user-17");
  const auto mail = [](const char* from, ChordMessage message) {
    return hex(wire::encode(std::pair{NodeId(from), std::move(message)}));
  };
  CHECK(mail("bar", ChordAsk{1, ChordSpace().code()}) == said.at("chord_ask"));
  CHECK(mail("foo", ChordNeighbours{1, {}, baz}) == said.at("neighbours"));
  CHECK(mail("bar", ChordStep{2, ChordSpace().code(), place, false}) == said.at("chord_step"));
  CHECK(mail("foo", ChordNext{2, false, {}, baz}) == said.at("chord_next"));
}

TEST_CASE("wire format: the document's frames of both levels are those that travel") {
  std::ifstream file(CLUSTER_WIRE_FORMAT_DOCUMENT);
  REQUIRE(file);
  std::map<std::string, std::string> said;  // "    seal 0: hex", and what goes on behind it, indented further
  std::string name;
  for (std::string line; std::getline(file, line);) {
    const std::size_t colon = line.find(": ");
    if (line.starts_with("    ") && colon == 10) {
      name = line.substr(4, 6);
      said[name] = line.substr(12);
    } else if (!name.empty() && line.starts_with(std::string(12, ' '))) {
      said[name] += line.substr(12);
    } else {
      name.clear();
    }
  }

  Bytes secret(32);
  std::iota(secret.begin(), secret.end(), std::uint8_t{0});
  Bytes hundred(100);
  std::iota(hundred.begin(), hundred.end(), std::uint8_t{0});
  const std::vector<Bytes> bodies{{}, {0, 0, 0, 5, 'h', 'e', 'l', 'l', 'o'}, hundred};
  const auto frame_of = [](wire::FrameSealer& sealer, Bytes body) {
    Bytes header(wire::kFrameHeaderBytes);
    wire::write_header(header.data(), {.length = static_cast<std::uint32_t>(body.size())});
    const auto tag = sealer.seal(header, body);
    return hex(header) + hex(body) + hex(tag);
  };
  wire::FrameSealer sign(Protection::sign, secret);
  wire::FrameSealer seal(Protection::seal, secret);
  wire::FrameSealer next(Protection::seal, secret, 1);
  for (std::size_t i = 0; i < bodies.size(); ++i) {
    CAPTURE(i);
    const std::string number = " " + std::to_string(i);
    const std::string of_sign = frame_of(sign, bodies[i]);
    if (i < 2) CHECK(said["sign" + number] == of_sign);
    CHECK(said["seal" + number] == frame_of(seal, bodies[i]));
    CHECK(said["next" + number] == frame_of(next, Bytes{'h', 'e', 'l', 'l', 'o'}));
  }
}
