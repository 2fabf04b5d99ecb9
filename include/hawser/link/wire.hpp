// SPDX-License-Identifier: BSL-1.0
/// \file
/// One WebSocket connection: executes the upgrade and the frame machine on a stream.
#pragma once

#include <hawser/core/destruction_mark.hpp>
#include <hawser/core/state.hpp>
#include <hawser/core/url.hpp>
#include <hawser/driver/driver.hpp>
#include <hawser/link/failure.hpp>
#include <hawser/link/lingering_close.hpp>
#include <hawser/link/write_queue.hpp>
#include <hawser/options.hpp>
#include <hawser/protocol/session/frame.hpp>
#include <hawser/protocol/ws/client_upgrade.hpp>
#include <hawser/protocol/ws/endpoint.hpp>
#include <hawser/protocol/ws/server_upgrade.hpp>

#include <algorithm>
#include <array>
#include <memory>
#include <new>
#include <optional>
#include <string>

namespace hawser::inline v0::detail {

class wire;

/// How a connection ended, told once.
struct wire_end {
    std::error_code error;             ///< none after an orderly close
    close_info close;
    unsigned http_status = 0;          ///< of a refused upgrade
    std::optional<duration> retry_after;
    std::string refusal;               ///< head of the body of a refused upgrade
};

/// The owner of a wire. A wire may be destroyed inside each of these calls.
class wire_owner {
public:
    /// Client: the upgrade succeeded. Server: after `accept`.
    virtual void on_wire_open(wire& w) = 0;
    /// Server: a request is complete; answer with `accept` or `reject`.
    virtual void on_wire_request(wire& w, const ws::upgrade_request& request) = 0;
    virtual void on_wire_message(wire& w, byte_view payload, bool text) = 0;
    /// Bytes came in on an open connection, whatever they are.
    virtual void on_wire_input(wire& w) noexcept = 0;
    /// Output has drained below the limit after `backed_up()` was true.
    virtual void on_wire_writable(wire& w) = 0;
    /// It is over; the wire does nothing more.
    virtual void on_wire_closed(wire& w, const wire_end& end) = 0;

protected:
    ~wire_owner() = default;
};

/// Bytes come in by the stream, whole messages go to the owner; what the owner sends in one
/// turn is written once at its end. Lives on the driver's strand.
class wire final : stream_sink, deferred_task {
public:
    /// Server: takes over an accepted stream.
    wire(driver& d, std::shared_ptr<const options> o, wire_owner& owner, stream_ptr accepted)
        : wire(d, std::move(o), owner, ws::role::server) {
        server_ = std::make_unique<ws::server_upgrade>(options_->http);
        stream_ = std::move(accepted);
        phase_ = phase::upgrading;
        if (!planted(bug::handshake_without_deadline)) limits_.handshake = add_saturated(driver_.now(), options_->handshake_timeout);
        rearm();
        stream_->set_sink(*this);
    }
    /// Client: call `dial` next.
    wire(driver& d, std::shared_ptr<const options> o, wire_owner& owner)
        : wire(d, std::move(o), owner, ws::role::client) {}
    wire(const wire&) = delete;
    wire& operator=(const wire&) = delete;

    /// Starts connecting. The stream is made by the transport, with this wire as its sink.
    template <class Transport>
    [[nodiscard]] std::error_code dial(Transport&& transport, const url& where,
                                       const std::vector<std::string>& subprotocols,
                                       const std::vector<ws::header>& headers) {
        std::array<std::byte, 16> nonce;
        if (!driver_.entropy().take(nonce)) return errc::random_failed;
        client_ = std::make_unique<ws::client_upgrade>(options_->http);
        if (options_->compression)
            if (auto ec = client_->offer_extensions(options_->compression->offer())) return ec;
        if (auto ec = client_->start(out_.tail(), where, subprotocols, headers, nonce)) return ec;
        std::error_code ec;
        stream_ = transport.dial(driver_, where, *options_, static_cast<stream_sink&>(*this), ec);
        phase_ = phase::dialling;
        return ec;
    }

    // ---- server: the answer to a request -------------------------------------------------

