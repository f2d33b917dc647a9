// kv-ring and kv-node: the key-value store of cluster-node processes, asked over the network by programs that
// are no nodes.
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "kv_clients.hpp"
#include "nodes.hpp"
#include "service_node.hpp"

namespace cluster::bench {
namespace {

/// A new folder on the disk that TMPDIR names, or /tmp; gone with this.
class ScratchFolder {
 public:
  ScratchFolder() {
    path_ = (std::filesystem::temp_directory_path() / "cluster-bench-XXXXXX").string();
    if (::mkdtemp(path_.data()) == nullptr) throw Failure("no folder for the data: " + path_);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  ~ScratchFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  [[nodiscard]] const std::string& path() const noexcept { return path_; }

 private:
  std::string path_;
};

/// Nodes with the store in one ring, and the programs that ask them.
class Store {
 public:
  /// `options` of each node; `folder` empty: in memory.
  Store(std::size_t count, const std::vector<std::string>& options, const std::string& folder,
        Protection protection)
      : cookie_(new_cookie()) {
    std::vector<Endpoint> endpoints;
    for (std::size_t i = 0; i < count; ++i) {
      const auto id = "node-" + std::to_string(i);
      std::vector<std::string> all{"--kv", "--protection", std::string(wire::name(protection))};
      all.insert(all.end(), options.begin(), options.end());
      if (!folder.empty()) all.insert(all.end(), {"--data-dir", folder + "/" + id});
      if (i == 0)
        all.insert(all.end(), {"--ring", "bench"});
      else
        all.insert(all.end(), {"--meet", endpoints.front().to_string()});
      nodes_.push_back(std::make_unique<ServiceNode>(id, cookie_, all));
      endpoints.push_back(nodes_.back()->endpoint());
    }
    clients_ = std::make_unique<KvClients>(endpoints, cookie_, protection);
    clients_->fill(kBucket);
  }
  [[nodiscard]] const KvClients& clients() const noexcept { return *clients_; }
  static constexpr const char* kBucket = "bench";

 private:
  std::string cookie_;
  std::vector<std::unique_ptr<ServiceNode>> nodes_;
  std::unique_ptr<KvClients> clients_;
};

struct Mix {
  const char* name;
  int reads_percent;
};
constexpr Mix kPut{"put", 0};
constexpr Mix kGet{"get", 100};
constexpr Mix kHalf{"50/50", 50};
constexpr Mix kMostlyGet{"95/5", 95};

void measure(Context& context, const Store& store, const std::string& name, Mix mix, std::int64_t clients) {
  const auto time = std::chrono::milliseconds(context.amount(2'000));
  auto outcomes = store.clients().run(
      {.clients = clients, .reads_percent = mix.reads_percent, .bucket = Store::kBucket, .time = time});
  const auto metric = name + " " + mix.name + " " + std::to_string(clients);
  context.record(metric, "1/s", outcomes.per_second);
  context.record(metric + " p50", "us", percentile(outcomes.took, 0.5) / 1e3);
  context.record(metric + " p99", "us", percentile(outcomes.took, 0.99) / 1e3);
}

}  // namespace

void kv_ring(Context& context) {
  context.each_fresh_run([&] {
    for (const bool on_disk : {true, false}) {
      const ScratchFolder folder;
      const Store store(3, {"--kv-bucket", "bench:n=3,r=2,w=2,last"}, on_disk ? folder.path() : "",
                        context.settings().protection);
      const std::string name = on_disk ? "disk" : "memory";
      for (const std::int64_t clients : {1, 64})
        for (const auto& mix : {kPut, kGet}) measure(context, store, name, mix, clients);
      for (const auto& mix : {kHalf, kMostlyGet}) measure(context, store, name, mix, 64);
    }
  });
}

void kv_node(Context& context) {
  struct Log {
    const char* name;
    std::vector<std::string> options;
    bool on_disk;
  };
  const std::vector<Log> logs{{"memory", {}, false},
                              {"everysec", {"--kv-sync", "second"}, true},
                              {"always", {"--kv-sync", "always"}, true}};
  context.each_fresh_run([&] {
    for (const auto& log : logs) {
      const ScratchFolder folder;
      auto options = log.options;
      options.insert(options.end(), {"--kv-bucket", "bench:n=1,r=1,w=1,last"});
      const Store store(1, options, log.on_disk ? folder.path() : "", context.settings().protection);
      for (const auto& mix : {kPut, kGet, kHalf}) measure(context, store, log.name, mix, 64);
    }
  });
}

}  // namespace cluster::bench
