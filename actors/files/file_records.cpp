#include "cluster/files/file_records.hpp"

#include <algorithm>

namespace cluster::files {

std::string upload_key(const proto::FileUploadId& upload) { return hex(upload); }

std::optional<proto::FileUploadId> upload_from_key(std::string_view key) {
  const auto bytes = from_hex(key);
  proto::FileUploadId upload{};
  if (!bytes || bytes->size() != upload.size()) return std::nullopt;
  std::ranges::copy(*bytes, upload.begin());
  return upload;
}

std::string blob_key(const proto::FileUploadId& upload, const proto::FileHash& hash) {
  return hex(upload) + '/' + hex(hash);
}

proto::KvRequest read_of(std::string_view bucket, std::string key) {
  proto::KvRequest request;
  request.key = {std::string(bucket), std::move(key)};
  return request;
}

proto::KvRequest write_of(std::string_view bucket, std::string key, Bytes value, VersionVector context) {
  auto request = read_of(bucket, std::move(key));
  request.verb = proto::KvVerb::put;
  request.value = std::move(value);
  request.context = std::move(context);
  return request;
}

proto::KvRequest delete_of(std::string_view bucket, std::string key, VersionVector context) {
  auto request = read_of(bucket, std::move(key));
  request.verb = proto::KvVerb::del;
  request.context = std::move(context);
  return request;
}

Result<void> add_buckets(proto::KvConfig& config) {
  auto bucket = config.bucket;
  bucket.resolve = proto::KvResolve::last;
  bucket.merge = nullptr;
  for (const auto name : {kNames, kUploads, kDrafts, kBlobs})
    if (!config.buckets.try_emplace(std::string(name), bucket).second)
      return Error(Errc::invalid_argument, "bucket '" + std::string(name) +
                                               "' is the file store's own: it is kept on as many replicas as "
                                               "buckets that are not named");
  return {};
}

}  // namespace cluster::files
