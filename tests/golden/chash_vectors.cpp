// Checks of chash_*.json.
#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include "checker.hpp"
#include "cluster/base/bytes.hpp"
#include "cluster/crypto/sha256.hpp"
#include "cluster/ds/chash.hpp"
#include "cluster/ds/json.hpp"

namespace golden {
namespace {

using cluster::CHash;
constexpr std::uint64_t kAnyWeight = std::numeric_limits<std::uint32_t>::max();

// What the files say, as the library takes it. A ring or node that the library refuses is a mismatch, told
// by an exception of its own since nothing after it in the case can be compared.
struct Refused {
  std::string what, why;
};
template <class T>
T accepted(std::string what, cluster::Result<T> result) {
  if (!result) throw Refused{std::move(what), result.error().message()};
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

CHash::Node node_of(const Json& id, const Json& host, const Json& port) {
  const auto number = static_cast<std::uint16_t>(natural(port, "port", 65'535));
  auto parsed = accepted("node id " + id.dump(), cluster::NodeId::parse(text(id, "id")));
  return {std::move(parsed), {text(host, "host"), number}};
}
CHash::Node node_of(const Json& node) {
  return node_of(member(node, "id"), member(node, "host"), member(node, "port"));
}

std::optional<std::uint32_t> weight_of(const Json& weight) {
  if (weight.is_null()) return std::nullopt;
  return static_cast<std::uint32_t>(natural(weight, "weight", kAnyWeight));
}

cluster::CHashConfig config_of(const Json& object) {
  return {static_cast<std::uint32_t>(natural(member(object, "rfactor"), "rfactor", kAnyWeight)),
          static_cast<std::uint32_t>(natural(member(object, "pfactor"), "pfactor", kAnyWeight))};
}

CHash empty_ring(cluster::CHashConfig config) { return accepted("config", CHash::from_points(config, {})); }

CHash ring_of(const Json& object) {
  std::vector<CHash::Point> points;
  for (const auto& item : list(member(object, "tree"), "tree")) {
    const auto position =
        cluster::position_from_text(cluster::HashPolicy::sha256, text(element(item, 0), "key"));
    if (!position) throw Malformed("a tree key is not base64 of 32 bytes");
    points.push_back({*position, node_of(element(item, 1), element(item, 2), element(item, 3))});
  }
  return accepted("ring", CHash::from_points(config_of(object), std::move(points)));
}

void insert_all(CHash& ring, const Json& inserts) {
  for (const auto& one : list(inserts, "inserts"))
    accepted("insert", ring.insert(node_of(one), weight_of(member(one, "weight"))));
}

std::optional<std::int64_t> range_of(const Json& query) {
  const Json& range = member(query, "range");
  return range.is_null() ? std::nullopt : std::optional(whole(range, "range"));
}

// What the library says, as the files write it.

Json id_of(const CHash::Node* node) { return node == nullptr ? Json() : Json(node->id.str()); }
Json json_of(const CHash::Node* node) { return node == nullptr ? Json() : Json(cluster::to_json(*node)); }

Json weights_of(const CHash& ring) {
  std::vector<CHash::Weight> weights(ring.weights().begin(), ring.weights().end());
  std::ranges::sort(weights, [](const auto& a, const auto& b) { return utf16_less(a.id.str(), b.id.str()); });
  Json result = Json::array();
  for (const auto& [id, weight] : weights) result.push_back(Json::array({id.str(), weight}));
  return result;
}

Json tree_of(const CHash& ring) {
  Json result = Json::array();
  for (const auto& [position, node] : ring.points())
    result.push_back(Json::array({cluster::position_text(ring.config().policy, position), node.id.str(),
                                  node.endpoint.host, node.endpoint.port}));
  return result;
}

void check_state(Checker& checker, const Json& expected, const CHash& ring) {
  checker.equal("rfactor", member(expected, "rfactor"), ring.config().rfactor);
  checker.equal("pfactor", member(expected, "pfactor"), ring.config().pfactor);
  checker.equal("size", member(expected, "size"), ring.size());
  checker.equal("numberNodes", member(expected, "numberNodes"), ring.node_count());
  checker.equal("weights", member(expected, "weights"), weights_of(ring));
  Json nodes = Json::array();
  for (const auto& node : ring.nodes()) nodes.push_back(Json(cluster::to_json(node)));
  checker.equal("nodes", member(expected, "nodes"), nodes);
  checker.equal("tree", member(expected, "tree"), tree_of(ring));
}

void check_find(Checker& checker, const Json& expected, const CHash& ring) {
  for (const auto& pair : list(expected, "find"))
    checker.equal("find " + element(pair, 0).dump(), element(pair, 1),
                  id_of(ring.find(text(element(pair, 0), "key"))));
}

void check_rings(Checker& checker, const Json& one) {
  const Json& state = member(one, "state");
  CHash ring = empty_ring(config_of(state));
  insert_all(ring, member(one, "inserts"));
  check_state(checker, state, ring);
  check_find(checker, member(one, "find"), ring);
}

void check_owners(Checker& checker, const Json& one, const Json& keys) {
  CHash ring = empty_ring(config_of(one));
  insert_all(ring, member(one, "inserts"));
  const Json& ids = member(one, "ids");
  Json inserted = Json::array();
  for (const auto& insert : member(one, "inserts")) inserted.push_back(member(insert, "id"));
  checker.equal("ids", ids, inserted);
  const auto& owners = list(member(one, "owner"), "owner");
  checker.equal("number of owners", keys.size(), owners.size());
  for (std::size_t i = 0; i < owners.size() && i < keys.size(); ++i) {
    const Json& expected =
        owners[i].is_null() ? owners[i] : element(ids, natural(owners[i], "owner", ids.size()));
    checker.equal("owner of " + keys[i].dump(), expected, id_of(ring.find(text(keys[i], "key"))));
  }
}

void check_neighbors(Checker& checker, const Json& one) {
  CHash ring = empty_ring(config_of(one));
  insert_all(ring, member(one, "inserts"));
  for (const auto& query : list(member(one, "queries"), "queries")) {
    const auto& call = text(member(query, "call"), "call");
    const bool by_node = call == "next" || call == "prev";
    const auto& subject = text(member(query, by_node ? "node" : "key"), "node or key");
    const auto range = range_of(query);
    const auto what = call + " of " + Json(subject).dump() + ", range " + member(query, "range").dump();
    if (call == "find") {
      checker.equal(what, member(query, "result"), id_of(ring.find(subject)));
      continue;
    }
    if (!by_node && call != "rangeNext" && call != "rangePrev")
      throw Malformed("unknown call '" + call + "'");
    const auto found = accepted(what, call == "next"        ? ring.next(subject, range)
                                      : call == "prev"      ? ring.prev(subject, range)
                                      : call == "rangeNext" ? ring.range_next(subject, range)
                                                            : ring.range_prev(subject, range));
    Json ids = Json::array();
    for (const auto& node : found) ids.push_back(node.id.str());
    checker.equal(what, member(query, "result"), ids);
  }
}

void apply(Checker& checker, const std::string& op, const Json& step, CHash& ring) {
  if (op == "insert") {
    accepted(op, ring.insert(node_of(member(step, "node")), weight_of(member(step, "weight"))));
  } else if (op == "update") {
    accepted(op, ring.update(node_of(member(step, "node")), weight_of(member(step, "weight"))));
  } else if (op == "remove") {
    ring.remove(text(member(member(step, "node"), "id"), "id"));
  } else if (op == "merge" || op == "intersect") {
    const CHash other = ring_of(member(step, "other"));
    if (op == "merge")
      accepted(op, ring.merge(other));
    else
      accepted(op, ring.intersect(other));
    checker.equal("equalsOther", member(step, "equalsOther"), ring == other);
  } else if (op == "rfactor" || op == "pfactor") {
    const auto value = static_cast<std::uint32_t>(natural(member(step, "value"), "value", kAnyWeight));
    accepted(op, op == "rfactor" ? ring.set_rfactor(value) : ring.set_pfactor(value));
  } else {
    throw Malformed("unknown op '" + op + "'");
  }
}

void check_ops(Checker& checker, const std::string& place, const Json& one) {
  CHash ring = empty_ring(config_of(one));
  std::size_t number = 0;
  for (const auto& step : list(member(one, "steps"), "steps")) {
    const auto& op = text(member(step, "op"), "op");
    checker.enter(place + ", step " + std::to_string(++number) + " (" + op + ")");
    apply(checker, op, step, ring);
    check_state(checker, member(step, "after"), ring);
    check_find(checker, member(step, "find"), ring);
    const Json& get = member(step, "get");
    const auto& id = text(element(get, 0), "id");
    checker.equal("get " + Json(id).dump(), element(get, 1), json_of(ring.get(id)));
    checker.equal("isDefined " + Json(id).dump(), element(get, 2), ring.contains(id));
  }
  checker.enter(place + ", at the end");
  const Json& expected = member(one, "finalJSON");
  const Json written = cluster::to_json(ring);
  checker.equal("finalJSON", expected, written);
  for (const Json* json : {&expected, &written}) {
    const CHash read = accepted("the ring read back", cluster::chash_from_json(*json));
    checker.equal("roundTripEquals", member(one, "roundTripEquals"), read == ring && ring == read);
  }
}

void check_equals(Checker& checker, const Json& one) {
  const CHash a = ring_of(member(one, "a"));
  const CHash b = ring_of(member(one, "b"));
  checker.equal("aEqualsB", member(one, "aEqualsB"), a == b);
  checker.equal("bEqualsA", member(one, "bEqualsA"), b == a);
}

template <class Check>
void each_ring(Checker& checker, const std::string& file, const Json& content, Check check) {
  each_case(file, content, [&](const std::string& place, const Json& one) {
    checker.enter(place);
    try {
      check(place, one);
    } catch (const Refused& refused) {
      checker.refused(refused.what, refused.why);
    }
  });
}

}  // namespace

CheckFile chash_check(std::string_view kind) {
  if (kind == "chash_rings")
    return [](Checker& checker, const std::string& file, const Json& content) {
      each_ring(checker, file, content, [&](const auto&, const Json& one) { check_rings(checker, one); });
    };
  if (kind == "chash_find")
    return [](Checker& checker, const std::string& file, const Json& content) {
      const Json& keys = member(content, "keys");
      Json hashes = Json::array();
      for (const auto& key : list(keys, "keys"))
        hashes.push_back(cluster::base64(cluster::crypto::sha256(cluster::as_bytes(text(key, "key")))));
      checker.enter(file);
      const auto& expected = list(member(content, "hashes"), "hashes");
      checker.equal("number of hashes", expected.size(), hashes.size());
      for (std::size_t i = 0; i < expected.size() && i < hashes.size(); ++i)
        checker.equal("hash of " + keys[i].dump(), expected[i], hashes[i]);
      each_ring(checker, file, content,
                [&](const auto&, const Json& one) { check_owners(checker, one, keys); });
    };
  if (kind == "chash_neighbors")
    return [](Checker& checker, const std::string& file, const Json& content) {
      each_ring(checker, file, content, [&](const auto&, const Json& one) { check_neighbors(checker, one); });
    };
  if (kind == "chash_ops")
    return [](Checker& checker, const std::string& file, const Json& content) {
      each_ring(checker, file, content,
                [&](const auto& place, const Json& one) { check_ops(checker, place, one); });
    };
  if (kind == "chash_equals")
    return [](Checker& checker, const std::string& file, const Json& content) {
      each_ring(checker, file, content, [&](const auto&, const Json& one) { check_equals(checker, one); });
    };
  return nullptr;
}

}  // namespace golden
