#include "cluster/proto/command_line.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <functional>
#include <map>

#include "cluster/proto/drill_plan.hpp"
#include "command_errors.hpp"

namespace cluster::proto {
namespace {

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

/// Takes the word at `at` apart from its surroundings; `at` moves behind it.
class WordReader {
 public:
  WordReader(std::string_view line, std::size_t& at) : line_(line), at_(at) {}

  Result<std::string> read() {
    while (at_ < line_.size() && !is_space(line_[at_])) {
      const char c = line_[at_];
      const bool begins = word_.empty() && (c == '{' || c == '[');
      const auto taken = begins      ? take_brackets()
                         : c == '\'' ? take_literal()
                         : c == '"'  ? take_quoted()
                         : c == '\\' ? take_escaped()
                                     : take_one();
      if (!taken) return taken.error();
    }
    return std::move(word_);
  }

 private:
  Result<void> take_one() {
    word_ += line_[at_++];
    return {};
  }
  Result<void> take_escaped() {
    if (++at_ == line_.size()) return bad_command("a backslash at the end of the line");
    return take_one();
  }
  Result<void> take_literal() {
    const auto close = line_.find('\'', at_ + 1);
    if (close == std::string_view::npos) return bad_command("a quote is not closed");
    word_ += line_.substr(at_ + 1, close - at_ - 1);
    at_ = close + 1;
    return {};
  }
  Result<void> take_quoted() {
    for (++at_; at_ < line_.size() && line_[at_] != '"';) {
      const auto taken = line_[at_] == '\\' ? take_escaped() : take_one();
      if (!taken) return taken;
    }
    if (at_ == line_.size()) return bad_command("a quote is not closed");
    ++at_;
    return {};
  }
  /// JSON as it stands: brackets inside its texts do not count.
  Result<void> take_brackets() {
    std::size_t depth = 0;
    bool in_text = false;
    while (at_ < line_.size()) {
      const char c = line_[at_];
      if (in_text && c == '\\' && at_ + 1 < line_.size()) word_ += line_[at_++];
      word_ += line_[at_++];
      if (c == '"') in_text = !in_text;
      if (in_text) continue;
      if (c == '{' || c == '[') ++depth;
      if ((c == '}' || c == ']') && --depth == 0) return {};
    }
    return bad_command("a bracket is not closed");
  }

  std::string_view line_;
  std::size_t& at_;
  std::string word_;
};

bool looks_like_flag(std::string_view word) {
  return word.size() > 1 && word[0] == '-' &&
         (word[1] == '-' || std::isalpha(static_cast<unsigned char>(word[1])) != 0);
}

/// Arguments that may also be given by name, in the order in which usages have them.
struct NamedArgument {
  std::string_view flag;
  std::string_view argument;
  std::string_view usual;
};
constexpr std::array kNamedArguments{
    NamedArgument{"--prefix", "PREFIX", ""}, NamedArgument{"--bucket", "BUCKET", "default"},
    NamedArgument{"--from", "FROM", ""}, NamedArgument{"--limit", "LIMIT", ""}};

/// Reads the words behind a command's name into a request.
class ArgumentReader {
 public:
  explicit ArgumentReader(std::span<const std::string> words) : words_(words) {}

  Result<CommandRequest> read() {
    request_.name = words_.front();
    bool flags_end = false;
    for (at_ = 1; at_ < words_.size(); ++at_) {
      const auto& word = words_[at_];
      if (!flags_end && word == "--") {
        flags_end = true;
      } else if (!flags_end && looks_like_flag(word)) {
        if (const auto taken = take_flag(word); !taken)
          return bad_command(request_.name + ": " + taken.error().message());
      } else {
        request_.args.push_back(word);
      }
    }
    if (auto placed = place_named(); !placed) return placed.error();
    return std::move(request_);
  }

