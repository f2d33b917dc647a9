#pragma once
#include <string>
#include <string_view>
#include <utility>

#include "cluster/base/result.hpp"
#include "cluster/proto/kv_record.hpp"

namespace cluster::proto {

/// How a bucket is kept, as people write it: "NAME:n=3,r=2,w=2,last". What is not stated is as in
/// `otherwise`. The last word is one of
///   siblings  a reader gets all values that were written without knowledge of each other
///   last      the one written last by the clocks stays
///   max       the greatest stays, byte by byte: numbers of one length, dates
///   union     all lines of all of them stay, sorted, each once
/// NAME "*" is that of no bucket, for all that are not named.
[[nodiscard]] Result<std::pair<std::string, KvBucket>> parse_kv_bucket(std::string_view text,
                                                                       const KvBucket& otherwise = {});
/// "siblings", "last", or the name of the function.
[[nodiscard]] std::string_view resolve_name(const KvBucket& bucket) noexcept;

}  // namespace cluster::proto
