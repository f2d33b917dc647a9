#pragma once
#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "cluster/base/bytes.hpp"
#include "cluster/base/error.hpp"

/// Writing and reading single MessagePack elements. The codec (codec.hpp) builds values of them.
/// Source: the MessagePack specification, https://github.com/msgpack/msgpack/blob/master/spec.md
namespace cluster::wire {

/// The deepest nesting of arrays and maps that is read.
inline constexpr std::size_t kDepthMax = 64;
/// The most memory that the elements of decoded containers may take, all together: one byte of input can
/// stand for a whole struct, so the length of a message does not bound what it unpacks to.
inline constexpr std::size_t kDecodedBytesMax = std::size_t{256} << 20;

/// Appends MessagePack elements to `out`, each in its shortest form. While a Writer lives, `out` may be
/// longer than what was written; its destructor sets the size right.
class Writer {
 public:
  explicit Writer(Bytes& out) noexcept
      : out_(out), cursor_(out.data() + out.size()), end_(out.data() + out.size()) {}
  ~Writer() { out_.resize(size()); }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  /// Of `out`, with all that was written.
  [[nodiscard]] std::size_t size() const noexcept { return static_cast<std::size_t>(cursor_ - out_.data()); }

  void nil() { byte(0xc0); }
  void boolean(bool value) { byte(value ? 0xc3 : 0xc2); }
  void unsigned_integer(std::uint64_t value);
  void integer(std::int64_t value);
  void float32(float value) { tagged(0xca, std::bit_cast<std::uint32_t>(value)); }
  void float64(double value) { tagged(0xcb, std::bit_cast<std::uint64_t>(value)); }
  /// At most 2^32 - 1 bytes or elements, as the format has it; more is a broken invariant.
  void text(std::string_view value);
  void bytes(ByteView value);
  void array(std::size_t count);
  void map(std::size_t count);
  /// Bytes that are MessagePack already.
  void raw(ByteView value);
  /// The same for a short piece whose length the compiler knows.
  template <std::size_t Size>
  void literal(const std::array<std::uint8_t, Size>& piece) {
    std::memcpy(room(Size), piece.data(), Size);
    cursor_ += Size;
  }

 private:
  /// Where `size` bytes may be written.
  std::uint8_t* room(std::size_t size) {
    if (static_cast<std::size_t>(end_ - cursor_) < size) [[unlikely]]
      grow(size);
    return cursor_;
  }
  void grow(std::size_t more);
  /// What there is no room for: it is not worth zeroing first.
  void append(ByteView value);
  void byte(std::uint8_t value) { *room(1) = value, ++cursor_; }
  template <std::unsigned_integral U>
  void tagged(std::uint8_t tag, U value) {
    auto* to = room(1 + sizeof value);
    to[0] = tag;
    store_be(to + 1, value);
    cursor_ += 1 + sizeof value;
  }
  void sized(std::size_t size, std::uint8_t tag16, std::uint8_t tag32);

  Bytes& out_;
  std::uint8_t* cursor_;
  std::uint8_t* end_;
};

/// What the next element is.
enum class Kind : std::uint8_t {
  end,
  nil,
  boolean,
  integer,
  real,
  text,
  bytes,
  array,
  map,
  extension,
  invalid
};
[[nodiscard]] std::string_view name(Kind kind) noexcept;

namespace detail {
inline constexpr auto kinds = [] {
  std::array<Kind, 256> out{};
  const auto fill = [&](std::size_t first, std::size_t last, Kind kind) {
    for (auto tag = first; tag <= last; ++tag) out[tag] = kind;
  };
  fill(0x00, 0x7f, Kind::integer);
  fill(0x80, 0x8f, Kind::map);
  fill(0x90, 0x9f, Kind::array);
  fill(0xa0, 0xbf, Kind::text);
  fill(0xc0, 0xc0, Kind::nil);
  fill(0xc1, 0xc1, Kind::invalid);
  fill(0xc2, 0xc3, Kind::boolean);
  fill(0xc4, 0xc6, Kind::bytes);
  fill(0xc7, 0xc9, Kind::extension);
  fill(0xca, 0xcb, Kind::real);
  fill(0xcc, 0xd3, Kind::integer);
  fill(0xd4, 0xd8, Kind::extension);
  fill(0xd9, 0xdb, Kind::text);
  fill(0xdc, 0xdd, Kind::array);
  fill(0xde, 0xdf, Kind::map);
  fill(0xe0, 0xff, Kind::integer);
  return out;
}();
}  // namespace detail

/// Reads MessagePack elements off the front of bytes from a stranger. Every call checks the bytes left first;
/// after a failure all calls fail. Functions return false on failure; `error()` then says what was wrong and
/// where. Views point into the input.
class Reader {
 public:
  explicit Reader(ByteView input) noexcept
      : begin_(input.data()), cursor_(input.data()), end_(input.data() + input.size()) {}

