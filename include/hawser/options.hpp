// SPDX-License-Identifier: BSL-1.0
/// \file
/// Options of a socket and of a listener: plain aggregates with documented defaults.
#pragma once

#include <hawser/core/detail/uri_syntax.hpp>
#include <hawser/core/message.hpp>
#include <hawser/core/time.hpp>
#include <hawser/policy/backoff.hpp>
#include <hawser/policy/check.hpp>
#include <hawser/policy/circuit_breaker.hpp>
#include <hawser/policy/credentials.hpp>
#include <hawser/policy/dedup_cache.hpp>
#include <hawser/policy/feed_options.hpp>
#include <hawser/policy/handler_options.hpp>
#include <hawser/policy/heartbeat.hpp>
#include <hawser/policy/overflow.hpp>
#include <hawser/protocol/session/frame.hpp>
#include <hawser/protocol/ws/compression.hpp>
#include <hawser/protocol/ws/http.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace hawser::inline v0 {

/// Whether hawser.v1 is spoken on a connection.
enum class session_mode : std::uint8_t {
    off,        ///< never: plain WebSocket
    preferred,  ///< where the peer speaks it, else plain WebSocket
    required,   ///< a peer that does not speak it is refused
};

/// When responsibility for a received message is taken, so that its sender may be told
/// `acknowledged`.
enum class acceptance_mode : std::uint8_t {
    on_hand_off,   ///< when `on_message` returns, or when the next receive starts
    on_processed,  ///< when the application calls `message::ack()`, in any order
};

/// What becomes of messages that were written in a session which is lost without a word on how far it got, as when
/// the server restarted with a store in memory.
enum class lost_session_policy : std::uint8_t {
    report_unknown,  ///< their outcome is `unknown`: at most once
    send_again,      ///< sent again under their ids, where the server keeps ids beyond a session: at least once, but for its dedup cache
};

class tls_layer;

/// An HTTP proxy that a connection is made through, by CONNECT.
struct proxy_options {
    std::string host{};        ///< name or address; empty: no proxy
    std::uint16_t port = 0;    ///< 1 to 65535
    std::string username{};    ///< for Basic authentication, without ':'; empty: none. Not encrypted on its way.
    std::string password{};    ///< for Basic authentication

    /// Adds the problems, each option named with `prefix` before it.
    void check(std::vector<std::string>& found, std::string_view prefix) const {
        if (host.empty()) return;
        if (const auto fault = detail::check_host(host); fault && !detail::is_ipv6(host))
            found.push_back(detail::option_name(prefix, "host") + " " + detail::quoted(host) + " " + fault.rule);
        detail::check_range<std::uint16_t>(found, prefix, "port", port, 1, 65535);
        if (username.find(':') != std::string::npos) found.push_back(detail::option_name(prefix, "username") + " must not have a ':'");
    }
};

/// What `options::on_attempt` may change before an attempt to connect.
struct connect_attempt {
    std::uint64_t number = 0;         ///< 0 for the first, then as `state_change::attempt`
    std::string url{};                ///< that of `connect`, in its normal form
    std::vector<ws::header> headers{};  ///< of the upgrade request; `options::headers` to begin with
    /// Why the last connection or attempt ended; none for the first, and where the peer closed in order.
    /// `unauthorized` and `certificate_refused` ask for other credentials.
    std::error_code last_error{};
    unsigned last_http_status = 0;  ///< of the last attempt, where its upgrade was refused
};

/// All options of a socket. Fields are only ever added at the end of their group, so that
/// designated initialisers keep compiling. Begin with one of the presets.
struct options {
    session_mode session = session_mode::off;                   ///< whether hawser.v1 is spoken
    acceptance_mode acceptance = acceptance_mode::on_hand_off;  ///< in a session: when `acknowledged` may be told

