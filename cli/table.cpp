#include "table.hpp"

#include <algorithm>
#include <vector>

#include "json_line.hpp"
#include "text.hpp"

namespace cluster::cli {
namespace {

using Json = nlohmann::ordered_json;
using Row = std::vector<std::string>;

std::string cell(const Json& value) {
  if (value.is_string()) return printable(value.get_ref<const std::string&>());
  if (value.is_null()) return "-";
  return printable(to_line(value));
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

std::string object_lines(const Json& object) {
  std::vector<Row> lines;
  std::string tables;
  for (const auto& item : object.items()) {
    if (is_record_list(item.value()))
      tables += "\n" + printable(item.key()) + ":\n" + record_table(item.value(), "  ");
    else
      lines.push_back({printable(item.key()), cell(item.value())});
  }
  auto text = lay_out(lines, "") + tables;
  return text.starts_with('\n') ? text.substr(1) : text;
}

}  // namespace

std::string to_table(const Json& data) {
  if (is_record_list(data)) return record_table(data, "");
  if (data.is_object() && !data.empty()) return object_lines(data);
  if (data.is_array() && !data.empty()) {
    std::string text;
    for (const auto& item : data) text += cell(item) + '\n';
    return text;
  }
  return (data.is_structured() ? "(none)" : cell(data)) + '\n';
}

}  // namespace cluster::cli
