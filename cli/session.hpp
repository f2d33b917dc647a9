#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <ostream>
#include <span>
#include <string>

#include "connection.hpp"

namespace cluster::cli {

/// What a program says with its exit code.
enum class Exit : int {
  ok = 0,
  refused = 1,  ///< the node answered ok: false
  usage = 2,    ///< the command line cannot be understood
  no_node = 3,  ///< cannot connect, or refused by the node
  unknown = 4,  ///< sent, and no answer: it may have happened
};

/// Runs commands over one connection, which it opens when it is first needed and again after a loss.
/// Answers go to `out`; errors go to `err`, one line each. Not synchronised.
class Session {
 public:
  struct Config {
    bool json = false;            ///< answers as JSON lines, else for a person
    bool shows_progress = false;  ///< of long transfers, on `err`, which is a terminal
    Duration timeout = 10s;
    /// Waits before the next try to find a node that is followed, and has been lost for so long; false: no
    /// more.
    std::function<bool(Duration)> try_again = [](Duration) { return false; };
    /// All of standard input, for the cookie of `key add`; none in a session, which has its commands there.
    std::function<Result<std::string>()> read_input{};
    /// The cookie that connections are made with.
    std::function<Result<std::string>()> find_cookie{};
  };

  Session(Config config, Connector connect, std::ostream& out, std::ostream& err);

  /// Runs one command. After `exit`, `ended()` is true.
  Exit run(std::span<const std::string> words);
  Exit run_line(std::string_view line);
  /// Connects now, to show at once whether it can.
  Exit connect();

  [[nodiscard]] bool ended() const noexcept { return ended_; }
  /// The node's id once connected, else empty.
  [[nodiscard]] std::string node() const { return connection_ ? connection_->node() : std::string(); }

 private:
  [[nodiscard]] Result<std::string> read_new_cookie(const proto::CommandRequest& request) const;
  Exit show_token();
  Exit add_key(const proto::CommandRequest& request);
  Exit show_outcome(const Result<nlohmann::ordered_json>& reply);
  Exit run_here(const proto::CommandRequest& request);
  Exit follow_drill(proto::CommandRequest request);
  Exit follow_drain(proto::CommandRequest request);
  Exit put_input(proto::CommandRequest request);
  Exit follow(proto::CommandRequest request);
  [[nodiscard]] bool find_again(const Error& loss, proto::CommandRequest& request);
  Exit run_file(const proto::CommandRequest& request);
  Exit show_reply(const nlohmann::ordered_json& reply) { return show_reply(reply, config_.json); }
  Exit show_reply(const nlohmann::ordered_json& reply, bool as_json);
  Exit show_raw(const nlohmann::ordered_json& data);
  Exit fail(const Error& error, Exit code);

  Config config_;
  Connector connect_;
  std::ostream& out_;
  std::ostream& err_;
  std::unique_ptr<Connection> connection_;
  std::optional<Instant> lost_since_{};  // who is followed
  bool ended_ = false;
  bool raw_ = false;  // the reply is a picture, to be shown as it is
};

}  // namespace cluster::cli