  [[nodiscard]] bool ok() const noexcept { return failure_ == nullptr; }
  [[nodiscard]] std::size_t left() const noexcept { return static_cast<std::size_t>(end_ - cursor_); }
  [[nodiscard]] ByteView rest() const noexcept { return {cursor_, left()}; }
  [[nodiscard]] Kind peek() const noexcept { return cursor_ == end_ ? Kind::end : detail::kinds[*cursor_]; }

  bool boolean(bool& value);
  /// Any integer that `value` can hold, in any of the integer formats.
  template <std::integral I>
  bool integer(I& value) {
    if (cursor_ != end_ && *cursor_ < 0x80) {
      value = static_cast<I>(*cursor_++);
      return true;
    }
    Integer wide;
    if (!any_integer(wide)) return false;
    if (wide.negative ? std::in_range<I>(static_cast<std::int64_t>(wide.bits))
                      : std::in_range<I>(wide.bits)) {
      value = static_cast<I>(wide.bits);
      return true;
    }
    return does_not_fit(wide, sizeof(I), std::signed_integral<I>);
  }
  /// Whether the next element is an integer greater than any int64.
  [[nodiscard]] bool next_exceeds_int64() const noexcept {
    return left() >= 2 && cursor_[0] == 0xcf && cursor_[1] >= 0x80;
  }
  /// A float of either width, or an integer that a double holds exactly.
  bool real(double& value);
  /// str, or bin: the two are told apart when written and taken for each other when read.
  bool text(std::string_view& value);
  bool bytes(ByteView& value);
  /// The number of elements (of pairs) that follow; never more than the bytes left could hold.
  bool array(std::size_t& count);
  bool map(std::size_t& count);
  /// Takes a nil, or leaves what is there.
  bool take_nil() noexcept {
    if (cursor_ == end_ || *cursor_ != 0xc0) return false;
    ++cursor_;
    return true;
  }
  /// Takes exactly these bytes, or nothing.
  template <std::size_t Size>
  bool take(const std::array<std::uint8_t, Size>& piece) noexcept {
    if (left() < Size || std::memcmp(cursor_, piece.data(), Size) != 0) return false;
    cursor_ += Size;
    return true;
  }
  /// Passes over one whole value, extensions included. Iterative; refuses more than kDepthMax levels.
  bool skip();
  /// The bytes of one whole value, checked as `skip` does.
  bool raw(ByteView& value);

  /// Around the elements of an array or a map; refuses more than kDepthMax levels.
  bool enter() { return ++depth_ <= kDepthMax || fail("nested too deeply"); }
  void leave() noexcept { --depth_; }
  /// Before `count` elements of `size` bytes of memory are made of the input.
  bool charge(std::size_t count, std::size_t size) {
    if (count > memory_left_ / size) return fail("unpacks to too much memory");
    memory_left_ -= count * size;
    return true;
  }

  /// All of these return false. The first failure counts.
  bool fail(std::string_view what);
  /// "expected `what`, found ...", by the element that comes next.
  bool expected(std::string_view what);
  /// Says, from the inside out, where the failure happened.
  bool in_field(std::string_view field);
  bool in_element(std::size_t index);

  /// Errc::bad_message with a text such as "field 'items[3].price': expected an integer, found a string at
  /// byte 17".
  [[nodiscard]] Error error() const;

 private:
  struct Integer {
    std::uint64_t bits = 0;
    bool negative = false;
  };
  struct Failure {
    std::string path;
    std::string what;
  };
  bool any_integer(Integer& value);
  bool does_not_fit(Integer value, std::size_t size, bool is_signed);
  bool truncated();
  /// Reads the length behind a tag byte, then checks that at least `least` bytes an element are left.
  template <std::unsigned_integral U>
  bool length(std::size_t& count, std::size_t least);
  bool blob(ByteView& value, std::string_view what);
  bool skip_one(Kind kind, std::size_t& children);

