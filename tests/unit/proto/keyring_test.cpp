#include <doctest/doctest.h>

#include <set>
#include <string>
#include <vector>

#include "cluster/base/log.hpp"
#include "cluster/proto/access_token.hpp"
#include "cluster/proto/key_box.hpp"
#include "cluster/proto/key_file.hpp"
#include "cluster/proto/keyring.hpp"

using namespace cluster;
using namespace cluster::proto;

namespace {

Keyring of(const std::vector<std::string>& cookies) {
  return Keyring::from_cookies(cookies, Keyring::cost_for_tests()).value();
}

const std::string kOld = "the old cookie, which is to go";
const std::string kNew = "a new cookie, which is to come";

}  // namespace

TEST_CASE("keyring: a cookie is changed in three steps, each of which keeps what the others still use") {
  const auto old_key = of({kOld});
  const auto new_key = of({kNew});
  const auto both = old_key.with(new_key.key(0)).value();
  CHECK(both.id(0) == old_key.id(0));
  CHECK(both.id(1) == new_key.id(0));
  CHECK(both.without(old_key.id(0)).error().code() == Errc::invalid_argument);  // it is in use
  const auto turned = both.using_first(new_key.id(0)).value();
  CHECK(turned.id(0) == new_key.id(0));
  CHECK(turned.id(1) == old_key.id(0));
  const auto done = turned.without(old_key.id(0)).value();
  CHECK(done.size() == 1);
  CHECK(done.has(new_key.id(0)));
  CHECK_FALSE(done.has(old_key.id(0)));
  CHECK(both.size() == 2);  // values: nothing above has changed
}

TEST_CASE("keyring: what is not there, is there already, or does not fit is refused") {
  const auto ring = of({"cookie number one", "cookie number two", "cookie number three"});
  const auto four = ring.with(of({"cookie number four"}).key(0)).value();
  CHECK(four.with(of({"cookie number five"}).key(0)).error().code() == Errc::too_large);
  CHECK(ring.with(ring.key(1)).error().code() == Errc::already_exists);
  CHECK(ring.with(as_bytes("short")).error().code() == Errc::invalid_argument);
  const auto stranger = of({"cookie number five"}).id(0);
  CHECK(ring.using_first(stranger).error().code() == Errc::not_found);
  CHECK(ring.without(stranger).error().code() == Errc::not_found);
  CHECK(ring.find(ring.id(2)) == 2);
  CHECK(four.using_first(four.id(3)).value().id(1) == four.id(0));  // the others keep their order
}

TEST_CASE("keyring: a fingerprint names a key on every node, and is not the key") {
  const auto ring = of({kOld});
  CHECK(ring.id(0) == of({kNew, kOld}).id(1));
  CHECK(fingerprint(ring.id(0)).size() == 16);
  CHECK(key_id_from(fingerprint(ring.id(0))) == ring.id(0));
  CHECK(hex(ring.key(0)).find(fingerprint(ring.id(0))) == std::string::npos);
  for (const char* wrong : {"", "0", "00112233445566778", "001122334455667g", "0x11223344556677"})
    CHECK_FALSE(key_id_from(wrong));
}

TEST_CASE("cookie: what looks easy to guess is named as that, what chance made is not") {
  for (const char* weak :
       {"", "short", "fifteen bytes..", "aaaaaaaaaaaaaaaaaaaaaaaa", "abababababababababab",
        "0123456789abcdef", "zyxwvutsrqponmlkjihg", "secret!secret!secret!", "1112223331112223"})
    CHECK_MESSAGE(!cookie_weakness(weak).empty(), weak);
  for (const char* good : {"a cookie for tests only", "Uu0qLJ0C9n3mZl4r5xW1vA==", "correct horse battery"})
    CHECK_MESSAGE(cookie_weakness(good).empty(), good);
}

TEST_CASE("cookie: a weak one is warned of once when it becomes a key, without being told") {
  std::vector<std::string> lines;
  log::set_sink([&](log::Level, std::string_view, std::string_view text) { lines.emplace_back(text); });
  const auto ring = of({"hunter2", kNew});
  static_cast<void>(ring.with(of({kOld}).key(0)));
  log::set_sink([](log::Level, std::string_view, std::string_view) {});
  REQUIRE(lines.size() == 1);
  CHECK(lines.front().find("easy to guess") != std::string::npos);
  CHECK(lines.front().find("hunter2") == std::string::npos);
}

TEST_CASE("key box: only the process that told its public key opens it, and no changed bit passes") {
  const auto receiver = crypto::x25519_generate();
  const auto ring = of({kNew});
  const auto box = seal_key(receiver.public_key, ring.key(0)).value();
  CHECK(hex(open_key(receiver, box).value()) == hex(ring.key(0)));
  CHECK(hex(box.sealed).find(hex(ring.key(0)).substr(0, 16)) == std::string::npos);
  CHECK_FALSE(open_key(crypto::x25519_generate(), box));
  for (std::size_t bit = 0; bit < box.sealed.size() * 8; ++bit) {
    auto changed = box;
    changed.sealed[bit / 8] ^= static_cast<std::uint8_t>(1u << bit % 8);
    REQUIRE_FALSE(open_key(receiver, changed));
  }
  auto changed = box;
  changed.sealed.pop_back();
  CHECK(open_key(receiver, changed).error().code() == Errc::corrupt);
  changed = box;
  changed.public_key.assign(32, 0);
  CHECK_FALSE(open_key(receiver, changed));
  CHECK_FALSE(seal_key({}, ring.key(0)));
}

TEST_CASE("key file: what was saved is read again, and each truncation and each flipped bit is noticed") {
  const auto ring = of({kOld, kNew});
  SavedKeys saved{.keys = {}, .removed = {1, 2, 0xfedcba9876543210}};
  for (std::size_t i = 0; i < ring.size(); ++i) saved.keys.emplace_back(ring.key(i));
  const auto file = encode_key_file(saved);
  const auto read = decode_key_file(file);
  REQUIRE(read);
  REQUIRE(read->keys.size() == 2);
  CHECK(hex(read->keys[0]) == hex(ring.key(0)));
  CHECK(hex(read->keys[1]) == hex(ring.key(1)));
  CHECK(read->removed == saved.removed);
  for (std::size_t length = 0; length < file.size(); ++length)
    REQUIRE_FALSE(decode_key_file(ByteView(file).first(length)));
  for (std::size_t bit = 0; bit < file.size() * 8; ++bit) {
    CAPTURE(bit);
    auto flipped = file;
    flipped[bit / 8] ^= static_cast<std::uint8_t>(1u << bit % 8);
    REQUIRE_FALSE(decode_key_file(flipped));
  }
  auto longer = file;
  longer.push_back('\n');
  CHECK_FALSE(decode_key_file(longer));
  CHECK_FALSE(decode_key_file(encode_key_file({})));
}

TEST_CASE("access token: HKDF-SHA256 of the key with a label of its own, as computed by Python's hmac") {
  Bytes key;
  for (std::uint8_t i = 0; i < 32; ++i) key.push_back(i);
  CHECK(access_token(key) == "fd6b3c9fe45e447e38c45c3d8e68c4001af6038ac79f5cc9fc73bf8ddd0d6ae6");
}
