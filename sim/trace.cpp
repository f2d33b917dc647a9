#include "trace.hpp"

#include <nlohmann/json.hpp>

#include "report.hpp"

namespace cluster::sim {
namespace {

using Json = nlohmann::ordered_json;

Json line(RingCluster& cluster, const char* what) {
  const auto seconds = std::chrono::duration<double>(cluster.simulator().now().time_since_epoch()).count();
  return {{"t", seconds}, {"what", what}};
}

/// What an event says, beside its time and node; null for what is not worth a line.
struct Describe {
  Json operator()(const proto::RingChanged&) const { return nullptr; }
  Json operator()(const proto::ConflictFound& e) const {
    return {{"what", "conflict"},
            {"member", e.conflict.member.str()},
            {"field", e.conflict.field},
            {"kept", e.conflict.kept.str()},
            {"lost", e.conflict.lost.str()}};
  }
  Json operator()(const proto::RingJoined&) const { return {{"what", "joined"}}; }
  Json operator()(const proto::RingLeft& e) const {
    return {{"what", "left"}, {"acknowledged", e.acknowledged}};
  }
  Json operator()(const proto::RingRemoved& e) const { return {{"what", "removed"}, {"by", e.by.str()}}; }
  Json operator()(const proto::DuplicateId& e) const {
    return {{"what", "duplicate_id"}, {"id", e.id.str()}};
  }
  Json operator()(const proto::MessageRefused& e) const {
    return {{"what", "refused"}, {"from", e.from.str()}, {"why", e.why.message()}};
  }
};

}  // namespace

void Trace::on_event(std::size_t place, const proto::GossipEvent& event) {
  if (cluster_ == nullptr) return;
  const auto said = std::visit(Describe{}, event);
  if (said.is_null()) return;
  auto json = line(*cluster_, "");
  json["node"] = cluster_->id(place).str();
  json.update(said);
  out_ << json.dump() << '\n';
}

void Trace::on_health(std::size_t place, const proto::StateChanged& change) {
  if (cluster_ == nullptr) return;
  auto json = line(*cluster_, "health");
  json["node"] = cluster_->id(place).str();
  json["member"] = change.id.str();
  json["from"] = proto::name(change.from);
  json["to"] = proto::name(change.to);
  json["incarnation"] = change.incarnation;
  json["by"] = change.by.str();
  out_ << json.dump() << '\n';
}

void Trace::on_fault(const Fault& fault, bool begins) {
  auto json = line(*cluster_, begins ? "fault" : "fault_over");
  json["fault"] = fault.option().substr(2);
  json["value"] = fault.text();
  out_ << json.dump() << '\n';
}

void Trace::on_edit(std::size_t place, const std::string& what) {
  auto json = line(*cluster_, "edit");
  json["node"] = cluster_->id(place).str();
  json["edit"] = what;
  out_ << json.dump() << '\n';
}

void Trace::on_end(const Report& report) {
  auto json = line(*cluster_, "end");
  json["report"] = Json::parse(to_json(report, ""));
  out_ << json.dump() << '\n';
  out_.flush();
}

}  // namespace cluster::sim