    // Time limits. Each is 1 ms to 24 h, where it may be 0 it says so.
    milliseconds connect_timeout{20'000};      ///< TCP, upgrade and session together, per attempt
    milliseconds handshake_timeout{10'000};    ///< accepting side: until the upgrade and the first session frame are here
    milliseconds close_timeout{5'000};         ///< close handshake, after which the connection is dropped
    milliseconds write_stall_timeout{30'000};  ///< the peer took nothing for so long: the connection is dropped
    milliseconds message_timeout{60'000};      ///< from the first to the last fragment of a message
    milliseconds linger_timeout{2'000};        ///< after the close frame or a refusal, for the peer to end the connection
    /// No message in either direction for so long: the connection is closed with 1001 and ends with
    /// `errc::idle_timeout`; 0: never. Pings, pongs, acknowledgements and what else is not of the application do not
    /// count. A message that has begun to arrive or is not all written does, each piece of one that is sent in pieces, and so does one that waits here while reading is
    /// paused. Accepting side: a plain socket is `closed`; a session is `detached`, and kept for `session_ttl`. Dialling
    /// side: the socket connects again, as after any loss, and a session is resumed; so does a client of hawser where
    /// the listener is the one that closes.
    milliseconds idle_timeout{0};

    // The connection.
    std::size_t max_message_size = 1024 * 1024;      ///< payload of a received message, bytes; 1 to 2 GiB
    std::uint32_t max_fragments = 65'536;            ///< frames of one received message
    std::uint32_t max_control_frames_per_second = 1'000;  ///< pings and pongs of the peer; more: 1008
    std::size_t max_write_buffer = 256 * 1024;       ///< bytes handed to a connection and not yet to the system
    ws::http_limits http;                            ///< limits of the upgrade's head
    std::vector<std::string> subprotocols;           ///< offered (dialling) or supported (accepting), best first
    std::vector<ws::header> headers;                 ///< added to the upgrade request

    /// Plain mode: sent on each (re)connect before anything else, for instance subscriptions.
    std::vector<message> on_connect;
    std::size_t max_linger_bytes = 16 * 1024 * 1024;  ///< input discarded within `linger_timeout`; more: reset
    /// Offered (dialling) or accepted (accepting): `hawser::deflate()` of <hawser/deflate.hpp>; null: none.
    std::shared_ptr<const ws::compression> compression{};
    /// Dialling: for wss, `hawser::tls()` of <hawser/tls.hpp>. (A listener has one of its own.)
    std::shared_ptr<const tls_layer> tls{};
    /// Dialling: called before each attempt, on the strand, for instance to renew a token or to go to another
    /// server; must not block. An exception counts as one of a handler (`handler_errors`).
    std::function<void(connect_attempt&)> on_attempt{};
    proxy_options proxy;  ///< dialling: for ws and wss

    // The outgoing queue.
    overflow_limits queue;  ///< limits of the messages that wait; what happens beyond them is the overflow policy
    std::size_t max_waiters = 1024;  ///< suspended `async_enqueue` and `async_send`, at most
    /// Small messages wait at most so long for others to leave with them; 0: those of one turn leave together. At
    /// most 10 s. Urgent ones do not wait.
    milliseconds gather_delay{0};
    std::size_t gather_bytes = 1400;  ///< with `gather_delay`: so much payload is worth a write; 1 to 2^30

    // Receiving.
    /// What an exception out of a callback means, where its `handler_options` do not say.
    handler_criticality handler_errors = handler_criticality::critical;
    std::size_t receive_buffer_bytes = 1024 * 1024;  ///< nobody takes them: plain mode stops reading, a session drops volatile messages

    // The session, hawser.v1.
    milliseconds session_ttl{120'000};                   ///< accepting side: how long a detached session waits
    std::uint64_t receive_window_messages = 1024;        ///< credit granted to the peer
    std::uint64_t receive_window_bytes = 4 * 1024 * 1024;  ///< credit granted to the peer, payload bytes
    std::uint64_t send_window_messages = 4096;           ///< written and not acknowledged, at most
    std::uint64_t send_window_bytes = 16 * 1024 * 1024;  ///< their payload, at most; one message always goes
    milliseconds ack_delay{200};                         ///< an acknowledgement waits at most so long
    bool checksum = true;                                ///< offer a checksum over each session frame

    /// Dialling side: what becomes of messages of a session that is lost.
    lost_session_policy lost_session = lost_session_policy::report_unknown;
    bool transfers = false;  ///< tell the peer that this side takes part in transfers: `hawser::transfers` of <hawser/transfer.hpp>
    std::size_t part_size = 64 * 1024;                   ///< a larger message leaves in parts of this size; 1 KiB to 1 GiB
    std::uint64_t session_features = session::feature::all;  ///< bits of `session::feature` that are offered; `checksum` decides on that one
    bool follow_target = false;  ///< dialling: a server that goes may name another to go to; never from wss to ws, nor with `headers` to another host

    // Policies.
    backoff_options reconnect;    ///< dialling side: when to try again
    breaker_options breaker;      ///< dialling side: when not to try; unused where a breaker is given
    heartbeat_options heartbeat;  ///< how a dead connection is found
    dedup_options dedup;          ///< ids remembered across sessions, or of a feed (`feed.id`, `feed.by_digest`)
    authentication_options authentication{};  ///< dialling side: what follows when credentials are refused
    feed_options feed{};          ///< dialling side, plain connections: copies, silence, subscriptions

    /// Any WebSocket peer: reconnect, breaker, heartbeat, resubscribe.
    [[nodiscard]] static options plain() { return {}; }
    /// A hawser.v1 peer: nothing accepted is lost without being reported.
    [[nodiscard]] static options reliable() {
        options o;
        o.session = session_mode::required;
        return o;
    }

    /// All problems, one sentence each, naming the option, its value and what is allowed.
    [[nodiscard]] std::vector<std::string> problems() const {
        std::vector<std::string> found;
        check(found, "");
        return found;
    }
    /// Adds the problems, each option named with `prefix` before it.
    void check(std::vector<std::string>& found, std::string_view prefix) const {
        check_times(found, prefix);
        check_sizes(found, prefix);
        reconnect.check(found, detail::option_name(prefix, "reconnect"));
        breaker.check(found, detail::option_name(prefix, "breaker"));
        heartbeat.check(found, detail::option_name(prefix, "heartbeat"));
        dedup.check(found, detail::option_name(prefix, "dedup"));
        authentication.check(found, detail::option_name(prefix, "authentication"));
        feed.check(found, detail::option_name(prefix, "feed"));
        if (feed.offline == offline_sends::refuse && session != session_mode::off)
            found.push_back(detail::option_name(prefix, "feed.offline") + " is refuse, but must be queue where " +
                            detail::option_name(prefix, "session") + " is not off");
        proxy.check(found, detail::option_name(prefix, "proxy"));
        queue.check(found, detail::option_name(prefix, "queue"));
    }

private:
    void check_times(std::vector<std::string>& found, std::string_view prefix) const {
        constexpr milliseconds least{1}, day = std::chrono::hours{24};
        detail::check_range(found, prefix, "connect_timeout", connect_timeout, least, day);
        detail::check_range(found, prefix, "handshake_timeout", handshake_timeout, least, day);
        detail::check_range(found, prefix, "close_timeout", close_timeout, least, day);
        detail::check_range(found, prefix, "write_stall_timeout", write_stall_timeout, least, day);
        detail::check_range(found, prefix, "message_timeout", message_timeout, least, day);
        detail::check_range(found, prefix, "linger_timeout", linger_timeout, least, day);
        detail::check_range(found, prefix, "idle_timeout", idle_timeout, milliseconds{0}, day);
        detail::check_range(found, prefix, "session_ttl", session_ttl, least, day);
        detail::check_range(found, prefix, "ack_delay", ack_delay, milliseconds{0}, milliseconds{10'000});
        detail::check_range(found, prefix, "gather_delay", gather_delay, milliseconds{0}, milliseconds{10'000});
    }
    void check_sizes(std::vector<std::string>& found, std::string_view prefix) const {
        constexpr std::size_t one = 1, gib = std::size_t{1} << 30;
        detail::check_range(found, prefix, "max_message_size", max_message_size, one, 2 * gib);
        detail::check_range<std::uint32_t>(found, prefix, "max_fragments", max_fragments, 1, 1U << 30);
        detail::check_range<std::uint32_t>(found, prefix, "max_control_frames_per_second",
                                           max_control_frames_per_second, 1, 1U << 30);
        detail::check_range(found, prefix, "max_write_buffer", max_write_buffer, std::size_t{1024}, gib);
        detail::check_range(found, prefix, "max_linger_bytes", max_linger_bytes, std::size_t{0}, 2 * gib);
        detail::check_range(found, prefix, "max_waiters", max_waiters, std::size_t{0}, gib);
        detail::check_range(found, prefix, "gather_bytes", gather_bytes, one, gib);
        detail::check_range(found, prefix, "receive_buffer_bytes", receive_buffer_bytes, one, gib);
        detail::check_range(found, prefix, "part_size", part_size, std::size_t{1024}, gib);
        detail::check_range<std::uint64_t>(found, prefix, "receive_window_messages", receive_window_messages, 1, 1U << 20);
        detail::check_range<std::uint64_t>(found, prefix, "receive_window_bytes", receive_window_bytes, 1024, gib);
        detail::check_range<std::uint64_t>(found, prefix, "send_window_messages", send_window_messages, 1, 1U << 20);
        detail::check_range<std::uint64_t>(found, prefix, "send_window_bytes", send_window_bytes, 1, std::uint64_t{1} << 40);
    }
};

}  // namespace hawser::inline v0
