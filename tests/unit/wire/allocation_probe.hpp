#pragma once
#include <cstddef>

/// The greatest single allocation with `new` on this thread since a test set it to 0. The program that links
/// allocation_probe.cpp replaces the global operator new.
extern thread_local std::size_t largest_allocation;
