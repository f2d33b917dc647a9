#include "checker.hpp"

#include <cstdint>
#include <utility>

namespace golden {
namespace {

/// The JSON text, cut so that a line stays readable.
std::string brief(const Json& value) {
  constexpr std::size_t kBytesMax = 300;
  std::string full = value.dump(-1, ' ', true, Json::error_handler_t::replace);
  if (full.size() > kBytesMax)
    full = full.substr(0, kBytesMax) + "... (" + std::to_string(full.size()) + " bytes)";
  return full;
}

/// Of two lists that differ: where, which says more than the lists.
std::string first_difference(const Json& expected, const Json& actual) {
  if (!expected.is_array() || !actual.is_array()) return {};
  for (std::size_t i = 0; i < expected.size() && i < actual.size(); ++i)
    if (expected[i] != actual[i])
      return " (element " + std::to_string(i) + ": expected " + brief(expected[i]) + ", got " +
             brief(actual[i]) + ")";
  return " (" + std::to_string(expected.size()) + " elements expected, " + std::to_string(actual.size()) +
         " given)";
}

std::u16string utf16(std::string_view utf8) {
  std::u16string units;
  for (std::size_t i = 0; i < utf8.size();) {
    const auto lead = static_cast<std::uint8_t>(utf8[i]);
    const std::size_t length = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    std::uint32_t point = length == 1 ? lead : lead & (0xffu >> (length + 1));
    for (std::size_t k = 1; k < length && i + k < utf8.size(); ++k)
      point = point << 6 | (static_cast<std::uint8_t>(utf8[i + k]) & 0x3fu);
    i += length;
    if (point < 0x10000) {
      units.push_back(static_cast<char16_t>(point));
    } else {
      units.push_back(static_cast<char16_t>(0xd800 + ((point - 0x10000) >> 10)));
      units.push_back(static_cast<char16_t>(0xdc00 + ((point - 0x10000) & 0x3ff)));
    }
  }
  return units;
}

}  // namespace

void Checker::equal(std::string_view what, const Json& expected, const Json& actual) {
  ++checks_;
  if (expected == actual) return;
  mismatch(std::string(what) + ": expected " + brief(expected) + ", got " + brief(actual) +
           first_difference(expected, actual));
}

void Checker::refused(std::string_view what, std::string_view why) {
  ++checks_;
  mismatch(std::string(what) + " is refused: " + std::string(why));
}

void Checker::mismatch(std::string text) {
  ++mismatches_;
  if (texts_.size() < kTextsMax) texts_.push_back(place_ + ": " + std::move(text));
}

bool utf16_less(std::string_view a, std::string_view b) { return utf16(a) < utf16(b); }

const Json& member(const Json& object, const char* name) {
  if (!object.is_object()) throw Malformed("an object with '" + std::string(name) + "' is missing");
  const auto at = object.find(name);
  if (at == object.end()) throw Malformed("the field '" + std::string(name) + "' is missing");
  return *at;
}

const Json& element(const Json& list, std::size_t index) {
  if (!list.is_array() || index >= list.size())
    throw Malformed("a list of at least " + std::to_string(index + 1) + " elements is missing");
  return list[index];
}

const Json::array_t& list(const Json& value, const char* what) {
  if (!value.is_array()) throw Malformed("'" + std::string(what) + "' is not a list");
  return value.get_ref<const Json::array_t&>();
}

const std::string& text(const Json& value, const char* what) {
  if (!value.is_string()) throw Malformed("'" + std::string(what) + "' is not a text");
  return value.get_ref<const std::string&>();
}

std::int64_t whole(const Json& value, const char* what) {
  if (!value.is_number_integer() ||
      (value.is_number_unsigned() && value.get<std::uint64_t>() > std::uint64_t{INT64_MAX}))
    throw Malformed("'" + std::string(what) + "' is not a whole number");
  return value.get<std::int64_t>();
}

std::uint64_t natural(const Json& value, const char* what, std::uint64_t max) {
  if (value.is_number_unsigned() && value.get<std::uint64_t>() <= max) return value.get<std::uint64_t>();
  throw Malformed("'" + std::string(what) + "' is not a whole number from 0 to " + std::to_string(max));
}

void each_case(const std::string& file, const Json& content,
               const std::function<void(const std::string& place, const Json& one)>& check) {
  std::size_t index = 0;
  for (const auto& one : list(member(content, "cases"), "cases")) {
    const auto name = one.is_object() && one.contains("name") ? brief(one["name"]) : std::to_string(index);
    const std::string place = file + ", case " + name;
    try {
      check(place, one);
    } catch (const Malformed& why) {
      throw Malformed(place + ": " + why.what());
    }
    ++index;
  }
}

}  // namespace golden
