// SPDX-License-Identifier: BSL-1.0
// Raw deflate in both directions on zlib, each stream with a count of the memory that it holds.
#pragma once

#include <hawser/core/bytes.hpp>
#include <hawser/core/errc.hpp>
#include <hawser/core/planted.hpp>
#include <hawser/protocol/ws/gather_buffer.hpp>

#include <zlib.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <new>
#include <utility>

namespace hawser::inline v0::ws::detail {

/// zlib's allocations, counted. Blocks carry their size in front, as `zfree` is not told it.
class zlib_memory {
public:
    void attach(z_stream& z) noexcept {
        z.zalloc = &take;
        z.zfree = &give_back;
        z.opaque = this;
    }
    [[nodiscard]] std::size_t held() const noexcept { return held_; }

private:
    static constexpr std::size_t head = alignof(std::max_align_t);

    static voidpf take(voidpf self, uInt items, uInt size) noexcept {
        const std::size_t bytes = head + std::size_t{items} * size;
        void* block = ::operator new(bytes, std::nothrow);
        if (block == nullptr) return Z_NULL;
        std::memcpy(block, &bytes, sizeof bytes);
        static_cast<zlib_memory*>(self)->held_ += bytes;
        return static_cast<std::byte*>(block) + head;
    }
    static void give_back(voidpf self, voidpf address) noexcept {
        std::byte* block = static_cast<std::byte*>(address) - head;
        std::size_t bytes = 0;
        std::memcpy(&bytes, block, sizeof bytes);
        static_cast<zlib_memory*>(self)->held_ -= bytes;
        ::operator delete(block);
    }
    std::size_t held_ = 0;
};

inline constexpr std::size_t most_per_call = std::size_t{1} << 30;  // zlib counts in 32 bits

// zlib takes the input as non-const, and does not write to it.
[[nodiscard]] inline Bytef* zlib_input(byte_view in) noexcept {
    return const_cast<Bytef*>(reinterpret_cast<const Bytef*>(in.data()));
}

/// The four bytes that end a sync flush and are left out on the wire (RFC 7692 section 7.2.1).
inline constexpr std::array<std::byte, 4> flush_tail{std::byte{0}, std::byte{0}, std::byte{0xff}, std::byte{0xff}};

/// Compresses messages. Not movable: zlib points back at it.
class deflater {
public:
    deflater(int level, int window_bits, int memory_level) noexcept {
        memory_.attach(z_);
        ready_ = deflateInit2(&z_, level, Z_DEFLATED, -window_bits, memory_level, Z_DEFAULT_STRATEGY) == Z_OK;
    }
    ~deflater() {
        if (ready_) (void)deflateEnd(&z_);
    }
    deflater(const deflater&) = delete;
    deflater& operator=(const deflater&) = delete;

    [[nodiscard]] bool ready() const noexcept { return ready_; }
    [[nodiscard]] std::size_t held_bytes() const noexcept { return memory_.held(); }
    /// Forgets all messages.
    void reset() noexcept { (void)deflateReset(&z_); }

    /// Appends a message to `out`; false where it does not become smaller or memory ran out. The context is
    /// then of no use any more: `reset`.
    [[nodiscard]] bool run(gather_buffer& out, byte_view first, byte_view second) noexcept {
        const std::size_t size = first.size() + second.size();
        if (size > most_per_call) return false;
        // Not a byte more than what is of use: a message that grows ends here.
        const std::size_t room = size + flush_tail.size();
        std::byte* to = out.prepare(room, room);
        if (to == nullptr) return false;
        z_.next_out = reinterpret_cast<Bytef*>(to);
        z_.avail_out = static_cast<uInt>(room);
        if (!step(first, Z_NO_FLUSH) || !step(second, Z_SYNC_FLUSH)) return false;
        const std::size_t made = room - z_.avail_out;
        if (made < flush_tail.size() ||
            std::memcmp(to + made - flush_tail.size(), flush_tail.data(), flush_tail.size()) != 0)
            return false;
        out.commit(made - flush_tail.size());
        return out.size() < size;
    }

private:
    [[nodiscard]] bool step(byte_view in, int flush) noexcept {
        if (in.empty() && flush == Z_NO_FLUSH) return true;
        z_.next_in = zlib_input(in);
        z_.avail_in = static_cast<uInt>(in.size());
        return ::deflate(&z_, flush) == Z_OK && z_.avail_out != 0;
    }

