#pragma once
#include <cstddef>
#include <cstdint>

/// Decodes `data` in every way that the target is about. Ends the process if a property does not hold.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
