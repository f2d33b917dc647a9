#pragma once
#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <variant>
#include <vector>

#include "cluster/base/endpoint.hpp"
#include "cluster/base/node_id.hpp"
#include "cluster/ds/vector_clock.hpp"
#include "cluster/wire/codec.hpp"

/// Codecs of the standard types and of base's own. Included by codec.hpp.
namespace cluster::wire {
namespace detail {

template <class T>
concept Character = std::same_as<T, char> || std::same_as<T, wchar_t> || std::same_as<T, char8_t> ||
    std::same_as<T, char16_t> || std::same_as<T, char32_t>;
template <class T>
concept Integer = std::integral<T> && !std::same_as<T, bool> && !Character<T>;
/// What the keys of a MessagePack map may be here: text.
template <class T>
concept TextKey = std::same_as<T, std::string> || std::same_as<T, NodeId>;

}  // namespace detail

template <>
struct Codec<bool> {
  static std::string type() { return "bool"; }
  static void encode(Writer& to, bool value) { to.boolean(value); }
  static bool decode(Reader& from, bool& value) { return from.boolean(value); }
};

template <detail::Character T>
struct Codec<T> {
  static_assert(!detail::Character<T>,
                "a character type is no number and no text: use std::string or std::uint8_t");
};

template <detail::Integer T>
struct Codec<T> {
  static std::string type() {
    return (std::unsigned_integral<T> ? "uint" : "int") + std::to_string(8 * sizeof(T));
  }
  static void encode(Writer& to, T value) {
    if constexpr (std::unsigned_integral<T>)
      to.unsigned_integer(value);
    else
      to.integer(value);
  }
  static bool decode(Reader& from, T& value) { return from.integer(value); }
};

template <>
struct Codec<double> {
  static std::string type() { return "float64"; }
  static void encode(Writer& to, double value) { to.float64(value); }
  static bool decode(Reader& from, double& value) { return from.real(value); }
};

template <>
struct Codec<float> {
  static std::string type() { return "float32"; }
  static void encode(Writer& to, float value) { to.float32(value); }
  /// A double is rounded to the nearest float; one beyond a float's range is refused.
  static bool decode(Reader& from, float& value) {
    double wide = 0;
    if (!from.real(wide)) return false;
    if (std::isfinite(wide) && std::abs(wide) > std::numeric_limits<float>::max())
      return from.fail("the number does not fit float32");
    value = static_cast<float>(wide);
    return true;
  }
};

/// Its number. A function `constexpr bool is_known(E)` beside the enum, if there is one, decides which
/// numbers are read; else all that fit are.
template <class E>
requires std::is_enum_v<E>
struct Codec<E> {
  using Number = std::underlying_type_t<E>;
  static std::string type() { return type_text<Number>(); }
  static_assert(
      requires { E{Number{}}; }, "give this enum a fixed underlying type, such as std::uint8_t");

