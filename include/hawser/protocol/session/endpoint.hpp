// SPDX-License-Identifier: BSL-1.0
/// \file
/// One end of a hawser.v1 session: frames in, frames and actions out. Sans-I/O.
#pragma once

#include <hawser/core/close_code.hpp>
#include <hawser/core/message_id.hpp>
#include <hawser/protocol/session/frame.hpp>
#include <hawser/protocol/session/inbox.hpp>
#include <hawser/protocol/session/outbox.hpp>

#include <optional>
#include <string>

namespace hawser::inline v0 {
namespace session {

enum class side : std::uint8_t { client, server };

struct endpoint_options {
    session::side side = session::side::client;
    bool checksum = true;              ///< offer (client) or accept (server) frame checksums
    bool durable = false;              ///< the store of this side survives the process
    bool keep_records = false;         ///< the store wants the records, not only their order
    std::uint64_t max_message_size = 1024 * 1024;
    std::uint64_t send_window = 1024;  ///< messages written and not acknowledged, at most
    inbox_limits receive;
    milliseconds session_ttl{120'000};
    origin_id origin{};                ///< of the messages sent from here
    std::uint32_t boot = 1;            ///< incarnation of this process, the high bits of `attempt`
};

/// What the shell has to do after a frame.
struct action {
    enum class kind : std::uint8_t {
        none,
        deliver,      ///< a message of the application: payload, text, seq, id, key
        datagram,     ///< an unnumbered message: payload, text
        established,  ///< a new session; messages may flow
        resumed,      ///< the session goes on
        epoch_lost,   ///< it cannot be resumed; outcomes are known, a HELLO follows on this link
        pong,         ///< the peer answered a ping
        close_link,   ///< close the link with `code`, because of `error`; the session stays
        end_session,  ///< as close_link, and the session is over
    };
    kind what = kind::none;
    bool text = false;
    byte_view payload;
    std::uint64_t seq = 0;
    message_id id;
    std::string_view key;
    std::error_code error;
    close_code code = close_code::none;
};

/// The next frame to write: `head` followed by `body`.
struct outgoing_frame {
    byte_view head;
    const message* body = nullptr;
};

/// State machine of one end, over any number of links one after the other. The shell feeds
/// the frames of the attached link, executes actions, calls `assign`, commits the journal
/// when it asks for it, and writes what `next_frame` returns. Thread safety: none.
class endpoint {
public:
    explicit endpoint(const endpoint_options& options)
        : options_(options), log_(options.keep_records), out_(log_, options.send_window),
          in_(log_, options.receive) {}
    endpoint(const endpoint&) = delete;
    endpoint& operator=(const endpoint&) = delete;

    // ---- links -----------------------------------------------------------------------------

    /// Client: a link is open. RESUME is written where there is a session, else HELLO.
    void attach_client() {
        phase_ = phase::awaiting_answer;
        reset_link();
        if (has_epoch_) {
            ++attempt_;
            control_ = control::resume;
        } else {
            control_ = control::hello;
        }
    }
    /// Server: HELLO arrived on a new link. Returns none, or why the link must be closed.
    [[nodiscard]] std::error_code attach_hello(const hello& h, const epoch_id& epoch, const resume_token& token) {
        if (h.version_min > version || h.version_max < version) return errc::session_version;
        peer_origin_ = h.origin;
        peer_id_base_ = h.id_base;
        set_peer_limit(h.max_message_size);
        features_ = h.features & offered_features();
        epoch_ = epoch;
        token_ = token;
        has_epoch_ = true;
        begin_epoch(h.credit_messages, h.credit_bytes);
        phase_ = phase::awaiting_confirm;
        reset_link();
        control_ = control::welcome;
        control_lsn_ = log_epoch();
        return {};
    }
    /// Server: RESUME was found good by the session table; `token` is the new one.
    void attach_resume(const resume& r, const resume_token& token) {
        token_ = token;
        (void)out_.on_ack(r.accepted);
        out_.attach();
        phase_ = phase::awaiting_confirm;
        reset_link();
        control_ = control::resumed;
        control_lsn_ = log_epoch();
    }
    /// The link is gone. The session stays.
    void detach() noexcept {
        phase_ = phase::detached;
        reset_link();
    }
    /// The session is over, with the position of the peer where it is known. Outcomes follow;
    /// in the client role what may be sent again returns to the queue.
    void end_epoch(std::optional<std::uint64_t> position) {
        has_epoch_ = false;
        gap_seen_ = false;
        ++epoch_serial_;
        (void)log_.add({.kind = record_kind::epoch_ended, .epoch = epoch_});
        out_.end_epoch(position);
        in_.begin_epoch();
    }

