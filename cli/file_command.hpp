#pragma once
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <ostream>
#include <string>

#include "cluster/proto/command.hpp"
#include "connection.hpp"
#include "file_service.hpp"

namespace cluster::cli {

struct Transferred;

/// `file put|get|ls|rm|stat`: runs here, against the server `files` of the node.
class FileCommand {
 public:
  struct Streams {
    std::ostream& out;                 ///< where `get NAME -` goes
    bool reads_input = false;          ///< whether `put -` may read standard input
    std::ostream* progress = nullptr;  ///< null: not shown
  };
  FileCommand(FileService& service, Streams streams) : service_(service), streams_(streams) {}

  /// The reply {"ok": ...}; nothing if it was written to standard output instead. An error is one of the
  /// command line, or of the way to the node.
  [[nodiscard]] Result<std::optional<nlohmann::ordered_json>> run(const proto::CommandRequest& request);

 private:
  using Reply = Result<std::optional<nlohmann::ordered_json>>;
  /// Sends the file once, from its beginning.
  [[nodiscard]] Result<Transferred> put_once(const std::string& path, const std::string& name);
  Reply put(const proto::CommandRequest& request);
  Reply get(const proto::CommandRequest& request);
  Reply list(const proto::CommandRequest& request);
  /// What becomes of an error on the way: of the node, or of the way to it.
  [[nodiscard]] Reply failed(const Error& error) const;
  [[nodiscard]] Reply broke_off(const Error& error) const;

  FileService& service_;
  Streams streams_;
};

}  // namespace cluster::cli
