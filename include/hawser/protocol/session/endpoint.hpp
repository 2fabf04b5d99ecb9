// SPDX-License-Identifier: BSL-1.0
/// \file
/// One end of a hawser.v1 session: frames in, frames and actions out. Sans-I/O.
/// Definitions: detail/handshake.hpp (how a link attaches), detail/data_path.hpp (what comes in
/// afterwards), detail/output.hpp (what goes out), detail/restoring.hpp (what a store gives back).
#pragma once

#include <hawser/protocol/session/action.hpp>
#include <hawser/protocol/session/decode.hpp>
#include <hawser/protocol/session/encode.hpp>
#include <hawser/protocol/session/endpoint_options.hpp>
#include <hawser/protocol/session/inbox.hpp>
#include <hawser/protocol/session/outbox.hpp>
#include <hawser/protocol/session/session_state.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hawser::inline v0 {
namespace session {

/// State machine of one end, over any number of links one after the other. The shell feeds
/// the frames of the attached link and of no other, executes actions, calls `assign`, commits
/// the journal when it asks for it, and writes what `next_frame` returns. Only std::bad_alloc
/// is thrown. Thread safety: none.
///
/// | phase | entered by | frames that may come | frames that may go |
/// |---|---|---|---|
/// | detached | `detach` | none | none |
/// | awaiting_answer (client) | `attach_client` | WELCOME, RESUMED, RESUME_FAILED | HELLO or RESUME, once |
/// | awaiting_confirm (server) | `attach_hello`, `attach_resume` | ACK | WELCOME or RESUMED, once |
/// | attached | WELCOME, RESUMED (client), ACK (server) | all others | client: ACK first; then all others |
class endpoint {
public:
    explicit endpoint(const endpoint_options& options)
        : options_(options), log_(options.keep_records),
          out_(log_, {options.send_window, options.send_window_bytes, options.sequence_end, options.max_age}),
          in_(log_, options_.receive) {}
    endpoint(const endpoint&) = delete;
    endpoint& operator=(const endpoint&) = delete;

    // ---- links: detail/handshake.hpp -------------------------------------------------------

    /// Client: a link is open. RESUME is written where there is a session, else HELLO.
    void attach_client() noexcept;
    /// Server: HELLO arrived on a new link. Returns none, or why the link must be closed.
    /// `facts` go into the store.
    [[nodiscard]] std::error_code attach_hello(const hello& h, const epoch_id& epoch, const resume_token& token,
                                               const server_facts& facts = {});
    /// Server: RESUME was found good by the session table; `token` is the new one.
    void attach_resume(const resume& r, const resume_token& token, const server_facts& facts = {}, time_point now = {});
    /// The link is gone. The session stays.
    void detach() noexcept;
    /// The session is over, with the position of the peer where it is known. Outcomes follow;
    /// what may be sent again returns to the queue. The positions of `in()` stay until the next
    /// epoch begins, for a tombstone. Throws std::bad_alloc, and is to be called again.
    void end_epoch(std::optional<std::uint64_t> position, exception_view exceptions = {});
    /// `end_epoch` ran out of memory.
    [[nodiscard]] bool ends() const noexcept { return end_logged_; }
    /// The session is over, and so is the socket: what a tombstone tells goes into the store. Outcomes are the
    /// business of `out()`.
    void bury(std::optional<std::uint64_t> told) noexcept;
    /// What an earlier process left. Before the first link. Throws std::bad_alloc. Error: `store_corrupt`.
    [[nodiscard]] std::error_code restore(store_image image, time_point now);

    // ---- input: detail/data_path.hpp -------------------------------------------------------

    [[nodiscard]] action on_frame(byte_view frame, time_point now);
    /// The application took responsibility for `seq` (or is being handed it, on hand-off).
    void finish(std::uint64_t epoch_serial, std::uint64_t seq, time_point now) {
        if (has_epoch_ && epoch_serial == epoch_serial_) in_.finish(seq, now);
    }
    /// The same, and `effect` goes into the transaction of the position.
    void finish(std::uint64_t epoch_serial, std::uint64_t seq, time_point now, store_effect effect) {
        if (has_epoch_ && epoch_serial == epoch_serial_) in_.finish(seq, now, std::move(effect));
    }
    /// `result` may be `rejected` or `duplicate`, which a peer that does not know exceptions is told as `acknowledged`.
    void finish(std::uint64_t epoch_serial, std::uint64_t seq, time_point now, outcome result) {
        if (has_epoch_ && epoch_serial == epoch_serial_) in_.finish(seq, now, {}, result);
    }
    /// What waits is ended by `out().expire`.
    void on_time(time_point now) noexcept { in_.on_time(now); }
    [[nodiscard]] time_point deadline() noexcept {
        return std::min(phase_ == phase::attached ? in_.ack_deadline() : never, out_.deadline());
    }

