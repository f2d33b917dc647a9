#include "cluster/files/file_store.hpp"

namespace cluster {

Result<Ref<FileServer>> start_file_store(Node& node, const KvStore& store, FileServer::Options options) {
  return node.spawn<FileServer>({.name = std::string(FileServer::kName), .restart = Restart::on_failure},
                                options, node.id(), store.server(), node.ring_board());
}

}  // namespace cluster
