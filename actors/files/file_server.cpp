#include "cluster/files/file_server.hpp"

#include <algorithm>
#include <utility>

#include "cluster/crypto/random.hpp"

// No aggregate is made inside a co_await expression here: GCC 12 would destroy it twice.

namespace cluster {
namespace {

using namespace files;
using proto::FileHead;
using proto::FileUploadId;

constexpr Duration kStoreTime = 4s;         // for the key-value store to answer
constexpr Duration kAnswerTime = 200ms;     // for its answer to come here
constexpr Duration kTouchInterval = 10min;  // far less than an attempt may rest
constexpr Duration kTurnPause = 10ms;
constexpr std::size_t kWaitingFactor = 4;
constexpr std::size_t kAdmittedMax = 4096;
constexpr std::size_t kHeadsAtOnce = 128;
constexpr int kAttempts = 5;  // to change a name that others change, too

Error not_there(std::string_view name) {
  return Error(Errc::not_found, "there is no file '" + std::string(name) + "'");
}
Error given_up() { return Error(Errc::not_found, "this attempt to store a file was given up: begin again"); }
Error contended(std::string_view name) {
  return Error(Errc::overloaded, "others change '" + std::string(name) + "' all the time, try again");
}
/// Of a change under a condition: another one came before it.
bool is_overtaken(const Error& error) {
  return error.code() == Errc::refused || error.code() == Errc::already_exists;
}
bool is_stated(const proto::FileCondition& condition) {
  return condition.absent || condition.present || condition.one_of;
}
const FileHead* present(const Kept<FileHead>& head) { return head.value ? &*head.value : nullptr; }
Error too_many() { return Error(Errc::overloaded, "too many transfers at this node, try again"); }

/// Of a step before the one that counts.
Error not_done(const Error& error) { return Error(error.code(), error.message(), Executed::no); }

Result<void> check_batch(std::size_t count) {
  if (count <= proto::kFileBatchMax) return {};
  return Error(Errc::invalid_argument, "at most 16 blobs at once");
}

}  // namespace

/// The turn of one request, which ends with it.
class FileServer::Turn {
 public:
  /// After `wait_for_turn`.
  explicit Turn(FileServer& server) : server_(server) {}
  ~Turn() { --server_.open_; }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

 private:
  FileServer& server_;
};

FileServer::FileServer(Options options, NodeId self, Ref<KvServer> store,
                       std::shared_ptr<const RingBoard> ring)
    : options_(options), self_(std::move(self)), store_(std::move(store)), ring_(std::move(ring)) {}

Result<void> FileServer::init() {
  send_every(options_.collect_interval, Tick{});
  return {};
}

Task<bool> FileServer::wait_for_turn() {
  const Instant end = now() + options_.turn_wait;
  while (open_ >= options_.open_max) {
    if (now() >= end || waiting_ >= kWaitingFactor * options_.open_max) co_return false;
    ++waiting_;
    co_await sleep(kTurnPause);
    --waiting_;
  }
  ++open_;
  co_return true;
}

Task<Result<proto::KvAnswer>> FileServer::ask(const proto::KvRequest& request) {
  KvAsk message{request};
  message.request.timeout_ms = static_cast<std::uint32_t>(kStoreTime / 1ms);
  auto pending = call(store_, std::move(message), kStoreTime + kAnswerTime);
  auto outcome = co_await pending;
  auto answer = outcome ? std::move(*outcome).result() : Result<proto::KvAnswer>(outcome.error());
  if (!answer && request.verb == proto::KvVerb::get) co_return not_done(answer.error());
  co_return answer;
}

/// Leaves `requests` empty.
Task<Result<std::vector<KvOutcome>>> FileServer::ask_all(std::vector<proto::KvRequest>& requests) {
  for (auto& request : requests) request.timeout_ms = static_cast<std::uint32_t>(kStoreTime / 1ms);
  KvBatch message{std::exchange(requests, {})};
  auto pending = call(store_, std::move(message), kStoreTime + kAnswerTime);
  co_return co_await pending;
}

Task<Result<FileServer::Head>> FileServer::read_head(const std::string& name) {
  const auto request = read_of(kNames, name);
  auto head = kept<FileHead>(co_await ask(request));
  if (head && head->value)
    if (auto ok = check(*head->value); !ok) co_return ok.error();
  co_return head;
}

Task<Result<FileServer::Upload>> FileServer::read_upload(const FileUploadId& upload) {
  const auto request = read_of(kUploads, upload_key(upload));
  co_return kept<UploadRecord>(co_await ask(request));
}

Task<Result<void>> FileServer::write_upload(const FileUploadId& upload, const UploadRecord& record,
                                            const VersionVector& context, proto::KvCondition condition) {
  auto request = write_of(kUploads, upload_key(upload), wire::encode(record), context);
  request.condition = condition;
  const auto written = co_await ask(request);
  if (!written) co_return written.error();
  co_return Result<void>();
}

Task<Result<void>> FileServer::admit(const FileUploadId& upload) {
  const auto known = admitted_.find(upload);
  if (known != admitted_.end() && now() - known->second < kTouchInterval) co_return Result<void>();
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    auto found = co_await read_upload(upload);
    if (!found) co_return found.error();
    if (!found->value || found->value->dropped) co_return given_up();
    found->value->touched = wall_now();
    // Only over what was read: who drops it meanwhile has the last word.
    auto written = co_await write_upload(upload, *found->value, found->context, proto::KvCondition::matches);
    if (!written && !is_overtaken(written.error())) co_return written;
    if (!written) continue;
    if (admitted_.size() >= kAdmittedMax) admitted_.clear();
    admitted_[upload] = now();
    co_return written;
  }
  co_return contended("an upload");
}

