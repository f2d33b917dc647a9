#pragma once
#include <array>
#include <boost/pfr/core.hpp>
#include <boost/pfr/tuple_size.hpp>
#include <concepts>
#include <cstddef>
#include <cstdlib>
#include <string_view>
#include <type_traits>
#include <utility>

/// Field and type names of plain structs at compile time, without macros or registration.
///
/// Boost.PFR counts the fields of an aggregate and reaches each one; the names are read from the text that
/// the compiler makes of a function's signature when the address of a field is one of its template arguments.
/// GCC 12 and clang 14 are known to work.
namespace cluster::wire {
namespace detail {

template <class T>
struct Holder {
  T value;
};
#if defined(__clang__)
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wundefined-var-template"
#pragma clang diagnostic ignored "-Wundefined-internal"
#endif
/// Never defined: only the addresses of its fields are used, as template arguments.
template <class T>
extern const Holder<T> nowhere;

/// clang 14 takes a pointer to a subobject as a template argument only inside a class.
template <class T>
struct FieldPointer {
  T pointer;
};
template <class T>
FieldPointer(T) -> FieldPointer<T>;

template <class Type, auto Field>
constexpr const char* signature_with_field() {
  return __PRETTY_FUNCTION__;
}
template <class Type>
constexpr const char* signature_with_type() {
  return __PRETTY_FUNCTION__;
}

constexpr bool is_identifier_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/// The last identifier in `text`, which is a qualified name with closing brackets behind it.
constexpr std::string_view last_identifier(std::string_view text) {
  auto end = text.size();
  while (end > 0 && !is_identifier_character(text[end - 1])) --end;
  auto begin = end;
  while (begin > 0 && is_identifier_character(text[begin - 1])) --begin;
  return text.substr(begin, end - begin);
}

template <class T, std::size_t I>
constexpr std::string_view field_name() {
#if defined(__clang__)
  return last_identifier(signature_with_field<T, FieldPointer{&boost::pfr::get<I>(nowhere<T>.value)}>());
#else
  return last_identifier(signature_with_field<T, &boost::pfr::get<I>(nowhere<T>.value)>());
#endif
}
#if defined(__clang__)
#pragma clang diagnostic pop
#endif

/// The type as the compiler spells it: GCC ends with "[with Type = ns::T]", clang with "[Type = ns::T]".
template <class T>
constexpr std::string_view compiler_type_name() {
  constexpr std::string_view text = signature_with_type<T>();
  constexpr auto begin = text.find("Type = ") + 7;
  return text.substr(begin, text.size() - begin - 1);
}

/// Converts to any member type but the aggregate itself. Never called; clang 14 wants a body nevertheless.
template <class T>
struct AnyMember {
  template <class U>
  requires(!std::same_as<U, T>) operator U() const { std::abort(); }
};
/// Converts to a base of T alone: only an aggregate with a base can be initialised from it.
template <class T>
struct AnyBase {
  template <class U>
  requires(std::is_base_of_v<U, T> && !std::same_as<U, T>) operator U() const { std::abort(); }
};
template <class T, std::size_t>
using AnyMemberAt = AnyMember<T>;

/// Whether `T{any x Before, {any, any}, any x After}` compiles.
template <class T, std::size_t Before, std::size_t After>
constexpr bool takes_pair_at() {
  return []<std::size_t... B, std::size_t... A>(std::index_sequence<B...>, std::index_sequence<A...>) {
    return requires { T{AnyMemberAt<T, B>{}..., {AnyMember<T>{}, AnyMember<T>{}}, AnyMemberAt<T, A>{}...}; };
  }
  (std::make_index_sequence<Before>{}, std::make_index_sequence<After>{});
}

/// A member that takes a braced pair and then leaves too few places for the others is a C array: the count
/// took each of its elements for a field.
template <class T, std::size_t Count>
constexpr bool has_array_member() {
  return []<std::size_t... I>(std::index_sequence<I...>) {
    return requires { T{AnyMemberAt<T, I>{}...}; }
    &&((takes_pair_at<T, I, 0>() && !takes_pair_at<T, I, Count - I - 1>()) || ...);
  }
  (std::make_index_sequence<Count>{});
}

}  // namespace detail

/// A struct with at least one base. Fields of bases would be invisible to reflection.
template <class T>
concept HasBase = requires {
  T{detail::AnyBase<T>{}};
};

/// How many fields the aggregate T has.
template <class T>
constexpr std::size_t field_count() {
  if constexpr (std::is_empty_v<T>)
    return 0;
  else
    return boost::pfr::tuple_size_v<T>;
}

/// The names of T's fields, in the order of their declaration.
template <class T>
inline constexpr auto field_names = []<std::size_t... I>(std::index_sequence<I...>) {
  return std::array<std::string_view, sizeof...(I)>{detail::field_name<T, I>()...};
}
(std::make_index_sequence<field_count<T>()>{});

/// `T::type_tag` if T states one, else the unqualified name of the type.
template <class T>
constexpr std::string_view type_name() {
  if constexpr (requires { std::string_view(T::type_tag); }) {
    return T::type_tag;
  } else {
    constexpr std::string_view text = detail::compiler_type_name<T>();
    static_assert(text.find('<') == std::string_view::npos,
                  "compilers spell the arguments of a template differently: give this type a "
                  "`static constexpr std::string_view type_tag = \"...\";`");
    return detail::last_identifier(text);
  }
}

namespace detail {

constexpr bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }

/// Whether a word begins at `i`: AddItem -> add_item, HTTPGet -> http_get, Get2 -> get2.
constexpr bool begins_word(std::string_view name, std::size_t i) {
  if (i == 0 || !is_upper(name[i]) || name[i - 1] == '_') return false;
  return !is_upper(name[i - 1]) || (i + 1 < name.size() && name[i + 1] >= 'a' && name[i + 1] <= 'z');
}
constexpr std::size_t snake_case_size(std::string_view name) {
  std::size_t size = name.size();
  for (std::size_t i = 0; i < name.size(); ++i) size += begins_word(name, i) ? 1 : 0;
  return size;
}
template <std::size_t Size>
constexpr std::array<char, Size> snake_case(std::string_view name) {
  std::array<char, Size> out{};
  std::size_t at = 0;
  for (std::size_t i = 0; i < name.size(); ++i) {
    if (begins_word(name, i)) out[at++] = '_';
    out[at++] = is_upper(name[i]) ? static_cast<char>(name[i] - 'A' + 'a') : name[i];
  }
  return out;
}
template <class T>
inline constexpr auto snake_case_name = snake_case<snake_case_size(type_name<T>())>(type_name<T>());

}  // namespace detail

/// What a message of this type is called on the wire: `T::event` if T states one, else the name of the type
/// in snake_case (`AddItem` is "add_item").
template <class T>
constexpr std::string_view event_name() {
  if constexpr (requires { std::string_view(T::event); })
    return T::event;
  else
    return {detail::snake_case_name<T>.data(), detail::snake_case_name<T>.size()};
}

}  // namespace cluster::wire