    /// `budget` bounds the memory of compression; null: nothing does.
    [[nodiscard]] std::error_code accept(std::string_view subprotocol, std::span<const ws::header> headers = {},
                                         const std::shared_ptr<ws::compression_budget>& budget = {}) {
        std::vector<ws::header> all(headers.begin(), headers.end());
        std::unique_ptr<ws::message_codec> codec;
        if (options_->compression) {
            auto chosen = options_->compression->accept(server_->request().extension_offers, budget, codec);
            if (codec) all.push_back({"Sec-WebSocket-Extensions", std::move(chosen)});
        }
        const auto ec = server_->accept(out_.tail(), subprotocol, all);
        if (ec) return ec;
        accepted_ = true;
        subprotocol_ = subprotocol;
        make_endpoint(std::move(codec));
        return {};
    }
    void reject(unsigned status, std::string_view text, std::span<const ws::header> headers = {}) {
        (void)server_->reject(out_.tail(), status, text, headers);
    }

    // ---- sending -------------------------------------------------------------------------

    /// Appends a message (`head` before `body`); it leaves at the end of the turn. A head alone is never
    /// compressed: frames of a session that have no body carry its resume token.
    [[nodiscard]] std::error_code send(ws::opcode op, byte_view head, byte_view body) {
        if (phase_ != phase::open) return errc::not_connected;
        return send_compressed(op, head, body) ? std::error_code() : send_as_it_is(op, head, body);
    }
    [[nodiscard]] std::error_code send(ws::opcode op, byte_view head, const message& body) {
        if (phase_ != phase::open) return errc::not_connected;
        if (body.compressible() && send_compressed(op, head, body.bytes())) return {};
        if (side_ == ws::role::client || body.size() < by_reference) return send_as_it_is(op, head, body.bytes());
        out_.reserve(ws::max_header_size + head.size());  // all of the frame or nothing
        if (ws_->send_header(out_.tail(), op, head.size() + body.size()) == 0) return errc::closed;
        hawser::append(out_.tail(), head);
        out_.append(body);
        defer_flush();
        return {};
    }
    void ping() {
        if (phase_ != phase::open) return;
        (void)ws_->ping(out_.tail());
        defer_flush();
    }
    /// Starts the close handshake; `on_wire_closed` follows, after `limit` at the latest.
    void close(close_code code, std::string_view reason, duration limit) {
        if (phase_ == phase::dialling || phase_ == phase::upgrading) return end_now(errc::closed);
        if (phase_ != phase::open) return;
        (void)ws_->close(out_.tail(), code, reason);
        phase_ = phase::closing;
        limits_.closing = add_saturated(driver_.now(), limit);
        rearm();
        if (paused_) resume();
        defer_flush();
    }
    /// Ends the connection at once, telling the owner nothing. With `code` a close frame is
    /// written first, as far as the peer reads.
    void drop(close_code code = close_code::none, std::string_view reason = {}) {
        if (phase_ == phase::ended) return;
        if (code != close_code::none && phase_ == phase::open) {
            (void)ws_->close(out_.tail(), code, reason);
            return linger();
        }
        discard();
    }

    void pause() {
        if (std::exchange(paused_, true) || !stream_) return;
        stream_->pause_reading();
    }
    void resume() {
        if (!std::exchange(paused_, false)) return;
        resume_due_ = true;
        driver_.defer(*this);
    }

    // ---- observers -----------------------------------------------------------------------

    [[nodiscard]] bool is_open() const noexcept { return phase_ == phase::open; }
    [[nodiscard]] bool backed_up() const noexcept { return out_.size() >= options_->max_write_buffer; }
    [[nodiscard]] std::size_t buffered() const noexcept { return out_.size(); }
    /// Bytes that may still be appended before it counts as backed up.
    [[nodiscard]] std::size_t room() const noexcept { return backed_up() ? 0 : options_->max_write_buffer - out_.size(); }
    [[nodiscard]] const std::string& subprotocol() const noexcept { return subprotocol_; }
    [[nodiscard]] std::string remote_address() const { return stream_ ? stream_->remote_address() : std::string(); }
    [[nodiscard]] std::uint64_t bytes_received() const noexcept { return bytes_received_; }
    [[nodiscard]] bool paused() const noexcept { return paused_; }
    /// Whether compression was agreed on.
    [[nodiscard]] bool compresses() const noexcept { return ws_ && ws_->input().codec() != nullptr; }
    /// Hands the connection to another owner.
    void set_owner(wire_owner& owner) noexcept { owner_ = &owner; }
    /// What its lingering close is to count in.
    void set_linger_count(std::shared_ptr<std::size_t> count) noexcept { linger_count_ = std::move(count); }
    /// What is held as long as this is: its place among the connections of its address.
    void hold(std::shared_ptr<const void> place) noexcept { place_ = std::move(place); }
    [[nodiscard]] const std::shared_ptr<const void>& place() const noexcept { return place_; }

private:
    enum class phase : std::uint8_t { idle, dialling, upgrading, open, closing, ended };
    // Bodies from this size on are written from where they are.
    static constexpr std::size_t by_reference = 16 * 1024;
    // Views from this size on are offered to the system before they are copied. A read hardly
    // brings two of them, so there is no batch to wait for.
    static constexpr std::size_t at_once = 64 * 1024;
    // Where it answers the last message of a read, no batch is waited for either way.
    static constexpr std::size_t at_once_last = 8 * 1024;

