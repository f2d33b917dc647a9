#include "cluster/base/node_id.hpp"

#include <stdexcept>
#include <utility>

#include "cluster/base/utf8.hpp"

namespace cluster {
namespace {

const char* fault(std::string_view text) noexcept {
  if (text.empty()) return "a node id must not be empty";
  if (text.size() > NodeId::kBytesMax) return "a node id has at most 255 bytes";
  if (!is_utf8(text)) return "a node id must be valid UTF-8";
  if (has_control_character(text)) return "a node id must not contain control characters";
  return nullptr;
}

}  // namespace

NodeId::NodeId(const char* text) : NodeId(std::string(text)) {}

NodeId::NodeId(std::string text) : text_(std::move(text)) {
  if (const char* why = fault(text_)) throw std::invalid_argument(why);
}

Result<NodeId> NodeId::parse(std::string_view text) {
  if (const char* why = fault(text)) return Error(Errc::invalid_argument, why);
  NodeId id;
  id.text_ = text;
  return id;
}

}  // namespace cluster
