#pragma once
#include "cluster/files/file_server.hpp"
#include "cluster/kv/kv_store.hpp"
#include "cluster/node/node.hpp"

namespace cluster {

/// Files of any size in the key-value store of a node's ring (docs/files.md). `config.kv` of the store must
/// have gone through `files::add_buckets`, on all nodes.
///
///   KvStoreConfig config{.folder = data_dir + "/kv"};
///   files::add_buckets(config.kv).value();
///   auto store = cluster::KvStore::start(node, std::move(config)).value();
///   auto files = cluster::start_file_store(node, store).value();
///   node.call(files, proto::FileStat{"a file"});
[[nodiscard]] Result<Ref<FileServer>> start_file_store(Node& node, const KvStore& store,
                                                       FileServer::Options options = {});

}  // namespace cluster
