#pragma once
#include <cstddef>
#include <functional>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace golden {

using Json = nlohmann::json;

/// The file is not of the shape that vectors/README.md describes.
struct Malformed : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Counts comparisons and keeps the first that failed, in words.
class Checker {
 public:
  static constexpr std::size_t kTextsMax = 10;

  /// Names what the following checks belong to, such as "chash_ops.json, case ops-3, step 4 (merge)".
  void enter(std::string place) { place_ = std::move(place); }
  /// Compares what the file expects with what the library gives.
  void equal(std::string_view what, const Json& expected, const Json& actual);
  /// The library refused what the reference accepts.
  void refused(std::string_view what, std::string_view why);

  [[nodiscard]] std::size_t checks() const noexcept { return checks_; }
  [[nodiscard]] std::size_t mismatches() const noexcept { return mismatches_; }
  [[nodiscard]] const std::vector<std::string>& texts() const noexcept { return texts_; }

 private:
  void mismatch(std::string text);

  std::string place_;
  std::size_t checks_ = 0;
  std::size_t mismatches_ = 0;
  std::vector<std::string> texts_;
};

/// Whether `a` comes before `b` by UTF-16 code units, the order in which the files sort ids.
[[nodiscard]] bool utf16_less(std::string_view a, std::string_view b);

// A member of the right type, or Malformed. (nlohmann's own get<> converts: -1 to 2^64-1, 1.5 to 1.)
[[nodiscard]] const Json& member(const Json& object, const char* name);
[[nodiscard]] const Json& element(const Json& list, std::size_t index);
[[nodiscard]] const Json::array_t& list(const Json& value, const char* what);
[[nodiscard]] const std::string& text(const Json& value, const char* what);
[[nodiscard]] std::int64_t whole(const Json& value, const char* what);
[[nodiscard]] std::uint64_t natural(const Json& value, const char* what, std::uint64_t max);

/// The checks for one kind of file, by its `kind`; null for a kind that is not known.
using CheckFile = void (*)(Checker&, const std::string& file, const Json& content);
[[nodiscard]] CheckFile chash_check(std::string_view kind);
[[nodiscard]] CheckFile vclock_check(std::string_view kind);

/// Calls `check` for each case, with "file, case name" as the place.
void each_case(const std::string& file, const Json& content,
               const std::function<void(const std::string& place, const Json& one)>& check);

}  // namespace golden