  static void encode(Writer& to, E value) { Codec<Number>::encode(to, static_cast<Number>(value)); }
  static bool decode(Reader& from, E& value) {
    Number number{};
    if (!from.integer(number)) return false;
    if constexpr (requires { bool(is_known(value)); }) {
      if (!is_known(static_cast<E>(number))) return from.fail("unknown number " + std::to_string(number));
    }
    value = static_cast<E>(number);
    return true;
  }
};

/// Text. Not checked to be UTF-8: whoever prints it must not trust it.
template <>
struct Codec<std::string> {
  static std::string type() { return "string"; }
  static void encode(Writer& to, const std::string& value) { to.text(value); }
  static bool decode(Reader& from, std::string& value) {
    std::string_view text;
    if (!from.text(text)) return false;
    value.assign(text);
    return true;
  }
};

template <>
struct Codec<Bytes> {
  static std::string type() { return "bytes"; }
  static void encode(Writer& to, const Bytes& value) { to.bytes(value); }
  static bool decode(Reader& from, Bytes& value) {
    ByteView bytes;
    if (!from.bytes(bytes)) return false;
    value.assign(bytes.begin(), bytes.end());
    return true;
  }
};

/// Digests, keys, nonces: exactly N bytes.
template <std::size_t N>
struct Codec<std::array<std::uint8_t, N>> {
  static std::string type() { return "bytes(" + std::to_string(N) + ")"; }
  static void encode(Writer& to, const std::array<std::uint8_t, N>& value) { to.bytes(value); }
  static bool decode(Reader& from, std::array<std::uint8_t, N>& value) {
    ByteView bytes;
    if (!from.bytes(bytes)) return false;
    if (bytes.size() != N)
      return from.fail("expected " + std::to_string(N) + " bytes, found " + std::to_string(bytes.size()));
    std::copy(bytes.begin(), bytes.end(), value.begin());
    return true;
  }
};

namespace detail {

/// Reads an array and gives each element to `take(index)`.
template <class Take>
bool decode_elements(Reader& from, std::size_t count, Take&& take) {
  if (!from.enter()) return false;
  for (std::size_t i = 0; i < count; ++i) {
    if (!take()) return from.in_element(i);
  }
  from.leave();
  return true;
}
inline bool exactly(Reader& from, std::size_t wanted) {
  std::size_t count = 0;
  if (!from.array(count)) return false;
  return count == wanted ||
         from.fail("expected " + std::to_string(wanted) + " elements, found " + std::to_string(count));
}

}  // namespace detail

template <class T>
struct Codec<std::vector<T>> {
  static std::string type() { return "[" + type_text<T>() + "]"; }
  static void encode(Writer& to, const std::vector<T>& value) {
    to.array(value.size());
    for (const auto& element : value) Codec<T>::encode(to, element);
  }
  static bool decode(Reader& from, std::vector<T>& value) {
    std::size_t count = 0;
    if (!from.array(count) || !from.charge(count, sizeof(T))) return false;
    value.clear();
    value.reserve(count);
    return detail::decode_elements(from, count, [&] {
      if constexpr (std::same_as<T, bool>) {
        bool element = false;
        return Codec<bool>::decode(from, element) && (value.push_back(element), true);
      } else {
        return Codec<T>::decode(from, value.emplace_back());
      }
    });
  }
};

template <class T, std::size_t N>
struct Codec<std::array<T, N>> {
  static std::string type() { return "[" + type_text<T>() + "; " + std::to_string(N) + "]"; }
  static void encode(Writer& to, const std::array<T, N>& value) {
    to.array(N);
    for (const auto& element : value) Codec<T>::encode(to, element);
  }
  static bool decode(Reader& from, std::array<T, N>& value) {
    if (!detail::exactly(from, N)) return false;
    auto element = value.begin();
    return detail::decode_elements(from, N, [&] { return Codec<T>::decode(from, *element++); });
  }
};

template <class T>
struct Codec<std::optional<T>> {
  static std::string type() { return type_text<T>() + "?"; }
  static_assert(
      !requires(T inner) { inner.has_value(); },
      "an optional in an optional cannot be told from an empty one");

  static void encode(Writer& to, const std::optional<T>& value) {
    if (value)
      Codec<T>::encode(to, *value);
    else
      to.nil();
  }
  static bool decode(Reader& from, std::optional<T>& value) {
    value.reset();
    return from.take_nil() || Codec<T>::decode(from, value.emplace());
  }
};

/// With text keys a MessagePack map, else an array of [key, value] pairs. A key that appears twice is an
/// error.
template <class K, class V>
struct Codec<std::map<K, V>> {
  static std::string type() {
    const auto k = type_text<K>(), v = type_text<V>();
    return detail::TextKey<K> ? "{" + k + ": " + v + "}" : "[(" + k + ", " + v + ")]";
  }
  static constexpr std::size_t kNodeBytes = sizeof(std::pair<const K, V>) + 4 * sizeof(void*);