    z_stream z_{};
    zlib_memory memory_;
    bool ready_ = false;
};

/// Inflates messages. Not movable, as above.
class inflater {
public:
    explicit inflater(int window_bits) noexcept {
        memory_.attach(z_);
        ready_ = inflateInit2(&z_, -window_bits) == Z_OK;
    }
    ~inflater() {
        if (ready_) (void)inflateEnd(&z_);
    }
    inflater(const inflater&) = delete;
    inflater& operator=(const inflater&) = delete;

    [[nodiscard]] bool ready() const noexcept { return ready_; }
    [[nodiscard]] std::size_t held_bytes() const noexcept { return memory_.held(); }

    /// As `message_codec::inflate`.
    [[nodiscard]] errc run(gather_buffer& out, byte_view in, std::size_t limit) noexcept {
        while (!in.empty()) {
            const byte_view part = in.first(std::min(in.size(), most_per_call));
            in = in.subspan(part.size());
            if (const errc failure = run_part(out, part, limit); failure != errc{}) return failure;
        }
        return {};
    }
    /// Ends a message: with the tail that its sender left out, unless its last block said that it is the last.
    [[nodiscard]] errc finish(gather_buffer& out, std::size_t limit) noexcept {
        if (std::exchange(at_end_, true)) return {};
        if (const errc failure = run(out, flush_tail, limit); failure != errc{}) return failure;
        // 128: a block has just ended; below it, the bits that are left over.
        const bool between_blocks = (z_.data_type & 128) != 0 && (z_.data_type & 63) == 0;
        const bool was_last = std::exchange(at_end_, true);  // the block whose end the tail is
        return between_blocks || was_last ? errc{} : errc::bad_compression;
    }

private:
    [[nodiscard]] errc run_part(gather_buffer& out, byte_view in, std::size_t limit) noexcept {
        z_.next_in = zlib_input(in);
        z_.avail_in = static_cast<uInt>(in.size());
        do {
            const std::size_t step = std::min(next_step(out, limit), most_per_call);
            std::byte* to = out.prepare(step, out.size() + step);
            if (to == nullptr) return errc::out_of_memory;
            z_.next_out = reinterpret_cast<Bytef*>(to);
            z_.avail_out = static_cast<uInt>(step);
            const int result = ::inflate(&z_, Z_SYNC_FLUSH);
            const std::size_t made = step - z_.avail_out;
            const bool over = made > limit - out.size();
            const bool kept = hawser::detail::planted(hawser::detail::bug::inflates_beyond_limit);
            out.commit(over && !kept ? made - 1 : made);
            if (over) return errc::message_too_big;
            if (result == Z_MEM_ERROR) return errc::out_of_memory;
            at_end_ = result == Z_STREAM_END;
            // A block may say that it is the last one, and others follow (RFC 7692 section 7.2.3.4). The window stays.
            if (at_end_ ? inflateResetKeep(&z_) != Z_OK : result != Z_OK && result != Z_BUF_ERROR)
                return errc::bad_compression;
        } while (z_.avail_in != 0 || (z_.avail_out == 0 && !at_end_));
        return {};
    }

    // How much room to make. Over a half of the limit it is all that is left: then the old bytes and the copy
    // of them are never more than the limit, and what is not written to costs no memory.
    [[nodiscard]] std::size_t next_step(const gather_buffer& out, std::size_t limit) const noexcept {
        // One byte over the limit shows that there is more, and is not kept.
        const std::size_t left = limit - out.size() + 1;
        if (out.capacity() != out.size()) return std::min(left, out.capacity() - out.size());
        const std::size_t wanted = std::max({out.size(), 4 * std::size_t{z_.avail_in}, least_step});
        return wanted > left || out.size() + wanted > limit / 2 ? left : wanted;
    }
    static constexpr std::size_t least_step = 512;

    z_stream z_{};
    zlib_memory memory_;
    bool ready_ = false;
    bool at_end_ = true;  // of a message: nothing of the next one was read
};

}  // namespace hawser::inline v0::ws::detail
