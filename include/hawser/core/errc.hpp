// SPDX-License-Identifier: BSL-1.0
/// \file
/// Error codes of the library, their category, and the three conditions to branch on.
#pragma once

#include <hawser/core/config.hpp>

#include <string>
#include <system_error>

namespace hawser::inline v0 {

/// What went wrong. The numbers are stable: a code is never renumbered or reused.
enum class errc {
    // The network and the peer's reachability.
    connect_timeout = 1,    ///< TCP, upgrade and session were not ready within `connect_timeout`
    connection_lost = 2,    ///< the connection ended without a close handshake (local code 1006)
    heartbeat_timeout = 3,  ///< nothing arrived within `pong_timeout` after a ping
    resolve_failed = 4,     ///< the host name has no usable address
    circuit_open = 5,       ///< the circuit breaker permits no attempt now
    retries_exhausted = 6,  ///< the reconnection strategy gave up
    write_stalled = 7,      ///< the peer did not read for `write_stall_timeout`
    close_timeout = 8,      ///< the close handshake did not end within `close_timeout`
    refused = 9,            ///< the server answered the upgrade with an HTTP status other than 101
    tls_failed = 10,             ///< the TLS handshake or a record of TLS failed
    tls_truncated = 11,          ///< the connection ended without TLS's close_notify: something may be cut off
    tls_incompatible = 12,       ///< no version, cipher or protocol of TLS in common
    certificate_untrusted = 13,  ///< the peer's certificate is missing, or nobody who is trusted has signed it
    certificate_expired = 14,    ///< the peer's certificate is not valid any more, or not yet
    certificate_name = 15,       ///< the server's certificate is for another host
    certificate_refused = 16,    ///< the peer refused the certificate of this side, or wants one
    proxy_failed = 17,           ///< the proxy did not make the connection
    proxy_unauthorized = 18,     ///< the proxy refuses the credentials, or wants some (407)
    idle_timeout = 19,           ///< no message in either direction for `idle_timeout`

    // The HTTP/1.1 upgrade.
    bad_request = 20,            ///< malformed request (400)
    bad_response = 21,           ///< malformed response to an upgrade
    bad_accept = 22,             ///< Sec-WebSocket-Accept is missing or wrong
    bad_subprotocol = 23,        ///< the server chose a subprotocol that was not offered
    bad_extension = 24,          ///< the server chose an extension that was not offered
    header_too_large = 25,       ///< too many header fields, or too many bytes of them (431)
    target_too_long = 26,        ///< the request target is over its limit (414)
    method_not_allowed = 27,     ///< the method is not GET (405)
    upgrade_required = 28,       ///< not a WebSocket upgrade, or not version 13 (426)
    handshake_timeout = 29,      ///< the upgrade did not arrive in time (408)
    body_not_allowed = 30,       ///< an upgrade request with a body (413)
    redirected = 31,             ///< the server redirects; it is reported, not followed
    too_many_connections = 32,   ///< the listener is full (503)
    unauthorized = 33,           ///< the server refuses the credentials (401 or 403)
    session_unsupported = 34,    ///< the peer does not speak hawser.v1 and the session is required
    refused_for_good = 35,       ///< as `refused`, with a 4xx that asking again will not change

    // Feeds: plain connections with `options::feed`.
    feed_stale = 36,             ///< nothing useful arrived for `feed.stale_after`
    subscription_failed = 37,    ///< `feed.confirm` said that the peer refused what `on_connect` asked for
    subscription_timeout = 38,   ///< the peer's answer did not come within `feed.confirm_timeout`

    // RFC 6455 frames.
    reserved_bits = 40,          ///< RSV1-3 set without a negotiated meaning
    reserved_opcode = 41,        ///< opcode 3-7 or 11-15
    bad_mask = 42,               ///< an unmasked frame to a server, or a masked one to a client
    bad_length = 43,             ///< a 64-bit length with its top bit set
    message_too_big = 44,        ///< over `max_message_size`
    control_too_long = 45,       ///< a control frame of more than 125 bytes
    control_fragmented = 46,     ///< a control frame without FIN
    orphan_continuation = 47,    ///< a continuation without a message
    interleaved_message = 48,    ///< a new data frame inside a fragmented message
    invalid_utf8 = 49,           ///< text or a close reason that is not UTF-8
    bad_close_frame = 50,        ///< a close frame of one byte, or with a code that must not be sent
    control_flood = 51,          ///< control frames over the permitted rate
    non_minimal_length = 52,     ///< a payload length not in its shortest form
    message_timeout = 53,        ///< a fragmented message was not finished within its deadline
    bad_compression = 54,        ///< compressed data that cannot be inflated

