// SPDX-License-Identifier: BSL-1.0
/// \file
/// TLS by OpenSSL as an object: makes a stream for each connection from the context of the moment.
#pragma once

#include <hawser/transport/openssl_stream.hpp>

#include <asio/ip/address.hpp>
#include <asio/ssl/context.hpp>

#include <memory>
#include <mutex>
#include <string>
#include <utility>

namespace hawser::inline v0 {

/// What `hawser::tls` may be told. The context of the user's has certificates, authorities, ciphers, and whether a
/// server asks its clients for certificates.
struct tls_options {
    bool verify_peer = true;      ///< dialling: false accepts any certificate of any host; for tests only
    std::string host_name{};      ///< dialling: the name to ask for and to verify, in place of the URL's host
    bool alpn = true;             ///< offer and accept "http/1.1" (RFC 7301)
    std::size_t max_sessions = 64;  ///< dialling: servers whose last session is kept to be resumed; 0: none
};

/// Made by `hawser::tls()`. Thread safety: all of it.
class openssl_tls final : public tls_layer {
public:
    /// Precondition: `context` is not null.
    openssl_tls(std::shared_ptr<asio::ssl::context> context, tls_options settings)
        : settings_(std::move(settings)), context_(std::move(context)),
          sessions_(std::make_shared<detail::ssl_session_cache>(settings_.max_sessions)) {
        prepare(*context_);
    }
    /// From now on connections are made with this context: new certificates without a restart. Those that exist
    /// go on with theirs. Precondition: not null.
    void replace(std::shared_ptr<asio::ssl::context> context) {
        prepare(*context);
        const std::lock_guard lock(mutex_);
        context_ = std::move(context);
        // Their sessions belong to the old context, which may have trusted others.
        sessions_ = std::make_shared<detail::ssl_session_cache>(settings_.max_sessions);
    }
    /// The context of the moment.
    [[nodiscard]] std::shared_ptr<asio::ssl::context> context() const {
        const std::lock_guard lock(mutex_);
        return context_;
    }

    /// \cond internal
    [[nodiscard]] stream_layer_ptr client(driver& d, const std::string& host, std::uint16_t port, stream_sink& sink,
                                          std::error_code& ec) const override {
        detail::ssl_origin origin = present();
        detail::ssl_ptr ssl = make(origin);
        const std::string name = settings_.host_name.empty() ? host : settings_.host_name;
        if (!ssl || !expect_peer(*ssl, name)) return ec = errc::out_of_memory, nullptr;
        SSL_set_connect_state(ssl.get());
        origin.server = name + ':' + std::to_string(port);
        if (const auto session = origin.sessions->take(origin.server)) (void)SSL_set_session(ssl.get(), session.get());
        return finish(d, std::move(ssl), std::move(origin), &sink, ec);
    }
    [[nodiscard]] stream_layer_ptr server(driver& d, std::error_code& ec) const override {
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
    /// \endcond

private:
    // As it goes over the wire: a length before each name.
    static constexpr unsigned char protocols[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};

    // OpenSSL has this for whole contexts only. A client that offers no ALPN is served; one that offers
    // only other protocols is refused with an alert, as RFC 7301 section 3.2 has it.
    void prepare(asio::ssl::context& context) const {
        if (!settings_.alpn) return;
        SSL_CTX_set_alpn_select_cb(
            context.native_handle(),
            [](SSL*, const unsigned char** out, unsigned char* size, const unsigned char* in, unsigned n, void*) {
                unsigned char* chosen = nullptr;
                const int found = SSL_select_next_proto(&chosen, size, protocols, sizeof protocols, in, n);
                *out = chosen;
                return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
            },
            nullptr);
    }
    [[nodiscard]] detail::ssl_origin present() const {
        const std::lock_guard lock(mutex_);
        return {context_, sessions_, {}};
    }
    [[nodiscard]] static detail::ssl_ptr make(const detail::ssl_origin& origin) {
        auto* context = static_cast<asio::ssl::context*>(origin.context.get())->native_handle();
        detail::ssl_ptr ssl(SSL_new(context));
        if (!ssl) return ERR_clear_error(), nullptr;
        SSL_set_mode(ssl.get(), SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
        SSL_set_options(ssl.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
        if (SSL_get_min_proto_version(ssl.get()) < TLS1_2_VERSION) (void)SSL_set_min_proto_version(ssl.get(), TLS1_2_VERSION);
        return ssl;
    }
    // Name or address, also in the request where it is a name (RFC 6066 section 3).
    [[nodiscard]] bool expect_peer(SSL& ssl, std::string name) const {
        if (settings_.alpn && SSL_set_alpn_protos(&ssl, protocols, sizeof protocols) != 0) return false;
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
    [[nodiscard]] static stream_layer_ptr finish(driver& d, detail::ssl_ptr ssl, detail::ssl_origin origin,
                                                 stream_sink* sink, std::error_code& ec) {
        auto made = std::make_unique<detail::openssl_stream>(d, std::move(ssl), std::move(origin), sink);
        if (!made->begin()) return ec = errc::out_of_memory, nullptr;
        return made;
    }

    tls_options settings_;
    mutable std::mutex mutex_;
    std::shared_ptr<asio::ssl::context> context_;
    std::shared_ptr<detail::ssl_session_cache> sessions_;
};

}  // namespace hawser::inline v0
