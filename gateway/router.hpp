#pragma once
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/gateway/http.hpp"

namespace cluster::gateway {

/// Handles a request whose body has come. Runs on the thread that serves all clients: must not block.
using Handler = std::function<void(Request request, Answer answer)>;
using FeedOpener = std::function<Result<std::shared_ptr<Feed>>(const Request& request)>;

using IntakeOpener = std::function<Result<std::shared_ptr<Intake>>(const Request& request)>;

/// What is done for one method at one kind of path.
struct Route {
  Method method = Method::get;
  std::string pattern{};  ///< "/v1/call/{server}/{event}": a name in braces stands for any one segment
  Handler handle{};
  bool open = false;               ///< needs no token
  std::size_t body_bytes_max = 0;  ///< 0: takes no body
  bool json_body = true;           ///< the body, if there is one, must be declared as JSON
  FeedOpener feed{};               ///< also served over a WebSocket; null: not
  IntakeOpener intake{};           ///< takes bodies of any length as they come, instead of `handle`
};

/// Finds the route of a request. Filled at the start; then only read.
class Router {
 public:
  void add(Route route);

  struct Match {
    const Route* route = nullptr;         ///< null: nothing for this method and path
    std::vector<std::string> captures{};  ///< what stood for the names in braces
  };
  /// HEAD takes the route of GET.
  [[nodiscard]] Match find(Method method, const std::vector<std::string>& path) const;
  /// "GET, HEAD, POST": what this path takes; empty if it is not known.
  [[nodiscard]] std::string allowed(const std::vector<std::string>& path) const;

 private:
  struct Entry {
    Route route;
    std::vector<std::string> segments;
  };
  std::vector<Entry> entries_;
};

}  // namespace cluster::gateway
