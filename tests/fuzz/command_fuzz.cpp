#include <string>
#include <string_view>
#include <vector>

#include "cluster/base/assert.hpp"
#include "cluster/proto/command_line.hpp"
#include "cluster/wire/codec.hpp"
#include "cluster/wire/codec_types.hpp"
#include "fuzz.hpp"

namespace {
using namespace cluster;
using namespace cluster::proto;

/// What `check` lets through can be taken apart as its users do, and is in its normal form.
void heed(const CommandRequest& request) {
  CLUSTER_ASSERT(check(request).value() == request);
  const Command* command = find_command(request.name);
  CLUSTER_ASSERT(command != nullptr);
  CLUSTER_ASSERT(!request.force || command->takes_force);
  CLUSTER_ASSERT(!request.wait || command->takes_wait);
  if (request.weight) CLUSTER_ASSERT(*request.weight >= kWeightMin && *request.weight <= kWeightMax);
  if (are_triples(request.args)) CLUSTER_ASSERT(triples(request.args).size() == request.args.size() / 3);
  if (request.name == "call" || request.name == "cast") {
    CLUSTER_ASSERT(request.args.size() >= 2);
    CLUSTER_ASSERT(parse_server_address(request.args[0]));
  }
}

}  // namespace

// The input is a line that somebody types, and also a request that a client sends.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view line(reinterpret_cast<const char*>(data), size);
  if (const auto words = split_words(line); words && !words->empty()) {
    static_cast<void>(help_for(words->front()));
    static_cast<void>(completions(std::span(*words).first(words->size() - 1), words->back()));
    if (const auto request = parse_command(*words)) heed(*request);
  }
  if (const auto request = wire::decode<CommandRequest>({data, size})) {
    const auto bytes = wire::encode(*request);
    CLUSTER_ASSERT(wire::encode(wire::decode<CommandRequest>(bytes).value()) == bytes);
    if (const auto checked = check(*request)) heed(*checked);
  }
  return 0;
}