  static void encode(Writer& to, const std::map<K, V>& value) {
    if constexpr (detail::TextKey<K>)
      to.map(value.size());
    else
      to.array(value.size());
    for (const auto& [key, mapped] : value) {
      if constexpr (!detail::TextKey<K>) to.array(2);
      Codec<K>::encode(to, key);
      Codec<V>::encode(to, mapped);
    }
  }
  static bool decode(Reader& from, std::map<K, V>& value) {
    std::size_t count = 0;
    if (!(detail::TextKey<K> ? from.map(count) : from.array(count))) return false;
    if (!from.charge(count, kNodeBytes)) return false;
    value.clear();
    return detail::decode_elements(from, count, [&] {
      K key{};
      if (!detail::TextKey<K> && !detail::exactly(from, 2)) return false;
      if (!Codec<K>::decode(from, key)) return false;
      const auto [at, is_new] = value.try_emplace(std::move(key));
      return is_new ? Codec<V>::decode(from, at->second) : from.fail("the key appears twice");
    });
  }
};

/// An array, in order. An element that appears twice is an error.
template <class T>
struct Codec<std::set<T>> {
  static std::string type() { return "[" + type_text<T>() + "]"; }
  static void encode(Writer& to, const std::set<T>& value) {
    to.array(value.size());
    for (const auto& element : value) Codec<T>::encode(to, element);
  }
  static bool decode(Reader& from, std::set<T>& value) {
    std::size_t count = 0;
    if (!from.array(count) || !from.charge(count, sizeof(T) + 4 * sizeof(void*))) return false;
    value.clear();
    return detail::decode_elements(from, count, [&] {
      T element{};
      if (!Codec<T>::decode(from, element)) return false;
      return value.insert(std::move(element)).second || from.fail("the element appears twice");
    });
  }
};

/// An array of exactly its elements.
template <class... T>
struct Codec<std::tuple<T...>> {
  static std::string type() {
    std::string out;
    ((out += (out.empty() ? "" : ", ") + type_text<T>()), ...);
    return "(" + out + ")";
  }
  static void encode(Writer& to, const std::tuple<T...>& value) {
    to.array(sizeof...(T));
    std::apply([&](const T&... element) { (Codec<T>::encode(to, element), ...); }, value);
  }
  static bool decode(Reader& from, std::tuple<T...>& value) {
    if (!detail::exactly(from, sizeof...(T)) || !from.enter()) return false;
    std::size_t index = 0;
    const auto one = [&]<class U>(U& element) {
      return Codec<U>::decode(from, element) ? (++index, true) : from.in_element(index);
    };
    if (!std::apply([&](T&... element) { return (one(element) && ...); }, value)) return false;
    from.leave();
    return true;
  }
};

template <class A, class B>
struct Codec<std::pair<A, B>> {
  static std::string type() { return "(" + type_text<A>() + ", " + type_text<B>() + ")"; }
  static void encode(Writer& to, const std::pair<A, B>& value) {
    to.array(2);
    Codec<A>::encode(to, value.first);
    Codec<B>::encode(to, value.second);
  }
  static bool decode(Reader& from, std::pair<A, B>& value) {
    if (!detail::exactly(from, 2) || !from.enter()) return false;
    if (!Codec<A>::decode(from, value.first)) return from.in_element(0);
    if (!Codec<B>::decode(from, value.second)) return from.in_element(1);
    from.leave();
    return true;
  }
};

/// Nil.
template <>
struct Codec<std::monostate> {
  static std::string type() { return "nil"; }
  static void encode(Writer& to, std::monostate) { to.nil(); }
  static bool decode(Reader& from, std::monostate&) { return from.take_nil() || from.expected("nil"); }
};

/// One of several messages: a map of one entry, {event name: value}; std::monostate is nil.
template <class... T>
struct Codec<std::variant<T...>> {
  static std::string type() {
    std::string out;
    ((out += (out.empty() ? "" : " | ") + type_text<T>()), ...);
    return out;
  }
  static_assert(((std::same_as<T, std::monostate> || std::is_aggregate_v<T>)&&...),
                "the alternatives of a variant are told apart by their event names: use structs");

  static void encode(Writer& to, const std::variant<T...>& value) {
    std::visit(
        [&]<class U>(const U& held) {
          if constexpr (!std::same_as<U, std::monostate>) {
            to.map(1);
            to.text(event_name<U>());
          }
          Codec<U>::encode(to, held);
        },
        value);
  }
  static bool decode(Reader& from, std::variant<T...>& value) {
    if constexpr ((std::same_as<T, std::monostate> || ...)) {
      if (from.take_nil()) return value.template emplace<std::monostate>(), true;
    }
    std::size_t count = 0;
    std::string_view event;
    if (!from.map(count)) return false;
    if (count != 1) return from.fail("expected one entry, found " + std::to_string(count));
    if (!from.enter() || !from.text(event)) return false;
    bool done = false;
    if (!(alternative<T>(from, value, event, done) || ...))
      return from.fail("none of the alternatives has this name");
    from.leave();
    return done || from.in_field(event);
  }

