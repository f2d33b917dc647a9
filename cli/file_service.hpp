#pragma once
#include <functional>
#include <memory>
#include <string_view>
#include <utility>

#include "cluster/proto/file.hpp"
#include "connection.hpp"

namespace cluster::cli {

/// Whether the same question may have an answer a little later.
[[nodiscard]] bool may_pass(Errc code) noexcept;

/// Of a look, or of an upload before the step that makes a file of it.
[[nodiscard]] inline Error nothing_done(const Error& error) {
  return {error.code(), error.message(), Executed::no};
}

/// The server `files` of the node. A question is asked again, over a new connection if need be, while the
/// node or the store cannot answer now: every one of them may be asked twice.
class FileService {
 public:
  /// Both outlive the service; `connection` may be empty. `patience`: how long one question is asked.
  FileService(const Connector& connect, std::unique_ptr<Connection>& connection, Duration patience)
      : connect_(connect), connection_(connection), patience_(patience) {}

  template <class M>
  [[nodiscard]] Result<typename M::reply> ask(const M& message) {
    const auto answer = exchange(M::event, wire::encode(message));
    if (!answer) return answer.error();
    return wire::decode<typename M::reply>(*answer);
  }
  /// Whether the last error was one of connecting to the node.
  [[nodiscard]] bool is_cut_off() const noexcept { return cut_off_; }

 private:
  /// An error says whether any of the tries was executed, not the last one alone.
  Result<Bytes> exchange(std::string_view event, const Bytes& payload);
  Result<Bytes> try_once(std::string_view event, const Bytes& payload);

  const Connector& connect_;
  std::unique_ptr<Connection>& connection_;
  Duration patience_;
  bool answered_ = false;  // at least once
  bool cut_off_ = false;
};

}  // namespace cluster::cli
