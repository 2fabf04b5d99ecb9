// SPDX-License-Identifier: BSL-1.0
/// \file
/// What <hawser/tls.hpp> declares. The compiled component `hawser::tls` has it.
#pragma once

#include <hawser/tls.hpp>
#include <hawser/transport/openssl_stream.hpp>

#include <asio/ip/address.hpp>

#include <memory>
#include <mutex>
#include <string>
#include <utility>

namespace hawser::inline v0 {
namespace detail {
// As it goes over the wire: a length before each name.
inline constexpr unsigned char alpn_protocols[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
}  // namespace detail

HAWSER_COMPILED_ONCE openssl_tls::openssl_tls(std::shared_ptr<asio::ssl::context> context, tls_options settings)
    : settings_(std::move(settings)), context_(std::move(context)),
      sessions_(std::make_shared<detail::ssl_session_cache>(settings_.max_sessions)) {
    prepare(*context_);
}
HAWSER_COMPILED_ONCE void openssl_tls::replace(std::shared_ptr<asio::ssl::context> context) {
    prepare(*context);
    const std::lock_guard lock(mutex_);
    context_ = std::move(context);
    // Their sessions belong to the old context, which may have trusted others.
    sessions_ = std::make_shared<detail::ssl_session_cache>(settings_.max_sessions);
}
HAWSER_COMPILED_ONCE std::shared_ptr<asio::ssl::context> openssl_tls::context() const {
    const std::lock_guard lock(mutex_);
    return context_;
}

HAWSER_COMPILED_ONCE stream_layer_ptr openssl_tls::client(driver& d, const std::string& host, std::uint16_t port, stream_sink& sink,
                                                          std::error_code& ec) const {
    detail::ssl_origin origin = present();
    detail::ssl_ptr ssl = make(origin);
    const std::string name = settings_.host_name.empty() ? host : settings_.host_name;
    if (!ssl || !expect_peer(*ssl, name)) return ec = errc::out_of_memory, nullptr;
    SSL_set_connect_state(ssl.get());
    origin.server = name + ':' + std::to_string(port);
    if (const auto session = origin.sessions->take(origin.server)) (void)SSL_set_session(ssl.get(), session.get());
    return finish(d, std::move(ssl), std::move(origin), &sink, ec);
}
HAWSER_COMPILED_ONCE stream_layer_ptr openssl_tls::server(driver& d, std::error_code& ec) const {
    detail::ssl_origin origin = present();
    origin.sessions.reset();
    detail::ssl_ptr ssl = make(origin);
    if (!ssl) return ec = errc::out_of_memory, nullptr;
    SSL_set_accept_state(ssl.get());
    // Without a name of their own, sessions of clients with certificates cannot be resumed.
    static constexpr unsigned char name[] = {'h', 'a', 'w', 's', 'e', 'r'};
    (void)SSL_set_session_id_context(ssl.get(), name, sizeof name);
    return finish(d, std::move(ssl), std::move(origin), nullptr, ec);
}

// OpenSSL has this for whole contexts only. A client that offers no ALPN is served; one that offers
// only other protocols is refused with an alert, as RFC 7301 section 3.2 has it.
HAWSER_COMPILED_ONCE void openssl_tls::prepare(asio::ssl::context& context) const {
    if (!settings_.alpn) return;
    SSL_CTX_set_alpn_select_cb(
        context.native_handle(),
        [](SSL*, const unsigned char** out, unsigned char* size, const unsigned char* in, unsigned n, void*) {
            unsigned char* chosen = nullptr;
            const int found = SSL_select_next_proto(&chosen, size, detail::alpn_protocols, sizeof detail::alpn_protocols, in, n);
            *out = chosen;
            return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
        },
        nullptr);
}
HAWSER_COMPILED_ONCE detail::ssl_origin openssl_tls::present() const {
    const std::lock_guard lock(mutex_);
    return {context_, sessions_, {}};
}
HAWSER_COMPILED_ONCE detail::ssl_ptr openssl_tls::make(const detail::ssl_origin& origin) {
    auto* context = static_cast<asio::ssl::context*>(origin.context.get())->native_handle();
    detail::ssl_ptr ssl(SSL_new(context));
    if (!ssl) return ERR_clear_error(), nullptr;
    SSL_set_mode(ssl.get(), SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_set_options(ssl.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    if (SSL_get_min_proto_version(ssl.get()) < TLS1_2_VERSION) (void)SSL_set_min_proto_version(ssl.get(), TLS1_2_VERSION);
    return ssl;
}
// Name or address, also in the request where it is a name (RFC 6066 section 3).
HAWSER_COMPILED_ONCE bool openssl_tls::expect_peer(SSL& ssl, std::string name) const {
    if (settings_.alpn && SSL_set_alpn_protos(&ssl, detail::alpn_protocols, sizeof detail::alpn_protocols) != 0) return false;
    if (name.ends_with('.')) name.pop_back();
    std::error_code not_an_address;
    (void)asio::ip::make_address(name, not_an_address);
    if (not_an_address && SSL_set_tlsext_host_name(&ssl, name.c_str()) != 1) return false;
    if (!settings_.verify_peer) {
        SSL_set_verify(&ssl, SSL_VERIFY_NONE, nullptr);
        return true;
    }
    SSL_set_verify(&ssl, SSL_VERIFY_PEER, SSL_get_verify_callback(&ssl));
    if (!not_an_address) return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(&ssl), name.c_str()) == 1;
    SSL_set_hostflags(&ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set1_host(&ssl, name.c_str()) == 1;
}
HAWSER_COMPILED_ONCE stream_layer_ptr openssl_tls::finish(driver& d, detail::ssl_ptr ssl, detail::ssl_origin origin,
                                                          stream_sink* sink, std::error_code& ec) {
    auto made = std::make_unique<detail::openssl_stream>(d, std::move(ssl), std::move(origin), sink);
    if (!made->begin()) return ec = errc::out_of_memory, nullptr;
    return made;
}

HAWSER_COMPILED_ONCE std::shared_ptr<openssl_tls> tls(std::shared_ptr<asio::ssl::context> context, tls_options settings) {
    return std::make_shared<openssl_tls>(std::move(context), std::move(settings));
}
HAWSER_COMPILED_ONCE std::shared_ptr<openssl_tls> tls(asio::ssl::context&& context, tls_options settings) {
    return tls(std::make_shared<asio::ssl::context>(std::move(context)), std::move(settings));
}
HAWSER_COMPILED_ONCE std::shared_ptr<openssl_tls> tls(tls_options settings) {
    auto context = std::make_shared<asio::ssl::context>(asio::ssl::context::tls_client);
    context->set_default_verify_paths();
    return tls(std::move(context), std::move(settings));
}

}  // namespace hawser::inline v0