    // ---- input -----------------------------------------------------------------------------

    [[nodiscard]] action on_frame(byte_view frame, time_point now) {
        envelope e;
        if (auto ec = decode(frame, e)) return fail(ec, close_code::protocol_error);
        switch (e.type) {
        case frame_type::data: return on_data(frame, e, now);
        case frame_type::ack:
        case frame_type::ping:
        case frame_type::pong: return on_position(frame, e);
        case frame_type::welcome: return on_welcome(frame, e);
        case frame_type::resumed: return on_resumed(frame, e);
        case frame_type::resume_failed: return on_resume_failed(frame, e);
        case frame_type::datagram: return on_datagram(frame, e);
        default: break;
        }
        if (static_cast<std::uint8_t>(e.type) >= first_skippable_type) return {};
        return fail(errc::session_protocol, close_code::protocol_error);
    }
    /// The application took responsibility for `seq` (or is being handed it, on hand-off).
    void finish(std::uint64_t epoch_serial, std::uint64_t seq, time_point now) {
        if (epoch_serial == epoch_serial_) in_.finish(seq, now);
    }
    void on_time(time_point now) noexcept { in_.on_time(now); }
    [[nodiscard]] time_point deadline() const noexcept {
        return phase_ == phase::attached ? in_.ack_deadline() : never;
    }
    void request_ping() noexcept { ping_wanted_ = true; }
    void flush_ack() noexcept {
        if (phase_ == phase::attached) in_.force_ack();
    }

    // ---- journal ---------------------------------------------------------------------------

    [[nodiscard]] bool wants_commit() const noexcept { return log_.wants_commit(); }
    [[nodiscard]] std::vector<record> begin_commit() {
        in_.begin_commit();
        return log_.begin_commit();
    }
    void end_commit() noexcept {
        log_.end_commit();
        in_.end_commit();
    }

    [[nodiscard]] std::uint64_t last_lsn() const noexcept { return log_.last(); }
    [[nodiscard]] std::uint64_t durable_lsn() const noexcept { return log_.durable(); }
    /// What the store remembers of an earlier incarnation. Before the first link.
    void set_identity(const origin_id& origin, std::uint32_t boot) noexcept {
        options_.origin = origin;
        options_.boot = boot;
    }

    // ---- output ----------------------------------------------------------------------------

    /// Numbers waiting messages for the attached link, `budget` bytes of payload at most.
    void assign(std::size_t budget) {
        if (phase_ == phase::attached) out_.assign(budget);
    }
    /// The next frame of the attached link, if any. Views are valid until the next call.
    [[nodiscard]] std::optional<outgoing_frame> next_frame() {
        if (control_ != control::none) return next_handshake_frame();
        if (phase_ != phase::attached) return std::nullopt;
        if (pong_wanted_) return position_frame(frame_type::pong, pong_wanted_);
        if (ping_wanted_) return position_frame(frame_type::ping, ping_wanted_);
        if (outbox::entry* e = out_.next_to_write()) return data_frame(*e);
        if (in_.ack_wanted() && in_.ack_useful()) {
            bool wanted = true;
            return position_frame(frame_type::ack, wanted);
        }
        return std::nullopt;
    }
    /// Encodes an unnumbered message for the attached link; empty if there is none.
    [[nodiscard]] byte_view datagram_head(const message& m) {
        if (phase_ != phase::attached) return {};
        encode_datagram(head_, m.is_text(), m.bytes(), checksum());
        return head_;
    }

    // ---- observers -------------------------------------------------------------------------

