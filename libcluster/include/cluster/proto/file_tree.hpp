#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "cluster/proto/file.hpp"

namespace cluster::proto {

/// Cuts a file into blobs as its bytes come. Holds one chunk and one list a level: 9 MiB at most, 1.1 at
/// usual sizes.
class FileSplitter {
 public:
  explicit FileSplitter(std::uint32_t chunk_bytes = kFileChunkBytes);

  /// Takes the next bytes. Appends the blobs that they complete to `out`.
  void take(ByteView bytes, std::vector<FileBlob>& out);
  /// The end of the file: appends the rest of the blobs. The head lacks upload, type and time.
  [[nodiscard]] FileHead finish(std::vector<FileBlob>& out);

  [[nodiscard]] std::uint64_t size() const noexcept { return size_; }

 private:
  void add(std::size_t level, const FileHash& hash, std::vector<FileBlob>& out);
  void end_chunk(std::vector<FileBlob>& out);
  void end_list(std::size_t level, std::vector<FileBlob>& out);

  std::uint32_t chunk_bytes_;
  std::uint64_t size_ = 0;
  Bytes chunk_{};
  std::vector<std::vector<FileHash>> lists_{};  // the open list of each level
};

/// Finds the hashes of a file's chunks, in order, by its lists. Holds one list a level.
class FileWalk {
 public:
  /// The chunks from number `first` up to `end`. `head` has been checked, `end` is at most its chunks.
  FileWalk(const FileHead& head, std::uint64_t first, std::uint64_t end);

  struct Want {
    bool is_list = false;            ///< then it is one hash, for `take_list`
    std::vector<FileHash> hashes{};  ///< else those of the next chunks; none: that was all
  };
  [[nodiscard]] Want next(std::size_t max) const;
  /// The list that `next` asked for. `corrupt` if it is another, or cannot be one of this file.
  [[nodiscard]] Result<void> take_list(ByteView list);
  /// Goes on behind the next `count` chunks, of those that `next` gave.
  void advance(std::size_t count) noexcept { chunk_ += count; }

  /// The number of the next chunk.
  [[nodiscard]] std::uint64_t position() const noexcept { return chunk_; }
  [[nodiscard]] bool done() const noexcept { return chunk_ >= end_; }
  /// How long the next chunk but `ahead` is.
  [[nodiscard]] std::size_t chunk_size(std::size_t ahead = 0) const noexcept;
  /// `corrupt` if this is not the next chunk but `ahead`.
  [[nodiscard]] Result<void> check_chunk(const FileHash& hash, ByteView data, std::size_t ahead = 0) const;

 private:
  struct List {
    std::uint64_t index = 0;  // among those of its level
    std::vector<FileHash> hashes{};
  };
  /// The lowest level whose list is the one for the next chunk; levels + 1 if none is there.
  [[nodiscard]] unsigned lowest_there() const noexcept;
  /// What the list at `level`, or the root above all, says of the next chunk's list one level below.
  [[nodiscard]] const FileHash& hash_below(unsigned level) const noexcept;

  FileHead head_;
  unsigned levels_;
  std::uint64_t chunk_;
  std::uint64_t end_;
  std::vector<List> lists_;  // [level - 1]
};

}  // namespace cluster::proto
