#pragma once
#include <doctest/doctest.h>

#include <initializer_list>

#include "cluster/ds/chash.hpp"

namespace cluster::proto::test {

/// Members of equal weight.
inline CHash ring_of(std::initializer_list<const char*> ids) {
  CHash ring;
  for (const auto* id : ids) REQUIRE(ring.insert({.id = id}, 8));
  return ring;
}

}  // namespace cluster::proto::test
