#pragma once
#include <memory>
#include <optional>
#include <string>

namespace cluster::cli {

/// Reads lines from the terminal, with editing, a history of this session, and completion of commands and
/// flags by Tab. One in a process, on the main thread.
class Prompt {
 public:
  Prompt();
  ~Prompt();
  Prompt(const Prompt&) = delete;
  Prompt& operator=(const Prompt&) = delete;

  /// The next line without its end; empty after Ctrl-C, which drops what was typed; nothing at the end
  /// (Ctrl-D). `text` stands before the line.
  [[nodiscard]] std::optional<std::string> read(const std::string& text);

  struct Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

/// Ctrl-C no longer ends the process but sets a flag.
void catch_interrupts();
/// Whether Ctrl-C came since the last `clear_interrupt`.
[[nodiscard]] bool interrupted() noexcept;
void clear_interrupt() noexcept;

}  // namespace cluster::cli
