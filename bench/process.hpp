#pragma once
#include <sys/types.h>

#include <string>
#include <vector>

namespace cluster::bench {

/// A child process that never outlives this one: killed (SIGKILL) and reaped by the destructor, on SIGINT and
/// SIGTERM (`end_children_on_signals`), and by the kernel if this process dies in another way.
class Process {
 public:
  /// Runs `command` with pipes to its standard input and from its standard output. Throws Failure.
  /// `environment` ("NAME=value") is added to this process's own.
  explicit Process(std::vector<std::string> command, std::vector<std::string> environment = {});
  /// This program again, in the hidden role `role` (roles.hpp).
  static Process of_role(const std::string& role, std::vector<std::string> arguments = {});
  Process(Process&& other) noexcept;
  Process& operator=(Process&&) = delete;
  ~Process();

  [[nodiscard]] pid_t pid() const noexcept { return pid_; }
  void write_line(const std::string& line);
  /// The next line of its output; throws Failure if it ends or says nothing for 60 s.
  [[nodiscard]] std::string read_line();
  /// Waits up to 60 s until it has ended by itself; its exit code, or -1 for a signal. Throws Failure.
  int wait();

 private:
  pid_t pid_ = -1;
  int input_ = -1;
  int output_ = -1;
  std::string name_;
  std::string unread_;
};

/// From now on SIGINT and SIGTERM end all children before this process. Once, in main.
void end_children_on_signals();
/// The folder of this program, where the project's other programs are too.
[[nodiscard]] std::string program_folder();

}  // namespace cluster::bench
