#include "json_text.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "cluster/wire/json.hpp"

namespace cluster::gateway {
namespace {

using wire::Value;
using Json = nlohmann::ordered_json;

constexpr std::size_t kReasonBytesMax = 200;

bool is_tag(std::string_view key) noexcept { return key == "$bytes" || key == "$text" || key == "$float"; }

bool names_differ(const Value::Map& members) {
  std::vector<std::string_view> names;
  names.reserve(members.size());
  for (const auto& [name, value] : members) names.push_back(name);
  std::ranges::sort(names);
  return std::ranges::adjacent_find(names) == names.end();
}

/// Builds the value while the parser reads: nlohmann's callbacks, each false to stop.
class Builder final : public nlohmann::json_sax<Json> {
 public:
  bool null() override { return add(Value()); }
  bool boolean(bool value) override { return add(Value(value)); }
  bool number_integer(number_integer_t value) override { return add(Value(value)); }
  bool number_unsigned(number_unsigned_t value) override { return add(Value(value)); }
  bool number_float(number_float_t value, const string_t&) override { return add(Value(value)); }
  bool string(string_t& value) override { return add(Value(std::move(value))); }
  bool binary(binary_t&) override { return stop({Errc::invalid_argument, "no JSON value"}); }
  bool start_array(std::size_t) override { return open(Value(Value::Array{})); }
  bool start_object(std::size_t) override { return open(Value(Value::Map{})); }
  bool key(string_t& name) override {
    open_.back().key = std::move(name);
    return true;
  }
  bool end_array() override {
    auto ended = std::move(open_.back().value);
    open_.pop_back();
    return put(std::move(ended));
  }
  bool end_object() override {
    auto ended = std::move(open_.back());
    open_.pop_back();
    auto& members = ended.members;
    if (members.size() == 1 && is_tag(members.front().first)) return put_tagged(members.front());
    for (auto& [name, value] : members) {
      if (!wire::detail::looks_like_tag(name)) continue;
      auto key = wire::detail::key_from_json(name);
      if (!key) return stop(std::move(key).error());
      name = std::move(*key);
    }
    if (!names_differ(members)) return stop({Errc::invalid_argument, "an object names a member twice"});
    return put(Value(std::move(members)));
  }
  /// Says where and why, without what was read there: that may be long, and is perhaps no text.
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception& error) override {
    std::string_view why = error.what();  // "[json.exception.parse_error.101] parse error at ..."
    if (const auto said = why.find("] "); said != why.npos) why.remove_prefix(said + 2);
    why = why.substr(0, std::min(why.find("; last read"), kReasonBytesMax));
    return stop({Errc::invalid_argument, "the body is not JSON: " + std::string(why)});
  }

  [[nodiscard]] Result<Value> take() {
    if (error_) return *std::move(error_);
    return std::move(whole_);
  }

 private:
  /// An array, or an object with its members as they were named.
  struct Open {
    Value value;
    Value::Map members;
    std::string key;
  };

  bool stop(Error error) {
    error_ = std::move(error);
    return false;
  }
  bool add(Value value) {
    if (++values_ > kJsonValuesMax) return stop({Errc::too_large, "the body holds too many values"});
    return put(std::move(value));
  }
  bool open(Value value) {
    if (open_.size() == wire::kDepthMax) return stop({Errc::invalid_argument, "nested too deeply"});
    if (++values_ > kJsonValuesMax) return stop({Errc::too_large, "the body holds too many values"});
    open_.push_back({std::move(value), {}, {}});
    return true;
  }
  bool put(Value value) {
    if (open_.empty()) {
      whole_ = std::move(value);
    } else if (auto* elements = open_.back().value.array()) {
      elements->push_back(std::move(value));
    } else {
      open_.back().members.emplace_back(std::move(open_.back().key), std::move(value));
    }
    return true;
  }
  bool put_tagged(Value::Member& member) {
    auto* text = member.second.text();
    auto value = wire::detail::tagged_from_json(member.first, text ? Json(*text) : Json());
    if (!value) return stop(std::move(value).error());
    return put(std::move(*value));
  }

  std::vector<Open> open_;
  Value whole_;
  std::size_t values_ = 0;
  std::optional<Error> error_;
};

}  // namespace

Result<Value> value_from_json(std::string_view text) {
  if (text.find('\0') != text.npos)  // which the parser would take for the end
    return Error(Errc::invalid_argument, "the body is not JSON: it holds a NUL");
  Builder builder;
  static_cast<void>(Json::sax_parse(text, &builder));
  return builder.take();
}

std::string json_text(const Value& value) { return wire::to_json(value).dump(); }
std::string json_body(const Value& value) { return json_text(value) + '\n'; }

}  // namespace cluster::gateway