  const std::uint8_t* begin_;
  const std::uint8_t* cursor_;
  const std::uint8_t* end_;
  std::size_t depth_ = 0;
  std::size_t memory_left_ = kDecodedBytesMax;
  std::unique_ptr<Failure> failure_;
};

// ---- inline parts: the paths of every message -------------------------------------------------------------

inline void Writer::unsigned_integer(std::uint64_t value) {
  if (value < 0x80)
    byte(static_cast<std::uint8_t>(value));
  else if (value <= 0xff)
    tagged(0xcc, static_cast<std::uint8_t>(value));
  else if (value <= 0xffff)
    tagged(0xcd, static_cast<std::uint16_t>(value));
  else if (value <= 0xffff'ffff)
    tagged(0xce, static_cast<std::uint32_t>(value));
  else
    tagged(0xcf, value);
}

inline void Writer::integer(std::int64_t value) {
  if (value >= 0)
    unsigned_integer(static_cast<std::uint64_t>(value));
  else if (value >= -32)
    byte(static_cast<std::uint8_t>(value));
  else if (value >= std::numeric_limits<std::int8_t>::min())
    tagged(0xd0, static_cast<std::uint8_t>(value));
  else if (value >= std::numeric_limits<std::int16_t>::min())
    tagged(0xd1, static_cast<std::uint16_t>(value));
  else if (value >= std::numeric_limits<std::int32_t>::min())
    tagged(0xd2, static_cast<std::uint32_t>(value));
  else
    tagged(0xd3, static_cast<std::uint64_t>(value));
}

inline void Writer::text(std::string_view value) {
  if (value.size() < 32)
    byte(static_cast<std::uint8_t>(0xa0 | value.size()));
  else if (value.size() <= 0xff)
    tagged(0xd9, static_cast<std::uint8_t>(value.size()));
  else
    sized(value.size(), 0xda, 0xdb);
  raw(as_bytes(value));
}

inline void Writer::bytes(ByteView value) {
  if (value.size() <= 0xff)
    tagged(0xc4, static_cast<std::uint8_t>(value.size()));
  else
    sized(value.size(), 0xc5, 0xc6);
  raw(value);
}

inline void Writer::array(std::size_t count) {
  if (count < 16)
    byte(static_cast<std::uint8_t>(0x90 | count));
  else
    sized(count, 0xdc, 0xdd);
}

inline void Writer::map(std::size_t count) {
  if (count < 16)
    byte(static_cast<std::uint8_t>(0x80 | count));
  else
    sized(count, 0xde, 0xdf);
}

inline void Writer::raw(ByteView value) {
  if (value.empty()) return;
  if (static_cast<std::size_t>(end_ - cursor_) < value.size()) [[unlikely]]
    return append(value);
  std::memcpy(cursor_, value.data(), value.size());
  cursor_ += value.size();
}

template <std::unsigned_integral U>
inline bool Reader::length(std::size_t& count, std::size_t least) {
  if (left() < 1 + sizeof(U)) return truncated();
  count = load_be<U>(cursor_ + 1);
  cursor_ += 1 + sizeof(U);
  return count <= left() / least || truncated();
}

inline bool Reader::blob(ByteView& value, std::string_view what) {
  if (cursor_ == end_) return expected(what);
  std::size_t size = 0;
  const auto tag = *cursor_;
  if ((tag & 0xe0) == 0xa0) {
    size = tag & 0x1f;
    ++cursor_;
    if (size > left()) return truncated();
  } else if (tag == 0xc4 || tag == 0xd9) {
    if (!length<std::uint8_t>(size, 1)) return false;
  } else if (tag == 0xc5 || tag == 0xda) {
    if (!length<std::uint16_t>(size, 1)) return false;
  } else if (tag == 0xc6 || tag == 0xdb) {
    if (!length<std::uint32_t>(size, 1)) return false;
  } else {
    return expected(what);
  }
  value = {cursor_, size};
  cursor_ += size;
  return true;
}

inline bool Reader::text(std::string_view& value) {
  ByteView view;
  if (!blob(view, "a string")) return false;
  value = as_text(view);
  return true;
}

inline bool Reader::bytes(ByteView& value) { return blob(value, "bytes"); }

inline bool Reader::array(std::size_t& count) {
  if (cursor_ != end_ && (*cursor_ & 0xf0) == 0x90) {
    count = *cursor_++ & 0x0f;
    return count <= left() || truncated();
  }
  if (cursor_ != end_ && *cursor_ == 0xdc) return length<std::uint16_t>(count, 1);
  if (cursor_ != end_ && *cursor_ == 0xdd) return length<std::uint32_t>(count, 1);
  return expected("an array");
}

inline bool Reader::map(std::size_t& count) {
  if (cursor_ != end_ && (*cursor_ & 0xf0) == 0x80) {
    count = *cursor_++ & 0x0f;
    return count <= left() / 2 || truncated();
  }
  if (cursor_ != end_ && *cursor_ == 0xde) return length<std::uint16_t>(count, 2);
  if (cursor_ != end_ && *cursor_ == 0xdf) return length<std::uint32_t>(count, 2);
  return expected("a map");
}

inline bool Reader::boolean(bool& value) {
  if (cursor_ == end_ || (*cursor_ | 1) != 0xc3) return expected("a boolean");
  value = *cursor_++ == 0xc3;
  return true;
}

}  // namespace cluster::wire