    /// For a session at rest: gives back the memory of empty queues, if nothing waits or flies.
    void release() noexcept {
        if (!out_.drained()) return;
        out_.release();
        in_.release();
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
    /// Something is not durable yet, also while a commit is under way: it is too early to close.
    [[nodiscard]] bool commit_pending() const noexcept { return log_.dirty(); }
    [[nodiscard]] std::uint64_t last_lsn() const noexcept { return log_.last(); }
    [[nodiscard]] std::uint64_t durable_lsn() const noexcept { return log_.durable(); }

    // ---- output: detail/output.hpp ---------------------------------------------------------

    void request_ping() noexcept { ping_wanted_ = true; }
    /// Server: tells the client when and where to go. False if it does not know GOAWAY, or no link is
    /// attached. Throws std::bad_alloc, and nothing changed.
    [[nodiscard]] bool announce_goaway(goaway_reason reason, milliseconds delay, milliseconds window,
                                       std::string_view target);
    /// The link will be closed: an ACK says once more what was accepted.
    void flush_ack() noexcept {
        if (phase_ == phase::attached) in_.force_ack();
    }
    /// Numbers waiting messages for the attached link, `budget` bytes of payload at most.
    void assign(std::size_t budget) {
        out_.set_takes_transfers(takes_transfers());
        if (phase_ == phase::attached) out_.assign(budget);
    }
    /// The next frame of the attached link, if any. Views are valid until the next call, here or to `on_frame`.
    [[nodiscard]] std::optional<outgoing_frame> next_frame();
    /// Encodes an unnumbered message for the attached link; empty if there is none.
    [[nodiscard]] byte_view datagram_head(const message& m);

    // ---- observers -------------------------------------------------------------------------

    [[nodiscard]] outbox& out() noexcept { return out_; }
    [[nodiscard]] const inbox& in() const noexcept { return in_; }
    /// For a tombstone: what a position, at most `in().accepted()`, covers that was not simply accepted. A view until the next
    /// frame is written or a message is finished. Throws std::bad_alloc.
    [[nodiscard]] exception_view unconfirmed_exceptions(std::uint64_t position) { return in_.exceptions_through(position); }
    /// Whether the feature was agreed on in this session.
    [[nodiscard]] bool speaks(std::uint64_t feature_bit) const noexcept {
        return has_epoch_ && (features_ & feature_bit) != 0;
    }
    [[nodiscard]] bool attached() const noexcept { return phase_ == phase::attached; }
    [[nodiscard]] bool awaiting_confirm() const noexcept { return phase_ == phase::awaiting_confirm; }
    [[nodiscard]] bool has_epoch() const noexcept { return has_epoch_; }
    [[nodiscard]] const epoch_id& epoch() const noexcept { return epoch_; }
    [[nodiscard]] const origin_id& peer_origin() const noexcept { return peer_origin_; }
    [[nodiscard]] bool peer_durable() const noexcept { return peer_durable_; }
    [[nodiscard]] std::uint64_t epoch_serial() const noexcept { return epoch_serial_; }
    /// Whether both sides of the present session know messages of transfers.
    [[nodiscard]] bool takes_transfers() const noexcept { return has_epoch_ && (features_ & feature::transfers) != 0; }
    [[nodiscard]] std::uint64_t peer_max_message_size() const noexcept { return peer_max_message_; }
    [[nodiscard]] const endpoint_options& options() const noexcept { return options_; }

private:
    enum class phase : std::uint8_t { detached, awaiting_answer, awaiting_confirm, attached };
    /// The one frame that a phase begins with, while it waits to be written.
    enum class opening : std::uint8_t { none, hello, resume, welcome, resumed, confirm };

    [[nodiscard]] static action fail(std::error_code ec, close_code code = close_code::protocol_error) noexcept;
    [[nodiscard]] static action simple(action::kind k) noexcept;
    [[nodiscard]] bool checksum() const noexcept { return (features_ & feature::checksum) != 0; }
    [[nodiscard]] std::uint64_t offered_features() const noexcept {
        const std::uint64_t others = options_.features & feature::all & ~feature::checksum;
        return others | (options_.checksum ? feature::checksum : 0) | (options_.transfers ? feature::transfers : 0);
    }
    [[nodiscard]] std::error_code verify(byte_view frame, const envelope& e, byte_view payload) const noexcept;

    // detail/handshake.hpp
    void reset_link() noexcept;
    void open_with(opening frame, std::uint64_t after_lsn) noexcept;
    void begin_epoch(std::uint64_t id_base, std::uint64_t credit_messages, std::uint64_t credit_bytes) noexcept;
    void set_peer_limit(std::uint64_t bytes) noexcept;
    void agree_on_parts() noexcept;
    std::uint64_t log_epoch(const server_facts* facts = nullptr);
    void confirm();
    void forget_opening() noexcept { byte_vector().swap(head_); }  // longer than all that follow
    [[nodiscard]] bool awaits_answer() const noexcept;
    [[nodiscard]] action on_welcome(byte_view frame, const envelope& e);
    [[nodiscard]] action on_resumed(byte_view frame, const envelope& e, time_point now);
    [[nodiscard]] action on_resume_failed(byte_view frame, const envelope& e);
    [[nodiscard]] action on_confirmation(const ack_fields& f, time_point now);

    // detail/data_path.hpp
    [[nodiscard]] action on_position(byte_view frame, const envelope& e, time_point now);
    [[nodiscard]] std::error_code apply(const ack_fields& f, time_point now);
    [[nodiscard]] std::error_code apply_exceptions(std::uint64_t accepted, exception_view exceptions);
    void ping_if_exhausted() noexcept;
    [[nodiscard]] action on_any_frame(byte_view frame, time_point now);
    [[nodiscard]] bool takes_simple(byte_view frame, time_point now, action& a);
    [[nodiscard]] action on_data(byte_view frame, const envelope& e, time_point now);
    [[nodiscard]] std::error_code gather(const data& d, byte_view payload);
    void drop_parts() noexcept;
    [[nodiscard]] action on_gap() noexcept;
    [[nodiscard]] action on_goaway(byte_view frame, const envelope& e) const noexcept;
    [[nodiscard]] action on_datagram(byte_view frame, const envelope& e);
    [[nodiscard]] action on_other(byte_view frame, const envelope& e) const noexcept;

    // detail/output.hpp
    [[nodiscard]] std::optional<outgoing_frame> opening_frame();
    [[nodiscard]] outgoing_frame position_frame(frame_type type);
    [[nodiscard]] std::byte* room_for_head(std::size_t size);
    [[nodiscard]] byte_view encode_data(const data& d, byte_view payload);
    [[nodiscard]] outgoing_frame data_frame(outbox::entry& e);
    [[nodiscard]] outgoing_frame part_frame(outbox::entry& e, std::uint64_t seq);
    [[nodiscard]] outgoing_frame goaway_frame();
    void encode_hello();
    void encode_resume();
    void encode_welcome();
    void encode_resumed();

    endpoint_options options_;
    journal log_;
    outbox out_;
    inbox in_;
    byte_vector head_;
    phase phase_ = phase::detached;
    opening opening_ = opening::none;
    bool ping_wanted_ = false;
    bool pong_wanted_ = false;
    bool has_epoch_ = false;
    bool resuming_ = false;  // server: the present attach is not the session's first
    bool gap_seen_ = false;
    bool end_logged_ = false;   // the record of the epoch's end is in the journal, its outcomes are not all
    bool peer_durable_ = false;
    bool peer_dedup_kept_ = false;
    bool echo_due_ = false;     // exceptions came: the next PING or PONG says that they are known
    bool parts_done_ = false;   // `parts_` was delivered, and goes with the next frame
    byte_vector parts_;         // of the message that comes in parts on this link
    struct departure {
        goaway frame;
        std::string target;
    };
    std::unique_ptr<departure> goaway_;  // to be written
    std::uint64_t attempt_ = 0;
    std::uint64_t opening_lsn_ = 0;    // the opening frame waits until the journal is durable up to here
    std::uint64_t ended_lsn_ = 0;      // record of the last epoch's end
    std::uint64_t hello_id_base_ = 0;  // as told in HELLO; the queue may change until WELCOME
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

#include <hawser/protocol/session/detail/handshake.hpp>
#include <hawser/protocol/session/detail/data_path.hpp>
#include <hawser/protocol/session/detail/output.hpp>
#include <hawser/protocol/session/detail/restoring.hpp>