    [[nodiscard]] outbox& out() noexcept { return out_; }
    [[nodiscard]] const inbox& in() const noexcept { return in_; }
    [[nodiscard]] bool attached() const noexcept { return phase_ == phase::attached; }
    [[nodiscard]] bool awaiting_confirm() const noexcept { return phase_ == phase::awaiting_confirm; }
    [[nodiscard]] bool has_epoch() const noexcept { return has_epoch_; }
    [[nodiscard]] const epoch_id& epoch() const noexcept { return epoch_; }
    [[nodiscard]] const origin_id& peer_origin() const noexcept { return peer_origin_; }
    [[nodiscard]] std::uint64_t epoch_serial() const noexcept { return epoch_serial_; }
    [[nodiscard]] std::uint64_t peer_max_message_size() const noexcept { return peer_max_message_; }
    [[nodiscard]] const endpoint_options& options() const noexcept { return options_; }

private:
    enum class phase : std::uint8_t { detached, awaiting_answer, awaiting_confirm, attached };
    enum class control : std::uint8_t { none, hello, resume, welcome, resumed, confirm };

    void set_peer_limit(std::uint64_t bytes) noexcept {
        peer_max_message_ = bytes;
        out_.set_max_body(bytes);
    }
    [[nodiscard]] std::uint64_t offered_features() const noexcept {
        return options_.checksum ? feature::checksum : 0;
    }
    [[nodiscard]] bool checksum() const noexcept { return (features_ & feature::checksum) != 0; }
    [[nodiscard]] static action fail(std::error_code ec, close_code code) noexcept {
        action a;
        a.what = action::kind::close_link;
        a.error = ec;
        a.code = code;
        return a;
    }
    [[nodiscard]] static action simple(action::kind k) noexcept {
        action a;
        a.what = k;
        return a;
    }
    void reset_link() noexcept {
        control_ = control::none;
        ping_wanted_ = pong_wanted_ = false;
    }
    void begin_epoch(std::uint64_t credit_messages, std::uint64_t credit_bytes) noexcept {
        ++epoch_serial_;
        out_.begin_epoch(out_.id_base(), credit_messages, credit_bytes);
        in_.begin_epoch();
        gap_seen_ = false;
    }
    std::uint64_t log_epoch() {
        return log_.add({.kind = record_kind::epoch_begun, .epoch = epoch_, .token = token_});
    }
    // A frame without its checksum is as suspect as one with a wrong checksum.
    [[nodiscard]] std::error_code verify(byte_view frame, const envelope& e, byte_view payload) const {
        if (!checksum_matches(frame, e, payload)) return errc::session_checksum;
        if (checksum() && has_epoch_ && !e.has(flag::checksum)) return errc::session_checksum;
        return {};
    }

    // The first frame of the client after WELCOME or RESUMED is an ACK; until then nothing
    // else may come, and until then the previous token stays good.
    [[nodiscard]] action on_position(byte_view frame, const envelope& e) {
        ack_fields f;
        if (!decode(e, f)) return fail(errc::session_malformed, close_code::protocol_error);
        if (auto ec = verify(frame, e, {})) return fail(ec, close_code::bad_checksum);
        const bool confirms = phase_ == phase::awaiting_confirm && e.type == frame_type::ack;
        if (phase_ != phase::attached && !confirms) return fail(errc::session_protocol, close_code::protocol_error);
        if (auto ec = apply(f)) return fail(ec, close_code::protocol_error);
        if (confirms) {
            phase_ = phase::attached;
            return simple(resumed_link_ ? action::kind::resumed : action::kind::established);
        }
        if (e.type == frame_type::ping) pong_wanted_ = true;
        return e.type == frame_type::pong ? simple(action::kind::pong) : action{};
    }
    [[nodiscard]] std::error_code apply(const ack_fields& f) {
        out_.on_credit(f.credit_messages, f.credit_bytes);
        return out_.on_ack(f.accepted);
    }

