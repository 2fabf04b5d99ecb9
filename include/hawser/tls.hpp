// SPDX-License-Identifier: BSL-1.0
/// \file
/// TLS for `options::tls` and `listener_options::tls`, on OpenSSL 3. Link with OpenSSL: the CMake component
/// `hawser::tls`.
#pragma once

#include <hawser/core/config.hpp>
#include <hawser/transport/openssl_layer.hpp>

#include <asio/ssl/context.hpp>

#include <memory>

namespace hawser::inline v0 {

/// TLS with a context of yours, for servers and for clients. What no context can switch off: TLS 1.2 at least, no
/// renegotiation, no compression. A client verifies chain and host name with the authorities that the context has,
/// unless `verify_peer` is false; a server asks for certificates where the context says so (`set_verify_mode`).
///
/// The result may be used by any number of sockets and listeners, on any threads. `replace` changes the context
/// for the connections to come. The context is not to be changed while connections are made with it; its ALPN
/// callback is the library's while `alpn` is true.
///
/// Throws std::bad_alloc. Precondition: `context` is not null.
///
/// Example: \include echo_server/echo_server.cpp
[[nodiscard]] HAWSER_COMPILED_ONCE std::shared_ptr<openssl_tls> tls(std::shared_ptr<asio::ssl::context> context, tls_options settings = {});
/// The same with a context that is given away.
[[nodiscard]] HAWSER_COMPILED_ONCE std::shared_ptr<openssl_tls> tls(asio::ssl::context&& context, tls_options settings = {});
/// TLS for clients with the authorities that the system trusts. Throws std::system_error when they cannot be read,
/// and std::bad_alloc.
[[nodiscard]] HAWSER_COMPILED_ONCE std::shared_ptr<openssl_tls> tls(tls_options settings = {});

}  // namespace hawser::inline v0

#if !defined(HAWSER_SEPARATE_COMPILATION)
#include <hawser/tls_members.hpp>
#endif
