#include "file_streams.hpp"

#include <algorithm>
#include <optional>
#include <vector>

#include "cluster/base/assert.hpp"
#include "cluster/proto/file_tree.hpp"

namespace cluster::gateway {
namespace {

constexpr int kTriesMax = 4;

/// Whether the same question may have an answer if it is asked again.
bool may_pass(const Error& error) {
  return error.code() == Errc::timeout || error.code() == Errc::unreachable ||
         error.code() == Errc::peer_lost || error.code() == Errc::no_quorum ||
         error.code() == Errc::overloaded;  // it has waited for its turn there
}

/// One piece after the other: each call ends before the next one begins, so nothing here is shared. What
/// takes long, hashes and copies, is done on the thread for that.
class FileIntake final : public Intake, public std::enable_shared_from_this<FileIntake> {
 public:
  FileIntake(const Toolbox& tools, FileTarget target) : tools_(tools), target_(std::move(target)) {}
  FileIntake(const FileIntake&) = delete;
  FileIntake& operator=(const FileIntake&) = delete;
  ~FileIntake() override {
    if (!upload_ || committed_) return;
    const proto::FileAbandon abandon{.name = target_.name, .upload = *upload_};
    ask_files(tools_, abandon, [](const Result<bool>&) {});
  }

  void take(Bytes piece, Taken done) override {
    begun([self = shared_from_this(), piece = std::move(piece), done](const Error* error) {
      if (error) return done(change_failure(nothing_done(*error)));
      self->splitter_.take(piece, self->blobs_);
      self->send(false, kTriesMax, [done](const Error* failed) {
        done(failed ? std::optional(failure(nothing_done(*failed))) : std::nullopt);
      });
    });
  }

  void end(Answer answer) override {
    begun([self = shared_from_this(), answer](const Error* error) {
      if (error) return answer(change_failure(nothing_done(*error)));
      self->head_ = self->splitter_.finish(self->blobs_);
      self->send(true, kTriesMax, [self, answer](const Error* failed) {
        if (failed) return answer(failure(nothing_done(*failed)));
        self->commit(answer);
      });
    });
  }

 private:
  using Next = std::function<void(const Error*)>;

  /// Goes on, on the thread for what takes long, once there is an upload.
  void begun(Next next) {
    if (upload_) return tools_.server->offload([next] { next(nullptr); });
    const proto::FileBegin begin{.name = target_.name, .fresh = true, .condition = target_.condition};
    ask_files(tools_, begin, [self = shared_from_this(), next](Result<proto::FileBegin::Answer> answer) {
      self->tools_.server->offload([self, next, answer = std::move(answer)] {
        if (!answer) return next(&answer.error());
        self->upload_ = answer->upload;
        next(nullptr);
      });
    });
  }

  /// Sends what makes full groups, or all; one group at a time.
  void send(bool all, int tries, Next next) {
    if (group_.blobs.empty() && !next_group(all)) return next(nullptr);
    group_.upload = *upload_;
    ask_files(tools_, group_, [self = shared_from_this(), all, tries, next](Result<std::uint64_t> stored) {
      self->tools_.server->offload([self, all, tries, next, stored = std::move(stored)] {
        if (!stored && (tries == 1 || !may_pass(stored.error()))) return next(&stored.error());
        if (stored) self->group_.blobs.clear();
        self->send(all, stored ? kTriesMax : tries - 1, next);
      });
    });
  }

  bool next_group(bool all) {
    std::size_t bytes = 0;
    std::size_t count = 0;
    for (; count < blobs_.size() && count < proto::kFileBatchMax; ++count) {
      if (count > 0 && bytes + blobs_[count].data.size() > proto::kFileBatchBytes) break;
      bytes += blobs_[count].data.size();
    }
    const bool is_full = count < blobs_.size() || bytes >= proto::kFileBatchBytes;
    if (count == 0 || !(all || is_full)) return false;
    const auto end = blobs_.begin() + static_cast<std::ptrdiff_t>(count);
    group_.blobs.assign(std::make_move_iterator(blobs_.begin()), std::make_move_iterator(end));
    blobs_.erase(blobs_.begin(), end);
    return true;
  }

