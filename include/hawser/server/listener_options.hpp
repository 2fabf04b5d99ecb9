// SPDX-License-Identifier: BSL-1.0
/// \file
/// Options of a listener.
#pragma once

#include <hawser/options.hpp>
#include <hawser/protocol/ws/upgrade_request.hpp>

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace hawser::inline v0 {

/// The answer to an upgrade request.
struct authorization {
    unsigned status = 101;  ///< 101: welcome; otherwise the HTTP status of the refusal, 300 to 599
    std::string text{};     ///< body of a refusal
    std::string principal{};  ///< who it is; a session can only be resumed by the same principal
};

/// All options of a listener.
struct listener_options {
    hawser::options socket = hawser::options::plain();  ///< of each accepted socket

    /// Open at once, those that linger after their close included; beyond it 503 with Retry-After. As many
    /// again may be in their handshake or linger after a refusal; beyond that they are reset.
    std::size_t max_connections = 100'000;
    std::size_t max_sessions = 200'000;      ///< alive, detached and ended ones that still answer; also origins whose ids are remembered
    std::size_t max_unclaimed = 1'024;       ///< accepted and not taken by `async_accept`; beyond it 503

    /// RESUMEs with an unknown token per address and minute, beyond which such a connection is closed
    /// with 1013. After a restart each client of a site behind one address brings one.
    std::size_t max_resume_failures = 10'000;
    seconds retry_after{5};                  ///< told with 503

    /// Asked for each upgrade that the limits let in, before any session is looked at; empty: everybody may come in.
    /// Called on the strand; must not block. An exception refuses with 500.
    std::function<authorization(const ws::upgrade_request&)> authorize{};
    /// Addresses, and principals, whose failed RESUMEs are counted; beyond it all are forgiven.
    std::size_t max_resume_addresses = 4'096;

    /// Memory that `socket.compression` may reserve for the connections, bytes; 0 to 64 GiB. In its first half
    /// connections keep their contexts, then they get compression without takeover, beyond it none.
    std::size_t max_compression_memory = 256 * 1024 * 1024;
    /// Handshakes answered per second; 0: no limit. Beyond it 503, and each is told its own moment by Retry-After, so
    /// that clients come back one after the other when a server was restarted.
    std::uint32_t max_handshakes_per_second = 0;
    /// Connections per address, those in their handshake included; 0: no limit. Beyond it 429 with Retry-After, beyond
    /// twice as many a reset. Of IPv6 a network of 64 bits counts as one address, here and for RESUMEs. Leave it off behind a
    /// proxy, which has one address for all.
    std::size_t max_connections_per_address = 0;
    /// Values of Origin that may come in, such as "https://example.com"; empty: all. Another gets 403. Without Origin
    /// it is no browser, and may come in: who that is, `authorize` decides.
    std::vector<std::string> allowed_origins{};
    /// `hawser::tls(context)` of <hawser/tls.hpp>: wss; null: ws. Its handshake counts in `socket.handshake_timeout`.
    std::shared_ptr<const tls_layer> tls{};

    /// As `max_resume_failures`, per principal that `authorize` named, from all of its addresses together.
    std::size_t max_resume_failures_per_principal = 10'000;
    /// A resume token that is older is not known any more, and its client begins a new session; up to 365 days. Each
    /// resumption gives a new one. 0: a token lives as long as its session.
    seconds token_lifetime{0};

    /// Memory of the ids that are remembered for all origins together (`socket.dedup` bounds it for each), bytes; 0 to 64 GiB. Beyond
    /// it those of origins without a session are forgotten, the one first that has been without for longest: what such a client
    /// sends again is handed over again. Those of a session, also of a detached one, stay.
    std::size_t max_dedup_memory = 256 * 1024 * 1024;

    /// All problems, one sentence each, naming the option, its value and what is allowed.
    [[nodiscard]] std::vector<std::string> problems() const {
        std::vector<std::string> found;
        socket.check(found, "socket");
        if (socket.tls) found.push_back("socket.tls is for dialling; a listener takes listener_options::tls");
        constexpr std::size_t one = 1, most = std::size_t{1} << 30;
        detail::check_range(found, "", "max_connections", max_connections, one, most);
        detail::check_range(found, "", "max_sessions", max_sessions, one, most);
        detail::check_range(found, "", "max_unclaimed", max_unclaimed, one, most);
        detail::check_range(found, "", "max_connections_per_address", max_connections_per_address, std::size_t{0}, most);
        for (const auto& origin : allowed_origins)
            if (!ws::is_origin(origin))
                found.push_back("allowed_origins has " + detail::quoted(origin) + "; an origin is scheme://host, perhaps with :port, or null");
        detail::check_range(found, "", "max_resume_failures", max_resume_failures, one, most);
        detail::check_range(found, "", "max_resume_failures_per_principal", max_resume_failures_per_principal, one, most);
        detail::check_range<milliseconds>(found, "", "token_lifetime", token_lifetime, milliseconds{0}, std::chrono::hours{365 * 24});
        detail::check_range(found, "", "max_resume_addresses", max_resume_addresses, one, most);
        detail::check_range<std::uint32_t>(found, "", "max_handshakes_per_second", max_handshakes_per_second, 0, 10'000'000);
        detail::check_range(found, "", "max_compression_memory", max_compression_memory, std::size_t{0}, one << 36);
        detail::check_range(found, "", "max_dedup_memory", max_dedup_memory, std::size_t{0}, one << 36);
        return found;
    }
};

}  // namespace hawser::inline v0