    wire(driver& d, std::shared_ptr<const options> o, wire_owner& owner, ws::role side)
        : driver_(d), options_(std::move(o)), owner_(&owner), side_(side), out_(d) {}

    // ---- stream_sink ---------------------------------------------------------------------

    void on_connected(std::error_code ec) override {
        if (ec) return end_now(ec);
        phase_ = phase::upgrading;
        guarded([this] { flush(); });
    }
    byte_span read_room() noexcept override { return ws_ && !paused_ ? ws_->read_room() : byte_span{}; }
    void on_bytes(byte_span chunk) override {
        guarded([this, chunk] { take_bytes(chunk); });
    }
    void on_writable() override {
        guarded([this] { flush_and_tell(); });
    }
    void on_closed(std::error_code ec) override { end_now(ec ? ec : make_error_code(errc::connection_lost)); }

    void take_bytes(byte_span chunk) {
        bytes_received_ += chunk.size();
        if (phase_ == phase::upgrading && !upgrade(chunk)) return;
        if (!ws_ || phase_ == phase::ended) return;
        owner_->on_wire_input(*this);
        ws_->feed(chunk);
        pump();
    }
    // An exception, such as that of memory that ran out, costs the connection and not more. One of an
    // owner who has let go of it already is the owner's.
    template <class F>
    void guarded(F&& f) {
        bool gone = false;
        const destruction_mark::watch guard(mark_, gone);
        try {
            f();
        } catch (...) {
            if (gone) throw;
            end_now(error_of_exception());
        }
    }

    // ---- the upgrade ---------------------------------------------------------------------

    // Returns whether frames may follow in `chunk`, of which the head was cut off.
    bool upgrade(byte_span& chunk) { return side_ == ws::role::client ? upgrade_client(chunk) : upgrade_server(chunk); }

    bool upgrade_client(byte_span& chunk) {
        std::size_t used = 0;
        const auto status = client_->feed(chunk, used);
        chunk = chunk.subspan(used);
        if (status == ws::client_upgrade::status::need_more) return false;
        std::error_code why = client_->error();
        std::unique_ptr<ws::message_codec> codec;
        if (!why && options_->compression)
            if (const errc e = options_->compression->confirm(client_->extensions(), codec); e != errc{}) why = e;
        if (why) {
            wire_end end;
            end.error = why;
            end.http_status = client_->http_status();
            end.retry_after = client_->retry_after();
            end.refusal = client_->body_head();
            discard();
            owner_->on_wire_closed(*this, end);
            return false;
        }
        subprotocol_ = client_->subprotocol();
        make_endpoint(std::move(codec));
        return opened();
    }
    bool upgrade_server(byte_span& chunk) {
        std::size_t used = 0;
        const auto status = server_->feed(chunk, used);
        chunk = chunk.subspan(used);
        if (status == ws::server_upgrade::status::need_more) return false;
        std::error_code why;
        if (status == ws::server_upgrade::status::ready) {
            bool gone = false;
            const destruction_mark::watch guard(mark_, gone);
            owner_->on_wire_request(*this, server_->request());
            if (gone || phase_ == phase::ended) return false;
            if (accepted_) return opened();
            if (server_->answered()) return refuse(errc::refused);
            reject(503, "no answer");
            why = errc::refused;
        } else {
            (void)server_->write_failure(out_.tail());
            why = server_->failure().error();
        }
        return refuse(why);
    }
    bool refuse(std::error_code why) {
        wire_end end;
        end.error = why;
        linger();
        owner_->on_wire_closed(*this, end);
        return false;
    }
    void make_endpoint(std::unique_ptr<ws::message_codec> codec) {
        ws_.emplace(side_, reader_limits(), side_ == ws::role::client ? &driver_.entropy() : nullptr, std::move(codec));
        ws_->set_spare(&driver_.blocks());
    }
    bool opened() {
        phase_ = phase::open;
        limits_.handshake = never;
        rearm();
        defer_flush();
        bool gone = false;
        const destruction_mark::watch guard(mark_, gone);
        owner_->on_wire_open(*this);
        if (gone) return false;
        client_.reset();
        server_.reset();
        return phase_ != phase::ended;
    }
    [[nodiscard]] ws::reader_limits reader_limits() const noexcept {
        ws::reader_limits l;
        l.max_message_size = options_->max_message_size;
        if (subprotocol_ == session::subprotocol) l.max_message_size += session::max_data_head_size;
        l.max_fragments = options_->max_fragments;
        return l;
    }