    [[nodiscard]] action on_data(byte_view frame, const envelope& e, time_point now) {
        if (phase_ != phase::attached) return fail(errc::session_protocol, close_code::protocol_error);
        data d;
        action a;
        if (!decode(e, d, a.payload)) return fail(errc::session_malformed, close_code::protocol_error);
        if (auto ec = verify(frame, e, a.payload)) return fail(ec, close_code::bad_checksum);
        if (e.has(flag::more)) return fail(errc::session_protocol, close_code::protocol_error);
        if (a.payload.size() > options_.max_message_size)
            return fail(errc::message_too_big, close_code::message_too_big);
        if (d.has_ack)
            if (auto ec = apply(d.ack)) return fail(ec, close_code::protocol_error);
        switch (in_.on_data(d.seq, a.payload.size(), d.ack_now, now)) {
        case inbox::verdict::duplicate: return {};
        case inbox::verdict::overrun: return fail(errc::session_protocol, close_code::protocol_error);
        case inbox::verdict::gap: return on_gap();
        case inbox::verdict::fresh: break;
        }
        gap_seen_ = false;
        a.what = action::kind::deliver;
        a.text = d.text;
        a.seq = d.seq;
        a.key = d.key;
        a.id = {peer_origin_, d.seq + peer_id_base_ + static_cast<std::uint64_t>(d.id_delta)};
        return a;
    }
    // One RESUME may mend a gap; a second one without progress in between will not.
    [[nodiscard]] action on_gap() noexcept {
        action a = fail(errc::session_gap, close_code::sequence_gap);
        if (gap_seen_) a.what = action::kind::end_session;
        gap_seen_ = true;
        return a;
    }
    [[nodiscard]] action on_datagram(byte_view frame, const envelope& e) {
        if (phase_ != phase::attached) return fail(errc::session_protocol, close_code::protocol_error);
        if (auto ec = verify(frame, e, e.body)) return fail(ec, close_code::bad_checksum);
        action a = simple(action::kind::datagram);
        a.text = e.has(flag::text);
        a.payload = e.body;
        return a;
    }

    [[nodiscard]] action on_welcome(byte_view frame, const envelope& e) {
        welcome w;
        if (phase_ != phase::awaiting_answer || has_epoch_)
            return fail(errc::session_protocol, close_code::protocol_error);
        if (!decode(e, w)) return fail(errc::session_malformed, close_code::protocol_error);
        if (auto ec = verify(frame, e, {})) return fail(ec, close_code::bad_checksum);
        if (w.version != version) return fail(errc::session_version, close_code::version_mismatch);
        if ((w.features & ~offered_features()) != 0) return fail(errc::session_protocol, close_code::protocol_error);
        peer_origin_ = w.origin;
        peer_id_base_ = w.id_base;
        set_peer_limit(w.max_message_size);
        features_ = w.features;
        epoch_ = w.epoch;
        token_ = w.token;
        has_epoch_ = true;
        begin_epoch(w.credit_messages, w.credit_bytes);
        confirm();
        return simple(action::kind::established);
    }
    [[nodiscard]] action on_resumed(byte_view frame, const envelope& e) {
        resumed r;
        if (phase_ != phase::awaiting_answer || !has_epoch_)
            return fail(errc::session_protocol, close_code::protocol_error);
        if (!decode(e, r)) return fail(errc::session_malformed, close_code::protocol_error);
        if (auto ec = verify(frame, e, {})) return fail(ec, close_code::bad_checksum);
        // The server answers for messages that were never sent, or lost what it had: its state
        // cannot be trusted, and nothing is completed by it.
        if (r.accepted > out_.written_through() || r.first_retained > in_.durable_accepted() + 1 ||
            r.next_seq <= in_.received())
            return lose_epoch(std::nullopt);
        token_ = r.token;
        out_.on_credit(r.credit_messages, r.credit_bytes);
        (void)out_.on_ack(r.accepted);
        out_.attach();
        confirm();
        return simple(action::kind::resumed);
    }
    [[nodiscard]] action on_resume_failed(byte_view frame, const envelope& e) {
        resume_failed f;
        if (phase_ != phase::awaiting_answer || !has_epoch_)
            return fail(errc::session_protocol, close_code::protocol_error);
        if (!decode(e, f)) return fail(errc::session_malformed, close_code::protocol_error);
        if (auto ec = verify_answer(frame, e)) return fail(ec, close_code::bad_checksum);
        if (f.has_position && f.accepted <= out_.written_through()) return lose_epoch(f.accepted);
        return lose_epoch(std::nullopt);
    }
    // A server that does not know the session cannot know whether checksums were agreed.
    [[nodiscard]] static std::error_code verify_answer(byte_view frame, const envelope& e) {
        return checksum_matches(frame, e, {}) ? std::error_code{} : errc::session_checksum;
    }
    [[nodiscard]] action lose_epoch(std::optional<std::uint64_t> position) {
        end_epoch(position);
        control_ = control::hello;
        control_lsn_ = log_.last();
        return simple(action::kind::epoch_lost);
    }
    // Token and epoch are durable before the frame that retires the previous token.
    void confirm() {
        control_ = control::confirm;
        control_lsn_ = log_epoch();
        phase_ = phase::attached;
    }

