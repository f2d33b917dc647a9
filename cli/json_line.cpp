#include "json_line.hpp"

#include <string_view>

namespace cluster::cli {
namespace {

using Json = nlohmann::ordered_json;

/// A number, text, boolean or null. DEL and the C1 controls are legal in JSON but steer terminals.
std::string scalar(const Json& value) {
  const auto text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
  std::string escaped;
  escaped.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const auto next = i + 1 < text.size() ? static_cast<unsigned char>(text[i + 1]) : 0U;
    if (byte == 0x7F) {
      escaped += "\\u007f";
    } else if (byte == 0xC2 && next < 0xA0) {
      escaped += "\\u00";
      escaped += "0123456789abcdef"[next >> 4];
      escaped += "0123456789abcdef"[next & 15];
      ++i;
    } else {
      escaped += text[i];
    }
  }
  return escaped;
}

void append(std::string& line, const Json& value) {
  if (!value.is_structured()) {
    line += scalar(value);
    return;
  }
  line += value.is_object() ? '{' : '[';
  bool first = true;
  for (const auto& item : value.items()) {
    if (!first) line += ", ";
    first = false;
    if (value.is_object()) line += scalar(item.key()) + ": ";
    append(line, item.value());
  }
  line += value.is_object() ? '}' : ']';
}

}  // namespace

std::string to_line(const Json& document) {
  std::string line;
  append(line, document);
  return line;
}

}  // namespace cluster::cli
