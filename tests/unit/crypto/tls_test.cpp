#include "cluster/crypto/tls.hpp"

#include <doctest/doctest.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "certificates.hpp"
#include "cluster/base/log.hpp"
#include "cluster/base/rng.hpp"

namespace cluster::crypto {
namespace {

using Context = std::shared_ptr<const TlsContext>;
using Side = TlsSession::Side;

Context load(const TlsFiles& files) { return TlsContext::load(files).value(); }

/// Two ends without a network between them.
struct TlsPair {
  TlsPair(const TlsContext& d, const TlsContext& l) : dialler(d, Side::dials), listener(l, Side::listens) {}

  /// Shakes hands, `chunk` bytes at a time; what the first failure says.
  std::optional<Error> shake(std::size_t chunk = 100'000) {
    auto open = dialler.shake({});
    dialler_open = open && *open;
    Bytes to_listener = dialler.take_output();
    Bytes to_dialler;
    while (!to_listener.empty() || !to_dialler.empty()) {
      for (const bool forth : {true, false}) {
        Bytes& way = forth ? to_listener : to_dialler;
        TlsSession& to = forth ? listener : dialler;
        bool& is_open = forth ? listener_open : dialler_open;
        while (!way.empty()) {
          const auto piece = ByteView(way).first(std::min(chunk, way.size()));
          if (is_open)
            to.feed(piece);
          else if (auto done = to.shake(piece); !done)
            return (last = to.take_output(), failed_at_listener = forth, done.error());
          else
            is_open = *done;
          way.erase(way.begin(), way.begin() + static_cast<std::ptrdiff_t>(piece.size()));
          Bytes& back = forth ? to_dialler : to_listener;
          const Bytes answer = to.take_output();
          back.insert(back.end(), answer.begin(), answer.end());
        }
      }
    }
    return std::nullopt;
  }