    // hawser.v1.
    session_protocol = 60,       ///< a frame that the rules of hawser.v1 forbid
    session_malformed = 61,      ///< a frame that cannot be decoded
    session_checksum = 62,       ///< a frame whose checksum does not match
    session_gap = 63,            ///< a sequence number was skipped
    session_version = 64,        ///< no version in common
    resume_failed = 65,          ///< the session cannot be resumed; what became of each message is reported
    superseded = 66,             ///< the session was attached to by a newer connection
    stale_resume = 67,           ///< a RESUME older than one already seen
    session_expired = 68,        ///< detached for longer than `session_ttl`
    session_ended = 69,          ///< the peer closed the session
    unknown_extension = 70,      ///< a critical extension that this version does not know
    sequence_exhausted = 71,     ///< 2^63 messages in one session
    going_away = 72,             ///< the server asked to go, and this is the moment that it gave

    // What became of a message.
    outcome_unknown = 80,        ///< written, but its fate cannot be told
    rejected = 81,               ///< the peer refused the message
    cancelled = 82,              ///< cancelled before it was written
    expired = 83,                ///< its time to live ran out before it was written
    detached = 84,               ///< the operation was cancelled, the message stays in flight
    replaced = 85,               ///< another with its coalescing key took its place before it was written
    dropped = 86,                ///< the overflow policy gave its room to others before it was written

    // Limits of this side.
    queue_full = 100,            ///< the outgoing queue is at its limit (policies `reject`, `drop_oldest`, `coalesce_by_key`, `close`), or that of the store
    would_block = 101,           ///< cannot be taken now without waiting (`try_send`)
    too_many_waiters = 102,      ///< more suspended operations than `max_waiters`
    out_of_memory = 103,         ///< an allocation failed
    random_failed = 104,         ///< the system's random generator failed
    table_full = 105,            ///< a bounded table is full

    // Use of the library.
    invalid_argument = 120,      ///< an argument is outside of what is allowed
    invalid_state = 121,         ///< the operation is not possible in this state
    not_connected = 122,         ///< there is no open connection and the message may not wait
    closed = 123,                ///< the socket was closed
    already_connecting = 124,    ///< `connect` was called before
    operation_in_progress = 125, ///< only one operation of this kind may wait at a time
    unknown_ticket = 126,        ///< the ticket was not issued here, or is too old to tell
    handler_failed = 127,        ///< a critical callback of the application threw
    store_failed = 128,          ///< the store reported an error
    tls_missing = 129,           ///< a wss URL and no `options::tls`
    locked = 130,                ///< the store, or this session in it, is in use elsewhere
    store_corrupt = 131,         ///< what the store holds is damaged or contradicts itself
    store_full = 132,            ///< the store has no room; what it holds is intact
    store_version = 133,         ///< the store was made by a newer version, or its file is something else

