// SPDX-License-Identifier: BSL-1.0
// The other end of a compressed connection: plain zlib, used as its manual says.
#pragma once

#include <hawser/core/bytes.hpp>

#include <zlib.h>

#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>

namespace deflate_test {

using hawser::byte_vector;
using hawser::byte_view;

/// Runs `step` on a stream until it has no more output.
template <typename Step>
byte_vector pump_zlib(z_stream& z, byte_view in, Step step) {
    byte_vector out;
    z.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(in.data()));
    z.avail_in = static_cast<uInt>(in.size());
    std::byte piece[777];
    do {
        z.next_out = reinterpret_cast<Bytef*>(piece);
        z.avail_out = sizeof piece;
        const int result = step(z);
        if (result != Z_OK && result != Z_BUF_ERROR && result != Z_STREAM_END) throw std::runtime_error("zlib failed");
        out.insert(out.end(), piece, piece + (sizeof piece - z.avail_out));
    } while (z.avail_out == 0 || z.avail_in != 0);
    return out;
}

class zlib_compressor {
public:
    explicit zlib_compressor(int bits = 15, int level = 6) {
        if (deflateInit2(&z_, level, Z_DEFLATED, -bits, 8, Z_DEFAULT_STRATEGY) != Z_OK) throw std::bad_alloc();
    }
    ~zlib_compressor() { (void)deflateEnd(&z_); }
    zlib_compressor(const zlib_compressor&) = delete;
    zlib_compressor& operator=(const zlib_compressor&) = delete;

    byte_vector run(byte_view in, int flush) {
        return pump_zlib(z_, in, [flush](z_stream& z) { return ::deflate(&z, flush); });
    }
    /// The payload of a whole message (RFC 7692 section 7.2.1).
    byte_vector message(byte_view in) {
        byte_vector out = run(in, Z_SYNC_FLUSH);
        out.resize(out.size() - 4);
        return out;
    }
    byte_vector message(std::string_view in) { return message(hawser::as_bytes(in)); }
    void reset() { (void)deflateReset(&z_); }

private:
    z_stream z_{};
};

class zlib_inflater {
public:
    explicit zlib_inflater(int bits = 15) {
        if (inflateInit2(&z_, -bits) != Z_OK) throw std::bad_alloc();
    }
    ~zlib_inflater() { (void)inflateEnd(&z_); }
    zlib_inflater(const zlib_inflater&) = delete;
    zlib_inflater& operator=(const zlib_inflater&) = delete;

    byte_vector message(byte_view payload) {
        byte_vector in(payload.begin(), payload.end());
        for (const int b : {0x00, 0x00, 0xff, 0xff})
            in.push_back(static_cast<std::byte>(b));
        return pump_zlib(z_, in, [](z_stream& z) { return ::inflate(&z, Z_SYNC_FLUSH); });
    }
    void reset() { (void)inflateReset(&z_); }

private:
    z_stream z_{};
};

/// Text that compresses about as well as the JSON of a market feed.
inline std::string feed_text(std::size_t size, unsigned seed = 1) {
    std::string out;
    while (out.size() < size) {
        seed = seed * 1664525u + 1013904223u;
        out += R"({"type":"trade","symbol":"BTC-USD","price":)" + std::to_string(seed >> 12) + R"(,"id":)" +
               std::to_string(seed) + "},";
    }
    out.resize(size);
    return out;
}
inline byte_vector noise(std::size_t size, unsigned seed = 1) {
    byte_vector out(size);
    for (std::byte& b : out) {
        seed = seed * 1664525u + 1013904223u;
        b = static_cast<std::byte>(seed >> 24);
    }
    return out;
}

/// The payload of a message that inflates to a GiB of zeros.
inline const byte_vector& gib_bomb() {
    static const byte_vector bomb = [] {
        // A MiB behind a full flush stands for itself, and so do 1024 of it.
        zlib_compressor zlib(15, 9);
        const byte_vector one = zlib.run(byte_vector(1 << 20), Z_FULL_FLUSH);
        byte_vector out;
        for (int i = 0; i < 1024; ++i)
            hawser::append(out, one);
        out.resize(out.size() - 4);
        return out;
    }();
    return bomb;
}

}  // namespace deflate_test
