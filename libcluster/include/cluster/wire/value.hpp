#pragma once
#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "cluster/base/bytes.hpp"
#include "cluster/base/result.hpp"
#include "cluster/wire/codec.hpp"

namespace cluster::wire {

/// A dynamic MessagePack document: what a command line, a web page or a script knows of a message. Maps have
/// text keys, unique, in the order in which they were added. Text is not checked to be UTF-8.
class Value {
 public:
  using Member = std::pair<std::string, Value>;
  using Array = std::vector<Value>;
  using Map = std::vector<Member>;

  /// Nil.
  Value() noexcept = default;
  Value(std::nullptr_t) noexcept {}
  template <std::same_as<bool> B>
  Value(B value) noexcept : data_(value) {}
  /// Integers that int64 can hold are one kind, whatever type they came from; greater ones another.
  template <std::signed_integral I>
  Value(I value) noexcept : data_(static_cast<std::int64_t>(value)) {}
  template <std::unsigned_integral U>
  requires(!std::same_as<U, bool>) Value(U value)
  noexcept {
    if (std::in_range<std::int64_t>(value))
      data_ = static_cast<std::int64_t>(value);
    else
      data_ = static_cast<std::uint64_t>(value);
  }
  Value(double value) noexcept : data_(value) {}
  Value(std::string value) noexcept : data_(std::move(value)) {}
  Value(std::string_view value) : data_(std::string(value)) {}
  Value(const char* value) : data_(std::string(value)) {}
  Value(Bytes value) noexcept : data_(std::move(value)) {}
  Value(Array value) noexcept : data_(std::move(value)) {}
  /// The keys differ from each other: the caller's word, which whoever decodes it will check.
  Value(Map value) noexcept : data_(std::move(value)) {}

  [[nodiscard]] static Value array(std::initializer_list<Value> elements) { return Array(elements); }
  /// `Value::map({{"ok", true}, {"data", 7}})`; of equal keys the last counts.
  [[nodiscard]] static Value map(std::initializer_list<Member> members);

  [[nodiscard]] Kind kind() const noexcept;
  [[nodiscard]] bool is_nil() const noexcept { return kind() == Kind::nil; }

  /// Each is null if the value is of another kind.
  [[nodiscard]] const bool* boolean() const noexcept { return std::get_if<bool>(&data_); }
  [[nodiscard]] const std::int64_t* integer() const noexcept { return std::get_if<std::int64_t>(&data_); }
  /// An integer that is greater than any int64.
  [[nodiscard]] const std::uint64_t* big_integer() const noexcept {
    return std::get_if<std::uint64_t>(&data_);
  }
  [[nodiscard]] const double* real() const noexcept { return std::get_if<double>(&data_); }
  [[nodiscard]] const std::string* text() const noexcept { return std::get_if<std::string>(&data_); }
  [[nodiscard]] const Bytes* bytes() const noexcept { return std::get_if<Bytes>(&data_); }
  [[nodiscard]] const Array* array() const noexcept { return std::get_if<Array>(&data_); }
  [[nodiscard]] Array* array() noexcept { return std::get_if<Array>(&data_); }
  [[nodiscard]] const Map* map() const noexcept { return std::get_if<Map>(&data_); }

  /// The member of a map; null if there is none or this is no map. Linear in the map's size.
  [[nodiscard]] const Value* find(std::string_view key) const noexcept;
  [[nodiscard]] Value* find(std::string_view key) noexcept;
  /// Adds or replaces a member; a nil becomes a map first. On another kind a broken invariant.
  Value& set(std::string key, Value value);
  /// Adds an element; a nil becomes an array first. On another kind a broken invariant.
  Value& push(Value value);

  /// The same content as another type, by way of its codec.
  template <class T>
  [[nodiscard]] Result<T> to() const {
    return decode<T>(encode(*this));
  }
  /// Any codable value as a document. A broken invariant for a T that nests deeper than kDepthMax.
  template <class T>
  [[nodiscard]] static Value of(const T& value);

  /// Equal kinds and contents; maps with their members in the same order. A NaN differs from itself.
  friend bool operator==(const Value&, const Value&) = default;

 private:
  friend struct Codec<Value>;
  std::variant<std::monostate, bool, std::int64_t, std::uint64_t, double, std::string, Bytes, Array, Map>
      data_;
};

/// Extensions and maps with other keys than text are refused; so is a key that appears twice.
template <>
struct Codec<Value> {
  static std::string type() { return "any"; }
  static void encode(Writer& to, const Value& value);
  static bool decode(Reader& from, Value& value);
};

template <class T>
Value Value::of(const T& value) {
  return wire::decode<Value>(wire::encode(value)).value();
}

}  // namespace cluster::wire
