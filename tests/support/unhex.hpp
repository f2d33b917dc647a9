#pragma once
#include <string_view>

#include "cluster/base/bytes.hpp"

/// The bytes that a test writes in hexadecimal.
inline cluster::Bytes unhex(std::string_view text) { return cluster::from_hex(text).value(); }
