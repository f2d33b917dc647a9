#pragma once
#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "cluster/base/node_id.hpp"
#include "cluster/kv/kv_server.hpp"

namespace cluster {

/// The first `limit` keys of a bucket that any member holds, from what each tells in pages of its own. Ask
/// and take by turns until there are no questions:
///
///   while (const auto questions = listing.questions(); !questions.empty()) ...
class KvListing {
 public:
  KvListing(KvScan scan, const std::vector<NodeId>& members);

  struct Question {
    NodeId member;
    KvScan scan;
  };
  /// Whom to ask now. None: the page is complete.
  [[nodiscard]] std::vector<Question> questions() const;
  /// A member that does not answer is not asked again.
  void take(const NodeId& member, Result<KvScan::Answer> answer);

  struct Page {
    std::vector<std::string> keys{};  ///< in order
    bool more = false;                ///< after the last of them
    std::vector<NodeId> silent{};
  };
  [[nodiscard]] Page page() &&;

 private:
  KvScan scan_;
  std::map<NodeId, std::string> from_{};  // who has more, and from where on
  std::set<std::string> keys_{};          // the first of all that were told, `limit` and one more
  std::vector<NodeId> silent_{};
};

}  // namespace cluster
