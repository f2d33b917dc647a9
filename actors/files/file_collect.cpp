// What becomes of blobs that no file names.
#include <utility>

#include "cluster/base/log.hpp"
#include "cluster/files/file_server.hpp"

// No aggregate is made inside a co_await expression here: GCC 12 would destroy it twice.

namespace cluster {
namespace {

using namespace files;

constexpr Duration kMemberTime = 2s;  // for a member to tell its keys
constexpr std::uint32_t kUploadsAtOnce = 256;
constexpr std::uint32_t kBlobsAtOnce = 64;

}  // namespace

Task<KvListing::Page> FileServer::scan_all(const KvScan& scan) {
  std::vector<NodeId> members;
  for (const auto& member : ring_->read()->members) members.push_back(member.id);
  KvListing listing(KvScan(scan), members);
  while (true) {
    const auto questions = listing.questions();
    if (questions.empty()) break;
    std::vector<PendingCall<KvScan::Answer>> asked;
    std::vector<NodeId> askees;
    for (const auto& [member, asks] : questions) {
      const auto there = ref<KvServer>(std::string(KvServer::kName) + "@" + member.str());
      if (!there) {
        listing.take(member, there.error());
        continue;
      }
      asked.push_back(call(*there, KvScan(asks), kMemberTime));
      askees.push_back(member);
    }
    for (std::size_t i = 0; i < asked.size(); ++i) {
      auto found = co_await asked[i];
      listing.take(askees[i], std::move(found));
    }
  }
  co_return std::move(listing).page();
}

bool FileServer::owns(const std::string& upload_key) const {
  const auto view = ring_->read();
  const auto* const owner = view->hash.find(proto::ring_text({std::string(kUploads), upload_key}));
  return owner != nullptr && owner->id == self_;
}

Task<void> FileServer::handle_info(Tick) {
  const auto done = co_await collect(false);
  if (done && done->collected > 0)
    log::info("files", "collected ", done->collected, " uploads that no file names, ", done->blobs, " blobs");
}

Task<Result<proto::FileCollect::Answer>> FileServer::handle_call(proto::FileCollect collect) {
  co_return co_await this->collect(collect.at_once);
}

Task<Result<proto::FileCollect::Answer>> FileServer::collect(bool at_once) {
  if (collecting_) co_return Error(Errc::overloaded, "this node is collecting already");
  collecting_ = true;
  proto::FileCollect::Answer counts;
  KvScan scan{.bucket = std::string(kUploads), .limit = kUploadsAtOnce};
  while (true) {
    auto pending = call(store_, KvScan(scan), kMemberTime);
    const auto page = co_await pending;
    if (!page) {
      collecting_ = false;
      co_return page.error();
    }
    for (const auto& key : page->keys) {
      if (!owns(key)) continue;
      ++counts.uploads;
      const auto done = co_await collect_one(key, at_once, counts);
      if (!done) log::debug("files", "an upload is to be collected later: ", done.error().message());
    }
    if (page->next.empty()) break;
    scan.from = page->next;
  }
  collecting_ = false;
  co_return counts;
}

/// An attempt that rested for too long is dropped first, and its blobs go some minutes later: an attempt that
/// comes to its end just now has told so by then. A file that is read, or could be, has the name's head.
Task<Result<void>> FileServer::collect_one(const std::string& key, bool at_once,
                                           proto::FileCollect::Answer& counts) {
  const auto upload = upload_from_key(key);
  if (!upload) co_return Error(Errc::corrupt, "an upload with a key that is none");
  auto found = co_await read_upload(*upload);
  if (!found) co_return found.error();
  if (!found->value) co_return Result<void>();
  auto& record = *found->value;
  const Duration age = wall_now() - record.touched;
  if (!record.dropped) {
    if (age < options_.unfinished_age) co_return Result<void>();
    record.dropped = true;
    record.touched = wall_now();
    auto mark = write_of(kUploads, key, wire::encode(record), found->context);
    mark.condition = proto::KvCondition::matches;
    const auto marked = co_await ask(mark);
    if (!marked) co_return marked.error();
    co_return Result<void>();
  }
  if (age < options_.dropped_age && !at_once) co_return Result<void>();
  const auto head = co_await read_head(record.name);
  if (!head) co_return head.error();
  const bool is_file = head->value && head->value->upload == *upload;
  if (!is_file) {
    const auto gone = co_await delete_blobs(key, counts);
    if (!gone) co_return gone.error();
    if (!*gone) co_return Result<void>();
    ++counts.collected;
  }
  auto forget = delete_of(kUploads, key, found->context);
  forget.condition = proto::KvCondition::matches;
  const auto forgotten = co_await ask(forget);
  if (!forgotten) co_return forgotten.error();
  co_return Result<void>();
}

Task<Result<bool>> FileServer::delete_blobs(const std::string& key, proto::FileCollect::Answer& counts) {
  KvScan scan{.bucket = std::string(kBlobs), .prefix = key + '/', .limit = kBlobsAtOnce};
  bool any = false;
  while (true) {
    auto page = co_await scan_all(scan);
    if (!page.silent.empty())
      co_return Error(Errc::unreachable, "not all members tell what they hold of an upload");
    if (page.keys.empty()) {
      if (!any) co_return true;
      any = false;  // once more from the beginning: what was deleted is gone
      scan.from.clear();
      continue;
    }
    any = true;
    scan.from = page.more ? page.keys.back() + '\0' : key + "0";
    std::vector<proto::KvRequest> deletes;
    for (auto& blob : page.keys) deletes.push_back(delete_of(kBlobs, std::move(blob)));
    const auto count = deletes.size();
    auto outcomes = co_await ask_all(deletes);
    if (!outcomes) co_return outcomes.error();
    for (auto& outcome : *outcomes)
      if (auto result = std::move(outcome).result(); !result) co_return result.error();
    counts.blobs += count;
  }
}

}  // namespace cluster
