// SPDX-License-Identifier: BSL-1.0
// What an error is about: every code of ours, and the codes of others that a socket reports.
#include "support/catch.hpp"

#include <hawser/core/error_cause.hpp>

#include <asio/error.hpp>
#include <asio/ssl/error.hpp>

#include <cerrno>
#include <future>
#include <set>
#include <string>

using namespace hawser;

TEST_CASE("causes: every code of ours has one, and each of the seven is in use", "[core]") {
    std::set<error_cause> seen;
    for (const auto& row : hawser::detail::errc_texts) {
        CAPTURE(row.text);
        const error_cause cause = cause_of(std::error_code(row.code));
        CHECK(cause != error_cause::none);
        CHECK(cause == cause_of(row.code));
        CHECK(to_string(cause) != std::string("?"));
        seen.insert(cause);
    }
    CHECK(seen.size() == 7);
    CHECK(cause_of(std::error_code()) == error_cause::none);
}

TEST_CASE("causes: credentials are told apart from the TLS that carries them", "[core]") {
    for (const errc e : {errc::unauthorized, errc::proxy_unauthorized, errc::certificate_untrusted,
                         errc::certificate_expired, errc::certificate_name, errc::certificate_refused}) {
        CHECK(cause_of(e) == error_cause::authentication);
        CHECK(std::error_code(e) == condition::fatal);
    }
    CHECK(cause_of(errc::tls_incompatible) == error_cause::tls);
    CHECK(cause_of(errc::refused) == error_cause::overload);
    CHECK(cause_of(errc::handler_failed) == error_cause::application);
    CHECK(cause_of(errc::store_failed) == error_cause::resource);
}

TEST_CASE("causes: the operating system, Asio, OpenSSL and unknown categories", "[core]") {
    CHECK(cause_of(std::make_error_code(std::errc::connection_refused)) == error_cause::network);
    CHECK(cause_of(std::make_error_code(std::errc::too_many_files_open)) == error_cause::resource);
    CHECK(cause_of(std::error_code(ENOSPC, std::system_category())) == error_cause::resource);
    CHECK(cause_of(std::make_error_code(std::errc::permission_denied)) == error_cause::authentication);
    CHECK(cause_of(asio::error::operation_aborted) == error_cause::application);
    CHECK(cause_of(asio::error::connection_reset) == error_cause::network);
    CHECK(cause_of(asio::error::eof) == error_cause::network);
    CHECK(cause_of(asio::error::host_not_found) == error_cause::network);
    CHECK(cause_of(std::error_code(1, asio::error::get_ssl_category())) == error_cause::tls);
    CHECK(cause_of(asio::ssl::error::stream_truncated) == error_cause::tls);
    CHECK(cause_of(std::make_error_code(std::future_errc::no_state)) == error_cause::application);
}