Task<Result<void>> FileServer::drop(const FileUploadId& upload, const std::string& name) {
  admitted_.erase(upload);
  const auto found = co_await read_upload(upload);
  if (!found) co_return found.error();
  const UploadRecord record{.name = name, .touched = wall_now(), .dropped = true};
  co_return co_await write_upload(upload, record, found->context, proto::KvCondition::none);
}

Task<Result<void>> FileServer::open_upload(const FileUploadId& upload, const std::string& name) {
  const UploadRecord record{.name = name, .touched = wall_now()};
  const VersionVector none;
  co_return co_await write_upload(upload, record, none, proto::KvCondition::none);
}

Task<Result<proto::FileBegin::Answer>> FileServer::handle_call(proto::FileBegin begin) {
  if (auto ok = proto::check_file_name(begin.name); !ok) co_return ok.error();
  if (is_stated(begin.condition)) {
    const auto head = co_await read_head(begin.name);
    if (!head) co_return head.error();
    if (auto holds = check(begin.condition, begin.name, present(*head)); !holds)
      co_return not_done(holds.error());
  }
  proto::FileBegin::Answer answer;
  if (begin.fresh) {
    crypto::random_bytes(answer.upload);
    if (const auto opened = co_await open_upload(answer.upload, begin.name); !opened)
      co_return opened.error();
    co_return answer;
  }
  const auto read = read_of(kDrafts, begin.name);
  auto draft = kept<FileUploadId>(co_await ask(read));
  if (!draft) co_return draft.error();
  if (draft->value) {
    const auto admitted = co_await admit(*draft->value);
    if (!admitted && admitted.error().code() != Errc::not_found) co_return admitted.error();
    if (admitted) {
      answer = {.upload = *draft->value, .resumes = true};
      co_return answer;
    }
  }
  crypto::random_bytes(answer.upload);
  if (const auto opened = co_await open_upload(answer.upload, begin.name); !opened) co_return opened.error();
  auto write = write_of(kDrafts, begin.name, wire::encode(answer.upload), draft->context);
  write.ttl_ms = static_cast<std::uint64_t>(options_.unfinished_age / 1ms);
  if (const auto written = co_await ask(write); !written) co_return written.error();
  co_return answer;
}

Task<Result<std::vector<bool>>> FileServer::handle_call(proto::FileMissing missing) {
  if (auto ok = check_batch(missing.hashes.size()); !ok) co_return ok.error();
  const bool granted = co_await wait_for_turn();
  if (!granted) co_return too_many();
  const Turn turn(*this);
  if (const auto admitted = co_await admit(missing.upload); !admitted) co_return not_done(admitted.error());
  std::vector<bool> lacks;
  for (const auto& hash : missing.hashes) {  // one at a time: each is read in full
    const auto request = read_of(kBlobs, blob_key(missing.upload, hash));
    const auto found = co_await ask(request);
    if (!found) co_return found.error();
    lacks.push_back(found->values.empty() || !proto::check_blob(hash, found->values.back()));
  }
  co_return lacks;
}

