#include "cluster/proto/file.hpp"

#include <doctest/doctest.h>

#include <array>
#include <map>
#include <string>
#include <utility>

#include "cluster/base/rng.hpp"
#include "cluster/proto/file_tree.hpp"
#include "random_bytes.hpp"

namespace cluster::proto {
namespace {

using cluster::testing::random_bytes;

/// What the store would hold.
using Blobs = std::map<FileHash, Bytes>;

/// Cuts `content` as it would come in pieces of up to `piece` bytes.
FileHead split(ByteView content, std::uint32_t chunk_bytes, std::size_t piece, Blobs& blobs) {
  FileSplitter splitter(chunk_bytes);
  std::vector<FileBlob> out;
  while (!content.empty()) {
    const auto part = content.first(std::min(piece, content.size()));
    splitter.take(part, out);
    content = content.subspan(part.size());
  }
  const auto head = splitter.finish(out);
  for (auto& blob : out) {
    CHECK(check_blob(blob.hash, blob.data));
    blobs[blob.hash] = std::move(blob.data);
  }
  return head;
}

/// Chunks `first` up to `end`, as a reader finds them.
Result<Bytes> read(const FileHead& head, const Blobs& blobs, std::uint64_t first, std::uint64_t end,
                   std::size_t max = 3) {
  FileWalk walk(head, first, end);
  Bytes content;
  while (!walk.done()) {
    const auto want = walk.next(max);
    REQUIRE(!want.hashes.empty());
    REQUIRE(want.hashes.size() <= (want.is_list ? 1 : max));
    for (std::size_t i = 0; i < want.hashes.size(); ++i) {
      const auto found = blobs.find(want.hashes[i]);
      if (found == blobs.end()) return Error(Errc::not_found, "a blob is missing");
      const auto taken =
          want.is_list ? walk.take_list(found->second) : walk.check_chunk(want.hashes[i], found->second, i);
      if (!taken) return taken.error();
      if (!want.is_list) content.insert(content.end(), found->second.begin(), found->second.end());
    }
    if (!want.is_list) walk.advance(want.hashes.size());
  }
  CHECK(walk.next(max).hashes.empty());
  return content;
}

TEST_CASE("file: what was cut is found again, whole and in parts, whatever the sizes around its limits") {
  Rng rng(1);
  constexpr std::uint32_t kChunk = 16;
  constexpr std::size_t kFull = kChunk * kFileFanOut;  // one list of chunks
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{1}, std::size_t{15}, std::size_t{16}, std::size_t{17}, std::size_t{32},
        kFull - 1, kFull, kFull + 1, 2 * kFull, 2 * kFull + 5, 5 * kFull + 40}) {
    CAPTURE(size);
    const auto content = random_bytes(rng, size);
    Blobs blobs;
    const auto head = split(content, kChunk, 1 + rng.next() % 40, blobs);
    CHECK(check(head));
    CHECK(head.size == size);
    const auto chunks = chunks_of(head);
    CHECK(chunks == (size + kChunk - 1) / kChunk);
    CHECK(levels_of(head) == (size <= kChunk ? 0 : size <= kFull ? 1 : 2));
    CHECK(read(head, blobs, 0, chunks).value() == content);
    if (chunks == 0) continue;
    const auto first = rng.next() % chunks;
    const auto end = first + 1 + rng.next() % (chunks - first);
    CAPTURE(first);
    CAPTURE(end);
    const auto part = ByteView(content).subspan(first * kChunk);
    CHECK(read(head, blobs, first, end).value() ==
          Bytes(part.begin(), part.begin() + static_cast<std::ptrdiff_t>(std::min<std::size_t>(
                                                 part.size(), (end - first) * kChunk))));
  }
}

TEST_CASE("file: a file of more than 1,024 x 1,024 chunks has three levels of lists") {
  Bytes content(kFileFanOut * kFileFanOut + 1, 7);
  content.back() = 8;
  Blobs blobs;
  const auto head = split(content, 1, content.size(), blobs);
  CHECK(levels_of(head) == 3);
  CHECK(blobs.size() < 12);  // what is the same is one blob
  CHECK(read(head, blobs, 0, content.size(), 500).value() == content);
  CHECK(read(head, blobs, content.size() - 2, content.size()).value() == Bytes{7, 8});
}

TEST_CASE("file: pieces of any length make the same blobs, and the blob of a small file is the file") {
  Rng rng(3);
  const auto content = random_bytes(rng, 1000);
  Blobs one, other;
  CHECK(split(content, 64, 1, one) == split(content, 64, 1000, other));
  CHECK(one == other);
  CHECK(split(content, 1000, 17, one).root == crypto::sha256(content));
}

