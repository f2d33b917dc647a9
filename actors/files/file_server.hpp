#pragma once
#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/files/file_records.hpp"
#include "cluster/kv/kv_listing.hpp"
#include "cluster/kv/kv_server.hpp"
#include "cluster/node/ring_board.hpp"
#include "cluster/proto/file.hpp"

namespace cluster {

/// The server named `files`: stores, finds and removes files by way of its node's key-value store. It holds
/// no state that matters: a client may go on at another node at any moment. Of a file it holds no more than
/// the blobs that are asked for now, of a bounded number of requests. Its errors tell whether what was asked
/// for has happened: a commit that is not executed made no file and never will, however much of it is stored.
class FileServer : public GenServer<FileServer, proto::FileBegin, proto::FileMissing, proto::FileStoreBlobs,
                                    proto::FileCommit, proto::FileAbandon, proto::FileStat, proto::FileFetch,
                                    proto::FileList, proto::FileRemove, proto::FileCollect> {
 public:
  static constexpr bool reentrant = true;
  static constexpr bool tells_outcome = true;
  static constexpr std::string_view kName = "files";

  struct Options {
    /// An attempt to store a file that was not touched for so long is given up.
    Duration unfinished_age = 24h;
    /// The blobs of a file that was removed or replaced are kept so long, for those who are reading it.
    Duration dropped_age = 15min;
    Duration collect_interval = 60s;
    /// Requests with blobs that are worked on at a time; four times as many wait, for `turn_wait`.
    std::size_t open_max = 16;
    Duration turn_wait = 3s;
  };
  FileServer(Options options, NodeId self, Ref<KvServer> store, std::shared_ptr<const RingBoard> ring);

  Result<void> init() override;
  Task<Result<proto::FileBegin::Answer>> handle_call(proto::FileBegin begin);
  Task<Result<std::vector<bool>>> handle_call(proto::FileMissing missing);
  Task<Result<std::uint64_t>> handle_call(proto::FileStoreBlobs store);
  Task<Result<proto::FileHead>> handle_call(proto::FileCommit commit);
  Task<Result<bool>> handle_call(proto::FileAbandon abandon);
  Task<Result<proto::FileHead>> handle_call(proto::FileStat stat);
  Task<Result<std::vector<Bytes>>> handle_call(proto::FileFetch fetch);
  Task<Result<proto::FileList::Answer>> handle_call(proto::FileList list);
  Task<Result<proto::FileHead>> handle_call(proto::FileRemove remove);
  Task<Result<proto::FileCollect::Answer>> handle_call(proto::FileCollect collect);

  struct Tick {};
  Task<void> handle_info(Tick);

 private:
  class Turn;
  using Head = files::Kept<proto::FileHead>;
  using Upload = files::Kept<files::UploadRecord>;

  /// Room for one request that holds blobs; false: not in time.
  Task<bool> wait_for_turn();

  // What is passed by reference here lives in the frame of the handler that waits.
  Task<Result<proto::KvAnswer>> ask(const proto::KvRequest& request);
  Task<Result<std::vector<KvOutcome>>> ask_all(std::vector<proto::KvRequest>& requests);
  Task<Result<Head>> read_head(const std::string& name);
  Task<Result<Upload>> read_upload(const proto::FileUploadId& upload);
  Task<Result<void>> write_upload(const proto::FileUploadId& upload, const files::UploadRecord& record,
                                  const VersionVector& context, proto::KvCondition condition);
  /// `not_found` unless the upload is at work; then it is known to be so for a while.
  Task<Result<void>> admit(const proto::FileUploadId& upload);
  /// A new attempt, at work from now on.
  Task<Result<void>> open_upload(const proto::FileUploadId& upload, const std::string& name);
  /// The upload is that of a file that is about to be removed or replaced, or will never be one.
  Task<Result<void>> drop(const proto::FileUploadId& upload, const std::string& name);
  /// The upload is a file: what was kept while it was under way goes.
  Task<void> forget_attempt(const proto::FileUploadId& upload, const std::string& name);

  // file_collect.cpp
  /// Keys of a bucket at all members.
  Task<KvListing::Page> scan_all(const KvScan& scan);
  Task<Result<proto::FileCollect::Answer>> collect(bool at_once);
  Task<Result<void>> collect_one(const std::string& key, bool at_once, proto::FileCollect::Answer& counts);
  /// True: no member holds a blob of it any more.
  Task<Result<bool>> delete_blobs(const std::string& key, proto::FileCollect::Answer& counts);
  [[nodiscard]] bool owns(const std::string& upload_key) const;

  Options options_;
  NodeId self_;
  Ref<KvServer> store_;
  std::shared_ptr<const RingBoard> ring_;
  std::map<proto::FileUploadId, Instant> admitted_;
  std::size_t open_ = 0;     // have their turn
  std::size_t waiting_ = 0;  // for it
  bool collecting_ = false;
};

}  // namespace cluster
