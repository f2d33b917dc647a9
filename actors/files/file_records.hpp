#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "cluster/proto/file.hpp"
#include "cluster/proto/kv_config.hpp"
#include "cluster/proto/kv_messages.hpp"

/// How files lie in the key-value store.
namespace cluster::files {

// Buckets, and what their keys are.
inline constexpr std::string_view kNames = "file.names";      ///< name: FileHead
inline constexpr std::string_view kUploads = "file.uploads";  ///< upload: UploadRecord
inline constexpr std::string_view kDrafts = "file.drafts";    ///< name: the upload that is under way
inline constexpr std::string_view kBlobs = "file.blobs";      ///< upload/hash: the blob

/// An upload that is not a file yet, or no longer. That of a file that can be read has no record, or one that
/// is about to go.
struct UploadRecord {
  std::string name{};
  WallTime touched{};    ///< it was last known to be at work
  bool dropped = false;  ///< it will never be a file again; its blobs may go once nobody reads them
};

[[nodiscard]] std::string upload_key(const proto::FileUploadId& upload);
[[nodiscard]] std::optional<proto::FileUploadId> upload_from_key(std::string_view key);
[[nodiscard]] std::string blob_key(const proto::FileUploadId& upload, const proto::FileHash& hash);

[[nodiscard]] proto::KvRequest read_of(std::string_view bucket, std::string key);
/// Replaces what a read with this context saw.
[[nodiscard]] proto::KvRequest write_of(std::string_view bucket, std::string key, Bytes value,
                                        VersionVector context = {});
[[nodiscard]] proto::KvRequest delete_of(std::string_view bucket, std::string key,
                                         VersionVector context = {});

/// One value and the context that replaces it.
template <class T>
struct Kept {
  std::optional<T> value{};
  VersionVector context{};
};
/// The value that a read found, if any. `corrupt` if it cannot be understood.
template <class T>
[[nodiscard]] Result<Kept<T>> kept(Result<proto::KvAnswer> answer) {
  if (!answer) return std::move(answer).error();
  Kept<T> found;
  found.context = std::move(answer->context);
  if (answer->values.empty()) return found;
  auto value = wire::decode<T>(answer->values.back());
  if (!value) return Error(Errc::corrupt, "what is stored cannot be read: " + value.error().message());
  found.value = std::move(value).value();
  return found;
}

/// The buckets as the file store needs them: the last write wins, on as many replicas as of a bucket that is
/// not named. The same on all nodes. `invalid_argument` if one of them is there already.
[[nodiscard]] Result<void> add_buckets(proto::KvConfig& config);

}  // namespace cluster::files