 private:
  /// Whether `event` names U; if so `done` tells whether it was decoded.
  template <class U>
  static bool alternative(Reader& from, std::variant<T...>& value, std::string_view event, bool& done) {
    if constexpr (std::same_as<U, std::monostate>) {
      return false;
    } else {
      if (event != event_name<U>()) return false;
      done = Codec<U>::decode(from, value.template emplace<U>());
      return true;
    }
  }
};

/// An integer that counts the duration's own unit: name the unit in the field.
template <class Rep, class Period>
requires detail::Integer<Rep>
struct Codec<std::chrono::duration<Rep, Period>> {
  static std::string type() { return type_text<Rep>(); }
  static void encode(Writer& to, std::chrono::duration<Rep, Period> value) {
    Codec<Rep>::encode(to, value.count());
  }
  static bool decode(Reader& from, std::chrono::duration<Rep, Period>& value) {
    Rep count{};
    if (!from.integer(count)) return false;
    value = std::chrono::duration<Rep, Period>(count);
    return true;
  }
};

/// Wall-clock times, as the count of their unit since 1970-01-01 UTC. A monotonic instant means nothing to
/// another process and has no codec.
template <class Clock, class D>
struct Codec<std::chrono::time_point<Clock, D>> {
  static std::string type() { return type_text<D>(); }
  static_assert(std::same_as<Clock, std::chrono::system_clock>,
                "only wall-clock times travel; send how long is left instead of an Instant");
  static void encode(Writer& to, std::chrono::time_point<Clock, D> value) {
    Codec<D>::encode(to, value.time_since_epoch());
  }
  static bool decode(Reader& from, std::chrono::time_point<Clock, D>& value) {
    D since{};
    if (!Codec<D>::decode(from, since)) return false;
    value = std::chrono::time_point<Clock, D>(since);
    return true;
  }
};

/// A str. What is read is a valid id: an empty one is refused, so a field that may name nobody is a
/// std::optional<NodeId>.
template <>
struct Codec<NodeId> {
  static std::string type() { return "node_id"; }
  static void encode(Writer& to, const NodeId& value) { to.text(value.str()); }
  static bool decode(Reader& from, NodeId& value) {
    std::string_view text;
    if (!from.text(text)) return false;
    auto id = NodeId::parse(text);
    if (!id) return from.fail(id.error().message());
    value = std::move(*id);
    return true;
  }
};

/// A host that is not empty is a valid one.
template <>
struct Codec<Endpoint> : StructCodec<Endpoint> {
  static bool decode(Reader& from, Endpoint& value) {
    if (!StructCodec<Endpoint>::decode(from, value)) return false;
    if (value.host.empty()) return true;
    const auto host = parse_host(value.host);
    return host || from.fail(host.error().message()) || from.in_field("host");
  }
};

/// An array of its entries, each [id, count, insert, time], the times in microseconds since 1970-01-01 UTC.
template <>
struct Codec<VectorClock> {
  struct Row {
    static constexpr bool wire_positional = true;
    NodeId id;
    std::uint64_t count = 0;
    WallTime insert{};
    WallTime time{};
  };
  static std::string type() { return "vector_clock"; }
  static void encode(Writer& to, const VectorClock& value) {
    to.array(value.size());
    for (const auto& [id, count, insert, time] : value.entries()) {
      to.array(4);
      to.text(id.str());
      to.unsigned_integer(count);
      to.integer(micros(insert));
      to.integer(micros(time));
    }
  }
  static bool decode(Reader& from, VectorClock& value) {
    std::vector<Row> rows;
    if (!Codec<std::vector<Row>>::decode(from, rows)) return false;
    std::vector<VectorClock::Entry> entries;
    entries.reserve(rows.size());
    for (auto& row : rows) entries.push_back({std::move(row.id), row.count, row.insert, row.time});
    auto clock = VectorClock::from_entries(std::move(entries));
    if (!clock) return from.fail(clock.error().message());
    value = std::move(*clock);
    return true;
  }
};

}  // namespace cluster::wire
