#include <string>
#include <utility>

#include "cluster/gateway/front.hpp"
#include "cluster/gateway/routes.hpp"
#include "pages.hpp"

namespace cluster::gateway {
namespace {

/// What the browser lets a page do. Nothing comes from elsewhere or goes there, and no frame holds it.
constexpr std::string_view kPlainPolicy =
    "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'";
constexpr std::string_view kDashboardPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'none'; frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'";

Route page(std::string pattern, std::string type, std::string_view content) {
  return {.pattern = std::move(pattern),
          .handle =
              [type = std::move(type), content](const Request&, const Answer& answer) {
                Response response{.type = type, .body = std::string(content)};
                response.headers.emplace_back("Content-Security-Policy", kPlainPolicy);
                answer(std::move(response));
              },
          .open = true};
}

/// A browser keeps what has its content in its name, and asks each time whether the rest is still the same.
Response file_answer(const pages::File& file, const Request& request) {
  const auto tag = '"' + std::string(file.tag) + '"';
  Response response{.type = std::string(file.type)};
  response.headers = {{"Cache-Control", file.immutable ? "public, max-age=31536000, immutable" : "no-cache"},
                      {"ETag", tag},
                      {"Content-Security-Policy", std::string(kDashboardPolicy)},
                      {"Referrer-Policy", "no-referrer"},
                      {"Cross-Origin-Opener-Policy", "same-origin"}};
  if (list_has(request.header("if-none-match"), tag))
    response.status = 304;
  else
    response.body = file.content;
  return response;
}

}  // namespace

void add_page_routes(Router& router, const Toolbox&) {
  router.add(page("/api", "text/html; charset=utf-8", pages::index_html));
  router.add(page("/v1/openapi.json", "application/json", pages::openapi_json));
  if (pages::dashboard.empty()) router.add(page("/", "text/html; charset=utf-8", pages::index_html));
  for (const auto& file : pages::dashboard)
    router.add({.pattern = std::string(file.path),
                .handle = [&file](const Request& request,
                                  const Answer& answer) { answer(file_answer(file, request)); },
                .open = true});
}

}  // namespace cluster::gateway
