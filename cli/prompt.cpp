#include "prompt.hpp"

#include <histedit.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <clocale>
#include <csignal>
#include <cstdio>
#include <cwchar>
#include <string_view>
#include <vector>

#include "cluster/proto/command_line.hpp"

namespace cluster::cli {
namespace {

constexpr int kHistoryLinesMax = 1'000;
std::atomic<bool> interrupt_seen{false};
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler writes it");

/// Blocks Ctrl-C's signal while it lives. It arrives inside `wait_for_input` alone, so that none comes
/// between the look at `interrupted` and the wait, where it would be seen only after the next key.
class InterruptsHeld {
 public:
  InterruptsHeld() {
    sigset_t interrupt;
    sigemptyset(&interrupt);
    sigaddset(&interrupt, SIGINT);
    ::pthread_sigmask(SIG_BLOCK, &interrupt, &before_);
    waiting_mask = &before_;
  }
  ~InterruptsHeld() {
    waiting_mask = nullptr;
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  InterruptsHeld(const InterruptsHeld&) = delete;
  InterruptsHeld& operator=(const InterruptsHeld&) = delete;

  /// False if Ctrl-C came.
  static bool wait_for_input() {
    pollfd input{STDIN_FILENO, POLLIN, 0};
    while (!interrupted())
      if (::ppoll(&input, 1, nullptr, waiting_mask) > 0 || errno != EINTR) return true;
    return false;
  }

 private:
  inline static const sigset_t* waiting_mask = nullptr;
  sigset_t before_{};
};

/// Reads one character; gives up when Ctrl-C came, which libedit's own reader does not.
int read_character(EditLine*, wchar_t* to) {
  std::mbstate_t state{};
  while (true) {
    char byte = 0;
    if (!InterruptsHeld::wait_for_input()) return -1;
    const auto count = ::read(STDIN_FILENO, &byte, 1);
    if (count == 0) return 0;
    if (count < 0) {
      if (errno == EINTR) continue;
      return -1;
    }
    const auto length = std::mbrtowc(to, &byte, 1, &state);
    if (length == static_cast<std::size_t>(-2)) continue;  // the character goes on
    if (length == static_cast<std::size_t>(-1)) {
      *to = L'?';
      return 1;
    }
    return 1;
  }
}

std::string_view common_prefix(const std::vector<std::string>& texts) {
  std::string_view prefix = texts.front();
  for (const auto& text : texts) {
    const auto [end, other] = std::ranges::mismatch(prefix, text);
    prefix = prefix.substr(0, static_cast<std::size_t>(end - prefix.begin()));
  }
  return prefix;
}

}  // namespace

struct Prompt::Impl {
  EditLine* line = nullptr;
  History* history = nullptr;
  HistEvent event{};
  std::string text;

  static const char* prompt_of(EditLine* line) { return of(line).text.c_str(); }

  static Impl& of(EditLine* line) {
    void* self = nullptr;
    el_get(line, EL_CLIENTDATA, &self);
    return *static_cast<Impl*>(self);
  }

  /// Completes the word before the cursor as far as it is clear, else lists what is possible.
  static unsigned char complete(EditLine* line, int) {
    const auto* state = el_line(line);
    const std::string_view before(state->buffer, static_cast<std::size_t>(state->cursor - state->buffer));
    const auto begin = before.find_last_of(" \t") + 1;  // npos + 1 is 0
    const auto prefix = before.substr(begin);
    const auto words = proto::split_words(before.substr(0, begin));
    if (!words) return CC_REFRESH_BEEP;
    const auto found = proto::completions(*words, prefix);
    if (found.empty()) return CC_REFRESH_BEEP;
    auto rest = std::string(common_prefix(found).substr(prefix.size()));
    if (found.size() == 1) rest += ' ';
    if (!rest.empty()) return el_insertstr(line, rest.c_str()) == 0 ? CC_REFRESH : CC_REFRESH_BEEP;
    std::fputc('\n', stdout);
    for (const auto& candidate : found) std::fprintf(stdout, "%s  ", candidate.c_str());
    std::fputc('\n', stdout);
    return CC_REDISPLAY;
  }
};

Prompt::Prompt() : impl_(std::make_unique<Impl>()) {
  std::setlocale(LC_CTYPE, "");
  impl_->history = history_init();
  history(impl_->history, &impl_->event, H_SETSIZE, kHistoryLinesMax);
  history(impl_->history, &impl_->event, H_SETUNIQUE, 1);
  impl_->line = el_init("cluster-cli", stdin, stdout, stderr);
  el_set(impl_->line, EL_CLIENTDATA, impl_.get());
  el_set(impl_->line, EL_PROMPT, &Impl::prompt_of);
  el_set(impl_->line, EL_EDITOR, "emacs");
  el_set(impl_->line, EL_HIST, history, impl_->history);
  el_set(impl_->line, EL_GETCFN, &read_character);
  el_set(impl_->line, EL_ADDFN, "complete", "Complete the word", &Impl::complete);
  el_set(impl_->line, EL_BIND, "^I", "complete", nullptr);
  el_set(impl_->line, EL_BIND, "^R", "em-inc-search-prev", nullptr);
}

Prompt::~Prompt() {
  el_end(impl_->line);
  history_end(impl_->history);
}

std::optional<std::string> Prompt::read(const std::string& text) {
  impl_->text = text;
  clear_interrupt();
  int length = 0;
  const char* typed = nullptr;
  {
    const InterruptsHeld held;
    typed = el_gets(impl_->line, &length);
  }
  if (interrupted()) {
    el_reset(impl_->line);
    std::fputc('\n', stdout);
    return "";
  }
  if (!typed || length <= 0) {
    std::fputc('\n', stdout);
    return std::nullopt;
  }
  std::string line(typed, static_cast<std::size_t>(length));
  line.erase(line.find_last_not_of("\r\n") + 1);
  if (!line.empty()) history(impl_->history, &impl_->event, H_ENTER, line.c_str());
  return line;
}

void catch_interrupts() {
  struct sigaction action {};
  action.sa_handler = [](int) { interrupt_seen.store(true, std::memory_order_relaxed); };
  sigemptyset(&action.sa_mask);
  ::sigaction(SIGINT, &action, nullptr);
}

bool interrupted() noexcept { return interrupt_seen.load(std::memory_order_relaxed); }
void clear_interrupt() noexcept { interrupt_seen.store(false, std::memory_order_relaxed); }

}  // namespace cluster::cli