Task<Result<std::uint64_t>> FileServer::handle_call(proto::FileStoreBlobs store) {
  if (auto ok = check_batch(store.blobs.size()); !ok) co_return ok.error();
  std::size_t bytes = 0;
  for (const auto& blob : store.blobs) bytes += blob.data.size();
  static_assert(proto::kFileChunkBytesMax == proto::kFileBatchBytes);
  if (bytes > proto::kFileBatchBytes) co_return Error(Errc::too_large, "blobs of at most 4 MiB at once");
  const bool granted = co_await wait_for_turn();
  if (!granted) co_return too_many();
  const Turn turn(*this);
  for (const auto& blob : store.blobs)
    if (auto ok = proto::check_blob(blob.hash, blob.data); !ok) co_return ok.error();
  if (const auto admitted = co_await admit(store.upload); !admitted) co_return not_done(admitted.error());
  std::vector<proto::KvRequest> writes;
  for (auto& blob : store.blobs)
    writes.push_back(write_of(kBlobs, blob_key(store.upload, blob.hash), std::move(blob.data)));
  const std::uint64_t count = writes.size();
  if (count == 0) co_return count;
  auto outcomes = co_await ask_all(writes);
  if (!outcomes) co_return outcomes.error();
  for (auto& outcome : *outcomes)
    if (auto result = std::move(outcome).result(); !result)  // of the others some may be stored
      co_return Error(result.error().code(), result.error().message(), Executed::unknown);
  co_return count;
}

Task<Result<FileHead>> FileServer::handle_call(proto::FileCommit commit) {
  if (auto ok = proto::check_file_name(commit.name); !ok) co_return ok.error();
  if (auto ok = proto::check(commit.head); !ok) co_return Error(Errc::invalid_argument, ok.error().message());
  auto head = std::move(commit.head);
  const auto before = co_await read_head(commit.name);
  if (before && before->value && before->value->upload == head.upload && before->value->root == head.root)
    co_return *before->value;  // asked again
  admitted_.erase(head.upload);
  if (const auto admitted = co_await admit(head.upload); !admitted) co_return not_done(admitted.error());
  if (head.size > 0) {
    const auto request = read_of(kBlobs, blob_key(head.upload, head.root));
    const auto root = co_await ask(request);
    if (!root) co_return root.error();
    if (root->values.empty() || !proto::check_blob(head.root, root->values.back()))
      co_return Error(Errc::invalid_argument, "not all of the file has been stored");
  }
  // What is replaced is dropped before, so that no blobs are left to nobody: it must be what was read.
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const auto old = co_await read_head(commit.name);
    if (!old && old.error().code() != Errc::corrupt) co_return old.error();
    const auto* const replaced = old ? present(*old) : nullptr;
    if (!old && is_stated(commit.condition)) co_return old.error();
    if (auto holds = check(commit.condition, commit.name, replaced); !holds) {
      static_cast<void>(co_await drop(head.upload, commit.name));
      co_return not_done(holds.error());
    }
    if (replaced && replaced->upload != head.upload)
      if (const auto dropped = co_await drop(replaced->upload, commit.name); !dropped)
        co_return not_done(dropped.error());
    head.stored = wall_now();
    auto write = write_of(kNames, commit.name, wire::encode(head), old ? old->context : VersionVector{});
    write.condition = !old       ? proto::KvCondition::replace
                      : replaced ? proto::KvCondition::matches
                                 : proto::KvCondition::absent;
    const auto written = co_await ask(write);
    if (!written && !is_overtaken(written.error())) co_return written.error();
    if (!written) continue;
    co_await forget_attempt(head.upload, commit.name);
    co_return head;
  }
  co_return contended(commit.name);
}

/// What fails here is made good by the collection.
Task<void> FileServer::forget_attempt(const FileUploadId& upload, const std::string& name) {
  admitted_.erase(upload);
  const auto read = read_of(kDrafts, name);
  const auto draft = kept<FileUploadId>(co_await ask(read));
  if (draft && draft->value == upload) {
    const auto request = delete_of(kDrafts, name, draft->context);
    static_cast<void>(co_await ask(request));
  }
  const auto found = co_await read_upload(upload);
  if (!found || !found->value || found->value->dropped) co_return;  // removed or replaced meanwhile
  auto request = delete_of(kUploads, upload_key(upload), found->context);
  request.condition = proto::KvCondition::matches;
  static_cast<void>(co_await ask(request));
}

