// Runs a fuzz target over kept inputs and seeded mutations of them: the part of fuzzing that a test can
// repeat.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

#include "cluster/base/bytes.hpp"
#include "cluster/base/rng.hpp"
#include "fuzz.hpp"

namespace {
using cluster::Bytes;

constexpr int kMutationsPerInput = 2000;

std::vector<Bytes> read_all(const char* folder) {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  std::vector<Bytes> inputs;
  for (const auto& path : paths) {
    std::ifstream file(path, std::ios::binary);
    inputs.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return inputs;
}

/// A few changes: a byte replaced, a piece cut out, a piece of another input put in, the end cut off.
Bytes mutated(Bytes input, const std::vector<Bytes>& others, cluster::Rng& rng) {
  const auto at = [&] { return input.begin() + static_cast<std::ptrdiff_t>(rng.below(input.size() + 1)); };
  for (auto changes = 1 + rng.below(4); changes != 0; --changes) {
    switch (rng.below(4)) {
      case 0:
        if (!input.empty()) input[rng.below(input.size())] = static_cast<std::uint8_t>(rng.below(256));
        break;
      case 1: {
        const auto [first, last] = std::minmax({at(), at()});
        input.erase(first, last);
        break;
      }
      case 2: {
        const auto& other = others[rng.below(others.size())];
        const auto from = rng.below(other.size() + 1), to = from + rng.below(other.size() - from + 1);
        input.insert(at(), other.begin() + static_cast<std::ptrdiff_t>(from),
                     other.begin() + static_cast<std::ptrdiff_t>(to));
        break;
      }
      default:
        input.resize(rng.below(input.size() + 1));
    }
  }
  return input;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return std::fputs("usage: fuzz_NAME CORPUS\n", stderr), 2;
  const auto inputs = read_all(argv[1]);
  if (inputs.empty()) return std::fputs("an empty corpus\n", stderr), 1;
  cluster::Rng rng(1);
  std::size_t runs = 0;
  for (const auto& input : inputs) {
    LLVMFuzzerTestOneInput(input.data(), input.size());
    for (int i = 0; i < kMutationsPerInput; ++i) {
      const auto bytes = mutated(input, inputs, rng);
      LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
    }
    runs += 1 + kMutationsPerInput;
  }
  std::printf("%zu runs of %zu inputs\n", runs, inputs.size());
  return 0;
}
