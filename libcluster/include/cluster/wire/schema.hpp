#pragma once
#include <array>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cluster/wire/codec.hpp"

/// What a message consists of, for people and tools who ask a server: `describe` and the like.
namespace cluster::wire {

/// One field of a message. Codable itself.
struct Field {
  std::string name;
  std::string type;       ///< type_text()
  bool optional = false;  ///< nil is a value of it; any field may be left out
  std::vector<Field>
      fields;  ///< those of the struct that the type is, or holds; at most kSchemaDepthMax levels
};

/// A type may hold itself, so a schema stops somewhere.
inline constexpr std::size_t kSchemaDepthMax = 4;

namespace detail {

/// What an optional or a container holds, all the way in.
template <class T>
struct Innermost {
  using Type = T;
};
template <class T>
struct Innermost<std::optional<T>> : Innermost<T> {};
template <class T>
struct Innermost<std::vector<T>> : Innermost<T> {};
template <class T, std::size_t N>
struct Innermost<std::array<T, N>> : Innermost<T> {};
template <class K, class V>
struct Innermost<std::map<K, V>> : Innermost<V> {};

template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;

template <class T>
std::vector<Field> fields_of(std::size_t depth);

template <class T, std::size_t I>
Field field_at(std::size_t depth) {
  using Type = std::remove_cvref_t<decltype(boost::pfr::get<I>(std::declval<T&>()))>;
  Field field{std::string(field_names<T>[I]), type_text<Type>(), is_optional<Type>, {}};
  if (depth < kSchemaDepthMax) field.fields = fields_of<typename Innermost<Type>::Type>(depth + 1);
  return field;
}

template <class T>
std::vector<Field> fields_of(std::size_t depth) {
  if constexpr (std::derived_from<Codec<T>, StructCodec<T>>) {
    return [&]<std::size_t... I>(std::index_sequence<I...>) {
      return std::vector<Field>{field_at<T, I>(depth)...};
    }
    (std::make_index_sequence<field_count<T>()>{});
  } else {
    return {};
  }
}

}  // namespace detail

/// The fields of the struct T in the order of their declaration; nothing for another type.
template <class T>
[[nodiscard]] std::vector<Field> schema() {
  return detail::fields_of<T>(1);
}

}  // namespace cluster::wire