    [[nodiscard]] std::optional<outgoing_frame> next_handshake_frame() {
        if (control_lsn_ > log_.durable()) return std::nullopt;
        switch (std::exchange(control_, control::none)) {
        case control::hello: encode_hello(); break;
        case control::resume: encode_resume(); break;
        case control::welcome: encode_welcome(); break;
        case control::resumed: encode_resumed(); break;
        default:
            encode(head_, frame_type::ack, in_.ack(), checksum());
            in_.announced();
            break;
        }
        return outgoing_frame{head_, nullptr};
    }
    void encode_hello() {
        hello h;
        h.features = offered_features();
        h.max_message_size = options_.max_message_size;
        h.credit_messages = options_.receive.window_messages;
        h.credit_bytes = options_.receive.window_bytes;
        h.origin = options_.origin;
        h.id_base = out_.id_base();
        h.durable = options_.durable;
        encode(head_, h, options_.checksum);
    }
    void encode_resume() {
        resume r;
        r.token = token_;
        r.epoch = epoch_;
        r.attempt = std::uint64_t{options_.boot} << 32 | attempt_;
        r.accepted = in_.durable_accepted();
        r.first_retained = out_.first_retained();
        r.next_seq = out_.next_seq();
        encode(head_, r, options_.checksum);
    }
    void encode_welcome() {
        resumed_link_ = false;
        welcome w;
        w.features = features_;
        w.max_message_size = options_.max_message_size;
        w.credit_messages = options_.receive.window_messages;
        w.credit_bytes = options_.receive.window_bytes;
        w.epoch = epoch_;
        w.token = token_;
        w.origin = options_.origin;
        w.id_base = out_.epoch_id_base();
        w.session_ttl_ms = static_cast<std::uint64_t>(options_.session_ttl.count());
        w.durable = options_.durable;
        w.dedup_kept = true;
        encode(head_, w, checksum());
    }
    void encode_resumed() {
        resumed_link_ = true;
        resumed r;
        const ack_fields position = in_.ack();
        r.accepted = position.accepted;
        r.first_retained = out_.first_retained();
        r.next_seq = out_.next_seq();
        r.token = token_;
        r.credit_messages = position.credit_messages;
        r.credit_bytes = position.credit_bytes;
        encode(head_, r, checksum());
        in_.announced();
    }
    [[nodiscard]] outgoing_frame position_frame(frame_type type, bool& wanted) {
        wanted = false;
        encode(head_, type, in_.ack(), checksum());
        in_.announced();
        return {head_, nullptr};
    }
    [[nodiscard]] outgoing_frame data_frame(outbox::entry& e) {
        data d;
        d.seq = out_.cursor();
        d.id_delta = static_cast<std::int64_t>(e.counter - d.seq - out_.epoch_id_base());
        d.text = e.body.is_text();
        d.ack_now = out_.nothing_further();
        d.has_ack = in_.ack_useful();
        if (e.key) d.key = *e.key;
        if (d.has_ack) d.ack = in_.ack();
        encode(head_, d, e.body.bytes(), checksum());
        if (d.has_ack) in_.announced();
        out_.written(e);
        return {head_, &e.body};
    }

    endpoint_options options_;
    journal log_;
    outbox out_;
    inbox in_;
    byte_vector head_;
    phase phase_ = phase::detached;
    control control_ = control::none;
    bool ping_wanted_ = false;
    bool pong_wanted_ = false;
    bool has_epoch_ = false;
    bool resumed_link_ = false;
    bool gap_seen_ = false;
    std::uint32_t attempt_ = 0;
    std::uint64_t control_lsn_ = 0;
    std::uint64_t epoch_serial_ = 0;
    std::uint64_t features_ = 0;
    std::uint64_t peer_max_message_ = UINT64_MAX;
    std::uint64_t peer_id_base_ = 0;
    origin_id peer_origin_{};
    epoch_id epoch_{};
    resume_token token_{};
};

}  // namespace session
}  // namespace hawser::inline v0
