#include "cluster/wire/value.hpp"

#include <algorithm>

#include "cluster/base/assert.hpp"

namespace cluster::wire {
namespace {

/// Maps up to this size are searched for equal keys pair by pair, larger ones by sorting.
constexpr std::size_t kPairwiseMax = 16;

bool has_equal_keys(const Value::Map& map) {
  if (map.size() <= kPairwiseMax) {
    for (std::size_t i = 1; i < map.size(); ++i)
      for (std::size_t j = 0; j < i; ++j)
        if (map[i].first == map[j].first) return true;
    return false;
  }
  std::vector<std::string_view> keys;
  keys.reserve(map.size());
  for (const auto& member : map) keys.push_back(member.first);
  std::sort(keys.begin(), keys.end());
  return std::adjacent_find(keys.begin(), keys.end()) != keys.end();
}

}  // namespace

Value Value::map(std::initializer_list<Member> members) {
  Value value;
  value.data_ = Map{};
  for (const auto& [key, mapped] : members) value.set(key, mapped);
  return value;
}

Kind Value::kind() const noexcept {
  constexpr std::array kKinds{Kind::nil,  Kind::boolean, Kind::integer, Kind::integer, Kind::real,
                              Kind::text, Kind::bytes,   Kind::array,   Kind::map};
  return kKinds[data_.index()];
}

const Value* Value::find(std::string_view key) const noexcept {
  const auto* members = map();
  if (!members) return nullptr;
  for (const auto& member : *members)
    if (member.first == key) return &member.second;
  return nullptr;
}

Value* Value::find(std::string_view key) noexcept {
  return const_cast<Value*>(std::as_const(*this).find(key));
}

Value& Value::set(std::string key, Value value) {
  if (is_nil()) data_ = Map{};
  auto* members = std::get_if<Map>(&data_);
  CLUSTER_ASSERT(members);
  if (auto* present = find(key))
    *present = std::move(value);
  else
    members->emplace_back(std::move(key), std::move(value));
  return *this;
}

Value& Value::push(Value value) {
  if (is_nil()) data_ = Array{};
  auto* elements = array();
  CLUSTER_ASSERT(elements);
  elements->push_back(std::move(value));
  return *this;
}

void Codec<Value>::encode(Writer& to, const Value& value) {
  struct Visitor {
    Writer& to;
    void operator()(std::monostate) const { to.nil(); }
    void operator()(bool boolean) const { to.boolean(boolean); }
    void operator()(std::int64_t integer) const { to.integer(integer); }
    void operator()(std::uint64_t integer) const { to.unsigned_integer(integer); }
    void operator()(double real) const { to.float64(real); }
    void operator()(const std::string& text) const { to.text(text); }
    void operator()(const Bytes& bytes) const { to.bytes(bytes); }
    void operator()(const Value::Array& elements) const {
      to.array(elements.size());
      for (const auto& element : elements) encode(to, element);
    }
    void operator()(const Value::Map& members) const {
      to.map(members.size());
      for (const auto& [key, mapped] : members) {
        to.text(key);
        encode(to, mapped);
      }
    }
  };
  std::visit(Visitor{to}, value.data_);
}

bool Codec<Value>::decode(Reader& from, Value& value) {
  auto& data = value.data_;
  switch (from.peek()) {
    case Kind::nil: {
      data = std::monostate{};
      return from.take_nil();
    }
    case Kind::boolean:
      return from.boolean(data.emplace<bool>());
    case Kind::integer: {
      if (from.next_exceeds_int64()) return from.integer(data.emplace<std::uint64_t>());
      return from.integer(data.emplace<std::int64_t>());
    }
    case Kind::real:
      return from.real(data.emplace<double>());
    case Kind::text:
      return Codec<std::string>::decode(from, data.emplace<std::string>());
    case Kind::bytes:
      return Codec<Bytes>::decode(from, data.emplace<Bytes>());
    case Kind::array:
      return Codec<Value::Array>::decode(from, data.emplace<Value::Array>());
    case Kind::map: {
      auto& members = data.emplace<Value::Map>();
      std::size_t count = 0;
      if (!from.map(count) || !from.charge(count, sizeof(Value::Member)) || !from.enter()) return false;
      members.reserve(count);
      for (; count != 0; --count) {
        if (from.peek() != Kind::text) return from.expected("a text key");
        auto& [key, mapped] = members.emplace_back();
        if (!Codec<std::string>::decode(from, key)) return false;
        if (!decode(from, mapped)) return from.in_field(key);
      }
      from.leave();
      return !has_equal_keys(members) || from.fail("a key appears twice");
    }
    case Kind::end:
    case Kind::extension:
    case Kind::invalid:
      break;
  }
  return from.expected("a value");
}

}  // namespace cluster::wire
