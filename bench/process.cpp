#include "process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "harness.hpp"

namespace cluster::bench {
namespace {

constexpr std::chrono::milliseconds kPatience = 60s;

// A signal handler reads it: lock-free, of a fixed size. 0: a free place.
std::array<std::atomic<pid_t>, 128> children;
static_assert(std::atomic<pid_t>::is_always_lock_free);

void remember(pid_t pid) {
  for (auto& place : children) {
    pid_t free = 0;
    if (place.compare_exchange_strong(free, pid)) return;
  }
  ::kill(pid, SIGKILL);
  throw Failure("too many child processes");
}
void forget(pid_t pid) noexcept {
  for (auto& place : children) {
    pid_t known = pid;
    if (place.compare_exchange_strong(known, 0)) return;
  }
}

void on_end_signal(int number) {
  for (const auto& place : children)
    if (const pid_t pid = place.load(); pid > 0) {
      ::kill(pid, SIGKILL);
      ::waitpid(pid, nullptr, 0);
    }
  ::signal(number, SIG_DFL);
  ::raise(number);
}

/// As exec wants them: what points to the words, which must outlive it, and a null.
std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> all;
  for (auto& word : words) all.push_back(word.data());
  all.push_back(nullptr);
  return all;
}

[[noreturn]] void exec_child(char* const* argv, char* const* environment, int input, int output,
                             pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);  // the parent died before prctl
  ::dup2(input, STDIN_FILENO);
  ::dup2(output, STDOUT_FILENO);
  ::signal(SIGINT, SIG_DFL);
  ::signal(SIGTERM, SIG_DFL);
  ::signal(SIGPIPE, SIG_DFL);
  ::execve(argv[0], argv, environment);
  ::_exit(127);
}

}  // namespace

Process::Process(std::vector<std::string> command, std::vector<std::string> environment)
    : name_(command.at(0)) {
  const auto argv = pointers(command);
  for (char** each = environ; *each != nullptr; ++each) environment.emplace_back(*each);
  const auto envp = pointers(environment);
  std::array<int, 2> to{};
  std::array<int, 2> from{};
  if (::pipe2(to.data(), O_CLOEXEC) != 0) throw Failure(std::string("pipe: ") + std::strerror(errno));
  if (::pipe2(from.data(), O_CLOEXEC) != 0) throw Failure(std::string("pipe: ") + std::strerror(errno));
  const pid_t self = ::getpid();
  pid_ = ::fork();
  if (pid_ == 0) exec_child(argv.data(), envp.data(), to[0], from[1], self);
  ::close(to[0]);
  ::close(from[1]);
  input_ = to[1];
  output_ = from[0];
  if (pid_ < 0) throw Failure(std::string("fork: ") + std::strerror(errno));
  remember(pid_);
}

Process Process::of_role(const std::string& role, std::vector<std::string> arguments) {
  std::vector<std::string> command{"/proc/self/exe", "serve", role};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return Process(std::move(command));
}

Process::Process(Process&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      input_(std::exchange(other.input_, -1)),
      output_(std::exchange(other.output_, -1)),
      name_(std::move(other.name_)),
      unread_(std::move(other.unread_)) {}

Process::~Process() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    forget(pid_);
  }
  if (input_ >= 0) ::close(input_);
  if (output_ >= 0) ::close(output_);
}

void Process::write_line(const std::string& line) {
  const std::string text = line + "\n";
  if (::write(input_, text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    throw Failure("the child process does not listen: " + name_);
}

std::string Process::read_line() {
  for (;;) {
    if (const auto end = unread_.find('\n'); end != std::string::npos) {
      std::string line = unread_.substr(0, end);
      unread_.erase(0, end + 1);
      return line;
    }
    pollfd ready{output_, POLLIN, 0};

    if (::poll(&ready, 1, static_cast<int>(kPatience.count())) == 0)
      throw Failure("a child process said nothing for 60 s: " + name_);
    std::array<char, 4096> bytes{};
    const ssize_t got = ::read(output_, bytes.data(), bytes.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) throw Failure("a child process ended before its time (its reason is above): " + name_);
    unread_.append(bytes.data(), static_cast<std::size_t>(got));
  }
}

int Process::wait() {
  std::array<char, 4096> rest{};
  for (;;) {  // the end of its output comes at once, where waiting by waitpid would need a poll or a signal
    pollfd ready{output_, POLLIN, 0};
    const int many = ::poll(&ready, 1, static_cast<int>(kPatience.count()));
    if (many == 0) throw Failure("a child process did not end: " + name_);
    if (many > 0 && ::read(output_, rest.data(), rest.size()) <= 0) break;
  }
  int status = 0;
  ::waitpid(pid_, &status, 0);
  forget(std::exchange(pid_, -1));
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void end_children_on_signals() {
  struct sigaction action {};
  action.sa_handler = on_end_signal;
  ::sigfillset(&action.sa_mask);
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
}

std::string program_folder() {
  std::array<char, PATH_MAX> path{};
  const ssize_t length = ::readlink("/proc/self/exe", path.data(), path.size() - 1);
  const std::string full(path.data(), length > 0 ? static_cast<std::size_t>(length) : 0);
  return full.substr(0, full.rfind('/'));
}

}  // namespace cluster::bench
