#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/base/result.hpp"
#include "cluster/proto/command.hpp"

namespace cluster::proto {

/// Splits an interactive line into words. '...' is literal; in "..." and outside quotes a backslash
/// takes the next character as it is; a word that begins with { or [ runs to the bracket that closes
/// it and keeps its quotes, so that JSON needs no quoting. An open quote or bracket is an error.
[[nodiscard]] Result<std::vector<std::string>> split_words(std::string_view line);

/// From words (argv without the program's own options, or a split line) to a checked request. Flags
/// may stand anywhere after the command's name; after "--" nothing is a flag. The JSON argument of
/// `call` and `cast` is left in `args`, as text.
[[nodiscard]] Result<CommandRequest> parse_command(std::span<const std::string> words);

/// What may follow: command names for the first word, the words that a command begins with, flags. `words`
/// are the complete words before the cursor, `prefix` the begun one.
[[nodiscard]] std::vector<std::string> completions(std::span<const std::string> words,
                                                   std::string_view prefix);

}  // namespace cluster::proto
