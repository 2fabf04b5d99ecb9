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
#include <hawser/link/wire_owner.hpp>
#include <hawser/link/write_queue.hpp>
#include <hawser/options.hpp>
#include <hawser/protocol/session/frame.hpp>
#include <hawser/protocol/ws/client_upgrade.hpp>
#include <hawser/protocol/ws/endpoint.hpp>
#include <hawser/protocol/ws/server_upgrade.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hawser::inline v0::detail {

/// Bytes come in by the stream, whole messages go to the owner; what the owner sends in one
/// turn is written once at its end. Lives on the driver's strand.
class wire final : stream_sink, deferred_task {
public:
    /// Server: takes over an accepted stream.
    wire(driver& d, const options& o, wire_owner& owner, stream_ptr accepted) : wire(d, o, owner, ws::role::server) {
        upgrade_ = std::make_unique<upgrades>();
        upgrade_->server.emplace(options_.http);
        stream_ = std::move(accepted);
        phase_ = phase::upgrading;
        if (!planted(bug::handshake_without_deadline)) limits_.phase = add_saturated(driver_.now(), options_.handshake_timeout);
        rearm();
        stream_->set_sink(*this);
    }
    /// Client: call `dial` next.
    wire(driver& d, const options& o, wire_owner& owner) : wire(d, o, owner, ws::role::client) {}
    wire(const wire&) = delete;
    wire& operator=(const wire&) = delete;

    /// Starts connecting. The stream is made by the transport, with this wire as its sink.
    template <class Transport>
    [[nodiscard]] std::error_code dial(Transport&& transport, const url& where,
                                       const std::vector<std::string>& subprotocols,
                                       const std::vector<ws::header>& headers) {
        std::array<std::byte, 16> nonce;
        if (!driver_.entropy().take(nonce)) return errc::random_failed;
        upgrade_ = std::make_unique<upgrades>();
        ws::client_upgrade& request = upgrade_->client.emplace(options_.http);
        if (options_.compression)
            if (auto ec = request.offer_extensions(options_.compression->offer())) return ec;
        if (auto ec = request.start(out_.tail(), where, subprotocols, headers, nonce)) return ec;
        std::error_code ec;
        stream_ = transport.dial(driver_, where, options_, static_cast<stream_sink&>(*this), ec);
        phase_ = phase::dialling;
        return ec;
    }

    // ---- server: the answer to a request -------------------------------------------------

    /// `budget` bounds the memory of compression; null: nothing does.
    [[nodiscard]] std::error_code accept(std::string_view subprotocol, std::span<const ws::header> headers = {},
                                         const std::shared_ptr<ws::compression_budget>& budget = {});
    void reject(unsigned status, std::string_view text, std::span<const ws::header> headers = {}) {
        date_refusal();
        (void)upgrade_->server->reject(out_.tail(), status, text, headers);
    }

    // ---- sending -------------------------------------------------------------------------

    /// Appends a message (`head` before `body`); it leaves at the end of the turn. A head alone is never
    /// compressed: frames of a session that have no body carry its resume token.
    [[nodiscard]] HAWSER_IN_LINE std::error_code send(ws::opcode op, byte_view head, byte_view body) {
        if (phase_ != phase::open) return errc::not_connected;
        const std::size_t size = head.size() + body.size();
        if (size > ws::max_control_size || ws_->input().codec() != nullptr) return send_any(op, head, body);
        std::byte* const to = out_.room(2 + size);
        const std::size_t written = to != nullptr ? ws_->send_short(to, op, head, body) : 0;
        if (written == 0) return send_any(op, head, body);
        out_.added(written);
        defer_flush();
        return {};
    }
    [[nodiscard]] std::error_code send(ws::opcode op, byte_view head, const message& body) {
        if (phase_ == phase::open && !compresses() && body.size() < by_reference) return send(op, head, body.bytes());
        return send_any(op, head, body);
    }
    /// A piece of a message, uncompressed. From the first to the last one nothing else may be sent.
    [[nodiscard]] std::error_code send_piece(const message_piece& piece);
    [[nodiscard]] bool sending_message() const noexcept { return ws_ && ws_->in_message(); }
    /// Whether a message may be appended.
    [[nodiscard]] bool takes_messages() const noexcept { return phase_ == phase::open && !ws_->in_message(); }
    /// The same for a part of a message that must not be compressed.
    [[nodiscard]] std::error_code send_uncompressed(ws::opcode op, byte_view head, byte_view body) {
        return phase_ != phase::open ? make_error_code(errc::not_connected) : send_as_it_is(op, head, body);
    }
    void ping() {
        if (phase_ != phase::open) return;
        (void)ws_->ping(out_.tail());
        defer_flush();
    }
    /// Starts the close handshake; `on_wire_closed` follows, after `limit` at the latest.
    void close(close_code code, std::string_view reason, duration limit);
    /// Ends the connection at once, telling the owner nothing. With `code` a close frame is
    /// written first, as far as the peer reads.
    void drop(close_code code = close_code::none, std::string_view reason = {});