 private:
  /// Puts what was given by name where the command's usage has it, and what is usual into gaps before it.
  Result<void> place_named() {
    const auto* const command = find_command(request_.name);
    for (const auto& known : kNamedArguments) {  // in the order in which usages have them
      const auto given = named_.find(known.flag);
      if (given == named_.end()) continue;
      const auto bad = [&](std::string_view why) {
        return bad_command(request_.name + ": " + std::string(known.flag) + std::string(why));
      };
      const auto* const form = form_with(*command, known.argument);
      if (form == nullptr) return bad(" is not taken here");
      const auto place = place_of(*form, known.argument);
      if (request_.args.size() > place) return bad(" is given twice");
      while (request_.args.size() < place) {
        const auto& gap = form->args[request_.args.size()];
        if (!gap.optional) return bad(" needs " + std::string(gap.name) + " before it");
        request_.args.emplace_back(usual(gap.name));
      }
      request_.args.push_back(given->second);
    }
    return {};
  }
  static std::size_t place_of(const Form& form, std::string_view argument) {
    return static_cast<std::size_t>(std::ranges::find(form.args, argument, &Arg::name) - form.args.begin());
  }
  /// The form with the word that the arguments begin with, if it takes `argument`.
  [[nodiscard]] const Form* form_with(const Command& command, std::string_view argument) const {
    const auto found = std::ranges::find_if(command.forms, [&](const Form& form) {
      const bool leads = !form.args.empty() && !request_.args.empty() &&
                         form.args.front().kind == ArgKind::word &&
                         form.args.front().name == request_.args.front();
      return leads && place_of(form, argument) < form.args.size();
    });
    return found == command.forms.end() ? nullptr : &*found;
  }
  static std::string_view usual(std::string_view argument) {
    if (argument == "VALUE") return "-";
    const auto known = std::ranges::find(kNamedArguments, argument, &NamedArgument::argument);
    return known == kNamedArguments.end() ? "" : known->usual;
  }

  Result<void> take_flag(std::string_view word) {
    if (word == "-f" || word == "--force") return set(request_.force);
    if (word == "--wait") return set(request_.wait);
    if (word == "--follow") return set(request_.follow);
    if (word == "--trace") return set(request_.trace);
    if (word == "--recursive") return set(request_.recursive);
    if (word == "--dot" || word == "--svg" || word == "--raw") {
      if (!request_.format.empty()) return bad_command("--dot, --svg and --raw exclude each other");
      request_.format = word.substr(2);
      return {};
    }
    if (word == "--if-absent") return set(request_.if_absent);
    if (word == "--if-unchanged") return set(request_.if_unchanged);
    if (word == "--ttl" || word == "--context") {
      if (at_ + 1 == words_.size()) return bad_command(std::string(word) + " needs a value");
      const auto& value = words_[++at_];
      if (word == "--ttl") return take_ttl(value);
      request_.context = value;
      return {};
    }
    const auto flag = word.substr(0, word.find('='));
    if (std::ranges::find(kNamedArguments, flag, &NamedArgument::flag) != kNamedArguments.end()) {
      if (flag.size() == word.size() && at_ + 1 == words_.size())
        return bad_command(std::string(flag) + " needs a value");
      const std::string value(flag.size() == word.size() ? words_[++at_] : word.substr(flag.size() + 1));
      if (!named_.emplace(flag, value).second) return bad_command(std::string(flag) + " is given twice");
      return {};
    }
    if (word == "-w" || word == "--weight") {
      if (at_ + 1 == words_.size()) return bad_command(std::string(word) + " needs a weight");
      return take_weight(words_[++at_]);
    }
    if (word == "--drain-timeout") {
      if (at_ + 1 == words_.size()) return bad_command("--drain-timeout needs a time, such as 60s");
      return take_drain(words_[++at_]);
    }
    if (word.starts_with("--drain-timeout=")) return take_drain(word.substr(16));
    if (word == "--for") {
      if (at_ + 1 == words_.size()) return bad_command("--for needs a time, such as 10s");
      return take_time(words_[++at_]);
    }
    if (word.starts_with("--for=")) return take_time(word.substr(6));
    if (word.starts_with("--weight=")) return take_weight(word.substr(9));
    if (word.starts_with("-w") && word.size() > 2) return take_weight(word.substr(2));
    return bad_command("unknown option '" + std::string(word) + "'");
  }
  Result<void> set(bool& flag) {
    flag = true;
    return {};
  }
  Result<void> take_weight(std::string_view text) {
    const auto weight = parse_weight(text);
    if (!weight) return weight.error();
    if (request_.weight) return bad_command("the weight is given twice");
    request_.weight = *weight;
    return {};
  }

