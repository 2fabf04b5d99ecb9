// SPDX-License-Identifier: BSL-1.0
/// \file
/// TLS by OpenSSL as an object: makes a stream for each connection from the context of the moment.
#pragma once

#include <hawser/transport/openssl_handles.hpp>
#include <hawser/transport/stream_layer.hpp>

#include <asio/ssl/context.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <system_error>

namespace hawser::inline v0 {
namespace detail {
class ssl_session_cache;
struct ssl_origin;
}  // namespace detail

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
    openssl_tls(std::shared_ptr<asio::ssl::context> context, tls_options settings);
    /// From now on connections are made with this context: new certificates without a restart. Those that exist
    /// go on with theirs. Precondition: not null.
    void replace(std::shared_ptr<asio::ssl::context> context);
    /// The context of the moment.
    [[nodiscard]] std::shared_ptr<asio::ssl::context> context() const;

    /// \cond internal
    [[nodiscard]] stream_layer_ptr client(driver& d, const std::string& host, std::uint16_t port, stream_sink& sink,
                                          std::error_code& ec) const override;
    [[nodiscard]] stream_layer_ptr server(driver& d, std::error_code& ec) const override;
    /// \endcond

private:
    // These and the others are in <hawser/tls_members.hpp>: users of the compiled library need not read how TLS is made.
    void prepare(asio::ssl::context& context) const;
    [[nodiscard]] detail::ssl_origin present() const;
    [[nodiscard]] static detail::ssl_ptr make(const detail::ssl_origin& origin);
    [[nodiscard]] bool expect_peer(SSL& ssl, std::string name) const;
    [[nodiscard]] static stream_layer_ptr finish(driver& d, detail::ssl_ptr ssl, detail::ssl_origin origin,
                                                 stream_sink* sink, std::error_code& ec);

    tls_options settings_;
    mutable std::mutex mutex_;
    std::shared_ptr<asio::ssl::context> context_;
    std::shared_ptr<detail::ssl_session_cache> sessions_;
};

}  // namespace hawser::inline v0
