#pragma once
#include <cstddef>

// The program that links allocation_probe.cpp replaces the global operator new.

/// From now on only later allocations count.
void forget_allocations() noexcept;
/// The greatest single allocation with `new` on this thread since then.
[[nodiscard]] std::size_t largest_allocation() noexcept;