  TlsSession dialler;
  TlsSession listener;
  bool dialler_open = false;
  bool listener_open = false;
  bool failed_at_listener = false;
  Bytes last;  // an alert
};

std::string read_all(TlsSession& session, std::size_t at_once = 1000) {
  std::string text;
  Bytes room(at_once);
  for (;;) {
    const auto got = session.read(room);
    REQUIRE(got);
    if (*got == 0) return text;
    text.append(as_text(ByteView(room).first(*got)));
  }
}

void write_file(const std::string& path, const std::string& text) { std::ofstream(path) << text; }

std::string load_error(const TlsFiles& files) {
  const auto loaded = TlsContext::load(files);
  if (loaded) return "";
  CHECK(loaded.error().code() == Errc::invalid_argument);
  return loaded.error().message();
}

}  // namespace

TEST_CASE("tls: two ends with certificates of one authority shake hands and talk, in pieces of any size") {
  test::Certificates certificates;
  const auto foo = load(certificates.of_node("foo"));
  const auto bar = load(certificates.issue("bar", "URI:lcluster:node:bar,DNS:bar,URI:urn:other"));
  CHECK(foo->uris() == std::vector<std::string>{"lcluster:node:foo"});
  CHECK(foo->expires() > wall_now());
  CHECK(foo->expires() < wall_now() + 2h);
  for (const std::size_t chunk : {1u, 7u, 100'000u}) {
    CAPTURE(chunk);
    TlsPair pair(*foo, *bar);
    REQUIRE_FALSE(pair.shake(chunk));
    REQUIRE(pair.dialler_open);
    REQUIRE(pair.listener_open);
    CHECK(pair.dialler.binding() == pair.listener.binding());
    CHECK(pair.listener.peer_uris() == std::vector<std::string>{"lcluster:node:foo"});
    CHECK(pair.dialler.peer_uris() == std::vector<std::string>{"lcluster:node:bar", "urn:other"});
    CHECK(pair.listener.take_output().empty());  // no tickets

    Rng rng(7);
    std::string text(100'000, ' ');
    for (auto& letter : text) letter = static_cast<char>('a' + rng.below(26));
    for (auto [from, to] :
         {std::pair{&pair.dialler, &pair.listener}, std::pair{&pair.listener, &pair.dialler}}) {
      REQUIRE(from->write(as_bytes(text)));
      const Bytes sent = from->take_output();
      CHECK(as_text(sent).find(text.substr(0, 8)) == std::string_view::npos);
      std::string received;
      for (ByteView rest = sent; !rest.empty(); rest = rest.subspan(std::min(chunk, rest.size()))) {
        to->feed(rest.first(std::min(chunk, rest.size())));
        received += read_all(*to);
      }
      CHECK(received == text);
    }
  }
}

TEST_CASE("tls: each session has a value of its own") {
  test::Certificates certificates;
  const auto foo = load(certificates.of_node("foo"));
  TlsPair one(*foo, *foo);
  TlsPair other(*foo, *foo);
  REQUIRE_FALSE(one.shake());
  REQUIRE_FALSE(other.shake());
  CHECK(one.dialler.binding() != other.dialler.binding());
}

TEST_CASE("tls: who is of another authority, or expired, is refused by either side, which says why") {
  test::Certificates certificates;
  certificates.add_authority("other");
  const auto good = load(certificates.of_node("foo"));
  const auto foreign = load(certificates.issue("eve", "URI:lcluster:node:foo", -60, 3'600, "other"));
  for (const bool foreign_dials : {true, false}) {
    CAPTURE(foreign_dials);
    TlsPair pair(foreign_dials ? *foreign : *good, foreign_dials ? *good : *foreign);
    const auto error = pair.shake();
    REQUIRE(error);
    CHECK_FALSE(pair.failed_at_listener);  // the dialler sees the other certificate first
    CHECK(error->code() == Errc::refused);
    CHECK(error->message().find("the peer's certificate is not accepted: ") == 0);
    CHECK_FALSE(pair.dialler.said_by_peer());
    const auto told = pair.listener.shake(pair.last);
    REQUIRE_FALSE(told);
    CHECK(told.error().code() == Errc::refused);
    CHECK(told.error().message() == "the peer refuses TLS with this certificate: unknown ca");
    CHECK(pair.listener.said_by_peer());
    CHECK(pair.listener.shake({}).error().message() == told.error().message());
  }
  // One that believes the other authority as well sees nothing wrong, until the listener has looked.
  TlsFiles files = certificates.issue("mallory", "", -60, 3'600, "other");
  std::ofstream both(certificates.file("both.pem"));
  both << std::ifstream(certificates.file("ca.pem")).rdbuf() << std::ifstream(files.authority).rdbuf();
  both.close();
  files.authority = certificates.file("both.pem");
  const auto believer = load(files);
  TlsPair pair(*believer, *good);
  const auto error = pair.shake();
  REQUIRE(error);
  CHECK(pair.failed_at_listener);
  CHECK(pair.dialler_open);
  CHECK(error->message().find("the peer's certificate is not accepted: ") == 0);
  pair.dialler.feed(pair.last);
  Bytes room(10);
  CHECK(pair.dialler.read(room).error().message() ==
        "the peer refuses TLS with this certificate: unknown ca");
}

TEST_CASE("tls: what cannot be loaded is one error that names the file") {
  test::Certificates certificates;
  certificates.add_authority("other");
  const auto good = certificates.of_node("foo");
  const auto bar = certificates.of_node("bar");
  const auto with = [&](auto change) {
    TlsFiles files = good;
    change(files);
    return load_error(files);
  };
  CHECK(load_error(good).empty());
  const auto missing = certificates.file("missing");
  CHECK(with([&](auto& files) { files.certificate = missing; }) ==
        "the certificate '" + missing + "' cannot be read: No such file or directory");
  CHECK(with([&](auto& files) { files.key = missing; }) ==
        "the key '" + missing + "' cannot be read: No such file or directory");
  CHECK(with([&](auto& files) {
          files.authority = missing;
        }).find("the authority's certificate '" + missing + "' cannot be read: ") == 0);
  const auto junk = certificates.file("junk");
  write_file(junk, "no PEM at all\n");
  CHECK(with([&](auto& files) { files.certificate = junk; }).find("the certificate '" + junk + "'") == 0);
  CHECK(with([&](auto& files) { files.key = junk; }).find("the key '" + junk + "'") == 0);
  CHECK(with([&](auto& files) { files.authority = junk; }).find("the authority's certificate '" + junk) == 0);
  CHECK(with([&](auto& files) { files.key = bar.key; }) ==
        "the key '" + bar.key + "' does not belong to the certificate '" + good.certificate + "'");
  CHECK(with([&](auto& files) {
          files.authority = certificates.file("other.pem");
        }).find("the certificate '" + good.certificate + "' is not of the authority in '") == 0);
  CHECK(load_error(certificates.issue("old", "", -7'200, -3'600))
            .find("the certificate '" + certificates.file("old.pem") + "' has expired on 2") == 0);
  CHECK(load_error(certificates.issue("young", "", 3'600, 7'200))
            .find("the certificate '" + certificates.file("young.pem") + "' is not valid before 2") == 0);
}

TEST_CASE("tls: a certificate that limits its use to one end is refused at the start of who needs both") {
  test::Certificates certificates;
  const auto limited = [&](const char* usage) {
    return certificates.issue(usage, "URI:lcluster:node:foo", -60, 3'600, "ca", usage);
  };
  CHECK(load_error(limited("serverAuth,clientAuth")).empty());
  const auto name = [&](const char* usage) {
    return "the certificate '" + certificates.file(usage) + ".pem' ";
  };
  CHECK(load_error(limited("serverAuth")).find(name("serverAuth") + "is not for one who dials: ") == 0);
  CHECK(load_error(limited("clientAuth")).find(name("clientAuth") + "is not for one who listens: ") == 0);
  CHECK(TlsContext::load(limited("clientAuth"), TlsUse::dials));
  CHECK_FALSE(TlsContext::load(limited("serverAuth"), TlsUse::dials));
}

TEST_CASE("tls: a key that others than its owner can read is warned of") {
  test::Certificates certificates;
  const auto files = certificates.of_node("foo");
  std::vector<std::string> lines;
  log::set_sink([&](log::Level, std::string_view, std::string_view text) { lines.emplace_back(text); });
  for (const auto& [mode, warned] :
       {std::pair{0600, false}, {0400, false}, {0640, true}, {0604, true}, {0666, true}}) {
    CAPTURE(mode);
    lines.clear();
    std::filesystem::permissions(files.key, static_cast<std::filesystem::perms>(mode));
    CHECK(TlsContext::load(files));
    CHECK(lines.size() == (warned ? 1 : 0));
    if (warned)
      CHECK(lines.at(0) == files.key + " can be read by others than its owner: chmod 600 " + files.key);
  }
  log::set_sink({});
}

TEST_CASE("tls: garbage, and records altered or cut off anywhere, are errors and no more") {
  test::Certificates certificates;
  const auto foo = load(certificates.of_node("foo"));
  Rng rng(11);
  for (int round = 0; round < 200; ++round) {
    CAPTURE(round);
    Bytes bytes(1 + rng.below(600));
    for (auto& byte : bytes) byte = static_cast<std::uint8_t>(rng.below(256));
    if (round % 2 == 0) bytes[0] = 22;
    if (round % 4 == 0 && bytes.size() > 2) bytes[1] = 3, bytes[2] = 1;
    TlsSession listener(*foo, Side::listens);
    if (const auto open = listener.shake(bytes); open) CHECK_FALSE(*open);
    static_cast<void>(listener.take_output());
  }
  TlsSession source(*foo, Side::dials);
  REQUIRE(source.shake({}));
  const Bytes hello = source.take_output();
  for (std::size_t at = 0; at < hello.size(); ++at) {
    CAPTURE(at);
    TlsSession listener(*foo, Side::listens);
    const auto open = listener.shake(ByteView(hello).first(at));  // cut off: it waits
    REQUIRE(open);
    CHECK_FALSE(*open);
    Bytes altered = hello;
    altered[at] ^= static_cast<std::uint8_t>(1u << rng.below(8));
    TlsPair pair(*foo, *foo);
    REQUIRE(pair.dialler.shake({}));
    static_cast<void>(pair.dialler.take_output());
    if (const auto answered = pair.listener.shake(altered); answered) {
      const auto done = pair.dialler.shake(pair.listener.take_output());  // to another hello, or nothing
      if (done) CHECK_FALSE(*done);
    }
  }
  TlsPair pair(*foo, *foo);
  REQUIRE_FALSE(pair.shake());
  REQUIRE(pair.dialler.write(as_bytes("text")));
  Bytes record = pair.dialler.take_output();
  record[record.size() / 2] ^= 1;
  pair.listener.feed(record);
  Bytes room(10);
  for (int again = 0; again < 2; ++again) {
    const auto got = pair.listener.read(room);
    REQUIRE_FALSE(got);
    CHECK(got.error().code() == Errc::corrupt);
  }
}

namespace {

/// An end that does what OpenSSL can, and TlsSession does not. It believes everybody.
struct RawEnd {
  explicit RawEnd(const TlsFiles& files, Side side = Side::dials) {
    SSL_CTX_use_certificate_chain_file(context.get(), files.certificate.c_str());
    SSL_CTX_use_PrivateKey_file(context.get(), files.key.c_str(), SSL_FILETYPE_PEM);
    ssl.reset(SSL_new(context.get()));
    SSL_set_bio(ssl.get(), in, out);
    if (side == Side::dials) SSL_set_connect_state(ssl.get());
    if (side == Side::listens) SSL_set_accept_state(ssl.get());
  }
  Bytes take_output() {
    Bytes output(BIO_ctrl_pending(out));
    std::size_t got = 0;
    if (!output.empty()) BIO_read_ex(out, output.data(), output.size(), &got);
    return output;
  }
  /// The first failure of the other end, or nothing.
  std::optional<Error> shake(TlsSession& other) {
    for (int turn = 0; turn < 4; ++turn) {
      SSL_do_handshake(ssl.get());
      const auto open = other.shake(take_output());
      if (!open) return open.error();
      const Bytes answer = other.take_output();
      std::size_t taken = 0;
      if (!answer.empty()) BIO_write_ex(in, answer.data(), answer.size(), &taken);
      if (*open) return std::nullopt;
    }
    return Error(Errc::corrupt, "no end");
  }

  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context{SSL_CTX_new(TLS_method()), SSL_CTX_free};
  std::unique_ptr<SSL, decltype(&SSL_free)> ssl{nullptr, SSL_free};
  BIO* in = BIO_new(BIO_s_mem());  // both belong to ssl
  BIO* out = BIO_new(BIO_s_mem());
};

}  // namespace

TEST_CASE("tls: a stranger cannot choose a group that costs much") {
  test::Certificates certificates;
  const auto foo = load(certificates.of_node("foo"));
  for (const auto& [group, accepted] : {std::pair{"X25519", true},
                                        {"P-256", true},
                                        {"P-521", false},
                                        {"X448", false},
                                        {"ffdhe2048", false},
                                        {"ffdhe8192", false}}) {
    CAPTURE(group);
    RawEnd dialler(certificates.of_node("bar"));
    REQUIRE(SSL_set1_groups_list(dialler.ssl.get(), group) == 1);
    TlsSession listener(*foo, Side::listens);
    CHECK(dialler.shake(listener).has_value() != accepted);
  }
}

TEST_CASE("tls: versions before 1.3 are refused at either end") {
  test::Certificates certificates;
  const auto foo = load(certificates.of_node("foo"));
  for (const auto side : {Side::dials, Side::listens})
    for (const auto& [version, accepted] : {std::pair{TLS1_3_VERSION, true}, {TLS1_2_VERSION, false}}) {
      CAPTURE(version);
      RawEnd raw(certificates.of_node("bar"), side);
      REQUIRE(SSL_set_max_proto_version(raw.ssl.get(), version) == 1);
      TlsSession session(*foo, side == Side::dials ? Side::listens : Side::dials);
      const auto error = raw.shake(session);
      CHECK(error.has_value() != accepted);
      if (error) CHECK_MESSAGE(error->message().find("protocol") != std::string::npos, error->message());
    }
}

TEST_CASE("tls: a peer's certificate that has expired, or is for another use, is refused in the handshake") {
  test::Certificates certificates;
  const auto foo = load(certificates.of_node("foo"));
  struct Row {
    const char* name;
    long from;
    long to;
    const char* usage;
    const char* at_listener;  // what the one says to whom it is shown; empty: nothing
    const char* at_dialler;
  };
  constexpr auto kExpired = "certificate has expired", kYoung = "certificate is not yet valid",
                 kOther = "certificate purpose";
  for (const auto& row : {Row{"good", -60, 3'600, nullptr, "", ""},
                          {"for_both", -60, 3'600, "serverAuth,clientAuth", "", ""},
                          {"expired", -7'200, -3'600, nullptr, kExpired, kExpired},
                          {"young", 3'600, 7'200, nullptr, kYoung, kYoung},
                          {"for_servers", -60, 3'600, "serverAuth", kOther, ""},
                          {"for_clients", -60, 3'600, "clientAuth", "", kOther}})
    for (const auto side : {Side::dials, Side::listens}) {
      CAPTURE(row.name);
      const bool dials = side == Side::dials;
      RawEnd raw(certificates.issue(row.name, "URI:lcluster:node:bar", row.from, row.to, "ca", row.usage),
                 side);
      TlsSession session(*foo, dials ? Side::listens : Side::dials);
      const auto error = raw.shake(session);
      const std::string expected = dials ? row.at_listener : row.at_dialler;
      CHECK(error.has_value() != expected.empty());
      if (!error) continue;
      CHECK(error->code() == Errc::refused);
      CHECK(error->message().find("the peer's certificate is not accepted: ") == 0);
      CHECK(error->message().find(expected) != std::string::npos);
    }
}

TEST_CASE("tls: changes of keys with no data between them are soon an end") {
  test::Certificates certificates;
  const auto foo = load(certificates.of_node("foo"));
  for (const auto& [changes, data_between, accepted] :
       {std::tuple{10, false, true}, {100, true, true}, {100, false, false}}) {
    CAPTURE(changes);
    CAPTURE(data_between);
    RawEnd dialler(certificates.of_node("bar"));
    TlsSession listener(*foo, Side::listens);
    REQUIRE_FALSE(dialler.shake(listener));
    bool failed = false;
    std::size_t got = 0;
    for (int i = 0; i < changes && !failed; ++i) {
      REQUIRE(SSL_key_update(dialler.ssl.get(), SSL_KEY_UPDATE_NOT_REQUESTED) == 1);
      REQUIRE(SSL_do_handshake(dialler.ssl.get()) == 1);
      if (data_between) REQUIRE(SSL_write(dialler.ssl.get(), "x", 1) == 1);
      listener.feed(dialler.take_output());
      Bytes room(100);
      for (auto read = listener.read(room);; read = listener.read(room)) {
        failed = !read;
        if (failed || *read == 0) break;
        got += *read;
      }
    }
    CHECK(failed != accepted);
    if (data_between) CHECK(got == static_cast<std::size_t>(changes));
  }
}

TEST_CASE("tls: a stranger's handshake is bounded") {
  test::Certificates certificates;
  const auto foo = load(certificates.of_node("foo"));
  TlsSession listener(*foo, Side::listens);
  // Records of a handshake message that claims to be long.
  Bytes record{22, 3, 1, 0x40, 0};
  record.resize(5 + 0x4000);
  record[5] = 1;
  record[6] = 1;
  std::size_t taken = 0;
  std::optional<Error> error;
  while (!error && taken < 1'000'000) {
    const auto open = listener.shake(record);
    taken += record.size();
    if (!open) error = open.error();
  }
  REQUIRE(error);
  CHECK(taken <= 100'000);

  // A length is not believed, in whatever pieces it comes, in one record or in several.
  for (const std::size_t length : {16u * 1024, 16u * 1024 + 1, 131'000u}) {
    CAPTURE(length);
    const Bytes head{1, static_cast<std::uint8_t>(length >> 16), static_cast<std::uint8_t>(length >> 8 & 255),
                     static_cast<std::uint8_t>(length & 255)};
    for (const bool one_record : {true, false}) {
      TlsSession session(*foo, Side::listens);
      Bytes bytes{22, 3, 1, 0, 4};
      if (one_record) bytes.insert(bytes.end(), head.begin(), head.end());
      for (std::size_t i = 0; !one_record && i < head.size(); ++i) {
        if (i == 0) bytes.clear();
        bytes.insert(bytes.end(), {22, 3, 1, 0, 1, head[i]});
      }
      bool refused = false;
      for (const auto byte : bytes) refused = refused || !session.shake(ByteView(&byte, 1));
      CHECK(refused == (length > 16 * 1024));
    }
  }
}

}  // namespace cluster::crypto
