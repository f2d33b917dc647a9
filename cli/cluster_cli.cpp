// cluster-cli: one command, or a session, with one node of a cluster.
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <iostream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "cluster/base/log.hpp"
#include "cookie.hpp"
#include "net_connection.hpp"
#include "options.hpp"
#include "prompt.hpp"
#include "session.hpp"
#include "text.hpp"

namespace cluster::cli {
namespace {

using namespace std::chrono_literals;

constexpr Duration kLostMax = 60s;

/// Lines from a file or pipe; the outcome of the last command that failed is the session's.
Exit run_script(Session& session) {
  auto failed = Exit::ok;
  for (std::string line; !session.ended() && std::getline(std::cin, line);) {
    if (const auto done = session.run_line(line); done != Exit::ok) failed = done;
    std::cout.flush();
  }
  return failed;
}

/// A person at a terminal: connects first, so that a wrong address or cookie shows at once.
Exit run_interactive(Session& session, const CommonOptions& common) {
  if (const auto connected = session.connect(); connected != Exit::ok) return connected;
  std::cout << "Connected to " << printable(session.node()) << " at "
            << printable(common.endpoint.to_string()) << "; 'help' lists the commands.\n";
  catch_interrupts();
  Prompt prompt;
  while (!session.ended()) {
    std::cout.flush();
    const auto line = prompt.read(printable(session.node().empty() ? "-" : session.node()) + "> ");
    if (!line) break;
    session.run_line(*line);
  }
  return Exit::ok;
}

/// A terminal would show the cookie that is typed.
Result<std::string> read_input() {
  if (::isatty(STDIN_FILENO) != 0)
    return Error(Errc::invalid_argument,
                 "this reads standard input: pipe something in ('key add' takes a FILE too)");
  return std::string(std::istreambuf_iterator<char>(std::cin), {});
}

/// A node that is followed and was lost is looked for each second.
bool wait_to_try_again(Duration lost_for) {
  for (int i = 0; i < 10 && !interrupted(); ++i) std::this_thread::sleep_for(100ms);
  return lost_for < kLostMax && !interrupted();
}

Exit run(const CliOptions& options) {
  const bool at_terminal = ::isatty(STDOUT_FILENO) != 0;
  Session session(
      {.json = options.json || !(at_terminal || options.table),
       .shows_progress = ::isatty(STDERR_FILENO) != 0,
       .timeout = options.timeout,
       .try_again = wait_to_try_again,
       .read_input = options.words.empty() ? nullptr : read_input,
       .find_cookie =
           [&common = options.common] {
             return find_cookie(
                 {.key = common.key, .file = common.cookie_file, .environment = environment_variable});
           }},
      network_connector(options.common, options.timeout, interrupted), std::cout, std::cerr);
  if (!options.words.empty()) return session.run(options.words);
  if (at_terminal && ::isatty(STDIN_FILENO) != 0) return run_interactive(session, options.common);
  return run_script(session);
}

}  // namespace
}  // namespace cluster::cli

int main(int argc, char** argv) {
  using namespace cluster::cli;
  cluster::log::set_level(cluster::log::Level::off);  // errors come back as results, one line each
  ::signal(SIGPIPE, SIG_IGN);  // a reader that went away ends the output, not the command
  const auto options = parse_cli_options(std::vector<std::string>(argv + 1, argv + argc));
  if (!options) {
    std::cerr << "cluster-cli: " << printable(options.error().message()) << '\n';
    return static_cast<int>(Exit::usage);
  }
  if (!options->notice.empty()) {
    std::cout << options->notice;
    return static_cast<int>(Exit::ok);
  }
  const auto result = run(*options);
  std::cout.flush();
  return static_cast<int>(result);
}
