#include "cluster/proto/file.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>

#include "cluster/base/utf8.hpp"
#include "file_shape.hpp"

namespace cluster::proto {

Result<void> check_file_name(std::string_view name) {
  if (name.empty() || name.size() > kFileNameBytesMax)
    return Error(Errc::invalid_argument, "a file's name has 1 to 255 bytes");
  if (!is_utf8(name)) return Error(Errc::invalid_argument, "a file's name is UTF-8");
  if (has_control_character(name))
    return Error(Errc::invalid_argument, "a file's name has no control characters");
  if (name == "." || name == "..") return Error(Errc::invalid_argument, "'.' and '..' are no names of files");
  return {};
}

Result<void> check_file_type(std::string_view type) {
  const bool is_plain = std::ranges::all_of(type, [](char c) { return c >= ' ' && c <= '~'; });
  const bool has_slash = type.empty() || type.find('/') != type.npos;
  if (type.size() > kFileTypeBytesMax || !is_plain || !has_slash)
    return Error(Errc::invalid_argument, "a media type is up to 127 characters of ASCII, such as text/plain");
  return {};
}

Result<void> check(const FileHead& head) {
  if (head.chunk_bytes == 0 || head.chunk_bytes > kFileChunkBytesMax)
    return Error(Errc::corrupt, "a file with chunks of no possible size");
  if (auto ok = check_file_type(head.type); !ok)
    return Error(Errc::corrupt, "a file with a type that is none: " + ok.error().message());
  if (head.size == 0) return check_blob(head.root, {});
  return {};
}

Result<void> check(const FileCondition& condition, std::string_view name, const FileHead* head) {
  const auto file = [name] { return "'" + std::string(name) + "'"; };
  if (condition.absent && head) return Error(Errc::already_exists, "there is a file " + file());
  if ((condition.present || condition.one_of) && !head)
    return Error(Errc::refused, "there is no file " + file());
  if (condition.one_of && std::ranges::find(*condition.one_of, head->root) == condition.one_of->end())
    return Error(Errc::refused, file() + " is another file now");
  return {};
}

std::uint64_t chunks_of(const FileHead& head) noexcept {
  return head.size / head.chunk_bytes + (head.size % head.chunk_bytes == 0 ? 0 : 1);
}

unsigned levels_of(const FileHead& head) noexcept {
  const auto chunks = chunks_of(head);
  unsigned levels = 0;
  while (entries_at(levels, chunks) > 1) ++levels;
  return levels;
}

Result<void> check_blob(const FileHash& hash, ByteView data) {
  if (crypto::sha256(data) == hash) return {};
  return Error(Errc::corrupt, "a part of the file is not what was stored");
}

std::string time_text(WallTime time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(std::chrono::floor<std::chrono::seconds>(time - day));
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%04d-%02u-%02uT%02ld:%02ld:%02ldZ", static_cast<int>(date.year()),
                static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                static_cast<long>(clock.hours().count()), static_cast<long>(clock.minutes().count()),
                static_cast<long>(clock.seconds().count()));
  return text.data();
}

}  // namespace cluster::proto
