// SPDX-License-Identifier: BSL-1.0
/// \file
/// Owners of OpenSSL's objects, and what its errors mean to a connection.
#pragma once

#include <hawser/core/errc.hpp>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <memory>
#include <system_error>

namespace hawser::inline v0::detail {

template <auto Free>
struct freed_by {
    template <class T>
    void operator()(T* p) const noexcept {
        Free(p);
    }
};
using ssl_ptr = std::unique_ptr<SSL, freed_by<SSL_free>>;
using ssl_session_ptr = std::unique_ptr<SSL_SESSION, freed_by<SSL_SESSION_free>>;
using bio_ptr = std::unique_ptr<BIO, freed_by<BIO_free>>;

/// A certificate that this side does not accept.
[[nodiscard]] inline errc certificate_error(long verify_result) noexcept {
    switch (verify_result) {
    case X509_V_ERR_HOSTNAME_MISMATCH: case X509_V_ERR_IP_ADDRESS_MISMATCH: return errc::certificate_name;
    case X509_V_ERR_CERT_HAS_EXPIRED: case X509_V_ERR_CERT_NOT_YET_VALID: return errc::certificate_expired;
    default: return errc::certificate_untrusted;
    }
}

/// An alert of the peer (RFC 8446 section 6.2).
[[nodiscard]] inline errc alert_error(int alert) noexcept {
    switch (alert) {
    case SSL3_AD_BAD_CERTIFICATE: case SSL3_AD_UNSUPPORTED_CERTIFICATE: case SSL3_AD_CERTIFICATE_REVOKED:
    case SSL3_AD_CERTIFICATE_EXPIRED: case SSL3_AD_CERTIFICATE_UNKNOWN: case TLS1_AD_UNKNOWN_CA:
    case TLS1_AD_ACCESS_DENIED: case TLS13_AD_CERTIFICATE_REQUIRED:
        return errc::certificate_refused;
    case SSL3_AD_HANDSHAKE_FAILURE: case TLS1_AD_PROTOCOL_VERSION: case TLS1_AD_INSUFFICIENT_SECURITY:
    case TLS1_AD_NO_APPLICATION_PROTOCOL: case TLS1_AD_UNRECOGNIZED_NAME:
        return errc::tls_incompatible;
    default: return errc::tls_failed;
    }
}

/// The error that OpenSSL has just reported for `ssl`. Empties its queue.
[[nodiscard]] inline std::error_code take_ssl_error(const SSL* ssl) noexcept {
    const unsigned long first = ERR_peek_error();
    const int reason = ERR_GET_REASON(first);
    ERR_clear_error();
    if (reason == ERR_R_MALLOC_FAILURE) return errc::out_of_memory;
    if (ERR_GET_LIB(first) != ERR_LIB_SSL) return errc::tls_failed;
    if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED) return certificate_error(SSL_get_verify_result(ssl));
    if (reason > SSL_AD_REASON_OFFSET && reason < SSL_AD_REASON_OFFSET + 256) return alert_error(reason - SSL_AD_REASON_OFFSET);
    switch (reason) {
    case SSL_R_UNSUPPORTED_PROTOCOL: case SSL_R_NO_SHARED_CIPHER: case SSL_R_NO_PROTOCOLS_AVAILABLE:
    case SSL_R_NO_APPLICATION_PROTOCOL: case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM: case SSL_R_NO_SUITABLE_KEY_SHARE:
        return errc::tls_incompatible;
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE: return errc::certificate_untrusted;
    default: return errc::tls_failed;
    }
}

}  // namespace hawser::inline v0::detail
