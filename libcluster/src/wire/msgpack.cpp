#include "cluster/wire/msgpack.hpp"

#include <algorithm>

#include "cluster/base/assert.hpp"

namespace cluster::wire {
namespace {

constexpr std::size_t kFirstRoomBytes = 128;
/// Room is made in steps of this size: a vector zeroes it, which is lost on a short message and should still
/// be in the cache when a long one is written.
constexpr std::size_t kRoomStepBytes = 256;

}  // namespace

std::string_view name(Kind kind) noexcept {
  switch (kind) {
    case Kind::end:
      return "the end of the input";
    case Kind::nil:
      return "nil";
    case Kind::boolean:
      return "a boolean";
    case Kind::integer:
      return "an integer";
    case Kind::real:
      return "a float";
    case Kind::text:
      return "a string";
    case Kind::bytes:
      return "bytes";
    case Kind::array:
      return "an array";
    case Kind::map:
      return "a map";
    case Kind::extension:
      return "an extension";
    case Kind::invalid:
      break;
  }
  return "the unused tag c1";
}

void Writer::grow(std::size_t more) {
  const auto at = size();
  if (at + more > out_.capacity()) out_.reserve(std::max({at + more, 2 * out_.capacity(), kFirstRoomBytes}));
  out_.resize(std::min(out_.capacity(), at + std::max(more, kRoomStepBytes)));
  cursor_ = out_.data() + at;
  end_ = out_.data() + out_.size();
}

void Writer::append(ByteView value) {
  out_.resize(size());
  out_.insert(out_.end(), value.begin(), value.end());
  cursor_ = end_ = out_.data() + out_.size();
}

void Writer::sized(std::size_t size, std::uint8_t tag16, std::uint8_t tag32) {
  CLUSTER_ASSERT(size <= 0xffff'ffff);
  if (size <= 0xffff)
    tagged(tag16, static_cast<std::uint16_t>(size));
  else
    tagged(tag32, static_cast<std::uint32_t>(size));
}

bool Reader::any_integer(Integer& value) {
  if (peek() != Kind::integer) return expected("an integer");
  const auto tag = *cursor_;
  const auto negative = [&](std::int64_t number) {
    value = {static_cast<std::uint64_t>(number), number < 0};
    return true;
  };
  if (tag < 0x80 || tag >= 0xe0) {
    ++cursor_;
    return negative(static_cast<std::int8_t>(tag));
  }
  const std::size_t width = std::size_t{1} << (tag & 3);  // cc cd ce cf, d0 d1 d2 d3: 1 2 4 8 bytes
  if (left() < 1 + width) return truncated();
  const auto* at = cursor_ + 1;
  cursor_ += 1 + width;
  switch (tag) {
    case 0xcc:
      value = {load_be<std::uint8_t>(at), false};
      return true;
    case 0xcd:
      value = {load_be<std::uint16_t>(at), false};
      return true;
    case 0xce:
      value = {load_be<std::uint32_t>(at), false};
      return true;
    case 0xcf:
      value = {load_be<std::uint64_t>(at), false};
      return true;
    case 0xd0:
      return negative(static_cast<std::int8_t>(load_be<std::uint8_t>(at)));
    case 0xd1:
      return negative(static_cast<std::int16_t>(load_be<std::uint16_t>(at)));
    case 0xd2:
      return negative(static_cast<std::int32_t>(load_be<std::uint32_t>(at)));
    default:
      return negative(static_cast<std::int64_t>(load_be<std::uint64_t>(at)));
  }
}

bool Reader::does_not_fit(Integer value, std::size_t size, bool is_signed) {
  const auto number =
      value.negative ? std::to_string(static_cast<std::int64_t>(value.bits)) : std::to_string(value.bits);
  return fail(number + " does not fit " + (is_signed ? "int" : "uint") + std::to_string(8 * size));
}

bool Reader::real(double& value) {
  if (cursor_ != end_ && *cursor_ == 0xcb) {
    if (left() < 9) return truncated();
    value = std::bit_cast<double>(load_be<std::uint64_t>(cursor_ + 1));
    cursor_ += 9;
    return true;
  }
  if (cursor_ != end_ && *cursor_ == 0xca) {
    if (left() < 5) return truncated();
    value = std::bit_cast<float>(load_be<std::uint32_t>(cursor_ + 1));
    cursor_ += 5;
    return true;
  }
  if (peek() != Kind::integer) return expected("a number");
  Integer wide;
  if (!any_integer(wide)) return false;
  constexpr std::int64_t kExactMax = std::int64_t{1} << 53;
  const auto number = static_cast<std::int64_t>(wide.bits);
  if ((!wide.negative && wide.bits > kExactMax) || number < -kExactMax)
    return fail("the integer has more than the 53 bits of a float");
  value = static_cast<double>(number);
  return true;
}

/// Passes over one element; `children` is set to the number of values inside it.
bool Reader::skip_one(Kind kind, std::size_t& children) {
  const auto pass = [&](std::size_t size) {
    if (left() < size) return truncated();
    cursor_ += size;
    return true;
  };
  ByteView ignored;
  switch (kind) {
    case Kind::nil:
    case Kind::boolean:
      return pass(1);
    case Kind::integer: {
      const auto tag = *cursor_;
      return pass(tag < 0x80 || tag >= 0xe0 ? 1 : 1 + (std::size_t{1} << (tag & 3)));
    }
    case Kind::real:
      return pass(*cursor_ == 0xca ? 5 : 9);
    case Kind::text:
    case Kind::bytes:
      return blob(ignored, "bytes");
    case Kind::array:
      return array(children);
    case Kind::map: {
      if (!map(children)) return false;
      children *= 2;
      return true;
    }
    case Kind::extension: {
      const auto tag = *cursor_;
      if (tag >= 0xd4) return pass(2 + (std::size_t{1} << (tag - 0xd4)));  // fixext 1, 2, 4, 8, 16
      std::size_t size = 0;
      const bool fits = tag == 0xc7   ? length<std::uint8_t>(size, 1)
                        : tag == 0xc8 ? length<std::uint16_t>(size, 1)
                                      : length<std::uint32_t>(size, 1);
      return fits && pass(1 + size);  // its type, its bytes
    }
    case Kind::end:
      return truncated();
    case Kind::invalid:
      break;
  }
  return expected("a value");
}

bool Reader::skip() {
  std::array<std::size_t, kDepthMax> open;  // values still to come at each level
  std::size_t depth = 0;
  for (;;) {
    const auto kind = peek();
    const bool container = kind == Kind::array || kind == Kind::map;
    std::size_t children = 0;
    if (!ok() || (container && !enter()) || !skip_one(kind, children)) return false;
    if (children != 0) {
      open[depth++] = children;
      continue;
    }
    if (container) leave();
    while (depth != 0 && --open[depth - 1] == 0) {
      --depth;
      leave();
    }
    if (depth == 0) return true;
  }
}

bool Reader::raw(ByteView& value) {
  const auto* from = cursor_;
  if (!skip()) return false;
  value = {from, cursor_};
  return true;
}

bool Reader::fail(std::string_view what) {
  if (!failure_) {
    failure_ = std::make_unique<Failure>();
    failure_->what = what;
    cursor_ = end_;
  }
  return false;
}

bool Reader::expected(std::string_view what) {
  if (!ok()) return false;
  std::string text = "expected ";
  text.append(what).append(", found ").append(name(peek())).append(" at byte ");
  return fail(text + std::to_string(cursor_ - begin_));
}

bool Reader::truncated() { return fail("the input ends inside a value"); }

bool Reader::in_field(std::string_view field) {
  if (ok()) return false;
  auto& path = failure_->path;
  const bool joined = path.empty() || path.front() == '[';
  path.insert(0, joined ? std::string(field) : std::string(field) + '.');
  return false;
}

bool Reader::in_element(std::size_t index) {
  if (ok()) return false;
  auto& path = failure_->path;
  const bool joined = path.empty() || path.front() == '[';
  path.insert(0, '[' + std::to_string(index) + (joined ? "]" : "]."));
  return false;
}

Error Reader::error() const {
  CLUSTER_ASSERT(!ok());
  const auto& [path, what] = *failure_;
  return Error(Errc::bad_message, path.empty() ? what : "field '" + path + "': " + what);
}

}  // namespace cluster::wire
