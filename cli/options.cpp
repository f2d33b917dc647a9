#include "options.hpp"

#include <cctype>
#include <charconv>
#include <chrono>

#include "cluster/proto/command.hpp"
#include "option_parsing.hpp"
#include "version.hpp"

namespace cluster::cli {
namespace {

/// `--data-dir` is CLUSTER_DATA_DIR in the environment. The cookie's variable is find_cookie's.
std::string environment_name(const CLI::Option& option) {
  if (option.get_lnames().empty()) return {};
  std::string name = "CLUSTER_" + option.get_lnames().front();
  if (name == "CLUSTER_key" || name == "CLUSTER_help" || name == "CLUSTER_version") return {};
  for (auto& letter : name)
    letter = letter == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(letter)));
  return name;
}

}  // namespace

void CommonTexts::add_to(CLI::App& app, const std::string& instance_help, const std::string& host_help,
                         const std::string& certificate_help) {
  app.set_help_flag();
  app.add_option("-I,--instance", instance, instance_help)->type_name("ID");
  app.add_option("-H,--host,--hostname", host, host_help)->type_name("HOST")->capture_default_str();
  app.add_option("-p,--port", port, "TCP port of the node")->type_name("PORT")->capture_default_str();
  app.add_option("-a,--key,--cookie", key, "the cluster's cookie (others may see it in a process list)")
      ->type_name("COOKIE");
  app.add_option("--cookie-file", cookie_file,
                 "file with the cookie; without this and -a: CLUSTER_COOKIE, then ~/.cluster.cookie")
      ->type_name("FILE");
  app.add_option("--tls-cert", tls.certificate, certificate_help)->type_name("FILE");
  app.add_option("--tls-key", tls.key, "PEM file with its private key")->type_name("FILE");
  app.add_option("--tls-ca", tls.authority,
                 "PEM file with the authority that has signed it and those of all nodes")
      ->type_name("FILE");
  app.add_flag("-h,--help", help, "show this help");
  app.add_flag("--version", version, "show the version");
}

Result<CommonOptions> CommonTexts::checked(const CLI::App& app) const {
  CommonOptions options;
  if (app.count("--instance") > 0) {
    auto id = NodeId::parse(instance);
    if (!id) return usage_error("--instance: " + id.error().message());
    options.instance = std::move(id).value();
  }
  auto checked_host = parse_host(host);
  if (!checked_host) return usage_error("--host: " + checked_host.error().message());
  const auto checked_port = parse_port(port);
  if (!checked_port) return usage_error("--port: " + checked_port.error().message());
  options.endpoint = {std::move(checked_host).value(), *checked_port};
  if (app.count("--key") > 0) options.key = key;
  if (app.count("--cookie-file") > 0) options.cookie_file = cookie_file;
  if (!tls.empty() && (tls.certificate.empty() || tls.key.empty() || tls.authority.empty()))
    return usage_error("--tls-cert, --tls-key and --tls-ca go together");
  options.tls = tls;
  return options;
}

Result<void> parse(CLI::App& app, const std::vector<std::string>& arguments,
                   const std::vector<CLI::Option*>& in_environment) {
  std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());  // as CLI11 wants them
  for (auto* option : in_environment) option->envname(environment_name(*option));
  try {
    app.parse(std::move(reversed));
  } catch (const CLI::ParseError& error) {
    return usage_error(error.what());
  }
  for (auto* option : in_environment) option->envname({});
  return {};
}

Result<Duration> parse_seconds(const std::string& option, const std::string& text, std::int64_t max) {
  double seconds = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (fault != std::errc{} || end != text.data() + text.size() ||
      !(seconds >= 0.001 && seconds <= static_cast<double>(max)))
    return usage_error(option + ": '" + text + "' is not a time in seconds (0.001.." + std::to_string(max) +
                       ")");
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
}

Result<CliOptions> parse_cli_options(const std::vector<std::string>& arguments) {
  CLI::App app(
      "Steers the ring of a cluster through one of its nodes. Runs the COMMAND behind the options, or opens\n"
      "a session if there is none.",
      "cluster-cli");
  app.allow_extras();
  CommonTexts texts;
  texts.add_to(app, "refuse to talk to another node than ID", "host of the node",
               "PEM file with a certificate: talk over TLS, or not at all");
  CliOptions options;
  std::string timeout = "10";
  app.add_flag("--json", options.json, "answer in JSON, one line each (as into a pipe)");
  app.add_flag("--table", options.table, "answer in tables (as at a terminal)")->excludes("--json");
  app.add_option("--timeout", timeout, "how long to wait for the connection and for each answer")
      ->type_name("SECONDS")
      ->capture_default_str();
  app.footer(
      "CLUSTER_HOST, CLUSTER_PORT, CLUSTER_COOKIE_FILE, CLUSTER_TLS_CERT, CLUSTER_TLS_KEY and CLUSTER_TLS_CA "
      "in\n"
      "the environment stand for these options.");
  const std::vector in_environment{app.get_option("--host"),        app.get_option("--port"),
                                   app.get_option("--cookie-file"), app.get_option("--tls-cert"),
                                   app.get_option("--tls-key"),     app.get_option("--tls-ca")};
  if (const auto parsed = parse(app, arguments, in_environment); !parsed) return parsed.error();

  options.words = app.remaining();
  if (texts.help && !options.words.empty()) {
    auto text = proto::help_for(options.words.front());
    if (!text) return text.error();
    options.notice = std::move(text).value();
  } else if (texts.help) {
    options.notice = app.help() + "\nCommands:\n" + proto::help_overview() +
                     "\nExit codes: 0 done, 1 the node refused, 2 wrong usage, 3 no connection, "
                     "4 outcome unknown.\n";
  } else if (texts.version) {
    options.notice = std::string("cluster-cli ") + kVersion + "\n";
  }
  auto common = texts.checked(app);
  if (!common) return common.error();
  options.common = std::move(common).value();
  const auto seconds = parse_seconds("--timeout", timeout);
  if (!seconds) return seconds.error();
  options.timeout = *seconds;
  return options;
}

}  // namespace cluster::cli
