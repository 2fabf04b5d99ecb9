// SPDX-License-Identifier: BSL-1.0
// The whole world of the model lives in one block of memory at one address, so that a state is
// copied by copying bytes: the classes under test need not be copyable for it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>

namespace model {

class arena {
public:
    static constexpr std::size_t capacity = 512 * 1024;

    /// While one of these lives, `operator new` takes from the arena.
    struct scope {
        scope() noexcept { ++open_; }
        ~scope() { --open_; }
        scope(const scope&) = delete;
        scope& operator=(const scope&) = delete;
    };

    static bool open() noexcept { return open_ > 0; }
    static bool owns(const void* p) noexcept { return p >= block_.bytes && p < block_.bytes + capacity; }
    static void clear() noexcept {
        std::memset(&block_.head, 0, sizeof block_.head);
        block_.head.used = (sizeof block_.head + step - 1) / step * step;
    }
    static void* take(std::size_t n) {
        const std::size_t c = size_class(n);
        if (free_node* f = block_.head.free[c]) {
            block_.head.free[c] = f->next;
            return f;
        }
        // In front of each piece, its class.
        if (block_.head.used + header + step * (c + 1) > capacity) throw std::bad_alloc();
        std::byte* p = block_.bytes + block_.head.used;
        block_.head.used += header + step * (c + 1);
        std::memcpy(p, &c, sizeof c);
        return p + header;
    }
    static void give(void* p) noexcept {
        std::size_t c = 0;
        std::memcpy(&c, static_cast<std::byte*>(p) - header, sizeof c);
        block_.head.free[c] = ::new (p) free_node{block_.head.free[c]};
    }

    static std::size_t used() noexcept { return block_.head.used; }
    static void save(std::byte* to) noexcept { std::memcpy(to, block_.bytes, used()); }
    static void load(const std::byte* from, std::size_t size) noexcept { std::memcpy(block_.bytes, from, size); }

private:
    struct free_node {
        free_node* next;
    };
    static constexpr std::size_t header = 64, step = 64, classes = 4096;
    static std::size_t size_class(std::size_t n) {
        const std::size_t c = n == 0 ? 0 : (n - 1) / step;
        if (c >= classes) throw std::bad_alloc();
        return c < 64 ? c : (c | 63);
    }
    // Free lists of the small classes are dense, those of the others few.
    struct bookkeeping {
        std::size_t used;
        struct lists {
            free_node* small[64];
            free_node* large[classes / 64];
            free_node*& operator[](std::size_t c) noexcept { return c < 64 ? small[c] : large[c / 64]; }
        } free;
    };
    union block {
        alignas(64) std::byte bytes[capacity];
        bookkeeping head;
    };
    static inline block block_{};
    static inline int open_ = 0;
};

}  // namespace model
