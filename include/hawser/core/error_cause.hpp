// SPDX-License-Identifier: BSL-1.0
/// \file
/// What an error is about, beside whether the same may succeed later (`condition`).
#pragma once

#include <hawser/core/errc.hpp>

#include <cstdint>
#include <string_view>
#include <system_error>

namespace hawser::inline v0 {

/// Where to look first. `docs/runbook.md` says for each `errc` what to do.
enum class error_cause : std::uint8_t {
    none,            ///< no error
    network,         ///< the way to the peer, or the peer's presence
    tls,             ///< TLS itself: not certificates, which are credentials
    protocol,        ///< bytes against RFC 6455, HTTP or hawser.v1, or terms that both ends do not share
    authentication,  ///< credentials or certificates of either side
    overload,        ///< more than the peer or a limit can take now
    application,     ///< what an application did or decided, at either end
    resource,        ///< memory, descriptors, randomness, disk of this machine
};

/// The name of the enumerator; "?" for another value.
[[nodiscard]] constexpr const char* to_string(error_cause c) noexcept {
    switch (c) {
    case error_cause::none: return "none";
    case error_cause::network: return "network";
    case error_cause::tls: return "tls";
    case error_cause::protocol: return "protocol";
    case error_cause::authentication: return "authentication";
    case error_cause::overload: return "overload";
    case error_cause::application: return "application";
    case error_cause::resource: return "resource";
    }
    return "?";
}

/// The cause of a code of ours. Without `default`, so that the compiler asks for that of a new code.
[[nodiscard]] constexpr error_cause cause_of(errc e) noexcept {
    switch (e) {
    case errc::connect_timeout: case errc::connection_lost: case errc::heartbeat_timeout: case errc::resolve_failed:
    case errc::circuit_open: case errc::retries_exhausted: case errc::close_timeout: case errc::proxy_failed:
    case errc::handshake_timeout: case errc::message_timeout: case errc::not_connected: case errc::superseded:
    case errc::stale_resume: case errc::going_away: case errc::session_expired: case errc::resume_failed: case errc::outcome_unknown:
    case errc::transfer_timeout: case errc::transfer_interrupted:
        return error_cause::network;
    case errc::tls_failed: case errc::tls_truncated: case errc::tls_incompatible:
        return error_cause::tls;
    case errc::certificate_untrusted: case errc::certificate_expired: case errc::certificate_name:
    case errc::certificate_refused: case errc::proxy_unauthorized: case errc::unauthorized:
        return error_cause::authentication;
    case errc::bad_request: case errc::bad_response: case errc::bad_accept: case errc::bad_subprotocol:
    case errc::bad_extension: case errc::header_too_large: case errc::target_too_long: case errc::method_not_allowed:
    case errc::upgrade_required: case errc::body_not_allowed: case errc::redirected: case errc::session_unsupported:
    case errc::refused_for_good: case errc::reserved_bits: case errc::reserved_opcode: case errc::bad_mask:
    case errc::bad_length: case errc::control_too_long: case errc::control_fragmented:
    case errc::orphan_continuation: case errc::interleaved_message: case errc::invalid_utf8:
    case errc::bad_close_frame: case errc::non_minimal_length: case errc::bad_compression:
    case errc::session_protocol: case errc::session_malformed: case errc::session_checksum: case errc::session_gap:
    case errc::session_version: case errc::unknown_extension: case errc::sequence_exhausted:
    case errc::transfer_unsupported: case errc::transfer_protocol:
        return error_cause::protocol;
    case errc::refused: case errc::write_stalled: case errc::too_many_connections: case errc::message_too_big:
    case errc::control_flood: case errc::queue_full: case errc::would_block: case errc::too_many_waiters:
    case errc::table_full: case errc::expired: case errc::dropped:
        return error_cause::overload;
    case errc::out_of_memory: case errc::random_failed: case errc::store_failed:
    case errc::locked: case errc::store_corrupt: case errc::store_full:
    case errc::store_version:
    case errc::transfer_digest: case errc::transfer_source: case errc::transfer_storage: case errc::transfer_no_space:
        return error_cause::resource;
    case errc::session_ended: case errc::rejected: case errc::replaced: case errc::cancelled: case errc::detached:
    case errc::invalid_argument: case errc::invalid_state: case errc::closed: case errc::already_connecting:
    case errc::operation_in_progress: case errc::unknown_ticket: case errc::handler_failed: case errc::tls_missing:
    case errc::idle_timeout: case errc::feed_stale: case errc::subscription_failed: case errc::subscription_timeout:
    case errc::transfer_refused: case errc::transfer_too_big: case errc::transfer_cancelled: case errc::transfer_superseded:
        return error_cause::application;
    }
    return error_cause::application;  // a number that is no code of ours
}

namespace detail {

// Codes of the operating system, as std::errc names them on every platform.
[[nodiscard]] inline error_cause cause_of_system(const std::error_code& code) noexcept {
    for (const auto e : {std::errc::too_many_files_open, std::errc::too_many_files_open_in_system,
                         std::errc::no_buffer_space, std::errc::not_enough_memory, std::errc::no_space_on_device,
                         std::errc::io_error, std::errc::read_only_file_system, std::errc::file_too_large})
        if (code == e) return error_cause::resource;
    for (const auto e : {std::errc::permission_denied, std::errc::operation_not_permitted})
        if (code == e) return error_cause::authentication;
    for (const auto e : {std::errc::resource_unavailable_try_again, std::errc::operation_would_block})
        if (code == e) return error_cause::overload;
    for (const auto e : {std::errc::operation_canceled, std::errc::invalid_argument, std::errc::bad_file_descriptor,
                         std::errc::no_such_file_or_directory, std::errc::address_in_use,
                         std::errc::function_not_supported})
        if (code == e) return error_cause::application;
    return error_cause::network;
}

}  // namespace detail

/// The cause of any code that a socket or listener reports: of ours, of the operating system, of Asio's
/// categories (known by name, so that this header needs neither Asio nor OpenSSL). A code of a category that is
/// not known is that of an exception of the application.
[[nodiscard]] inline error_cause cause_of(const std::error_code& code) noexcept {
    if (!code) return error_cause::none;
    if (code.category() == hawser_category()) return cause_of(static_cast<errc>(code.value()));
    if (code.category() == std::system_category() || code.category() == std::generic_category())
        return detail::cause_of_system(code);
    const std::string_view name = code.category().name();
    if (name == "asio.system") return detail::cause_of_system({code.value(), std::system_category()});
    if (name == "asio.ssl" || name == "asio.ssl.stream") return error_cause::tls;
    if (name == "asio.misc" || name == "asio.netdb" || name == "asio.addrinfo") return error_cause::network;
    return error_cause::application;
}

}  // namespace hawser::inline v0
