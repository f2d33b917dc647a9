#pragma once
// Files between HTTP and the server `files`, some MiB at a time.
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "cluster/gateway/routes.hpp"
#include "cluster/proto/file.hpp"

namespace cluster::gateway {

inline constexpr Duration kFileCallTime = 15s;

/// A node without a store is no place to ask.
[[nodiscard]] inline Error files_error(const Error& error) {
  if (error.code() != Errc::no_server) return error;
  return {Errc::unreachable, "this node keeps no files: start it with --kv", Executed::no};
}
/// The error of a request that certainly changed nothing, whatever became of its questions.
[[nodiscard]] inline Error nothing_done(const Error& error) {
  return {error.code(), error.message(), Executed::no};
}
/// Asks the server `files`. `done` is called once, on any thread, which it must not hold up.
template <class M>
void ask_files(const Toolbox& tools, const M& message, std::function<void(Result<typename M::reply>)> done) {
  tools.caller->call("files", std::string(M::event), wire::Value::of(message), kFileCallTime,
                     [done = std::move(done)](Result<wire::Value> answer) {
                       if (!answer) return done(files_error(answer.error()));
                       done(answer->to<typename M::reply>());
                     });
}

/// {"name", "size", "stored", "type", "hash"}
[[nodiscard]] wire::Value file_value(const std::string& name, const proto::FileHead& head);

/// A refusal of a change under a condition is a 412, as HTTP has it.
[[nodiscard]] Response change_failure(const Error& error);

/// What becomes of a body. Name and type have been checked.
struct FileTarget {
  std::string name{};
  std::string type{};
  proto::FileCondition condition{};
};
/// Stores a body, in an attempt of its own. If it breaks off, what it stored is given up.
[[nodiscard]] std::shared_ptr<Intake> make_file_intake(const Toolbox& tools, FileTarget target);
/// `bytes` of a file from `first` on. The head has been checked, and has them.
[[nodiscard]] std::shared_ptr<Source> make_file_source(const Toolbox& tools, const proto::FileHead& head,
                                                       std::uint64_t first, std::uint64_t bytes);

}  // namespace cluster::gateway
