// SPDX-License-Identifier: BSL-1.0
// Compressed messages: our inflater, in any pieces and with a limit, against zlib on the whole of each message;
// and what our codec compresses against zlib.
#include "fuzz.hpp"

#include <hawser/deflate.hpp>
#include <hawser/protocol/ws/deflate_codec.hpp>

#include "../support/deflate_peer.hpp"

namespace ws = hawser::ws;
using hawser::byte_vector;
using hawser::byte_view;
using hawser::errc;

const fuzz::bug fuzz::planted = bug::inflates_beyond_limit;

namespace {

constexpr std::size_t limit = 3000;

struct result {
    byte_vector out;
    bool corrupt = false;
    bool too_big = false;
};

// RFC 7692 section 7.2.2 by the book, one message after the other: the four bytes are appended, unless a last
// block has just ended or there is nothing at all; a stream that ended goes on as a new one that knows the old
// window.
class plain_zlib {
public:
    plain_zlib() { fuzz::require(inflateInit2(&z_, -15) == Z_OK, "zlib"); }
    ~plain_zlib() { (void)inflateEnd(&z_); }
    plain_zlib(const plain_zlib&) = delete;
    plain_zlib& operator=(const plain_zlib&) = delete;

    result message(byte_view in) {
        result r;
        bool ended = true;  // nothing of the message was read
        if (!in.empty()) run(in, r, ended);
        if (r.corrupt || r.too_big || ended) return r;
        run(ws::detail::flush_tail, r, ended);
        // Only after a whole block, and on the boundary of a byte.
        if (!r.corrupt && !r.too_big && !ended && ((z_.data_type & 128) == 0 || (z_.data_type & 63) != 0))
            r.corrupt = true;
        return r;
    }

private:
    void run(byte_view in, result& r, bool& ended) {
        z_.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(in.data()));
        z_.avail_in = static_cast<uInt>(in.size());
        for (;;) {
            std::byte piece[333];
            z_.next_out = reinterpret_cast<Bytef*>(piece);
            z_.avail_out = sizeof piece;
            const int code = ::inflate(&z_, Z_SYNC_FLUSH);
            const std::size_t made = sizeof piece - z_.avail_out;
            r.out.insert(r.out.end(), piece, piece + made);
            if (r.out.size() > limit) {
                r.out.resize(limit);
                r.too_big = true;
                return;
            }
            ended = code == Z_STREAM_END;
            if (ended)
                start_again();
            else if (code != Z_OK && code != Z_BUF_ERROR)
                r.corrupt = true;
            if (r.corrupt || (z_.avail_in == 0 && (z_.avail_out != 0 || ended))) return;
        }
    }
    void start_again() {
        Bytef window[32768];
        uInt size = 0;
        fuzz::require(inflateGetDictionary(&z_, window, &size) == Z_OK && inflateReset(&z_) == Z_OK, "zlib");
        if (size != 0) fuzz::require(inflateSetDictionary(&z_, window, size) == Z_OK, "zlib");
    }
    z_stream z_{};
};

void judge_inflater(byte_view data, unsigned seed, unsigned messages) {
    using fuzz::require;
    ws::detail::inflater ours(15);
    plain_zlib theirs;
    const std::size_t size = data.size() / messages;
    for (unsigned i = 0; i < messages; ++i) {
        const byte_view in = i + 1 == messages ? data : data.first(size);
        data = data.subspan(in.size());
        const result expected = theirs.message(in);
        ws::gather_buffer out;
        errc failure{};
        fuzz::in_pieces(in, seed, [&](const byte_vector& piece) {
            failure = ours.run(out, piece, limit);
            require(out.size() <= limit, "never more than the limit");
            return failure == errc{};
        });
        if (failure == errc{}) failure = ours.finish(out, limit);
        require(out.size() <= limit, "never more than the limit");
        require((failure == errc{}) == (!expected.corrupt && !expected.too_big), "zlib agrees on what is right");
        if (failure != errc{})
            return require(failure == (expected.too_big ? errc::message_too_big : errc::bad_compression), "why");
        require(hawser::as_text(out.bytes()) == hawser::as_text(expected.out), "zlib inflates the same");
    }
}

void judge_codec(byte_view data, unsigned options) {
    using fuzz::require;
    static const auto shared = [] {
        hawser::deflate_options o;
        o.min_size = 1;
        return std::make_shared<ws::detail::deflate_shared>(o);
    }();
    const bool takeover = (options & 1u) != 0;
    ws::deflate_codec codec(shared, {static_cast<int>(9 + options / 2 % 7), 15, takeover, true}, {});
    deflate_test::zlib_inflater zlib;
    for (int i = 0; i < 3 && !data.empty(); ++i) {
        const byte_view first = data.first(data.size() / 3), second = data.subspan(first.size());
        ws::gather_buffer packed;
        if (codec.compress(packed, i != 0, first, second)) {
            require(packed.size() < data.size(), "what is compressed is smaller");
            require(hawser::as_text(zlib.message(packed.bytes())) == hawser::as_text(data),
                    "zlib inflates what we compress");
            if (!takeover) zlib.reset();
        }
        data = data.subspan(data.size() / 4);
    }
}

}  // namespace

void fuzz::run(byte_view data) {
    input in(data);
    const unsigned kind = in.number(), seed = in.number();
    const byte_view rest = in.rest();
    if (kind % 4 == 0) return judge_codec(rest, seed);
    byte_vector bytes(rest.begin(), rest.end());
    if (kind % 4 == 3) {
        // What a peer compresses, with a byte that was spoilt perhaps.
        byte_vector text;
        for (unsigned i = 0; i < 1 + seed; ++i)
            hawser::append(text, rest);
        bytes = deflate_test::zlib_compressor(15, 6).message(text);
        const std::size_t at = kind / 4;
        if (at != 0 && at < bytes.size()) bytes[at] ^= std::byte{4};
    }
    judge_inflater(bytes, seed, 1 + kind / 4 % 3);
}
