#pragma once
#include <CLI/CLI.hpp>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "options.hpp"

/// What the options of both programs are read with.
namespace cluster::cli {

[[nodiscard]] inline Error usage_error(std::string text) { return {Errc::invalid_argument, std::move(text)}; }

/// The options of both programs as text, before they are checked.
struct CommonTexts {
  std::string instance;
  std::string host = "localhost";
  std::string port = "7022";
  std::string key;
  std::string cookie_file;
  crypto::TlsFiles tls;
  bool help = false;
  bool version = false;

  void add_to(CLI::App& app, const std::string& instance_help, const std::string& host_help,
              const std::string& certificate_help);
  [[nodiscard]] Result<CommonOptions> checked(const CLI::App& app) const;
};

/// Each of `in_environment` that is not among the arguments may be there. The help does not repeat the names.
[[nodiscard]] Result<void> parse(CLI::App& app, const std::vector<std::string>& arguments,
                                 const std::vector<CLI::Option*>& in_environment);

[[nodiscard]] Result<Duration> parse_seconds(const std::string& option, const std::string& text,
                                             std::int64_t max = 86'400);

}  // namespace cluster::cli
