#include "cluster/proto/kv_bucket.hpp"

#include <algorithm>
#include <charconv>
#include <set>

namespace cluster::proto {
namespace {

Error bad_bucket(std::string_view text, std::string_view why) {
  return {Errc::invalid_argument, "'" + std::string(text.substr(0, 64)) + "': " + std::string(why)};
}

Bytes greatest(ByteView a, ByteView b) {
  const auto& kept = std::ranges::lexicographical_compare(a, b) ? b : a;
  return Bytes(kept.begin(), kept.end());
}

Bytes union_of_lines(ByteView a, ByteView b) {
  std::set<std::string_view> lines;
  for (auto text : {as_text(a), as_text(b)})
    while (!text.empty()) {
      const auto end = std::min(text.find('\n'), text.size());
      lines.insert(text.substr(0, end));
      text.remove_prefix(std::min(end + 1, text.size()));
    }
  Bytes all;
  for (const auto line : lines) {
    all.insert(all.end(), line.begin(), line.end());
    all.push_back('\n');
  }
  return all;
}

bool take_resolve(std::string_view word, KvBucket& bucket) {
  if (word == "siblings")
    bucket.resolve = KvResolve::siblings;
  else if (word == "last")
    bucket.resolve = KvResolve::last;
  else if (word == "max" || word == "union")
    bucket.resolve = KvResolve::merge;
  else
    return false;
  bucket.merge = {};
  bucket.merge_name.clear();
  if (bucket.resolve != KvResolve::merge) return true;
  bucket.merge = word == "max" ? greatest : union_of_lines;
  bucket.merge_name = word;
  return true;
}

bool take_number(std::string_view word, KvBucket& bucket) {
  if (word.size() < 3 || word[1] != '=') return false;
  auto* number = word[0] == 'n'   ? &bucket.n
                 : word[0] == 'r' ? &bucket.r
                 : word[0] == 'w' ? &bucket.w
                                  : nullptr;
  if (number == nullptr) return false;
  const auto [end, fault] = std::from_chars(word.data() + 2, word.data() + word.size(), *number);
  return fault == std::errc{} && end == word.data() + word.size();
}

}  // namespace

Result<std::pair<std::string, KvBucket>> parse_kv_bucket(std::string_view text, const KvBucket& otherwise) {
  const auto colon = text.find(':');
  const auto name = text.substr(0, colon);
  if (name != "*" && !is_bucket_name(name))
    return bad_bucket(text, "a bucket's name is 1 to 64 letters, digits, '.', '_' and '-'");
  if (colon == std::string_view::npos)
    return bad_bucket(text, "a bucket is given as NAME:n=3,r=2,w=2,siblings|last|max|union");
  auto bucket = otherwise;
  for (auto rest = text.substr(colon + 1); !rest.empty();) {
    const auto end = std::min(rest.find(','), rest.size());
    const auto word = rest.substr(0, end);
    if (!take_resolve(word, bucket) && !take_number(word, bucket))
      return bad_bucket(text, "'" + std::string(word.substr(0, 32)) +
                                  "' is none of n=, r=, w=, siblings, last, max, union");
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  if (auto ok = check(bucket); !ok) return bad_bucket(text, ok.error().message());
  return std::pair(std::string(name), std::move(bucket));
}

std::string_view resolve_name(const KvBucket& bucket) noexcept {
  if (bucket.resolve == KvResolve::siblings) return "siblings";
  if (bucket.resolve == KvResolve::last) return "last";
  return bucket.merge_name.empty() ? "merge" : std::string_view(bucket.merge_name);
}

}  // namespace cluster::proto