    /// From the next message on: those that do not lie whole in what was read come in pieces.
    void hand_out_pieces(bool on) noexcept {
        if (ws_) ws_->hand_out_pieces(on);
    }
    void pause() {
        if (std::exchange(paused_, true) || !stream_) return;
        limits_.message = never;  // it is not the peer who is late; `pump` begins anew
        stream_->pause_reading();
    }
    void resume() {
        if (!std::exchange(paused_, false)) return;
        resume_due_ = true;
        driver_.defer(*this);
    }

    // ---- observers -----------------------------------------------------------------------

    [[nodiscard]] bool is_open() const noexcept { return phase_ == phase::open; }
    [[nodiscard]] bool backed_up() const noexcept { return out_.size() >= options_.max_write_buffer; }
    [[nodiscard]] std::size_t buffered() const noexcept { return out_.size(); }
    /// Bytes that may still be appended before it counts as backed up.
    [[nodiscard]] std::size_t room() const noexcept { return backed_up() ? 0 : options_.max_write_buffer - out_.size(); }
    /// Empty where none was chosen. Valid as long as the options are.
    [[nodiscard]] std::string_view subprotocol() const noexcept {
        if (subprotocol_ < first_of_options) return subprotocol_ == of_session ? session::subprotocol : std::string_view();
        return options_.subprotocols[subprotocol_ - first_of_options];
    }
    [[nodiscard]] std::string remote_address() const { return stream_ ? stream_->remote_address() : std::string(); }
    [[nodiscard]] bool paused() const noexcept { return paused_; }
    /// Whether a message is on its way: one has begun to arrive, or the system has not taken all that was written.
    [[nodiscard]] bool in_message() const noexcept { return limits_.stall != never || (ws_ && ws_->input().in_message()); }
    /// Whether compression was agreed on.
    [[nodiscard]] bool compresses() const noexcept { return ws_ && ws_->input().codec() != nullptr; }
    /// Hands the connection to another owner.
    void set_owner(wire_owner& owner) noexcept { owner_ = &owner; }
    /// What is held as long as this is: its place among the connections of its address.
    void hold(address_place place) noexcept { place_ = std::move(place); }
    [[nodiscard]] const address_place& place() const noexcept { return place_; }

private:
    enum class phase : std::uint8_t { idle, dialling, upgrading, open, closing, ended };
    // Bodies from this size on are written from where they are.
    static constexpr std::size_t by_reference = 16 * 1024;
    // Views from this size on are offered to the system before they are copied. A read hardly
    // brings two of them, so there is no batch to wait for.
    static constexpr std::size_t at_once = 64 * 1024;
    // Where it answers the last message of a read, no batch is waited for either way.
    static constexpr std::size_t at_once_last = 8 * 1024;
    // Pongs that wait to be written, one for each ping.
    static constexpr std::uint8_t most_pongs = 64;
    // Values of `subprotocol_`.
    static constexpr std::uint32_t of_session = 1, first_of_options = 2;

    // While it lasts; at most one of them.
    struct upgrades {
        std::optional<ws::client_upgrade> client;
        std::optional<ws::server_upgrade> server;
    };

    wire(driver& d, const options& o, wire_owner& owner, ws::role side)
        : driver_(d), options_(o), owner_(&owner), side_(side), out_(d) {}

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
    void on_closed(std::error_code ec) override {
        if (ec) end_now(ec);
        else peer_ended();
    }