  Result<void> take_time(std::string_view text) {
    const auto ms = parse_drill_time(text);
    if (!ms) return ms.error();
    if (request_.for_ms) return bad_command("--for is given twice");
    request_.for_ms = *ms;
    return {};
  }

  Result<void> take_drain(std::string_view text) {
    const auto ms = milliseconds(text, kDrainMsMax);
    if (!ms) return bad_command("'" + std::string(text) + "' is not a time up to 1h, such as 90s or 5m");
    request_.drain_ms = static_cast<std::uint32_t>(*ms);
    return {};
  }

  Result<void> take_ttl(std::string_view text) {
    constexpr std::uint64_t kTtlMax = 36'500ULL * 86'400'000;
    const auto ms = milliseconds(text, kTtlMax);
    if (!ms) return ms.error();
    request_.ttl_ms = *ms;
    return {};
  }

  static Result<std::uint64_t> milliseconds(std::string_view text, std::uint64_t max) {
    const auto digits = std::min(text.find_first_not_of("0123456789"), text.size());
    const auto number = parse_number(text.substr(0, digits));
    const auto unit = text.substr(digits);
    const std::uint64_t factor = unit == "ms"                  ? 1
                                 : unit == "s" || unit.empty() ? 1000
                                 : unit == "m"                 ? 60'000
                                 : unit == "h"                 ? 3'600'000
                                 : unit == "d"                 ? 86'400'000
                                                               : 0;
    if (!number || factor == 0 || *number == 0 || *number > max / factor)
      return bad_command("'" + std::string(text) + "' is not a time such as 500ms, 10s, 5m, 2h or 7d");
    return *number * factor;
  }

  std::span<const std::string> words_;
  std::size_t at_ = 0;
  CommandRequest request_;
  std::map<std::string, std::string, std::less<>> named_;
};

}  // namespace

Result<std::vector<std::string>> split_words(std::string_view line) {
  std::vector<std::string> words;
  std::size_t at = 0;
  while (true) {
    while (at < line.size() && is_space(line[at])) ++at;
    if (at == line.size()) return words;
    auto word = WordReader(line, at).read();
    if (!word) return word.error();
    words.push_back(std::move(word).value());
  }
}

Result<CommandRequest> parse_command(std::span<const std::string> words) {
  if (words.empty()) return bad_command("no command; 'help' lists them");
  if (looks_like_flag(words.front())) return bad_command("unknown option '" + words.front() + "'");
  if (!find_command(words.front())) return check({.name = words.front()});
  auto request = ArgumentReader(words).read();
  if (!request) return request;
  return check(std::move(request).value());
}

std::vector<std::string> completions(std::span<const std::string> words, std::string_view prefix) {
  std::vector<std::string> found;
  const auto offer = [&](std::string_view candidate) {
    if (candidate.starts_with(prefix)) found.emplace_back(candidate);
  };
  if (words.empty() || (words.size() == 1 && words.front() == "help")) {
    for (const auto& command : commands()) offer(command.name);
    return found;
  }
  const auto* command = find_command(words.front());
  if (!command) return found;
  if (words.size() == 1)
    for (const auto& form : command->forms)
      if (!form.args.empty() && form.args.front().kind == ArgKind::word) offer(form.args.front().name);
  if (!prefix.starts_with('-')) return found;
  if (command->takes_force) offer("--force");
  if (command->takes_weight) offer("--weight");
  if (command->takes_wait) offer("--wait");
  if (command->takes_follow) offer("--follow");
  if (command->takes_for) offer("--for");
  if (command->takes_drain) offer("--drain-timeout");
  if (command->takes_chord_flags)
    for (const auto* flag : {"--trace", "--recursive", "--dot", "--svg"}) offer(flag);
  if (command->takes_kv_flags)
    for (const auto* flag : {"--ttl", "--if-absent", "--if-unchanged", "--context", "--raw", "--bucket",
                             "--prefix", "--from", "--limit"})
      offer(flag);
  return found;
}

}  // namespace cluster::proto
