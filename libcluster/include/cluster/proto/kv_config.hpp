#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#include "cluster/base/node_id.hpp"
#include "cluster/base/time.hpp"
#include "cluster/proto/kv_record.hpp"

namespace cluster::proto {

struct KvConfig {
  NodeId self{};
  Boot boot{};  ///< of this process
  KvBucket bucket{};
  std::map<std::string, KvBucket, std::less<>> buckets{};  ///< that differ from it; the same on all nodes
  Duration request_timeout = 5s;
  Duration retry_interval = 400ms;      ///< a replica that did not answer is asked again
  Duration view_interval = 50ms;        ///< one that places the key elsewhere
  Duration ring_rest = 250ms;           ///< a ring is entered when it has not changed for so long,
                                        ///< and so long more for each 16 members
  Duration ring_rest_max = 3s;          ///< or when it has been changing for so long, more for each 32
  Duration sync_interval = 10s;         ///< between two comparisons with another node
  Duration session_timeout = 5s;        ///< of one without progress
  Duration upkeep_interval = 20ms;      ///< between two portions of hints and of keys handed over
  std::size_t page_bytes = 256u << 10;  ///< of one portion; a greater record goes alone
  std::size_t page_keys = 256;
  std::size_t hints_max = 100'000;               ///< keys; what was missed beyond is found by comparison
  std::size_t operations_max = 16'384;           ///< under way at once; more are refused
  std::size_t operation_bytes_max = 256u << 20;  ///< each of values written, read, and that wait for the disk
  std::size_t large_bytes = 256u << 10;     ///< a record of more is told of first, and sent when asked for
  std::size_t spread_bytes_max = 4u << 20;  ///< of hints and keys handed over, under way; then no more
  Duration tombstone_age = 24h;             ///< a deleted key is kept so long, at least
};

/// How far a node is with what it has to get, and to hand over.
struct KvProgress {
  bool settled = false;        ///< it has all that it is to hold
  std::size_t to_compare = 0;  ///< nodes that it must compare with first
  bool handing_over = false;   ///< it looks for keys that belong to others
  double handed_over = 0;      ///< 0..1, of the key space in this pass
  std::uint64_t left = 0;      ///< keys that belong to others, as far as it has looked
  bool leaving = false;        ///< its weight in the ring is 0
  bool drained = false;        ///< leaving, and the others have all that it held
  std::size_t hints = 0;       ///< writes that other nodes have missed
  std::string fault{};         ///< of the disk: the store takes part in nothing any more; empty: none
};

struct KvCounters {
  std::uint64_t requests = 0;
  std::uint64_t failures = 0;
  std::uint64_t reads = 0;    ///< answered as a replica
  std::uint64_t writes = 0;   ///< taken as a replica
  std::uint64_t views = 0;    ///< refused: the asker placed the key elsewhere
  std::uint64_t repairs = 0;  ///< replicas that a read found behind
  std::uint64_t sessions = 0;
  std::uint64_t sessions_completed = 0;
  std::uint64_t sessions_failed = 0;
  std::uint64_t records_received = 0;  ///< by comparison
  std::uint64_t handed_over = 0;       ///< keys
  std::uint64_t handed_over_bytes = 0;
  std::uint64_t hinted = 0;
  std::uint64_t forgotten = 0;
  std::uint64_t refused = 0;
  std::uint64_t looks = 0;       ///< for what this node lacks
  std::uint64_t look_steps = 0;  ///< about 10 ns each
};

}  // namespace cluster::proto
