#include "cluster/proto/file_tree.hpp"

#include <algorithm>
#include <utility>

#include "cluster/base/assert.hpp"
#include "file_shape.hpp"

namespace cluster::proto {
namespace {

constexpr std::size_t kFileHashBytes = std::tuple_size_v<FileHash>;

FileBlob blob_of(Bytes data) {
  FileBlob blob{.hash = crypto::sha256(data), .data = {}};
  blob.data = std::move(data);
  return blob;
}

}  // namespace

FileSplitter::FileSplitter(std::uint32_t chunk_bytes) : chunk_bytes_(chunk_bytes) {
  CLUSTER_ASSERT(chunk_bytes > 0 && chunk_bytes <= kFileChunkBytesMax);
}

void FileSplitter::take(ByteView bytes, std::vector<FileBlob>& out) {
  size_ += bytes.size();
  while (!bytes.empty()) {
    const auto part = bytes.first(std::min<std::size_t>(bytes.size(), chunk_bytes_ - chunk_.size()));
    if (chunk_.empty()) chunk_.reserve(part.size() == chunk_bytes_ ? part.size() : chunk_bytes_);
    chunk_.insert(chunk_.end(), part.begin(), part.end());
    bytes = bytes.subspan(part.size());
    if (chunk_.size() == chunk_bytes_) end_chunk(out);
  }
}

FileHead FileSplitter::finish(std::vector<FileBlob>& out) {
  if (!chunk_.empty()) end_chunk(out);
  FileHead head{.size = size_, .chunk_bytes = chunk_bytes_, .root = crypto::sha256({})};
  for (std::size_t level = 0; level < lists_.size(); ++level) {
    if (level + 1 == lists_.size() && lists_[level].size() == 1)
      head.root = lists_[level].front();
    else
      end_list(level, out);
  }
  return head;
}

void FileSplitter::end_chunk(std::vector<FileBlob>& out) {
  out.push_back(blob_of(std::exchange(chunk_, {})));
  add(0, FileHash(out.back().hash), out);
}

/// A full list is ended by what comes behind it: the last one may be the root.
void FileSplitter::add(std::size_t level, const FileHash& hash, std::vector<FileBlob>& out) {
  if (lists_.size() == level) lists_.emplace_back();
  if (lists_[level].size() == kFileFanOut) end_list(level, out);
  lists_[level].push_back(hash);
}

void FileSplitter::end_list(std::size_t level, std::vector<FileBlob>& out) {
  Bytes list;
  list.reserve(lists_[level].size() * kFileHashBytes);
  for (const auto& hash : std::exchange(lists_[level], {})) list.insert(list.end(), hash.begin(), hash.end());
  out.push_back(blob_of(std::move(list)));
  add(level + 1, FileHash(out.back().hash), out);
}

FileWalk::FileWalk(const FileHead& head, std::uint64_t first, std::uint64_t end)
    : head_(head), levels_(levels_of(head)), chunk_(first), end_(end), lists_(levels_) {
  CLUSTER_ASSERT(end <= chunks_of(head));
}

unsigned FileWalk::lowest_there() const noexcept {
  for (unsigned level = 1; level <= levels_; ++level) {
    const auto& list = lists_[level - 1];
    if (!list.hashes.empty() && list.index == entry_above(level, chunk_)) return level;
  }
  return levels_ + 1;
}

const FileHash& FileWalk::hash_below(unsigned level) const noexcept {
  if (level > levels_) return head_.root;
  return lists_[level - 1].hashes[entry_above(level - 1, chunk_) % kFileFanOut];
}

FileWalk::Want FileWalk::next(std::size_t max) const {
  Want want;
  if (done()) return want;
  const auto level = lowest_there();
  if (level > 1) {
    want.is_list = true;
    want.hashes.push_back(hash_below(level));
    return want;
  }
  if (levels_ == 0) {
    want.hashes.push_back(head_.root);
    return want;
  }
  const auto& hashes = lists_.front().hashes;
  const auto from = static_cast<std::size_t>(chunk_ % kFileFanOut);
  const auto count = std::min<std::uint64_t>({hashes.size() - from, end_ - chunk_, max});
  const auto begin = hashes.begin() + static_cast<std::ptrdiff_t>(from);
  want.hashes.assign(begin, begin + static_cast<std::ptrdiff_t>(count));
  return want;
}

Result<void> FileWalk::take_list(ByteView bytes) {
  const auto above = lowest_there();
  CLUSTER_ASSERT(above > 1 && levels_ > 0);
  if (auto ok = check_blob(hash_below(above), bytes); !ok) return ok;
  const auto level = above - 1;
  List list{.index = entry_above(level, chunk_), .hashes = {}};
  const auto entries = entries_at(level - 1, chunks_of(head_));
  const auto size = std::min<std::uint64_t>(kFileFanOut, entries - list.index * kFileFanOut);
  if (bytes.size() != size * kFileHashBytes)
    return Error(Errc::corrupt, "a list of the file's parts has another length");
  list.hashes.resize(static_cast<std::size_t>(size));
  for (std::size_t i = 0; i < size; ++i)
    std::ranges::copy(bytes.subspan(i * kFileHashBytes, kFileHashBytes), list.hashes[i].begin());
  lists_[level - 1] = std::move(list);
  return {};
}

std::size_t FileWalk::chunk_size(std::size_t ahead) const noexcept {
  const auto begin = (chunk_ + ahead) * head_.chunk_bytes;
  return static_cast<std::size_t>(std::min<std::uint64_t>(head_.chunk_bytes, head_.size - begin));
}

Result<void> FileWalk::check_chunk(const FileHash& hash, ByteView data, std::size_t ahead) const {
  if (data.size() != chunk_size(ahead)) return Error(Errc::corrupt, "a part of the file has another length");
  return check_blob(hash, data);
}

}  // namespace cluster::proto