  void commit(const Answer& answer) {
    head_.upload = *upload_;
    head_.type = target_.type;
    committed_ = true;
    const proto::FileCommit commit{.name = target_.name, .head = head_, .condition = target_.condition};
    ask_files(tools_, commit, [self = shared_from_this(), answer](Result<proto::FileHead> head) {
      if (!head && head.error().executed() == Executed::no) self->committed_ = false;
      if (!head) return answer(change_failure(head.error()));
      auto response = success(file_value(self->target_.name, *head));
      response.headers.emplace_back("ETag", '"' + hex(head->root) + '"');
      answer(std::move(response));
    });
  }

  Toolbox tools_;
  FileTarget target_;
  std::optional<proto::FileUploadId> upload_;
  bool committed_ = false;  // or asked to be
  proto::FileSplitter splitter_;
  std::vector<proto::FileBlob> blobs_;  // of which a group is still to be made
  proto::FileStoreBlobs group_;         // on its way
  proto::FileHead head_;
};

class FileSource final : public Source, public std::enable_shared_from_this<FileSource> {
 public:
  FileSource(const Toolbox& tools, const proto::FileHead& head, std::uint64_t first, std::uint64_t bytes)
      : tools_(tools),
        head_(head),
        walk_(head, first / head.chunk_bytes, (first + bytes - 1) / head.chunk_bytes + 1),
        skip_(static_cast<std::size_t>(first % head.chunk_bytes)),
        left_(bytes) {}

  void next(Made done) override { fetch(kTriesMax, std::move(done)); }

 private:
  void fetch(int tries, Made done) {
    constexpr std::size_t kChunksMax = 4;
    const auto want =
        walk_.next(std::clamp<std::size_t>(proto::kFileBatchBytes / head_.chunk_bytes, 1, kChunksMax));
    if (want.hashes.empty()) return done(Error(Errc::internal, "the file has ended"));
    const proto::FileFetch question{.upload = head_.upload, .hashes = want.hashes};
    ask_files(tools_, question,
              [self = shared_from_this(), want, tries, done](Result<std::vector<Bytes>> blobs) {
                if (!blobs && tries > 1 && may_pass(blobs.error())) return self->fetch(tries - 1, done);
                if (!blobs) return done(blobs.error());
                self->tools_.server->offload([self, want, done, blobs = std::move(blobs).value()]() mutable {
                  self->use(want, std::move(blobs), done);
                });
              });
  }

  void use(const proto::FileWalk::Want& want, std::vector<Bytes> blobs, const Made& done) {
    if (blobs.size() != want.hashes.size()) return done(Error(Errc::bad_message, "another number of blobs"));
    if (want.is_list) {
      if (auto taken = walk_.take_list(blobs.front()); !taken) return done(taken.error());
      return fetch(kTriesMax, done);
    }
    Bytes piece;
    for (std::size_t i = 0; i < blobs.size(); ++i) {
      if (auto ok = walk_.check_chunk(want.hashes[i], blobs[i], i); !ok) return done(ok.error());
      const auto part = ByteView(blobs[i]).subspan(std::exchange(skip_, 0));
      piece.insert(piece.end(), part.begin(), part.end());
    }
    walk_.advance(blobs.size());
    if (piece.size() > left_) piece.resize(static_cast<std::size_t>(left_));
    left_ -= piece.size();
    done(std::move(piece));
  }

  Toolbox tools_;
  proto::FileHead head_;
  proto::FileWalk walk_;
  std::size_t skip_;  // of the next chunk
  std::uint64_t left_;
};

}  // namespace

wire::Value file_value(const std::string& name, const proto::FileHead& head) {
  return wire::Value::map({{"name", name},
                           {"size", head.size},
                           {"stored", proto::time_text(head.stored)},
                           {"type", head.type},
                           {"hash", hex(head.root)}});
}

Response change_failure(const Error& error) {
  if (error.code() != Errc::refused && error.code() != Errc::already_exists) return failure(error);
  return refusal(412, name(error.code()), error.message(), Executed::no);
}

std::shared_ptr<Intake> make_file_intake(const Toolbox& tools, FileTarget target) {
  return std::make_shared<FileIntake>(tools, std::move(target));
}

std::shared_ptr<Source> make_file_source(const Toolbox& tools, const proto::FileHead& head,
                                         std::uint64_t first, std::uint64_t bytes) {
  CLUSTER_ASSERT(bytes > 0);
  return std::make_shared<FileSource>(tools, head, first, bytes);
}

}  // namespace cluster::gateway