    // ---- frames --------------------------------------------------------------------------

    void pump() {
        bool gone = false;
        const destruction_mark::watch guard(mark_, gone);
        for (;;) {
            if (paused_) {
                ws_->retain();
                break;
            }
            const ws::event e = ws_->next();
            if (e.kind == ws::event_kind::need_more) break;
            last_of_read_ = ws_->unread() == 0;
            handle(e);
            if (gone) return;
            last_of_read_ = false;
            if (phase_ == phase::ended) return;
        }
        if (ws_->input().in_message() && limits_.message == never) {
            limits_.message = add_saturated(driver_.now(), options_->message_timeout);
            rearm();
        }
        if (ws_->control_due()) defer_flush();
    }
    void handle(const ws::event& e) {
        switch (e.kind) {
        case ws::event_kind::message:
            limits_.message = never;
            return owner_->on_wire_message(*this, e.payload, e.text);
        case ws::event_kind::pong:
        case ws::event_kind::ping:
            if (control_flood()) fail(errc::control_flood, close_code::policy_violation);
            return;
        case ws::event_kind::close: return on_close_frame(e);
        case ws::event_kind::error: {
            wire_end end;
            end.error = e.error;
            end.close.code = e.code;
            (void)ws_->flush_control(out_.tail());
            linger();
            return owner_->on_wire_closed(*this, end);
        }
        case ws::event_kind::need_more: return;
        }
    }
    void on_close_frame(const ws::event& e) {
        wire_end end;
        end.close = e.info();
        (void)ws_->flush_control(out_.tail());
        linger();
        owner_->on_wire_closed(*this, end);
    }
    bool control_flood() noexcept {
        const time_point now = driver_.now();
        if (now - control_window_ >= seconds{1}) {
            control_window_ = now;
            control_count_ = 0;
        }
        return ++control_count_ > options_->max_control_frames_per_second;
    }
    void fail(errc why, close_code code) {
        wire_end end;
        end.error = why;
        end.close.code = code;
        (void)ws_->close(out_.tail(), code);
        linger();
        owner_->on_wire_closed(*this, end);
    }

    // ---- output --------------------------------------------------------------------------

    [[nodiscard]] bool send_compressed(ws::opcode op, byte_view head, byte_view body) {
        if (!compresses() || body.empty() || !ws_->send_compressed(out_.tail(), op, head, body)) return false;
        defer_flush();
        return true;
    }
    [[nodiscard]] std::error_code send_as_it_is(ws::opcode op, byte_view head, byte_view body) {
        if (side_ == ws::role::server && body.size() >= (last_of_read_ ? at_once_last : at_once) && out_.empty())
            return send_at_once(op, head, body);
        if (const errc e = ws_->send(out_.tail(), op, head, body); e != errc{}) return e;
        defer_flush();
        return {};
    }
    // Only what the system does not take is copied. An error shows again when the rest is written.
    [[nodiscard]] std::error_code send_at_once(ws::opcode op, byte_view head, byte_view body) {
        byte_vector& out = out_.tail();
        try {
            out.reserve(ws::max_header_size + head.size() + body.size());  // nothing fails once bytes are out
        } catch (const std::bad_alloc&) {
            return errc::out_of_memory;
        }
        if (ws_->send_header(out, op, head.size() + body.size()) == 0) return errc::closed;
        hawser::append(out, head);
        const std::size_t front = out.size();
        const std::array<byte_view, 2> pieces{byte_view(out), body};
        const std::size_t written = stream_->write_some(pieces).bytes;
        if (written < front + body.size()) {
            const byte_view rest = body.subspan(written > front ? written - front : 0);
            out.insert(out.end(), rest.begin(), rest.end());  // `append` would write each byte twice
            defer_flush();
        }
        out_.consume(std::min(written, front));
        return {};
    }
    void defer_flush() { driver_.defer(*this); }
    void run() override {
        guarded([this] { end_of_turn(); });
    }
    void end_of_turn() {
        if (std::exchange(resume_due_, false) && phase_ != phase::ended && !paused_) {
            bool gone = false;
            const destruction_mark::watch guard(mark_, gone);
            if (ws_) pump();
            if (gone || phase_ == phase::ended) return;
            if (!paused_) stream_->resume_reading();
        }
        flush_and_tell();
    }
    // Also where the system took everything at once: no `on_writable` follows then, and the owner
    // stopped writing when it saw `backed_up()`.
    void flush_and_tell() {
        const bool was_backed_up = backed_up();
        bool gone = false;
        const destruction_mark::watch guard(mark_, gone);
        flush();
        if (!gone && phase_ != phase::ended && was_backed_up && !backed_up()) owner_->on_wire_writable(*this);
    }
    void flush() {
        if (!stream_ || phase_ == phase::dialling || phase_ == phase::ended) return;
        if (ws_ && ws_->control_due()) (void)ws_->flush_control(out_.tail());
        while (!out_.empty()) {
            std::array<byte_view, write_queue::max_buffers> list;
            const std::size_t n = out_.gather(list);
            const write_result r = stream_->write_some(std::span(list).first(n));
            if (r.error) return end_now(r.error);
            if (r.bytes == 0) break;
            out_.consume(r.bytes);
            limits_.stall = never;
        }
        if (out_.empty()) {
            limits_.stall = never;
        } else if (limits_.stall == never) {
            limits_.stall = add_saturated(driver_.now(), options_->write_stall_timeout);
            rearm();
        }
    }

