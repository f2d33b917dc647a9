#include <algorithm>
#include <utility>
#include <variant>

#include "cluster/gateway/byte_range.hpp"
#include "cluster/gateway/routes.hpp"
#include "file_streams.hpp"

namespace cluster::gateway {
namespace {

using proto::FileHead;
using wire::Value;

/// Headers of a response that is a file. What a stranger stored must not act as a page of this node.
Response file_response(const std::string& name, const FileHead& head) {
  Response response;
  response.type = head.type.empty() ? "application/octet-stream" : head.type;
  response.headers = {{"ETag", '"' + hex(head.root) + '"'},
                      {"Last-Modified", http_date(head.stored)},
                      {"Accept-Ranges", "bytes"},
                      {"Cache-Control", "private, no-cache"},
                      {"Content-Disposition", "attachment; filename*=UTF-8''" + percent_encoded(name)},
                      {"Content-Security-Policy", "sandbox"}};
  return response;
}

/// The entity tags of a list that can be those of files.
std::vector<proto::FileHash> roots_in(std::string_view list) {
  std::vector<proto::FileHash> roots;
  for (const auto tag : strong_tags(list)) {
    const auto bytes = from_hex(tag);
    if (bytes && bytes->size() == proto::FileHash().size())
      std::ranges::copy(*bytes, roots.emplace_back().begin());
  }
  return roots;
}

Response give_file(const Toolbox& tools, const Request& request, const FileHead& head) {
  auto response = file_response(request.captures[0], head);
  const auto tag = response.headers.front().second;
  response.status = status_of_get(request, tag, head.stored);
  if (response.status == 412)
    return refusal(412, name(Errc::refused), "the file has another entity tag, or was stored later",
                   Executed::no);
  if (response.status == 304) {
    response.type.clear();
    return response;
  }
  const auto condition = request.header("if-range");
  const bool wants_part = request.method == Method::get && (condition.empty() || condition == tag);
  const auto range =
      wants_part ? requested_range(request.header("range"), head.size) : decltype(requested_range({}, 0))();
  if (std::holds_alternative<UnsatisfiableRange>(range)) {
    auto refused = refusal(416, "range_not_satisfiable", "the file has no such bytes");
    refused.headers.emplace_back("Content-Range", "bytes */" + std::to_string(head.size));
    return refused;
  }
  std::uint64_t first = 0;
  response.source_bytes = head.size;
  if (const auto* part = std::get_if<ByteRange>(&range)) {
    response.status = 206;
    first = part->first;
    response.source_bytes = part->last - part->first + 1;
    response.headers.emplace_back("Content-Range", "bytes " + std::to_string(part->first) + '-' +
                                                       std::to_string(part->last) + '/' +
                                                       std::to_string(head.size));
  }
  if (response.source_bytes == 0) return response;
  const auto chunks = (first + response.source_bytes - 1) / head.chunk_bytes - first / head.chunk_bytes + 1;
  response.source_reads = std::min(chunks * head.chunk_bytes, head.size);
  response.source = make_file_source(tools, head, first, response.source_bytes);
  return response;
}

void get_file(const Toolbox& tools, const Request& request, const Answer& answer) {
  const proto::FileStat stat{.name = request.captures[0]};
  ask_files(tools, stat, [tools, request, answer](Result<FileHead> head) {
    if (!head) return answer(failure(nothing_done(head.error())));
    if (auto ok = check(*head); !ok) return answer(failure(ok.error()));
    answer(give_file(tools, request, *head));
  });
}

/// What a PUT or DELETE depends on. A condition that cannot be heeded must not be passed over.
Result<proto::FileCondition> condition_of(const Request& request) {
  proto::FileCondition condition;
  const bool has_match = request.count("if-match") > 0;  // beside it RFC 9110 13.1.4 ignores the time
  if (request.count("if-unmodified-since") > 0 && !has_match)
    return Error(Errc::invalid_argument, "a change of a file depends on its ETag: use If-Match");
  const auto match = request.header("if-match");
  condition.absent = request.count("if-none-match") > 0;
  condition.present = match == "*";
  if (has_match && !condition.present) condition.one_of = roots_in(request.list("if-match"));
  if (condition.absent && (request.header("if-none-match") != "*" || request.method != Method::put))
    return Error(Errc::invalid_argument, "If-None-Match takes only '*', for a PUT: if there is no such file");
  if (condition.absent && has_match)
    return Error(Errc::invalid_argument, "If-Match and If-None-Match exclude each other");
  return condition;
}

void remove_file(const Toolbox& tools, const Request& request, const Answer& answer) {
  auto condition = condition_of(request);
  if (!condition) return answer(failure(condition.error()));
  const proto::FileRemove remove{.name = request.captures[0], .condition = std::move(*condition)};
  ask_files(tools, remove, [name = remove.name, answer](Result<FileHead> head) {
    answer(head ? success(file_value(name, *head)) : change_failure(head.error()));
  });
}

Value listing(const proto::FileList::Answer& page) {
  Value::Array files;
  for (const auto& entry : page.files) files.push_back(file_value(entry.name, entry.head));
  Value::Array silent;
  for (const auto& id : page.silent) silent.push_back(id.str());
  return Value::map({{"files", std::move(files)},
                     {"next", page.next.empty() ? Value() : Value(page.next)},
                     {"silent", std::move(silent)}});
}

void list_files(const Toolbox& tools, const Request& request, const Answer& answer) {
  const auto limit = number_parameter(request, "limit", proto::kFileListMax, proto::kFileListMax);
  if (!limit) return answer(failure(limit.error()));
  if (*limit == 0) return answer(failure(Error(Errc::invalid_argument, "limit is 1 at least")));
  const auto* const prefix = request.parameter("prefix");
  const auto* const after = request.parameter("after");
  const proto::FileList list{.prefix = prefix ? *prefix : std::string(),
                             .after = after ? *after : std::string(),
                             .limit = static_cast<std::uint32_t>(*limit)};
  ask_files(tools, list, [tools, answer](Result<proto::FileList::Answer> page) {
    if (!page) return answer(failure(nothing_done(page.error())));
    tools.server->offload([answer, page = std::move(page).value()] { answer(success(listing(page))); });
  });
}

Result<std::shared_ptr<Intake>> put_file(const Toolbox& tools, const Request& request) {
  const auto& name = request.captures[0];
  if (auto ok = proto::check_file_name(name); !ok) return ok.error();
  std::string type(request.header("content-type"));
  if (auto ok = proto::check_file_type(type); !ok) return ok.error();
  auto condition = condition_of(request);
  if (!condition) return condition.error();
  if (request.count("content-range") > 0)
    return Error(Errc::invalid_argument,
                 "a file is put as a whole: send it without Content-Range, or with 'cluster-cli file put', "
                 "which goes on");
  return make_file_intake(tools, {name, std::move(type), std::move(*condition)});
}

}  // namespace

void add_file_routes(Router& router, const Toolbox& tools) {
  using Action = void (*)(const Toolbox&, const Request&, const Answer&);
  const auto add = [&](Method method, std::string pattern, Action action) {
    router.add({.method = method,
                .pattern = std::move(pattern),
                .handle = [tools, action](const Request& request, const Answer& answer) {
                  action(tools, request, answer);
                }});
  };
  add(Method::get, "/v1/files", list_files);
  router.add({.method = Method::put,
              .pattern = "/v1/files/{name}",
              .json_body = false,
              .intake = [tools](const Request& request) { return put_file(tools, request); }});
  add(Method::get, "/v1/files/{name}", get_file);
  add(Method::del, "/v1/files/{name}", remove_file);
}

}  // namespace cluster::gateway
