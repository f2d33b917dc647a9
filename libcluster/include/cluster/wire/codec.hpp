#pragma once
#include <bitset>
#include <concepts>
#include <cstddef>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "cluster/base/bytes.hpp"
#include "cluster/base/result.hpp"
#include "cluster/wire/msgpack.hpp"
#include "cluster/wire/reflect.hpp"

/// Values to MessagePack and back, without macros or registration.
///
/// A struct is coded as a map from field name to value, so that any language can read it; a struct that
/// states `static constexpr bool wire_positional = true;` is written as an array in the order of its fields
/// instead. Both forms are read. Unknown fields are skipped, missing ones keep their defaults, a field that
/// appears twice is an error. Decoding never takes memory on the word of the input: counts are checked
/// against the bytes that are left, nesting against kDepthMax, unpacked containers against kDecodedBytesMax.
///
/// GCC 12 stops with an internal error at a struct that holds a std::array of a type with a destructor, such
/// as std::array<std::string, 2>: use a std::vector or named fields there.
namespace cluster::wire {

/// Codes a plain struct by its fields.
template <class T>
struct StructCodec;

/// How T is coded. The standard types, NodeId, Endpoint and VectorClock have theirs in codec_types.hpp. For a
/// class of your own, specialise it with
///     static void encode(Writer& to, const T& value);
///     static bool decode(Reader& from, T& value);       // false after from.fail("why")
///     static std::string type();                        // optional: what type_text() shows
/// For a struct whose values need a check, derive the specialisation from StructCodec<T> and replace
/// `decode`.
template <class T>
struct Codec : StructCodec<T> {};

/// Appends `value` to what `to` has written.
template <class T>
void encode_to(Writer& to, const T& value) {
  Codec<T>::encode(to, value);
}

/// Appends `value` to `out`.
template <class T>
void encode_to(Bytes& out, const T& value) {
  Writer to(out);
  encode_to(to, value);
}

template <class T>
[[nodiscard]] Bytes encode(const T& value) {
  Bytes out;
  encode_to(out, value);
  return out;
}

/// Reads a T off the front of `bytes` and moves `bytes` behind it; on failure `bytes` stays as it was.
template <class T>
[[nodiscard]] Result<T> decode_prefix(ByteView& bytes) {
  static_assert(std::default_initializable<T>,
                "a message is built empty and then filled: give it a default constructor");
  Reader reader(bytes);
  Result<T> result(T{});
  if (!Codec<T>::decode(reader, *result)) return reader.error();
  bytes = reader.rest();
  return result;
}

/// Reads a T from the whole of `bytes`. Errc::bad_message says which field was wrong, what was expected and
/// what was found.
template <class T>
[[nodiscard]] Result<T> decode(ByteView bytes) {
  auto result = decode_prefix<T>(bytes);
  if (result && !bytes.empty())
    return Error(Errc::bad_message, std::to_string(bytes.size()) + " bytes after the value");
  return result;
}

/// The same into a value that holds its defaults; after a failure it holds anything.
template <class T>
[[nodiscard]] Result<void> decode_into(ByteView bytes, T& value) {
  Reader reader(bytes);
  if (!Codec<T>::decode(reader, value)) return reader.error();
  if (reader.left() != 0)
    return Error(Errc::bad_message, std::to_string(reader.left()) + " bytes after the value");
  return {};
}

/// T in words, for people: "int64", "[string]", "{string: point}", "bytes(32)", "point?".
template <class T>
[[nodiscard]] std::string type_text() {
  if constexpr (requires { Codec<T>::type(); })
    return Codec<T>::type();
  else
    return "any";
}

namespace detail {

/// A field name as it stands on the wire.
template <class T, std::size_t I>
inline constexpr auto encoded_key = [] {
  constexpr std::string_view text = field_names<T>[I];
  static_assert(text.size() <= 0xff, "a field name has at most 255 characters");
  constexpr std::size_t header = text.size() < 32 ? 1 : 2;
  std::array<std::uint8_t, header + text.size()> out{};
  out[0] = header == 1 ? static_cast<std::uint8_t>(0xa0 | text.size()) : std::uint8_t{0xd9};
  out[header - 1] = header == 1 ? out[0] : static_cast<std::uint8_t>(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) out[header + i] = static_cast<std::uint8_t>(text[i]);
  return out;
}();

template <class T>
constexpr bool is_positional() {
  if constexpr (requires { T::wire_positional; })
    return T::wire_positional;
  else
    return false;
}

/// One sentence for each kind of type that reflection cannot see into.
template <class T>
constexpr bool is_codable_struct() {
  static_assert(!std::is_pointer_v<T> && !std::is_reference_v<T>,
                "a pointer means nothing to another process: hold the value itself, or a std::optional");
  static_assert(!std::is_array_v<T>, "C arrays are not coded: use std::array");
  static_assert(!std::is_union_v<T>, "unions are not coded: use std::variant");
  if constexpr (std::is_class_v<T>) {
    static_assert(std::is_aggregate_v<T>,
                  "messages are plain structs, without constructors or private fields; for another class "
                  "specialise cluster::wire::Codec");
    if constexpr (std::is_aggregate_v<T> && !std::is_empty_v<T>) {
      static_assert(!HasBase<T>, "a struct with a base is not coded: make the base a field");
      if constexpr (!HasBase<T>)
        static_assert(!has_array_member<T, field_count<T>()>(), "C arrays are not coded: use std::array");
    }
  } else {
    static_assert(std::is_class_v<T>,
                  "this type has no codec: use a plain struct, or an integer of known width");
  }
  return true;
}

}  // namespace detail

template <class T>
struct StructCodec {
  static_assert(detail::is_codable_struct<T>());
  static constexpr std::size_t kFields = field_count<T>();
  using Indices = std::make_index_sequence<kFields>;

