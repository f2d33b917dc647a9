#include "file_transfer.hpp"

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "cluster/proto/file_tree.hpp"

namespace cluster::cli {
namespace {

constexpr std::size_t kReadBytes = 1u << 20;
constexpr std::size_t kRememberedMax = 4096;  // hashes: 128 KiB

/// Sends blobs in groups, each blob once.
class BlobSender {
 public:
  BlobSender(FileService& service, proto::FileBegin::Answer begun) : service_(service), begun_(begun) {}

  /// Sends what makes full groups, or all.
  Result<void> send(std::vector<proto::FileBlob>& blobs, bool all) {
    for (auto& blob : blobs) {
      const bool is_full = group_.size() == proto::kFileBatchMax ||
                           (!group_.empty() && bytes_ + blob.data.size() > proto::kFileBatchBytes);
      if (is_full)
        if (auto sent = send_group(); !sent) return sent;
      if (!sent_.insert(blob.hash).second) continue;
      bytes_ += blob.data.size();
      group_.push_back(std::move(blob));
    }
    blobs.clear();
    return all && !group_.empty() ? send_group() : Result<void>();
  }
  [[nodiscard]] std::uint64_t bytes_moved() const noexcept { return moved_; }

 private:
  Result<void> send_group() {
    proto::FileStoreBlobs store{.upload = begun_.upload, .blobs = std::exchange(group_, {})};
    bytes_ = 0;
    if (sent_.size() > kRememberedMax) sent_.clear();
    if (begun_.resumes)
      if (auto found = drop_stored(store.blobs); !found) return found;
    if (store.blobs.empty()) return {};
    for (const auto& blob : store.blobs) moved_ += blob.data.size();
    const auto stored = service_.ask(store);
    if (!stored) return stored.error();
    return {};
  }

  Result<void> drop_stored(std::vector<proto::FileBlob>& blobs) {
    proto::FileMissing question{.upload = begun_.upload, .hashes = {}};
    for (const auto& blob : blobs) question.hashes.push_back(blob.hash);
    const auto missing = service_.ask(question);
    if (!missing) return missing.error();
    if (missing->size() != blobs.size())
      return Error(Errc::bad_message, "the node told of another number of blobs");
    std::vector<proto::FileBlob> lacking;
    for (std::size_t i = 0; i < blobs.size(); ++i)
      if ((*missing)[i]) lacking.push_back(std::move(blobs[i]));
    blobs = std::move(lacking);
    return {};
  }

  FileService& service_;
  proto::FileBegin::Answer begun_;
  std::vector<proto::FileBlob> group_;
  std::size_t bytes_ = 0;
  std::set<proto::FileHash> sent_;
  std::uint64_t moved_ = 0;
};

std::size_t chunks_at_once(const proto::FileHead& head) {
  return std::clamp<std::size_t>(proto::kFileBatchBytes / head.chunk_bytes, 1, proto::kFileBatchMax);
}

/// One batch of blobs, as many as asked for.
Result<std::vector<Bytes>> fetch(FileService& service, const proto::FileHead& head,
                                 std::vector<proto::FileHash> hashes) {
  const proto::FileFetch question{.upload = head.upload, .hashes = std::move(hashes)};
  auto blobs = service.ask(question);
  if (blobs && blobs->size() != question.hashes.size())
    return Error(Errc::bad_message, "the node gave another number of blobs");
  return blobs;
}

}  // namespace

Result<Transferred> put_file(FileService& service, InputFile& input, const std::string& name,
                             const OnProgress& on_progress) {
  const auto begun = service.ask(proto::FileBegin{.name = name});
  if (!begun) return nothing_done(begun.error());
  BlobSender sender(service, *begun);
  proto::FileSplitter splitter;
  std::vector<proto::FileBlob> blobs;
  Bytes buffer(kReadBytes);
  while (true) {
    const auto size = input.read(buffer);
    if (!size) return size.error();
    if (*size == 0) break;
    splitter.take(ByteView(buffer).first(*size), blobs);
    if (auto sent = sender.send(blobs, false); !sent) return nothing_done(sent.error());
    on_progress(splitter.size());
  }
  auto head = splitter.finish(blobs);
  if (auto sent = sender.send(blobs, true); !sent) return nothing_done(sent.error());
  head.upload = begun->upload;
  auto done = service.ask(proto::FileCommit{.name = name, .head = std::move(head)});
  if (!done) return done.error();
  return Transferred{std::move(*done), sender.bytes_moved()};
}

Result<Transferred> get_file(FileService& service, const proto::FileHead& head, FileTarget& target,
                             const OnProgress& on_progress) {
  proto::FileWalk walk(head, 0, chunks_of(head));
  Transferred done{head, 0};
  while (!walk.done()) {
    auto want = walk.next(chunks_at_once(head));
    const auto offset = walk.position() * head.chunk_bytes;
    on_progress(offset);
    if (!want.is_list) {
      const auto has = target.has(offset, walk.chunk_size(), want.hashes.front());
      if (!has) return has.error();
      if (*has) {
        walk.advance(1);
        continue;
      }
    }
    const auto hashes = want.hashes;
    const auto blobs = fetch(service, head, std::move(want.hashes));
    if (!blobs) return blobs.error();
    for (std::size_t i = 0; i < hashes.size(); ++i) {
      const auto& blob = (*blobs)[i];
      if (auto ok = want.is_list ? walk.take_list(blob) : walk.check_chunk(hashes[i], blob, i); !ok)
        return ok.error();
      done.bytes_moved += blob.size();
      if (want.is_list) continue;
      if (auto written = target.write(offset + i * head.chunk_bytes, blob); !written) return written.error();
    }
    if (!want.is_list) walk.advance(hashes.size());
  }
  return done;
}

}  // namespace cluster::cli
