// SPDX-License-Identifier: BSL-1.0
/// \file
/// Messages of transfers from bytes and to bytes. Nothing is read behind the input, whatever it is.
#pragma once

#include <hawser/core/planted.hpp>
#include <hawser/protocol/session/varint.hpp>
#include <hawser/transfer/message.hpp>

#include <optional>

namespace hawser::inline v0 {
namespace transfer {

namespace detail {

using hawser::detail::bug;
using hawser::detail::planted;
using session::cursor;
using session::put_varint;

inline void put_head(byte_vector& out, kind k, id_type id) {
    out.clear();
    out.push_back(static_cast<std::byte>(k));
    std::array<std::byte, 8> bytes;
    store_le(bytes.data(), id);
    append(out, bytes);
}
inline void put_bytes(byte_vector& out, byte_view bytes) {
    put_varint(out, bytes.size());
    append(out, bytes);
}
inline void put_reason(byte_vector& out, reason why, std::string_view text) {
    out.push_back(static_cast<std::byte>(why));
    put_bytes(out, as_bytes(text.substr(0, max_text_size)));
}
[[nodiscard]] inline byte_view take_bytes(cursor& in, std::size_t most, bool& good) noexcept {
    const std::uint64_t size = in.varint();
    if (size > most) good = false;
    return in.take(size);
}
[[nodiscard]] inline std::uint64_t take_size(cursor& in, bool& good) noexcept {
    const std::uint64_t size = in.varint();
    if (size > max_size && !planted(bug::transfer_size_unchecked)) good = false;
    return size;
}

// The fields of each message behind its kind and id.
inline void take(cursor& in, offer& m, bool& good) noexcept {
    in.copy(m.key);
    const std::uint8_t known = in.u8();
    if (known > 1) good = false;
    if (known == 1) m.size = take_size(in, good);
    m.name = as_text(take_bytes(in, max_name_size, good));
    m.metadata = take_bytes(in, max_metadata_size, good);
}
inline void take(cursor& in, accept& m, bool& good) noexcept {
    m.from = take_size(in, good);
    if (m.from != 0) in.copy(m.digest);
    m.limit = in.varint();
    if (m.limit < m.from) good = false;
}
inline void take(cursor& in, begin& m, bool& good) noexcept { m.from = take_size(in, good); }
inline void take(cursor& in, chunk& m, bool& good) noexcept {
    m.offset = take_size(in, good);
    m.bytes = in.take(in.rest().size());
    if (m.bytes.empty()) good = false;
}
inline void take(cursor& in, end& m, bool& good) noexcept {
    m.size = take_size(in, good);
    in.copy(m.digest);
}
inline void take(cursor& in, credit& m, bool&) noexcept { m.limit = in.varint(); }
inline void take(cursor&, done&, bool&) noexcept {}
template <class Reasoned>
void take(cursor& in, Reasoned& m, bool& good) noexcept {
    m.why = static_cast<reason>(in.u8());
    m.text = as_text(take_bytes(in, max_text_size, good));
}

template <class Message>
[[nodiscard]] std::optional<any_message> finish(cursor in) noexcept {
    Message m;
    std::array<std::byte, 8> id{};
    in.copy(id);
    m.id = load_le<std::uint64_t>(id.data());
    bool good = true;
    take(in, m, good);
    if (!good || !in.ok() || !in.at_end()) return std::nullopt;
    return m;
}

}  // namespace detail

/// Nothing if it is malformed, bytes behind its end included.
[[nodiscard]] inline std::optional<any_message> decode(byte_view bytes) noexcept {
    session::cursor in(bytes);
    switch (static_cast<kind>(in.u8())) {
    case kind::offer: return detail::finish<offer>(in);
    case kind::accept: return detail::finish<accept>(in);
    case kind::refuse: return detail::finish<refuse>(in);
    case kind::begin: return detail::finish<begin>(in);
    case kind::chunk: return detail::finish<chunk>(in);
    case kind::end: return detail::finish<end>(in);
    case kind::done: return detail::finish<done>(in);
    case kind::cancel: return detail::finish<cancel>(in);
    case kind::stop: return detail::finish<stop>(in);
    case kind::credit: return detail::finish<credit>(in);
    }
    return std::nullopt;
}

// Each function replaces `out` by the encoded message.

inline void encode(byte_vector& out, const offer& m) {
    detail::put_head(out, kind::offer, m.id);
    append(out, m.key);
    out.push_back(m.size ? std::byte{1} : std::byte{0});
    if (m.size) session::put_varint(out, *m.size);
    detail::put_bytes(out, as_bytes(m.name));
    detail::put_bytes(out, m.metadata);
}
inline void encode(byte_vector& out, const accept& m) {
    detail::put_head(out, kind::accept, m.id);
    session::put_varint(out, m.from);
    if (m.from != 0) append(out, m.digest);
    session::put_varint(out, m.limit);
}
inline void encode(byte_vector& out, const refuse& m) {
    detail::put_head(out, kind::refuse, m.id);
    detail::put_reason(out, m.why, m.text);
}
inline void encode(byte_vector& out, const begin& m) {
    detail::put_head(out, kind::begin, m.id);
    session::put_varint(out, m.from);
}
/// All of CHUNK but its bytes, which follow.
inline void encode_chunk_head(byte_vector& out, id_type id, std::uint64_t offset) {
    detail::put_head(out, kind::chunk, id);
    session::put_varint(out, offset);
}
inline void encode(byte_vector& out, const chunk& m) {
    encode_chunk_head(out, m.id, m.offset);
    append(out, m.bytes);
}
inline void encode(byte_vector& out, const end& m) {
    detail::put_head(out, kind::end, m.id);
    session::put_varint(out, m.size);
    append(out, m.digest);
}
inline void encode(byte_vector& out, const done& m) { detail::put_head(out, kind::done, m.id); }
inline void encode(byte_vector& out, const cancel& m) {
    detail::put_head(out, kind::cancel, m.id);
    detail::put_reason(out, m.why, m.text);
}
inline void encode(byte_vector& out, const stop& m) {
    detail::put_head(out, kind::stop, m.id);
    detail::put_reason(out, m.why, m.text);
}
inline void encode(byte_vector& out, const credit& m) {
    detail::put_head(out, kind::credit, m.id);
    session::put_varint(out, m.limit);
}

}  // namespace transfer
}  // namespace hawser::inline v0
