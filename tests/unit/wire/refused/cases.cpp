// None of these messages may compile, and the compiler must say why: check.cmake looks for the sentences.
#include <memory>

#include "cluster/base/time.hpp"
#include "cluster/wire/codec.hpp"

using namespace cluster::wire;

struct WithArray {
  int numbers[3] = {};
};
auto a = encode(WithArray{});  // C arrays are not coded: use std::array

struct Base {};
struct WithBase : Base {
  int number = 0;
};
auto b = encode(WithBase{});  // a struct with a base is not coded: make the base a field

struct WithPointer {
  const char* text = nullptr;
};
auto c = encode(WithPointer{});  // a pointer means nothing to another process

class WithConstructor {
 public:
  WithConstructor() {}
  int number = 0;
};
auto d = encode(WithConstructor{});  // messages are plain structs, without constructors or private fields

template <class T>
struct Box {
  T content{};
};
auto e = event_name<Box<int>>();  // compilers spell the arguments of a template differently: give this type a

struct WithCharacter {
  char letter = 'a';
};
auto f = encode(WithCharacter{});  // a character type is no number and no text

struct WithInstant {
  cluster::Instant deadline{};
};
auto g = encode(WithInstant{});  // only wall-clock times travel

enum Loose { kLoose };
struct WithLooseEnum {
  Loose value = kLoose;
};
auto h = encode(WithLooseEnum{});  // give this enum a fixed underlying type