  static std::string type() { return std::string(event_name<T>()); }
  static void encode(Writer& to, const T& value) { encode_fields(to, value, Indices{}); }

  static bool decode(Reader& from, T& value) {
    if (kFields == 0 && from.take_nil()) return true;  // a message without fields may be called with nothing
    if (!from.enter()) return false;
    const bool done =
        from.peek() == Kind::array ? decode_array(from, value) : decode_map(from, value, Indices{});
    from.leave();
    return done;
  }

 private:
  template <std::size_t I>
  using Field = std::remove_cvref_t<decltype(boost::pfr::get<I>(std::declval<T&>()))>;

  template <std::size_t... I>
  static void encode_fields(Writer& to, [[maybe_unused]] const T& value, std::index_sequence<I...>) {
    if constexpr (detail::is_positional<T>()) {
      to.array(kFields);
      (Codec<Field<I>>::encode(to, boost::pfr::get<I>(value)), ...);
    } else {
      to.map(kFields);
      ((to.literal(detail::encoded_key<T, I>), Codec<Field<I>>::encode(to, boost::pfr::get<I>(value))), ...);
    }
  }

  template <std::size_t I>
  static bool decode_field(Reader& from, T& value) {
    return Codec<Field<I>>::decode(from, boost::pfr::get<I>(value)) || from.in_field(field_names<T>[I]);
  }

  /// The fields in the order of their declaration, which is how we write them; `decode_rest` takes over at
  /// the first that is not the expected one.
  template <std::size_t... I>
  static bool decode_map(Reader& from, T& value, std::index_sequence<I...>) {
    std::size_t left = 0;
    if (!from.map(left)) return false;
    [[maybe_unused]] std::size_t in_order = 0;
    (void)((left != 0 && from.take(detail::encoded_key<T, I>) &&
            (--left, ++in_order, decode_field<I>(from, value))) &&
           ...);
    return from.ok() && (left == 0 || decode_rest(from, value, left, in_order));
  }

  static bool decode_rest(Reader& from, [[maybe_unused]] T& value, std::size_t left, std::size_t in_order) {
    std::bitset<kFields == 0 ? 1 : kFields> seen;
    for (std::size_t i = 0; i < in_order; ++i) seen.set(i);
    for (; left != 0; --left) {
      std::string_view key;
      if (from.peek() != Kind::text) return from.expected("a field name");
      if (!from.text(key)) return false;
      std::size_t index = 0;
      while (index < kFields && field_names<T>[index] != key) ++index;
      if (index == kFields) {
        if (!from.skip()) return false;
        continue;
      }
      if (seen.test(index)) return from.fail("appears twice") || from.in_field(field_names<T>[index]);
      seen.set(index);
      if (!decode_index(from, value, index, Indices{})) return false;
    }
    return true;
  }

  template <std::size_t... I>
  static bool decode_index([[maybe_unused]] Reader& from, [[maybe_unused]] T& value,
                           [[maybe_unused]] std::size_t index, std::index_sequence<I...>) {
    bool done = false;
    (void)((index == I && (done = decode_field<I>(from, value), true)) || ...);
    return done;
  }

  static bool decode_array(Reader& from, T& value) {
    std::size_t count = 0;
    if (!from.array(count)) return false;
    for (std::size_t i = 0; i < count; ++i) {
      if (!(i < kFields ? decode_index(from, value, i, Indices{}) : from.skip())) return false;
    }
    return true;
  }
};

}  // namespace cluster::wire

#include "cluster/wire/codec_types.hpp"