TEST_CASE("file: a blob that was changed, cut, lengthened or swapped is found corrupt when it is read") {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    const auto content = random_bytes(rng, 1 + rng.next() % 40'000);
    Blobs blobs;
    const auto head = split(content, 16, 500, blobs);
    auto damaged = std::next(blobs.begin(), static_cast<std::ptrdiff_t>(rng.next() % blobs.size()));
    auto& data = damaged->second;
    const auto how = rng.next() % 4;
    if (how == 0)
      data[rng.next() % data.size()] ^= static_cast<std::uint8_t>(1u << (rng.next() % 8));
    else if (how == 1)
      data.pop_back();
    else if (how == 2)
      data.push_back(0);
    else if (const auto& other = std::prev(blobs.end())->second; other != data)
      data = other;
    else
      data.clear();
    const auto result = read(head, blobs, 0, chunks_of(head));
    REQUIRE(!result);
    CHECK(result.error().code() == Errc::corrupt);
  }
}

TEST_CASE("file: a head that lies about its size is found corrupt, however large it says the file is") {
  Rng rng(5);
  const auto content = random_bytes(rng, 16 * kFileFanOut + 100);
  Blobs blobs;
  const auto head = split(content, 16, 500, blobs);
  for (const std::uint64_t size :
       {std::uint64_t{1}, std::uint64_t{16}, std::uint64_t{16'000}, head.size - 1, head.size + 1,
        head.size + 16, std::uint64_t{1} << 40, ~std::uint64_t{0}}) {
    CAPTURE(size);
    auto lying = head;
    lying.size = size;
    REQUIRE(check(lying));
    const auto result = read(lying, blobs, 0, chunks_of(lying));
    REQUIRE(!result);
    CHECK(result.error().code() == Errc::corrupt);
    const auto last = read(lying, blobs, chunks_of(lying) - 1, chunks_of(lying));
    REQUIRE(!last);
    CHECK(last.error().code() == Errc::corrupt);
  }
}

TEST_CASE("file: a name is 1 to 255 bytes of UTF-8 without control characters, and no way up") {
  for (const char* name : {"a", "a b", "../../etc/passwd", "/etc/passwd", "...", "-rf", "a\"b'c`$(d)",
                           "\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80", "con:nul\\?*"})
    CHECK_MESSAGE(check_file_name(name), name);
  CHECK(check_file_name(std::string(255, 'x')));
  for (const std::string& name :
       {std::string(), std::string("."), std::string(".."), std::string(256, 'x'), std::string("a\nb"),
        std::string("a\0b", 3), std::string("\xff"), std::string("\x1b[2J"), std::string("\xc2\x9b"),
        std::string("\xed\xa0\x80")})
    CHECK_MESSAGE(!check_file_name(name), name);
}

TEST_CASE("file: heads out of bounds are refused") {
  const FileHead good{.size = 5, .chunk_bytes = 4, .type = "text/plain; charset=utf-8"};
  CHECK(check(good));
  const auto refused = [&](auto&& change) {
    auto head = good;
    change(head);
    const auto result = check(head);
    return !result && result.error().code() == Errc::corrupt;
  };
  CHECK(refused([](FileHead& head) { head.chunk_bytes = 0; }));
  CHECK(refused([](FileHead& head) { head.chunk_bytes = kFileChunkBytesMax + 1; }));
  CHECK(refused([](FileHead& head) { head.size = 0; }));  // and the root is not that of nothing
  CHECK(refused([](FileHead& head) { head.type = "text/plain\r\nSet-Cookie: a=b"; }));
  CHECK(refused([](FileHead& head) { head.type = "text"; }));
  CHECK(refused([](FileHead& head) { head.type = "a/" + std::string(126, 'b'); }));
  CHECK(!refused([](FileHead& head) { head.type.clear(); }));
  CHECK(!refused([](FileHead& head) { head.size = ~std::uint64_t{0}, head.chunk_bytes = 1; }));
}

TEST_CASE("file: a head survives its encoding, and every prefix of it is refused") {
  const FileHead head{.upload = {1, 2, 3},
                      .size = 12'345,
                      .root = crypto::sha256({}),
                      .type = "a/b",
                      .stored = wall_from_micros(1'700'000'000'000'000)};
  const auto bytes = wire::encode(head);
  CHECK(wire::decode<FileHead>(bytes).value() == head);
  for (std::size_t size = 0; size < bytes.size(); ++size)
    CHECK(!wire::decode<FileHead>(ByteView(bytes).first(size)));
}

}  // namespace
}  // namespace cluster::proto
