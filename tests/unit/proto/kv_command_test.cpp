// What people write about the key-value store: commands and buckets.
#include <doctest/doctest.h>

#include "cluster/proto/command_line.hpp"
#include "cluster/proto/kv_bucket.hpp"

using namespace cluster;
using namespace cluster::proto;

namespace {

Result<CommandRequest> kv_line(std::string_view line) { return parse_command(split_words(line).value()); }

}  // namespace

TEST_CASE("kv command: flags go with the commands that heed them, and a time has a unit") {
  CHECK(kv_line("kv put k v --ttl 500ms")->ttl_ms == 500);
  CHECK(kv_line("kv put k v --ttl 10")->ttl_ms == 10'000);
  CHECK(kv_line("kv put k v b --ttl 7d --if-absent")->ttl_ms == 7 * 86'400'000ULL);
  CHECK(kv_line("kv put k v --context AAAA --if-unchanged")->if_unchanged);
  CHECK(kv_line("kv put k v --context ''")->context == "");
  CHECK(kv_line("kv del k --context AAAA")->context == "AAAA");
  CHECK(kv_line("kv ls '' b from 10"));
  CHECK(kv_line("kv scan"));
  CHECK(kv_line("kv watch --follow"));
  for (const char* bad :
       {"kv put k v --ttl 0", "kv put k v --ttl 10y", "kv put k v --ttl", "kv put k v --ttl 36501d",
        "kv put k v --ttl -1s", "kv put k v --if-unchanged", "kv put k v --if-absent --context A",
        "kv get k --ttl 1s", "kv get k --context A", "kv del k --if-absent", "kv get k --follow",
        "kv ls a b c x", "kv", "kv get", "kv nonsense", "ping --ttl 1s", "members --context A"}) {
    CAPTURE(bad);
    CHECK(!kv_line(bad));
  }
}

TEST_CASE("kv command: what has a place in the usage may be given by name instead") {
  using Args = std::vector<std::string>;
  CHECK(kv_line("kv ls --bucket carts")->args == Args{"ls", "", "carts"});
  CHECK(kv_line("kv ls --limit=10 --prefix u")->args == Args{"ls", "u", "default", "", "10"});
  CHECK(kv_line("kv watch --bucket carts user-")->args == Args{"watch", "user-", "carts"});
  CHECK(kv_line("kv get k --bucket b --raw")->args == Args{"get", "k", "b"});
  CHECK(kv_line("kv get k --raw")->format == "raw");
  CHECK(kv_line("kv put k --bucket b")->args == Args{"put", "k", "-", "b"});
  CHECK(kv_line("kv put k v --bucket b")->args == Args{"put", "k", "v", "b"});
  CHECK(parse_command(split_words("file ls --prefix a").value())->args == Args{"ls", "a"});
  for (const char* bad : {"kv get k b --bucket b", "kv get --bucket b", "kv ls --bucket", "kv ls --limit x",
                          "kv ls --bucket a --bucket b", "kv status --bucket b", "kv put k v --raw",
                          "file get x --raw", "ping --bucket b", "kv get k --prefix p"}) {
    CAPTURE(bad);
    CHECK(!kv_line(bad));
  }
}

TEST_CASE("kv bucket: what is not stated is as in the default, and what cannot work is refused") {
  const auto plain = parse_kv_bucket("users:").value();
  CHECK(plain.first == "users");
  CHECK(plain.second.n == 3);
  CHECK(resolve_name(plain.second) == "siblings");
  const auto last = parse_kv_bucket("*:n=5,w=3,last").value();
  CHECK(last.first == "*");
  CHECK(last.second.n == 5);
  CHECK(last.second.r == 2);
  CHECK(last.second.w == 3);
  CHECK(last.second.resolve == KvResolve::last);
  CHECK(parse_kv_bucket("b:r=1", last.second)->second.n == 5);
  CHECK(resolve_name(parse_kv_bucket("b:siblings", last.second)->second) == "siblings");
  for (const char* bad : {"", "users", ":n=3", "a b:n=3", "b:n=0", "b:n=17", "b:r=4", "b:w=4", "b:n=1,r=2",
                          "b:n=x", "b:n=", "b:n=3x", "b:q=3", "b:lastly", "b:n=-1", "b:n=3,,w=2"}) {
    CAPTURE(bad);
    CHECK(!parse_kv_bucket(bad));
  }
}

TEST_CASE("kv bucket: merges give the same whatever the order") {
  const auto text = [](const Bytes& bytes) { return std::string(as_text(bytes)); };
  const auto max = parse_kv_bucket("b:max")->second.merge;
  CHECK(text(max(as_bytes("12"), as_bytes("34"))) == "34");
  CHECK(text(max(as_bytes("34"), as_bytes("12"))) == "34");
  const auto lines = parse_kv_bucket("b:union")->second.merge;
  CHECK(text(lines(as_bytes("milk\nbread"), as_bytes("eggs\nmilk\n"))) == "bread\neggs\nmilk\n");
  CHECK(text(lines(as_bytes("eggs\nmilk\n"), as_bytes("milk\nbread"))) == "bread\neggs\nmilk\n");
  CHECK(lines(as_bytes(""), as_bytes("")).empty());
}
