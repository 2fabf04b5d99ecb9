// SPDX-License-Identifier: BSL-1.0
/// \file
/// The upgrade of a wire: what is asked, what is answered, and the frame machine that follows.
#pragma once

#include <hawser/link/wire.hpp>

#include <algorithm>

namespace hawser::inline v0::detail {

inline std::error_code wire::accept(std::string_view subprotocol, std::span<const ws::header> headers,
                                     const std::shared_ptr<ws::compression_budget>& budget) {
    ws::server_upgrade& request = *upgrade_->server;
    std::vector<ws::header> all(headers.begin(), headers.end());
    std::unique_ptr<ws::message_codec> codec;
    if (options_.compression) {
        auto chosen = options_.compression->accept(request.request().extension_offers, budget, codec);
        if (codec) all.push_back({"Sec-WebSocket-Extensions", std::move(chosen)});
    }
    const auto ec = request.accept(out_.tail(), subprotocol, all);
    if (ec) return ec;
    accepted_ = true;
    make_endpoint(subprotocol, std::move(codec));
    return {};
}
inline bool wire::upgrade_client(byte_span& chunk) {
    ws::client_upgrade& answer = *upgrade_->client;
    std::size_t used = 0;
    const auto status = answer.feed(chunk, used);
    chunk = chunk.subspan(used);
    if (status == ws::client_upgrade::status::need_more) return false;
    std::error_code why = answer.error();
    std::unique_ptr<ws::message_codec> codec;
    if (!why && options_.compression)
        if (const errc e = options_.compression->confirm(answer.extensions(), codec); e != errc{}) why = e;
    if (why) {
        wire_end end;
        end.error = why;
        end.http_status = answer.http_status();
        end.retry_after = answer.retry_after();
        end.refusal = answer.body_head();
        discard();
        owner_->on_wire_closed(*this, end);
        return false;
    }
    make_endpoint(answer.subprotocol(), std::move(codec));
    return opened();
}
inline bool wire::upgrade_server(byte_span& chunk) {
    ws::server_upgrade& request = *upgrade_->server;
    std::size_t used = 0;
    const auto status = request.feed(chunk, used);
    chunk = chunk.subspan(used);
    if (status == ws::server_upgrade::status::need_more) return false;
    std::error_code why;
    if (status == ws::server_upgrade::status::ready) {
        bool gone = false;
        const destruction_mark::watch guard(mark_, gone);
        owner_->on_wire_request(*this, request.request());
        if (gone || phase_ == phase::ended) return false;
        if (accepted_) return opened();
        if (request.answered()) return refuse(errc::refused);
        reject(503, "no answer");
        why = errc::refused;
    } else {
        date_refusal();
        (void)request.write_failure(out_.tail());
        why = request.failure().error();
    }
    return refuse(why);
}
inline bool wire::refuse(std::error_code why) {
    wire_end end;
    end.error = why;
    linger();
    owner_->on_wire_closed(*this, end);
    return false;
}
inline void wire::make_endpoint(std::string_view subprotocol, std::unique_ptr<ws::message_codec> codec) {
    const auto& known = options_.subprotocols;
    const auto at = std::find(known.begin(), known.end(), subprotocol);
    if (subprotocol == session::subprotocol) subprotocol_ = of_session;
    else if (at != known.end()) subprotocol_ = first_of_options + static_cast<std::uint32_t>(at - known.begin());
    ws_.emplace(side_, reader_limits(), side_ == ws::role::client ? &driver_.entropy() : nullptr, std::move(codec));
    ws_->set_spare(&driver_.blocks());
}
inline bool wire::opened() {
    phase_ = phase::open;
    limits_.phase = never;
    rearm();
    defer_flush();
    bool gone = false;
    const destruction_mark::watch guard(mark_, gone);
    owner_->on_wire_open(*this);
    if (gone) return false;
    upgrade_.reset();
    return phase_ != phase::ended;
}
inline ws::reader_limits wire::reader_limits() const noexcept {
    ws::reader_limits l;
    l.max_message_size = options_.max_message_size;
    if (subprotocol_ == of_session) l.max_message_size += session::max_data_head_size;
    l.max_fragments = options_.max_fragments;
    return l;
}

}  // namespace hawser::inline v0::detail
