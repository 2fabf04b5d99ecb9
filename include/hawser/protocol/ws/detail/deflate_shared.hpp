// SPDX-License-Identifier: BSL-1.0
// What the connections of one `deflate_compression` share.
#pragma once

#include <hawser/protocol/ws/deflate_terms.hpp>
#include <hawser/protocol/ws/detail/zlib_streams.hpp>

#include <array>
#include <cstddef>
#include <memory>
#include <mutex>
#include <new>
#include <utility>

namespace hawser::inline v0::ws::detail {

/// Compressors that connections without takeover borrow for one message: one is kept per size of window.
class deflater_pool {
public:
    explicit deflater_pool(const deflate_options& o) noexcept : level_(o.level), memory_level_(o.memory_level) {}

    /// A compressor that remembers nothing; null when memory ran out.
    [[nodiscard]] std::unique_ptr<deflater> borrow(int window_bits) noexcept {
        {
            const std::lock_guard lock(mutex_);
            if (auto& kept = kept_[static_cast<std::size_t>(window_bits)]) return std::move(kept);
        }
        return make(window_bits);
    }
    void give_back(int window_bits, std::unique_ptr<deflater> used) noexcept {
        used->reset();
        const std::lock_guard lock(mutex_);
        std::swap(kept_[static_cast<std::size_t>(window_bits)], used);
    }
    [[nodiscard]] std::unique_ptr<deflater> make(int window_bits) const noexcept {
        std::unique_ptr<deflater> made(new (std::nothrow) deflater(level_, window_bits, memory_level_));
        return made && made->ready() ? std::move(made) : nullptr;
    }

private:
    const int level_;
    const int memory_level_;
    std::mutex mutex_;
    std::array<std::unique_ptr<deflater>, 16> kept_;
};

/// Bytes that zlib holds per stream, by the size of its window. Measured: they differ between versions and
/// forks of it.
class zlib_costs {
public:
    explicit zlib_costs(const deflater_pool& pool) {
        for (int bits = 9; bits <= 15; ++bits) {
            const auto out = pool.make(bits);
            if (!out) throw std::bad_alloc();
            compressing_[static_cast<std::size_t>(bits)] = sizeof(deflater) + out->held_bytes();
            inflating_[static_cast<std::size_t>(bits)] = sizeof(inflater) + measure_inflater(bits);
        }
    }
    [[nodiscard]] std::size_t compressing(int bits) const noexcept {
        return compressing_[static_cast<std::size_t>(bits)];
    }
    [[nodiscard]] std::size_t inflating(int bits) const noexcept { return inflating_[static_cast<std::size_t>(bits)]; }

private:
    // The window is allocated when a first message was inflated.
    [[nodiscard]] static std::size_t measure_inflater(int bits) {
        constexpr std::array hello{std::byte{0xf2}, std::byte{0x48}, std::byte{0xcd}, std::byte{0xc9},
                                   std::byte{0xc9}, std::byte{0x07}, std::byte{0x00}};
        inflater in(bits);
        gather_buffer text;
        if (!in.ready() || in.run(text, hello, 5) != errc{} || in.finish(text, 5) != errc{}) throw std::bad_alloc();
        return in.held_bytes();
    }
    std::array<std::size_t, 16> compressing_{};
    std::array<std::size_t, 16> inflating_{};
};

/// What the connections of one `deflate_compression` share.
struct deflate_shared {
    explicit deflate_shared(const deflate_options& o) : settings(o), pool(o), costs(pool) {}
    const deflate_options settings;
    deflater_pool pool;
    const zlib_costs costs;
};

}  // namespace hawser::inline v0::ws::detail
