#include "table.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "json_line.hpp"
#include "text.hpp"

namespace cluster::cli {
namespace {

using Json = nlohmann::ordered_json;
using Row = std::vector<std::string>;

std::string cell(const Json& value);

/// A field of a message, as `describe` tells it, is "n: int64"; any other object is its fields.
std::string object_cell(const Json& object) {
  const auto name = object.find("name");
  const auto type = object.find("type");
  if (name != object.end() && type != object.end() && object.size() == 2)
    return cell(*name) + ": " + cell(*type);
  std::string text;
  for (const auto& field : object.items())
    text += (text.empty() ? "" : ", ") + printable(field.key()) + ": " + cell(field.value());
  return text.empty() ? "-" : text;
}

/// One value in words, without the brackets and quotes of JSON.
std::string cell(const Json& value) {
  if (value.is_string()) return printable(value.get_ref<const std::string&>());
  if (value.is_null()) return "-";
  if (value.is_object()) return object_cell(value);
  if (!value.is_array()) return printable(to_line(value));
  std::string text;
  for (const auto& item : value) {
    const bool nested = item.is_structured() && item.size() > 2;
    text += (text.empty() ? "" : ", ") + (nested ? "(" + cell(item) + ")" : cell(item));
  }
  return text.empty() ? "-" : text;
}

bool is_record_list(const Json& value) {
  return value.is_array() && !value.empty() &&
         std::ranges::all_of(value, [](const Json& item) { return item.is_object(); });
}

/// Lays out rows in columns; the last column is not padded. Numbers stay left, as ids do.
std::string lay_out(const std::vector<Row>& rows, std::string_view indent) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], columns(row[i]));
  }
  std::string text;
  for (const auto& row : rows) {
    text += indent;
    for (std::size_t i = 0; i < row.size(); ++i) {
      text += row[i];
      if (i + 1 < row.size()) text.append(widths[i] + 2 - columns(row[i]), ' ');
    }
    text += '\n';
  }
  return text;
}

/// {"key": k, "value": {"id": i}} as {"key": k, "id": i}: one level of nesting becomes columns.
Json flattened(const Json& record) {
  Json flat = Json::object();
  for (const auto& item : record.items()) {
    if (item.value().is_object() && !item.value().empty()) {
      for (const auto& inner : item.value().items())
        flat[flat.contains(inner.key()) ? item.key() + "." + inner.key() : inner.key()] = inner.value();
    } else {
      flat[item.key()] = item.value();
    }
  }
  return flat;
}

std::string record_table(const Json& list, std::string_view indent) {
  std::vector<std::string> keys;
  std::vector<Json> records;
  for (const auto& item : list) {
    records.push_back(flattened(item));
    for (const auto& field : records.back().items())
      if (std::ranges::find(keys, field.key()) == keys.end()) keys.push_back(field.key());
  }
  std::vector<Row> rows(1);
  for (const auto& key : keys) {
    rows.front().push_back(printable(key));
    std::ranges::transform(rows.front().back(), rows.front().back().begin(),
                           [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
  }
  for (const auto& record : records) {
    Row row;
    for (const auto& key : keys) row.push_back(record.contains(key) ? cell(record[key]) : "");
    rows.push_back(std::move(row));
  }
  return lay_out(rows, indent);
}

/// Fields in their order: plain ones as lines of name and value, lists of objects as tables and objects as
/// lines, both under their name and set off by an empty line.
std::string object_lines(const Json& object, std::string_view indent) {
  std::string text;
  std::vector<Row> lines;
  const auto end_lines = [&] {
    if (!lines.empty()) text += (text.empty() ? "" : "\n") + lay_out(std::exchange(lines, {}), indent);
  };
  for (const auto& item : object.items()) {
    const auto& value = item.value();
    const bool is_table = is_record_list(value);
    if (!is_table && !(value.is_object() && !value.empty() && indent.empty())) {
      lines.push_back({printable(item.key()), cell(value)});
      continue;
    }
    end_lines();
    text += (text.empty() ? "" : "\n") + std::string(indent) + printable(item.key()) + ":\n" +
            (is_table ? record_table(value, "  ") : object_lines(value, "  "));
  }
  end_lines();
  return text;
}

}  // namespace

std::string to_table(const Json& data) {
  if (is_record_list(data)) return record_table(data, "");
  if (data.is_object() && !data.empty()) return object_lines(data, "");
  if (data.is_array() && !data.empty()) {
    std::string text;
    for (const auto& item : data) text += cell(item) + '\n';
    return text;
  }
  return (data.is_structured() ? "(none)" : cell(data)) + '\n';
}

std::string event_line(const Json& event) {
  if (!event.is_object()) return cell(event);
  auto rest = event;
  for (const auto* key : {"seq", "time_ms", "event"}) rest.erase(key);
  return cell(event.value("seq", Json())) + "  " + cell(event.value("event", Json())) + "  " + cell(rest);
}

}  // namespace cluster::cli
