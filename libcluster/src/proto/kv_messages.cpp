#include "cluster/proto/kv_messages.hpp"

#include <algorithm>
#include <string_view>

#include "cluster/base/utf8.hpp"

namespace cluster::proto {
namespace {

Error bad_kv(const char* what) { return Error(Errc::bad_message, what); }

Result<void> check_that(const KvForward& m) { return check(m.request); }
Result<void> check_that(const KvForwarded& m) {
  if (m.answer.values.size() > kKvSiblingsMax) return bad_kv("an answer with too many values");
  return {};
}
Result<void> check_that(const KvClaim&) { return {}; }
Result<void> check_that(const KvGrant&) { return {}; }
Result<void> check_that(const KvRead& m) { return check(m.key); }
Result<void> check_that(const KvReadReply& m) {
  if (m.bytes > kKvRecordBytesMax || (m.status == KvStatus::large && !m.record.empty()))
    return bad_kv("a large record out of bounds");
  return check(m.record);
}
Result<void> check_that(const KvWrite& m) {
  if (auto ok = check(m.key); !ok) return ok;
  return check(m.record);
}
Result<void> check_that(const KvWriteReply&) { return {}; }
Result<void> check_that(const KvHello& m) {
  if (m.bases.size() > 2 * kKvHistoryMax || m.history.size() > kKvHistoryMax) return bad_kv("too many rings");
  for (const auto* rings : {&m.bases, &m.history})
    for (const auto& ring : *rings)
      if (ring.members.size() > kKvMembersMax) return bad_kv("too many members");
  return {};
}
Result<void> check_that(const KvSyncAsk& m) {
  if (m.branches.size() != kKvBranches) return bad_kv("a hash tree of another size");
  return {};
}
Result<void> check_that(const KvSyncDiffer& m) {
  for (std::size_t i = 0; i < m.branches.size(); ++i) {
    const auto& branch = m.branches[i];
    if (branch.index >= kKvBranches || branch.leaves.size() != kKvBranches ||
        (i > 0 && m.branches[i - 1].index >= branch.index))
      return bad_kv("a hash tree of another shape");
  }
  return {};
}
Result<void> check_that(const KvSyncLeaf& m) {
  if (m.leaf >= kKvLeaves || m.held.size() > kKvHeldMax || !std::ranges::is_sorted(m.held))
    return bad_kv("a leaf out of bounds");
  return {};
}
Result<void> check_that(const KvSyncRecords& m) {
  if (m.leaf >= kKvLeaves || m.wanted.size() > kKvHeldMax) return bad_kv("records out of bounds");
  for (const auto& entry : m.entries) {
    if (auto ok = check(entry.key); !ok) return ok;
    if (auto ok = check(entry.record); !ok) return ok;
  }
  return {};
}
Result<void> check_that(const KvSyncTaken& m) {
  if (m.leaf >= kKvLeaves) return bad_kv("a leaf out of bounds");
  return {};
}
Result<void> check_that(const KvForget& m) {
  if (m.entries.size() > kKvForgetMax) return bad_kv("too many keys to forget");
  for (const auto& entry : m.entries)
    if (auto ok = check(entry.key); !ok) return ok;
  return {};
}
Result<void> check_that(const KvForgetReply& m) {
  if (m.agreed.size() > kKvForgetMax) return bad_kv("too many keys to forget");
  return {};
}

/// Every door can say it, also in a path. What was stored by an earlier version is read and deleted as it is.
Result<void> check_new_key(std::string_view key) {
  if (!is_utf8(key)) return Error(Errc::invalid_argument, "a key is UTF-8");
  if (has_control_character(key)) return Error(Errc::invalid_argument, "a key has no control characters");
  if (key == "." || key == "..") return Error(Errc::invalid_argument, "'.' and '..' are no keys");
  return {};
}

}  // namespace

Result<void> check(const KvRequest& request) {
  if (auto ok = check(request.key); !ok) return ok;
  if (request.verb == KvVerb::put)
    if (auto ok = check_new_key(request.key.key); !ok) return ok;
  if (request.value.size() > kKvValueBytesMax) return Error(Errc::too_large, "a value has at most 64 MiB");
  if (!request.context.is_valid(KvRecord::kContextMax + kKvSiblingsMax))
    return Error(Errc::invalid_argument, "this is no context of a key");
  if (request.condition == KvCondition::matches && request.context.entries.empty())
    return Error(Errc::invalid_argument, "a write that depends on the context needs one");
  constexpr std::uint64_t kTtlMax = 1000ULL * 60 * 60 * 24 * 36500;
  if (request.ttl_ms > kTtlMax) return Error(Errc::invalid_argument, "a time to live is at most 100 years");
  return {};
}

Result<void> check(const KvMessage& message) {
  return std::visit([](const auto& m) { return check_that(m); }, message);
}

}  // namespace cluster::proto