    // ---- the end -------------------------------------------------------------------------

    // The peer still gets what was written; the owner is done with it.
    void linger() {
        auto taken = std::move(stream_);
        auto rest = std::move(out_);
        discard();
        if (taken && driver_.alive())
            lingering_close::start(driver_, std::move(taken), std::move(rest),
                                   {options_->linger_timeout, options_->max_linger_bytes, side_ == ws::role::client},
                                   linger_count_);
    }
    void discard() noexcept {
        phase_ = phase::ended;
        withdraw();
        timer_.cancel();
        stream_.reset();
        out_ = write_queue(driver_);
    }
    void end_now(std::error_code why) {
        if (phase_ == phase::ended) return;
        wire_end end;
        end.error = phase_ == phase::closing && why == errc::connection_lost ? std::error_code{} : why;
        end.close.code = close_code::abnormal;
        if (stream_) stream_->abort();
        discard();
        owner_->on_wire_closed(*this, end);
    }

    // ---- deadlines -----------------------------------------------------------------------

    struct deadlines {
        time_point handshake = never, closing = never, stall = never, message = never;
        [[nodiscard]] time_point first() const noexcept {
            return std::min({handshake, closing, stall, message});
        }
    };
    void rearm() {
        const time_point first = limits_.first();
        if (first != never && first < timer_.deadline()) driver_.arm(timer_, first);
    }
    void on_deadline(time_point now) {
        guarded([this, now] { expire(now); });
    }
    void expire(time_point now) {
        if (limits_.handshake <= now) {
            reject(408, "the request did not arrive in time");
            (void)refuse(errc::handshake_timeout);
            return;
        }
        if (limits_.closing <= now) return end_now(errc::close_timeout);
        if (limits_.stall <= now) return end_now(errc::write_stalled);
        if (limits_.message <= now) return fail(errc::message_timeout, close_code::policy_violation);
        rearm();
    }

    driver& driver_;
    std::shared_ptr<const options> options_;
    wire_owner* owner_;
    ws::role side_;
    phase phase_ = phase::idle;
    bool paused_ = false;
    bool resume_due_ = false;
    bool accepted_ = false;
    bool last_of_read_ = false;  // its message is being handled
    destruction_mark mark_;
    stream_ptr stream_;
    write_queue out_;
    std::unique_ptr<ws::client_upgrade> client_;
    std::unique_ptr<ws::server_upgrade> server_;
    std::optional<ws::endpoint> ws_;
    std::string subprotocol_;
    std::shared_ptr<std::size_t> linger_count_;
    std::shared_ptr<const void> place_;
    std::uint64_t bytes_received_ = 0;
    time_point control_window_{};
    std::uint32_t control_count_ = 0;
    deadlines limits_;
    timer_node timer_{this, on_timer<&wire::on_deadline>};
};

}  // namespace hawser::inline v0::detail
