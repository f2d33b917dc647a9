#include "cluster/runtime/ref.hpp"

#include "cluster/base/utf8.hpp"

namespace cluster::runtime {

Result<void> check_server_name(std::string_view name) {
  if (name.empty()) return Error(Errc::invalid_argument, "a server name must not be empty");
  if (name.size() > 255) return Error(Errc::invalid_argument, "a server name has at most 255 bytes");
  if (!is_utf8(name) || has_control_character(name))
    return Error(Errc::invalid_argument, "a server name is UTF-8 without control characters");
  if (name.find('@') != std::string_view::npos)
    return Error(Errc::invalid_argument, "a server name must not contain '@'");
  return {};
}

Result<Target> parse_target(std::string_view address, const NodeId& self) {
  const auto at = address.find('@');
  const auto name = address.substr(0, at);
  if (auto checked = check_server_name(name); !checked) return std::move(checked).error();
  Target target;
  target.name = name;
  if (at == std::string_view::npos) return target;
  auto node = NodeId::parse(address.substr(at + 1));
  if (!node) return std::move(node).error();
  if (node.value() != self) target.node = std::move(node).value();
  return target;
}

}  // namespace cluster::runtime
