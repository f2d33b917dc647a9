#include "cookie.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include "cluster/base/bytes.hpp"
#include "cluster/base/log.hpp"

namespace cluster::cli {
namespace {

/// A home directory that is gone afterwards.
class Home {
 public:
  Home() {
    std::string name = (std::filesystem::temp_directory_path() / "cluster-cookie-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~Home() { std::filesystem::remove_all(path_); }

  std::string write(const std::string& name, const std::string& text, mode_t mode = 0600) const {
    const auto path = path_ + "/" + name;
    std::ofstream(path, std::ios::binary) << text;
    ::chmod(path.c_str(), mode);
    return path;
  }
  CookieSources sources(std::map<std::string, std::string> variables = {}) const {
    variables["HOME"] = path_;
    CookieSources sources;
    sources.environment = [variables](const char* name) -> std::optional<std::string> {
      const auto found = variables.find(name);
      return found == variables.end() ? std::nullopt : std::optional(found->second);
    };
    return sources;
  }

 private:
  std::string path_;
};

TEST_CASE("cookie: -a comes before --cookie-file, CLUSTER_COOKIE and ~/.cluster.cookie") {
  const Home home;
  const auto file = home.write("other", "from file\n");
  home.write(".cluster.cookie", "from home\n");
  auto sources = home.sources({{"CLUSTER_COOKIE", "from environment"}});
  sources.key = "from key";
  sources.file = file;
  CHECK(find_cookie(sources).value() == "from key");
  sources.key.reset();
  CHECK(find_cookie(sources).value() == "from file");
  sources.file.reset();
  CHECK(find_cookie(sources).value() == "from environment");
  CHECK(find_cookie(home.sources()).value() == "from home");
}

TEST_CASE("cookie: ~/.cluster.cookie is refused if others than its owner may read or write it") {
  const Home home;
  for (const mode_t mode : {0640U, 0604U, 0620U, 0666U}) {
    CAPTURE(mode);
    home.write(".cluster.cookie", "secret", mode);
    CHECK(find_cookie(home.sources()).error().message().find("chmod 600") != std::string::npos);
  }
  home.write(".cluster.cookie", "secret", 0400);
  CHECK(find_cookie(home.sources()).value() == "secret");
}

TEST_CASE("cookie: a file that is named is used whatever its mode, and warned of if others may read it") {
  const Home home;
  int warnings = 0;
  log::set_sink([&](log::Level, std::string_view, std::string_view) { ++warnings; });
  auto sources = home.sources();
  sources.file = home.write("open", "secret", 0644);
  CHECK(find_cookie(sources).value() == "secret");
  CHECK(warnings == 1);
  sources.file = home.write("closed", "secret", 0600);
  CHECK(find_cookie(sources).value() == "secret");
  CHECK(warnings == 1);
  log::set_sink([](log::Level, std::string_view, std::string_view) {});
}

TEST_CASE("cookie: a source that is named and gives nothing is an error, not passed over") {
  const Home home;
  home.write(".cluster.cookie", "from home");
  auto sources = home.sources({{"CLUSTER_COOKIE", ""}});
  CHECK(find_cookie(sources).error().message() == "the cookie from CLUSTER_COOKIE is empty");
  sources.file = home.write("blank", " \n\n");
  CHECK(find_cookie(sources).error().message().ends_with("blank is empty"));
  sources.file = home.write("gone", "") + "-really";
  CHECK(find_cookie(sources).error().message().ends_with("No such file or directory"));
  sources.key = "";
  CHECK(find_cookie(sources).error().message() == "the cookie from -a is empty");
}

TEST_CASE("cookie: a file holds at most 4096 bytes") {
  const Home home;
  auto sources = home.sources();
  sources.file = home.write("fits", std::string(4'096, 'x'));
  CHECK(find_cookie(sources).value().size() == 4'096);
  sources.file = home.write("over", std::string(4'097, 'x'));
  CHECK(find_cookie(sources).error().code() == Errc::too_large);
}

TEST_CASE("cookie: with no source at all the error says where one may come from") {
  const Home home;
  CHECK(find_cookie(home.sources()).error().message().find("--cookie-file") != std::string::npos);
}

TEST_CASE("cookie: a new one has 256 bits, and is another each time") {
  std::set<std::string> made;
  for (int i = 0; i < 100; ++i) {
    const auto cookie = make_cookie();
    CHECK(from_base64(cookie).value().size() == 32);
    CHECK(made.insert(cookie).second);
  }
}

}  // namespace
}  // namespace cluster::cli
