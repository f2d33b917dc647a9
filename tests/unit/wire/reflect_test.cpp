#include <doctest/doctest.h>

#include <memory>

#include "cluster/wire/schema.hpp"
#include "samples.hpp"

namespace user {
struct AddItem {
  std::string name;
  std::int64_t cents = 0;
  static constexpr int kNoField = 1;
  using reply = bool;
};
struct HTTPGet {};
struct Get2 {};
struct snake_already {};
struct Renamed {
  static constexpr std::string_view event = "other";
};
template <class T>
struct Box {
  static constexpr std::string_view type_tag = "IntBox";
  T content{};
};
struct Outer {
  struct InnerPart {
    int value = 0;
  };
};
struct Trailing {
  int last_ = 0;
  std::vector<std::map<std::string, std::optional<int>>> _first;
};
}  // namespace user
namespace {
struct Hidden {
  int one = 0;
  std::string two;
};
struct Base {};
struct Derived : Base {
  int field = 0;
};
struct WithArray {
  std::string name;
  int numbers[3] = {};
  std::string tail;
};
struct Movable {
  std::unique_ptr<int> owned;
  samples::Point point;
};
}  // namespace

using namespace cluster::wire;

TEST_CASE("reflection: field names are those of the declaration, in its order") {
  CHECK(field_names<user::AddItem> == std::array<std::string_view, 2>{"name", "cents"});
  CHECK(field_names<user::Trailing> == std::array<std::string_view, 2>{"last_", "_first"});
  CHECK(field_names<Hidden> == std::array<std::string_view, 2>{"one", "two"});
  CHECK(field_names<user::HTTPGet>.empty());
  CHECK(field_names<user::Box<std::string>> == std::array<std::string_view, 1>{"content"});
  struct Local {
    bool inside = false;
  };
  CHECK(field_names<Local> == std::array<std::string_view, 1>{"inside"});
}

TEST_CASE("reflection: the event name is what the type says, or its unqualified name in snake_case") {
  CHECK(event_name<user::AddItem>() == "add_item");
  CHECK(event_name<user::HTTPGet>() == "http_get");
  CHECK(event_name<user::Get2>() == "get2");
  CHECK(event_name<user::snake_already>() == "snake_already");
  CHECK(event_name<user::Renamed>() == "other");
  CHECK(event_name<user::Box<int>>() == "int_box");
  CHECK(event_name<user::Outer::InnerPart>() == "inner_part");
  CHECK(event_name<Hidden>() == "hidden");
  CHECK(type_name<user::AddItem>() == "AddItem");
  CHECK(type_name<user::Box<int>>() == "IntBox");
}

TEST_CASE("reflection: bases and C arrays are seen, whatever else a struct holds") {
  CHECK(HasBase<Derived>);
  CHECK_FALSE(HasBase<Hidden>);
  CHECK_FALSE(HasBase<samples::Everything>);
  CHECK(detail::has_array_member<WithArray, field_count<WithArray>()>());
  CHECK_FALSE(detail::has_array_member<Hidden, field_count<Hidden>()>());
  CHECK_FALSE(detail::has_array_member<samples::Everything, field_count<samples::Everything>()>());
  CHECK_FALSE(detail::has_array_member<Movable, field_count<Movable>()>());
}

TEST_CASE("schema: it names the fields, their types and what they hold, and ends where a type holds itself") {
  const auto fields = schema<samples::Everything>();
  REQUIRE(fields.size() == field_count<samples::Everything>());
  const auto type_of = [&](std::string_view name) {
    for (const auto& field : fields)
      if (field.name == name) return field.type;
    return std::string("no such field");
  };
  CHECK(type_of("flag") == "bool");
  CHECK(type_of("i8") == "int8");
  CHECK(type_of("u64") == "uint64");
  CHECK(type_of("f32") == "float32");
  CHECK(type_of("colour") == "uint8");
  CHECK(type_of("bytes") == "bytes");
  CHECK(type_of("digest") == "bytes(4)");
  CHECK(type_of("numbers") == "[int64]");
  CHECK(type_of("two") == "[float64; 2]");
  CHECK(type_of("maybe") == "point?");
  CHECK(type_of("points") == "{string: point}");
  CHECK(type_of("by_number") == "[(uint32, string)]");
  CHECK(type_of("tuple") == "(bool, string, float64)");
  CHECK(type_of("one_of") == "nil | point | pair");
  CHECK(type_of("node") == "node_id");
  CHECK(type_of("clock") == "vector_clock");
  CHECK(type_of("value") == "any");

  const auto points = schema<samples::Everything>()[19];
  REQUIRE(points.name == "points");
  REQUIRE(points.fields.size() == 2);
  CHECK(points.fields[1].name == "y");

  const auto* tree = &fields[27];
  REQUIRE(tree->name == "tree");
  std::size_t depth = 0;
  for (; !tree->fields.empty(); ++depth) tree = &tree->fields[1];
  CHECK(depth == kSchemaDepthMax - 1);
  CHECK(schema<int>().empty());
}
