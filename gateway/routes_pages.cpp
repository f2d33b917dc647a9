#include "cluster/gateway/routes.hpp"
#include "pages.hpp"

namespace cluster::gateway {
namespace {

Route page(std::string pattern, std::string type, std::string_view content) {
  return {.pattern = std::move(pattern),
          .handle =
              [type = std::move(type), content](const Request&, const Answer& answer) {
                Response response{.type = type, .body = std::string(content)};
                // Nothing but what is in the page itself, and in no frame of another.
                response.headers.emplace_back(
                    "Content-Security-Policy",
                    "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'");
                answer(std::move(response));
              },
          .open = true};
}

}  // namespace

void add_page_routes(Router& router, const Toolbox&) {
  router.add(page("/", "text/html; charset=utf-8", pages::index_html));
  router.add(page("/v1/openapi.json", "application/json", pages::openapi_json));
}

}  // namespace cluster::gateway
