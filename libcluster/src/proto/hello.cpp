#include <algorithm>
#include <string>
#include <utility>

#include "cluster/base/utf8.hpp"
#include "cluster/proto/handshake.hpp"

// The body of a HELLO record. Reader and writer keep one order: that of docs/wire_format.md.
namespace cluster::proto {
namespace {

constexpr std::string_view kHelloMagic = "lcluster";

template <class U>
void put(Bytes& out, U value) {
  const std::size_t at = out.size();
  out.resize(at + sizeof(U));
  store_be<U>(out.data() + at, value);
}

void put_bytes(Bytes& out, ByteView bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); }

/// u8 length and the bytes; the length was checked where the text came from.
void put_text(Bytes& out, std::string_view text) {
  CLUSTER_ASSERT(text.size() <= 255);
  put(out, static_cast<std::uint8_t>(text.size()));
  put_bytes(out, as_bytes(text));
}

/// Reads from the front; after the first byte that is missing everything reads as zero and `ok` is false.
class Reader {
 public:
  explicit Reader(ByteView bytes) : bytes_(bytes) {}
  template <class U>
  U number() {
    const ByteView from = take(sizeof(U));
    return from.empty() ? U{} : load_be<U>(from.data());
  }
  std::string text() { return std::string(as_text(take(number<std::uint8_t>()))); }
  template <std::size_t N>
  void copy_to(std::array<std::uint8_t, N>& to) {
    const ByteView from = take(N);
    std::copy(from.begin(), from.end(), to.begin());
  }
  bool skip(std::string_view expected) { return as_text(take(expected.size())) == expected; }
  [[nodiscard]] bool ok() const noexcept { return ok_; }

 private:
  ByteView take(std::size_t count) {
    if (!ok_ || count > bytes_.size()) {
      ok_ = false;
      return {};
    }
    const ByteView taken = bytes_.first(count);
    bytes_ = bytes_.subspan(count);
    return taken;
  }
  ByteView bytes_;
  bool ok_ = true;
};

Error bad_hello(std::string text) { return Error(Errc::bad_message, "HELLO: " + std::move(text)); }

bool is_printable(std::string_view text) { return is_utf8(text) && !has_control_character(text); }

}  // namespace

Bytes encode_hello(const Hello& hello) {
  Bytes out;
  out.reserve(256);
  put_bytes(out, as_bytes(kHelloMagic));
  put(out, hello.version_min);
  put(out, hello.version_max);
  put(out, hello.protections);
  put(out, static_cast<std::uint8_t>(hello.protection_min));
  put(out, hello.capabilities);
  put(out, static_cast<std::uint64_t>(micros(hello.wall)));
  put_bytes(out, hello.nonce);
  put_bytes(out, hello.public_key);
  put(out, static_cast<std::uint8_t>(hello.identity.role));
  put(out, hello.identity.boot.number);
  put(out, hello.identity.boot.nonce);
  put_text(out, hello.identity.id.str());
  put_text(out, hello.identity.ring);
  put_text(out, hello.identity.advertised.host);
  put(out, hello.identity.advertised.port);
  return out;
}

Result<Hello> decode_hello(ByteView body) {
  Reader reader(body);
  if (!reader.skip(kHelloMagic)) return bad_hello("not this protocol");
  Hello hello;
  hello.version_min = reader.number<std::uint8_t>();
  hello.version_max = reader.number<std::uint8_t>();
  hello.protections = reader.number<std::uint8_t>();
  const auto protection_min = reader.number<std::uint8_t>();
  hello.capabilities = reader.number<std::uint32_t>();
  hello.wall = wall_from_micros(static_cast<std::int64_t>(reader.number<std::uint64_t>()));
  reader.copy_to(hello.nonce);
  reader.copy_to(hello.public_key);
  const auto role = reader.number<std::uint8_t>();
  hello.identity.boot.number = reader.number<std::uint64_t>();
  hello.identity.boot.nonce = reader.number<std::uint64_t>();
  const std::string id = reader.text();
  hello.identity.ring = reader.text();
  hello.identity.advertised.host = reader.text();
  hello.identity.advertised.port = reader.number<std::uint16_t>();

  if (!reader.ok()) return bad_hello("too short");
  if (hello.version_min > hello.version_max) return bad_hello("versions");
  if (protection_min > static_cast<std::uint8_t>(Protection::tls)) return bad_hello("protection");
  if (role > static_cast<std::uint8_t>(Role::client)) return bad_hello("role");
  auto checked_id = NodeId::parse(id);
  if (!checked_id) return bad_hello("node id");
  if (!is_printable(hello.identity.ring)) return bad_hello("ring id");
  if (!hello.identity.advertised.host.empty() && !parse_host(hello.identity.advertised.host))
    return bad_hello("advertised host");
  hello.protection_min = static_cast<Protection>(protection_min);
  hello.identity.role = static_cast<Role>(role);
  hello.identity.id = std::move(checked_id).value();
  return hello;
}

}  // namespace cluster::proto
