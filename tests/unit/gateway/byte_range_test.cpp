#include "cluster/gateway/byte_range.hpp"

#include <doctest/doctest.h>

namespace cluster::gateway {
namespace {

TEST_CASE("byte range: one range within the body is that part, and all that is none is the whole body") {
  const WholeBody whole;
  const UnsatisfiableRange none;
  struct Row {
    const char* header;
    std::uint64_t size;
    std::variant<WholeBody, ByteRange, UnsatisfiableRange> expected;
  };
  const Row rows[]{{"", 10, whole},
                   {"bytes=0-0", 10, ByteRange{0, 0}},
                   {"BYTES=0-9", 10, ByteRange{0, 9}},
                   {"bytes=9-9", 10, ByteRange{9, 9}},
                   {"bytes=0-10", 10, ByteRange{0, 9}},
                   {"bytes=3-", 10, ByteRange{3, 9}},
                   {"bytes= 3-4 ", 10, ByteRange{3, 4}},
                   {"bytes=9-", 10, ByteRange{9, 9}},
                   {"bytes=10-", 10, none},
                   {"bytes=10-20", 10, none},
                   {"bytes=-1", 10, ByteRange{9, 9}},
                   {"bytes=-10", 10, ByteRange{0, 9}},
                   {"bytes=-11", 10, ByteRange{0, 9}},
                   {"bytes=-0", 10, none},
                   {"bytes=0-", 0, none},
                   {"bytes=-1", 0, none},
                   {"bytes=0-99999999999999999999", 10, ByteRange{0, 9}},
                   {"bytes=99999999999999999999-", 10, none},
                   {"bytes=-99999999999999999999", 10, ByteRange{0, 9}},
                   {"bytes=0-1,3-4", 10, whole},
                   {"bytes=4-3", 10, whole},
                   {"bytes=a-b", 10, whole},
                   {"bytes=-", 10, whole},
                   {"bytes=1", 10, whole},
                   {"bytes=+1-2", 10, whole},
                   {"bytes=--2", 10, whole},
                   {"lines=0-1", 10, whole},
                   {"bytes", 10, whole}};
  for (const auto& row : rows) {
    CAPTURE(row.header);
    CAPTURE(row.size);
    CHECK((requested_range(row.header, row.size) == row.expected));
  }
}

TEST_CASE("byte range: a list of entity tags holds a tag, weak or not, or all of them") {
  CHECK(has_entity_tag("\"a\"", "\"a\""));
  CHECK(has_entity_tag("\"b\", W/\"a\"", "\"a\""));
  CHECK(has_entity_tag("*", "\"a\""));
  CHECK(!has_entity_tag("", "\"a\""));
  CHECK(!has_entity_tag("\"ab\",a", "\"a\""));
}

TEST_CASE("byte range: the strong ones of a list of entity tags") {
  CHECK(strong_tags("\"a\", W/\"b\",\"c,d\" , \"\"") == std::vector<std::string_view>{"a", "c,d", ""});
  CHECK(strong_tags("a, *, \"open").empty());
  CHECK(strong_tags("").empty());
}

TEST_CASE("byte range: a GET is answered by its conditions") {
  CHECK(status_of_get("", "", "\"a\"") == 200);
  CHECK(status_of_get("*", "\"b\"", "\"a\"") == 200);
  CHECK(status_of_get("\"b\", \"a\"", "", "\"a\"") == 200);
  CHECK(status_of_get("W/\"a\"", "", "\"a\"") == 412);
  CHECK(status_of_get("a", "", "\"a\"") == 412);
  CHECK(status_of_get("\"b\"", "\"a\"", "\"a\"") == 412);
  CHECK(status_of_get("", "W/\"a\"", "\"a\"") == 304);
  CHECK(status_of_get("\"a\"", "*", "\"a\"") == 304);
}

TEST_CASE("byte range: a file's name in a header is letters, digits and escapes alone") {
  CHECK(percent_encoded("a-Z_0.9~") == "a-Z_0.9~");
  CHECK(percent_encoded("a b\"\r\n%/\xc3\xbc") == "a%20b%22%0D%0A%25%2F%C3%BC");
}

TEST_CASE("get: times are heeded where no entity tags are, and only if they are times (RFC 9110 13.2.2)") {
  const char* const before = "Sun, 06 Nov 1994 08:49:36 GMT";
  const char* const same = "Sun, 06 Nov 1994 08:49:37 GMT";
  const char* const after = "Sun, 06 Nov 1994 08:49:38 GMT";
  const WallTime stored = *http_time(same) + std::chrono::milliseconds(900);
  const auto status = [&](Pairs headers) {
    Request request;
    request.headers = std::move(headers);
    return status_of_get(request, "\"tag\"", stored);
  };
  CHECK(status({}) == 200);
  CHECK(status({{"if-modified-since", before}}) == 200);
  CHECK(status({{"if-modified-since", same}}) == 304);
  CHECK(status({{"if-modified-since", after}}) == 304);
  CHECK(status({{"if-unmodified-since", before}}) == 412);
  CHECK(status({{"if-unmodified-since", same}}) == 200);
  CHECK(status({{"if-unmodified-since", after}}) == 200);
  CHECK(status({{"if-modified-since", "tomorrow"}, {"if-unmodified-since", "never"}}) == 200);
  CHECK(status({{"if-modified-since", same}, {"if-modified-since", after}}) == 200);
  CHECK(status({{"if-modified-since", after}, {"if-none-match", "\"other\""}}) == 200);
  CHECK(status({{"if-modified-since", before}, {"if-none-match", "\"tag\""}}) == 304);
  CHECK(status({{"if-unmodified-since", before}, {"if-match", "\"tag\""}}) == 200);
  CHECK(status({{"if-unmodified-since", before}, {"if-none-match", "\"tag\""}}) == 412);
}

}  // namespace
}  // namespace cluster::gateway