    void take_bytes(byte_span chunk);
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

    bool upgrade_client(byte_span& chunk);
    bool upgrade_server(byte_span& chunk);
    bool refuse(std::error_code why);
    void date_refusal() noexcept {
        if (const auto now = driver_.date()) upgrade_->server->set_date(*now);
    }
    void make_endpoint(std::string_view subprotocol, std::unique_ptr<ws::message_codec> codec);
    bool opened();
    [[nodiscard]] ws::reader_limits reader_limits() const noexcept;

    // ---- frames --------------------------------------------------------------------------

    void pump();
    void handle(const ws::event& e);
    void on_close_frame(const ws::event& e);
    void answer_ping();
    bool control_flood() noexcept;
    void fail(errc why, close_code code);

    // ---- output --------------------------------------------------------------------------

    [[nodiscard]] bool send_compressed(ws::opcode op, byte_view head, byte_view body);
    [[nodiscard]] std::error_code send_any(ws::opcode op, byte_view head, byte_view body);
    [[nodiscard]] std::error_code send_any(ws::opcode op, byte_view head, const message& body);
    [[nodiscard]] std::error_code send_as_it_is(ws::opcode op, byte_view head, byte_view body);
    // Only what the system does not take is copied. An error shows again when the rest is written.
    [[nodiscard]] std::error_code send_at_once(ws::opcode op, byte_view head, byte_view body, bool fin = true);
    [[nodiscard]] bool goes_at_once(std::size_t size) const noexcept {
        return side_ == ws::role::server && size >= (at_last_of_read() ? at_once_last : at_once) && out_.empty();
    }
    // Whether the last message of a read is being handled.
    [[nodiscard]] bool at_last_of_read() const noexcept { return pumping_ && ws_->unread() == 0; }
    HAWSER_IN_LINE void defer_flush() { driver_.defer(*this); }
    void run() override {
        guarded([this] { end_of_turn(); });
    }
    void end_of_turn();
    // Also where the system took everything at once: no `on_writable` follows then, and the owner
    // stopped writing when it saw `backed_up()`.
    void flush_and_tell();
    void flush();
    [[nodiscard]] write_result write_plain();
    [[nodiscard]] write_result write_gathered();
    void append_control();

    // ---- the end -------------------------------------------------------------------------

    // The peer still gets what was written; the owner is done with it.
    void linger();
    void discard() noexcept;
    // The peer's FIN, with or without a close frame of this side.
    void peer_ended();
    void write_rest() noexcept;
    void end_now(std::error_code why, bool reset = true);

    // ---- deadlines -----------------------------------------------------------------------

    struct deadlines {
        time_point phase = never;  // of the upgrade, or of the close handshake
        time_point stall = never, message = never;
        [[nodiscard]] time_point first() const noexcept { return std::min({phase, stall, message}); }
    };
    void rearm() {
        const time_point first = limits_.first();
        if (first != never && first < timer_.deadline()) driver_.arm(timer_, first);
    }
    void on_deadline(time_point now) {
        guarded([this, now] { expire(now); });
    }
    void expire(time_point now);

    driver& driver_;
    const options& options_;  // of the owner
    wire_owner* owner_;
    ws::role side_;
    phase phase_ = phase::idle;
    bool paused_ = false;
    bool resume_due_ = false;
    bool accepted_ = false;
    bool pumping_ = false;
    std::uint8_t pongs_ = 0;     // that were appended since the output was empty
    destruction_mark mark_;
    stream_ptr stream_;
    write_queue out_;
    std::unique_ptr<upgrades> upgrade_;
    std::optional<ws::endpoint> ws_;
    address_place place_;
    time_point control_window_{};
    std::uint32_t control_count_ = 0;
    std::uint32_t subprotocol_ = 0;  // none, that of a session, or which of the options'
    deadlines limits_;
    timer_node timer_{this, on_timer<&wire::on_deadline>};
};

}  // namespace hawser::inline v0::detail

// The bodies, by concern.
#include <hawser/link/wire_input.hpp>
#include <hawser/link/wire_output.hpp>
#include <hawser/link/wire_upgrade.hpp>