    // Transfers of files and streams.
    transfer_unsupported = 140,  ///< the peer takes no transfers, or `options::transfers` is off here
    transfer_refused = 141,      ///< the receiver does not want it; the text says why
    transfer_too_big = 142,      ///< over the receiver's limit, or more than was offered
    transfer_digest = 143,       ///< what arrived is not what was sent
    transfer_source = 144,       ///< the source could not be read, or changed while it was sent
    transfer_storage = 145,      ///< the receiver could not write it down
    transfer_no_space = 146,     ///< the receiver's disk is full
    transfer_cancelled = 147,    ///< the other side cancelled it
    transfer_timeout = 148,      ///< no answer to an offer, or to the end, in time
    transfer_interrupted = 149,  ///< the receiver's state is lost, and the source cannot be read again
    transfer_protocol = 150,     ///< a message that the rules of transfers forbid
    transfer_superseded = 151,   ///< the sender has offered the same source again
};

/// Conditions to branch on: `if (ec == hawser::condition::retryable)`.
enum class condition {
    retryable = 1,  ///< the same may succeed later, without a change
    fatal = 2,      ///< it will not succeed without a change of configuration, credentials or code
    degraded = 3,   ///< the link goes on, but something was lost or refused and is reported
};

/// The category of `errc`.
[[nodiscard]] const std::error_category& hawser_category() noexcept;
/// The category of `condition`.
[[nodiscard]] const std::error_category& condition_category() noexcept;

/// Makes `errc` usable as a std::error_code.
[[nodiscard]] inline std::error_code make_error_code(errc e) noexcept {
    return {static_cast<int>(e), hawser_category()};
}
/// Makes `condition` usable as a std::error_condition.
[[nodiscard]] inline std::error_condition make_error_condition(condition c) noexcept {
    return {static_cast<int>(c), condition_category()};
}

namespace detail {

struct errc_text {
    errc code;
    const char* text;
};

// One row per code; the test of this table fails when a code has no row.
inline constexpr errc_text errc_texts[] = {
    {errc::connect_timeout, "connecting took longer than connect_timeout"},
    {errc::connection_lost, "the connection was lost"},
    {errc::heartbeat_timeout, "the peer did not answer a ping in time"},
    {errc::resolve_failed, "the host name could not be resolved"},
    {errc::circuit_open, "the circuit breaker is open"},
    {errc::retries_exhausted, "the reconnection strategy gave up"},
    {errc::write_stalled, "the peer stopped reading"},
    {errc::close_timeout, "the close handshake timed out"},
    {errc::refused, "the server refused the upgrade"},
    {errc::tls_failed, "TLS failed"},
    {errc::tls_truncated, "the connection ended without TLS's close_notify"},
    {errc::tls_incompatible, "no version, cipher or protocol of TLS in common with the peer"},
    {errc::certificate_untrusted, "the peer's certificate is not trusted"},
    {errc::certificate_expired, "the peer's certificate is expired or not yet valid"},
    {errc::certificate_name, "the server's certificate is for another host"},
    {errc::certificate_refused, "the peer refused the certificate of this side, or wants one"},
    {errc::proxy_failed, "the proxy did not make the connection"},
    {errc::proxy_unauthorized, "the proxy refused the credentials"},
    {errc::idle_timeout, "no message in either direction for idle_timeout"},
    {errc::bad_request, "malformed upgrade request"},
    {errc::bad_response, "malformed upgrade response"},
    {errc::bad_accept, "Sec-WebSocket-Accept is missing or wrong"},
    {errc::bad_subprotocol, "the server chose a subprotocol that was not offered"},
    {errc::bad_extension, "the server chose an extension that was not offered"},
    {errc::header_too_large, "header fields over the limit"},
    {errc::target_too_long, "request target over the limit"},
    {errc::method_not_allowed, "the method of an upgrade is GET"},
    {errc::upgrade_required, "not a WebSocket upgrade of version 13"},
    {errc::handshake_timeout, "the upgrade did not arrive in time"},
    {errc::body_not_allowed, "an upgrade request has no body"},
    {errc::redirected, "the server redirects, which is not followed"},
    {errc::too_many_connections, "too many connections"},
    {errc::unauthorized, "the server refused the credentials"},
    {errc::refused_for_good, "the server refused the upgrade for good"},
    {errc::session_unsupported, "the peer does not speak hawser.v1"},
    {errc::feed_stale, "the feed brought nothing useful for too long"},
    {errc::subscription_failed, "the peer refused the subscription"},
    {errc::subscription_timeout, "the peer did not confirm the subscription in time"},
    {errc::reserved_bits, "reserved bits are set in a frame"},
    {errc::reserved_opcode, "reserved opcode"},
    {errc::bad_mask, "frame masked or unmasked against its role"},
    {errc::bad_length, "frame length with its top bit set"},
    {errc::message_too_big, "message over max_message_size"},
    {errc::control_too_long, "control frame of more than 125 bytes"},
    {errc::control_fragmented, "fragmented control frame"},
    {errc::orphan_continuation, "continuation frame without a message"},
    {errc::interleaved_message, "new message inside a fragmented one"},
    {errc::invalid_utf8, "text is not valid UTF-8"},
    {errc::bad_close_frame, "malformed close frame"},
    {errc::control_flood, "too many control frames"},
    {errc::non_minimal_length, "payload length is not in its shortest form"},
    {errc::message_timeout, "a fragmented message was not finished in time"},
    {errc::bad_compression, "compressed data are corrupt"},
    {errc::session_protocol, "the peer broke a rule of hawser.v1"},
    {errc::session_malformed, "malformed hawser.v1 frame"},
    {errc::session_checksum, "checksum of a hawser.v1 frame does not match"},
    {errc::session_gap, "a sequence number was skipped"},
    {errc::session_version, "no hawser version in common"},
    {errc::resume_failed, "the session could not be resumed"},
    {errc::superseded, "superseded by a newer connection of the same session"},
    {errc::stale_resume, "stale RESUME"},
    {errc::session_expired, "the session expired while detached"},
    {errc::session_ended, "the peer ended the session"},
    {errc::unknown_extension, "unknown critical extension"},
    {errc::sequence_exhausted, "sequence numbers are exhausted"},
    {errc::going_away, "the server goes and asked its clients to go"},
    {errc::outcome_unknown, "written, but its outcome is unknown"},
    {errc::rejected, "rejected by the peer"},
    {errc::cancelled, "cancelled before it was written"},
    {errc::expired, "expired before it was written"},
    {errc::detached, "the operation was cancelled, the message stays in flight"},
    {errc::replaced, "replaced by another message with its coalescing key"},
    {errc::dropped, "dropped, because the outgoing queue was full"},
    {errc::queue_full, "the outgoing queue, or that of the store, is full"},
    {errc::would_block, "the operation would have to wait"},
    {errc::too_many_waiters, "too many operations are waiting"},
    {errc::out_of_memory, "out of memory"},
    {errc::random_failed, "the random generator failed"},
    {errc::table_full, "a bounded table is full"},
    {errc::invalid_argument, "invalid argument"},
    {errc::invalid_state, "not possible in this state"},
    {errc::not_connected, "not connected"},
    {errc::closed, "the socket was closed"},
    {errc::already_connecting, "connect was called before"},
    {errc::operation_in_progress, "an operation of this kind is already waiting"},
    {errc::unknown_ticket, "unknown ticket"},
    {errc::handler_failed, "a critical callback threw"},
    {errc::store_failed, "the store reported an error"},
    {errc::transfer_unsupported, "the peer takes no transfers"},
    {errc::transfer_refused, "the receiver refused the transfer"},
    {errc::transfer_too_big, "transfer over its size limit"},
    {errc::transfer_digest, "digest of the transfer does not match"},
    {errc::transfer_source, "the source of the transfer failed or changed"},
    {errc::transfer_storage, "the receiver of the transfer could not store it"},
    {errc::transfer_no_space, "no space left for the transfer"},
    {errc::transfer_cancelled, "the other side cancelled the transfer"},
    {errc::transfer_timeout, "no answer to a transfer in time"},
    {errc::transfer_interrupted, "the transfer was interrupted and its source cannot be read again"},
    {errc::transfer_protocol, "the peer broke a rule of transfers"},
    {errc::transfer_superseded, "the same source was offered again"},
    {errc::tls_missing, "wss needs TLS: set options::tls to hawser::tls() of <hawser/tls.hpp>"},
    {errc::locked, "the store, or this session in it, is in use elsewhere"},
    {errc::store_corrupt, "what the store holds is damaged"},
    {errc::store_full, "the store has no room"},
    {errc::store_version, "the store is of a newer version, or its file is something else"},
};

// Without `default`, so that the compiler asks for the kind of a new code.
[[nodiscard]] constexpr condition condition_of(errc e) noexcept {
    switch (e) {
    case errc::connect_timeout: case errc::connection_lost: case errc::heartbeat_timeout:
    case errc::idle_timeout: case errc::resolve_failed: case errc::circuit_open: case errc::write_stalled:
    case errc::close_timeout: case errc::handshake_timeout: case errc::too_many_connections:
    case errc::superseded: case errc::stale_resume: case errc::session_gap:
    case errc::session_checksum: case errc::queue_full: case errc::would_block:
    case errc::too_many_waiters: case errc::out_of_memory: case errc::table_full:
    case errc::random_failed: case errc::not_connected: case errc::refused:
    case errc::going_away: case errc::message_timeout: case errc::bad_accept: case errc::bad_subprotocol:
    case errc::bad_extension: case errc::bad_response: case errc::tls_failed:
    case errc::tls_truncated: case errc::proxy_failed: case errc::locked: case errc::store_full:
    case errc::feed_stale: case errc::subscription_failed: case errc::subscription_timeout:
    case errc::transfer_digest: case errc::transfer_storage: case errc::transfer_no_space:
    case errc::transfer_timeout: case errc::transfer_interrupted:
        return condition::retryable;
    case errc::resume_failed: case errc::session_expired: case errc::session_ended:
    case errc::outcome_unknown: case errc::rejected: case errc::cancelled: case errc::expired:
    case errc::detached: case errc::replaced: case errc::dropped:
        return condition::degraded;
    case errc::retries_exhausted: case errc::refused_for_good: case errc::redirected: case errc::unauthorized:
    case errc::tls_incompatible: case errc::certificate_untrusted: case errc::certificate_expired:
    case errc::certificate_name: case errc::certificate_refused: case errc::proxy_unauthorized: case errc::tls_missing:
    case errc::bad_request: case errc::header_too_large: case errc::target_too_long: case errc::method_not_allowed:
    case errc::upgrade_required: case errc::body_not_allowed: case errc::session_unsupported:
    case errc::reserved_bits: case errc::reserved_opcode: case errc::bad_mask: case errc::bad_length:
    case errc::message_too_big: case errc::control_too_long: case errc::control_fragmented:
    case errc::orphan_continuation: case errc::interleaved_message: case errc::invalid_utf8:
    case errc::bad_close_frame: case errc::control_flood: case errc::non_minimal_length: case errc::bad_compression:
    case errc::session_protocol: case errc::session_malformed: case errc::session_version:
    case errc::unknown_extension: case errc::sequence_exhausted: case errc::invalid_argument:
    case errc::invalid_state: case errc::closed: case errc::already_connecting: case errc::operation_in_progress:
    case errc::unknown_ticket: case errc::handler_failed: case errc::store_failed:
    case errc::store_corrupt: case errc::store_version:
    case errc::transfer_unsupported: case errc::transfer_refused: case errc::transfer_too_big: case errc::transfer_source:
    case errc::transfer_cancelled: case errc::transfer_protocol: case errc::transfer_superseded:
        return condition::fatal;
    }
    return condition::fatal;  // a number that is no code of ours
}

class hawser_category_impl final : public std::error_category {
public:
    [[nodiscard]] const char* name() const noexcept override { return "hawser"; }
    [[nodiscard]] std::string message(int value) const override {
        for (const auto& row : errc_texts)
            if (static_cast<int>(row.code) == value) return row.text;
        return "unknown hawser error " + std::to_string(value);
    }
    [[nodiscard]] bool equivalent(int code, const std::error_condition& cond) const noexcept override {
        if (cond.category() == condition_category())
            return cond.value() == static_cast<int>(condition_of(static_cast<errc>(code)));
        return default_error_condition(code) == cond;
    }
};

class condition_category_impl final : public std::error_category {
public:
    [[nodiscard]] const char* name() const noexcept override { return "hawser.condition"; }
    [[nodiscard]] std::string message(int value) const override {
        switch (static_cast<condition>(value)) {
        case condition::retryable: return "retryable";
        case condition::fatal: return "fatal";
        case condition::degraded: return "degraded";
        }
        return "unknown condition";
    }
    // Codes of the operating system and of Asio that a link may meet are retryable.
    [[nodiscard]] bool equivalent(const std::error_code& code, int cond) const noexcept override {
        if (code.category() == hawser_category() || !code) return false;
        return cond == static_cast<int>(condition::retryable);
    }
};

}  // namespace detail

inline const std::error_category& hawser_category() noexcept {
    static const detail::hawser_category_impl instance;
    return instance;
}
inline const std::error_category& condition_category() noexcept {
    static const detail::condition_category_impl instance;
    return instance;
}

}  // namespace hawser::inline v0

/// \cond
template <>
struct std::is_error_code_enum<hawser::errc> : std::true_type {};
template <>
struct std::is_error_condition_enum<hawser::condition> : std::true_type {};
/// \endcond