Task<Result<bool>> FileServer::handle_call(proto::FileAbandon abandon) {
  if (auto ok = proto::check_file_name(abandon.name); !ok) co_return ok.error();
  const auto head = co_await read_head(abandon.name);
  if (!head) co_return head.error();
  if (head->value && head->value->upload == abandon.upload) co_return false;  // it is a file
  const auto begun = co_await read_upload(abandon.upload);
  if (!begun) co_return begun.error();
  if (!begun->value || begun->value->name != abandon.name) co_return false;  // it is no attempt at this name
  if (const auto dropped = co_await drop(abandon.upload, abandon.name); !dropped) co_return dropped.error();
  co_return true;
}

Task<Result<FileHead>> FileServer::handle_call(proto::FileStat stat) {
  if (auto ok = proto::check_file_name(stat.name); !ok) co_return ok.error();
  const auto head = co_await read_head(stat.name);
  if (!head) co_return head.error();
  if (!head->value) co_return not_there(stat.name);
  co_return *head->value;
}

Task<Result<std::vector<Bytes>>> FileServer::handle_call(proto::FileFetch fetch) {
  if (auto ok = check_batch(fetch.hashes.size()); !ok) co_return ok.error();
  const bool granted = co_await wait_for_turn();
  if (!granted) co_return too_many();
  const Turn turn(*this);
  std::vector<Bytes> blobs;
  if (fetch.hashes.empty()) co_return blobs;
  std::vector<proto::KvRequest> reads;
  for (const auto& hash : fetch.hashes) reads.push_back(read_of(kBlobs, blob_key(fetch.upload, hash)));
  auto outcomes = co_await ask_all(reads);
  if (!outcomes) co_return not_done(outcomes.error());
  for (std::size_t i = 0; i < outcomes->size(); ++i) {
    auto found = std::move((*outcomes)[i]).result();
    if (!found) co_return not_done(found.error());
    if (found->values.empty())
      co_return Error(Errc::not_found,
                      "a part of the file is not there: it was removed meanwhile, or is lost");
    if (auto ok = proto::check_blob(fetch.hashes[i], found->values.back()); !ok) co_return ok.error();
    blobs.push_back(std::move(found->values.back()));
  }
  co_return blobs;
}

Task<Result<proto::FileList::Answer>> FileServer::handle_call(proto::FileList list) {
  const auto limit = std::clamp<std::uint32_t>(list.limit, 1, proto::kFileListMax);
  const KvScan scan{.bucket = std::string(kNames),
                    .from = list.after.empty() ? std::string() : list.after + '\0',
                    .prefix = list.prefix,
                    .limit = limit};
  auto page = co_await scan_all(scan);
  if (page.silent.size() == ring_->read()->members.size())
    co_return Error(Errc::unreachable, "no member of the ring answers");
  proto::FileList::Answer answer;
  answer.silent = std::move(page.silent);
  if (page.more) answer.next = page.keys.back();
  for (std::size_t begin = 0; begin < page.keys.size(); begin += kHeadsAtOnce) {
    const auto end = std::min(begin + kHeadsAtOnce, page.keys.size());
    std::vector<proto::KvRequest> reads;
    for (auto i = begin; i < end; ++i) reads.push_back(read_of(kNames, page.keys[i]));
    auto outcomes = co_await ask_all(reads);
    if (!outcomes) co_return not_done(outcomes.error());
    for (auto i = begin; i < end; ++i) {
      auto head = kept<FileHead>(std::move((*outcomes)[i - begin]).result());
      if (!head && head.error().code() != Errc::corrupt) co_return not_done(head.error());
      if (head && head->value) answer.files.push_back({std::move(page.keys[i]), std::move(*head->value)});
    }
  }
  co_return answer;
}

Task<Result<FileHead>> FileServer::handle_call(proto::FileRemove remove) {
  if (auto ok = proto::check_file_name(remove.name); !ok) co_return ok.error();
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const auto found = co_await read_head(remove.name);
    if (!found) co_return found.error();
    if (auto holds = check(remove.condition, remove.name, present(*found)); !holds)
      co_return not_done(holds.error());
    if (!found->value) co_return not_there(remove.name);
    if (const auto dropped = co_await drop(found->value->upload, remove.name); !dropped)
      co_return not_done(dropped.error());
    auto request = delete_of(kNames, remove.name, found->context);
    request.condition = proto::KvCondition::matches;
    const auto gone = co_await ask(request);
    if (!gone && !is_overtaken(gone.error())) co_return gone.error();
    if (gone) co_return *found->value;
  }
  co_return contended(remove.name);
}

}  // namespace cluster
