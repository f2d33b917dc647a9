// vector-check DIR: compares CHash and VectorClock with every golden vector in DIR (vectors/README.md).
// Exit codes: 0 all agree, 1 a mismatch or nothing to check, 2 wrong use or a file that cannot be read.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "checker.hpp"

namespace {

namespace fs = std::filesystem;

bool is_vector_file(const fs::path& path) {
  const auto name = path.filename().string();
  return path.extension() == ".json" && (name.starts_with("chash_") || name.starts_with("vclock_"));
}

/// The file's own word for what it holds, or else its name without the ending.
std::string kind_of(const fs::path& path, const golden::Json& content) {
  if (content.is_object() && content.contains("kind")) return golden::text(content["kind"], "kind");
  return path.stem().string();
}

/// An error's text may quote the file.
std::string printable(std::string text) {
  std::ranges::replace_if(
      text, [](char c) { return c < ' ' || c > '~'; }, '?');
  return text;
}

/// Parses, and refuses depths that nothing we read has: comparing and printing recurse.
golden::Json parse(const std::string& bytes) {
  constexpr int kDepthMax = 16;
  return golden::Json::parse(bytes, [](int depth, golden::Json::parse_event_t, golden::Json&) {
    if (depth > kDepthMax) throw golden::Malformed("is nested too deeply");
    return true;
  });
}

void check_file(golden::Checker& checker, const fs::path& path) {
  std::ifstream input(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(input), {}};
  if (!input) throw golden::Malformed("cannot be read");
  const auto content = parse(bytes);
  const auto kind = kind_of(path, content);
  const auto check = kind.starts_with("chash_") ? golden::chash_check(kind) : golden::vclock_check(kind);
  if (check == nullptr) throw golden::Malformed("the kind '" + kind + "' is not known");
  check(checker, path.filename().string(), content);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: vector-check DIR\n", stderr);
    return 2;
  }
  std::error_code error;
  std::vector<fs::path> files;
  for (fs::directory_iterator at(argv[1], error), end; !error && at != end; at.increment(error))
    if (is_vector_file(at->path())) files.push_back(at->path());
  if (error) {
    std::fprintf(stderr, "vector-check: %s: %s\n", argv[1], error.message().c_str());
    return 2;
  }
  std::ranges::sort(files);

  golden::Checker checker;
  bool malformed = false;
  for (const auto& file : files) {
    try {
      check_file(checker, file);
    } catch (const std::exception& why) {
      std::fprintf(stderr, "vector-check: %s: %s\n", file.c_str(), printable(why.what()).c_str());
      malformed = true;
    }
  }
  for (const auto& text : checker.texts()) std::printf("%s\n", text.c_str());
  if (checker.mismatches() > checker.texts().size())
    std::printf("... and %zu more\n", checker.mismatches() - checker.texts().size());
  std::printf("%zu checks, %zu mismatches\n", checker.checks(), checker.mismatches());
  if (malformed) return 2;
  return checker.checks() != 0 && checker.mismatches() == 0 ? 0 : 1;
}
