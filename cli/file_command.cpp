#include "file_command.hpp"

#include <utility>

#include "file_transfer.hpp"
#include "progress.hpp"
#include "text.hpp"

namespace cluster::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kPutTries = 5;

/// Of an attempt to store a file: begin again.
bool is_given_up(const Error& error) { return error.code() == Errc::not_found; }

Error wrong_usage(std::string text) { return {Errc::invalid_argument, "file " + std::move(text)}; }

Json entry_json(const std::string& name, const proto::FileHead& head) {
  Json entry{{"name", name}, {"size", head.size}, {"stored", proto::time_text(head.stored)}};
  if (!head.type.empty()) entry["type"] = head.type;
  return entry;
}

Json details_json(const std::string& name, const proto::FileHead& head) {
  auto entry = entry_json(name, head);
  entry["hash"] = hex(head.root);
  entry["chunks"] = chunks_of(head);
  entry["chunk_bytes"] = head.chunk_bytes;
  return entry;
}

Json answer(Json data) { return Json{{"ok", true}, {"data", std::move(data)}}; }

/// Standard output: nothing is there before.
class StreamTarget final : public FileTarget {
 public:
  explicit StreamTarget(std::ostream& out) : out_(out) {}
  Result<bool> has(std::uint64_t, std::size_t, const proto::FileHash&) override { return false; }
  Result<void> write(std::uint64_t, ByteView chunk) override {
    if (out_ << as_text(chunk)) return {};
    return Error(Errc::io, "standard output takes no more");
  }

 private:
  std::ostream& out_;
};

class DiskTarget final : public FileTarget {
 public:
  explicit DiskTarget(OutputFile& file) : file_(file) {}
  Result<bool> has(std::uint64_t offset, std::size_t size, const proto::FileHash& hash) override {
    if (ended_) return false;
    const auto there = file_.read(offset, size);
    if (!there) return there.error();
    ended_ = !there->has_value();
    return !ended_ && static_cast<bool>(proto::check_blob(hash, **there));
  }
  Result<void> write(std::uint64_t offset, ByteView chunk) override {
    ended_ = false;  // more may lie behind what was damaged
    return file_.write(offset, chunk);
  }

 private:
  OutputFile& file_;
  bool ended_ = false;
};

}  // namespace

FileCommand::Reply FileCommand::run(const proto::CommandRequest& request) {
  const auto& what = request.args.front();
  if (what == "put") return put(request);
  if (what == "ls") return list(request);
  const auto& name = request.args[1];
  if (auto ok = proto::check_file_name(name); !ok) return wrong_usage(what + ": " + ok.error().message());
  if (what == "get") return get(request);
  if (what == "rm") {
    const auto gone = service_.ask(proto::FileRemove{.name = name});
    if (!gone) return failed(gone.error());
    return std::optional(Json{{"ok", true}});
  }
  const auto head = service_.ask(proto::FileStat{.name = name});
  if (!head) return failed(nothing_done(head.error()));
  return std::optional(answer(details_json(name, *head)));
}

FileCommand::Reply FileCommand::failed(const Error& error) const {
  if (service_.is_cut_off()) return error;
  return std::optional(Json{{"ok", false},
                            {"error",
                             {{"message", error.message()},
                              {"code", std::string(cluster::name(error.code()))},
                              {"executed", std::string(cluster::name(error.executed()))}}}});
}

FileCommand::Reply FileCommand::broke_off(const Error& error) const {
  if (!may_pass(error.code()) && error.code() != Errc::cancelled) return failed(error);
  return failed(
      Error(error.code(), error.message() + " (give the same command again to go on)", error.executed()));
}

Result<Transferred> FileCommand::put_once(const std::string& path, const std::string& name) {
  auto input = InputFile::open(path);
  if (!input) return input.error();
  Progress progress(streams_.progress, name, input->size());
  return put_file(service_, *input, name, [&](std::uint64_t bytes) { progress.show(bytes); });
}

FileCommand::Reply FileCommand::put(const proto::CommandRequest& request) {
  const auto& path = request.args[1];
  const bool from_input = path == "-";
  if (from_input && !streams_.reads_input)
    return wrong_usage("put: a session has its commands there: name a FILE");
  if (from_input && request.args.size() < 3) return wrong_usage("put: standard input needs a NAME");
  const auto name = request.args.size() > 2 ? request.args[2] : base_name(path);
  if (auto ok = proto::check_file_name(name); !ok) return wrong_usage("put: " + ok.error().message());
  auto done = put_once(path, name);
  // Another client that puts the same name may have ended the attempt that both took part in.
  for (int tries = 1; !done && is_given_up(done.error()) && !from_input && tries < kPutTries; ++tries)
    done = put_once(path, name);
  if (!done) return broke_off(done.error());
  auto details = details_json(name, done->head);
  details["sent"] = done->bytes_moved;
  return std::optional(answer(std::move(details)));
}

FileCommand::Reply FileCommand::get(const proto::CommandRequest& request) {
  const auto& name = request.args[1];
  const bool is_named = request.args.size() > 2;
  if (!is_named && (name == "-" || name.find('/') != name.npos))
    return wrong_usage("get: this NAME is no name for a file here: name the FILE, too");
  const auto& path = request.args[is_named ? 2 : 1];
  const auto head = service_.ask(proto::FileStat{.name = name});
  if (!head) return failed(nothing_done(head.error()));
  if (auto ok = check(*head); !ok) return failed(ok.error());
  Progress progress(streams_.progress, name, head->size);
  const auto show = [&](std::uint64_t bytes) { progress.show(bytes); };
  if (path == "-") {
    StreamTarget target(streams_.out);
    const auto done = get_file(service_, *head, target, show);
    if (!done) return failed(nothing_done(done.error()));
    streams_.out.flush();
    return std::optional<Json>();
  }
  auto file = OutputFile::open(path, wire::encode(*head), request.force);
  if (!file) return failed(file.error());
  DiskTarget target(*file);
  const auto done = get_file(service_, *head, target, show);
  if (!done) return broke_off(nothing_done(done.error()));
  if (auto finished = file->finish(head->size); !finished) return failed(finished.error());
  auto details = details_json(name, *head);
  details["file"] = path;
  details["received"] = done->bytes_moved;
  return std::optional(answer(std::move(details)));
}

FileCommand::Reply FileCommand::list(const proto::CommandRequest& request) {
  proto::FileList question{.prefix = request.args.size() > 1 ? request.args[1] : ""};
  Json rows = Json::array();
  std::string silent;
  do {
    const auto page = service_.ask(question);
    if (!page) return failed(nothing_done(page.error()));
    for (const auto& entry : page->files) rows.push_back(entry_json(entry.name, entry.head));
    silent.clear();
    for (const auto& id : page->silent) silent += (silent.empty() ? "" : ", ") + id.str();
    if (!page->next.empty() && page->next <= question.after)
      return failed(Error(Errc::bad_message, "the node's list does not come to an end"));
    question.after = page->next;
  } while (!question.after.empty());
  auto reply = answer(std::move(rows));
  if (!silent.empty()) reply["note"] = "no answer of " + silent;
  return std::optional(std::move(reply));
}

}  // namespace cluster::cli
