// SPDX-License-Identifier: BSL-1.0
/// \file
/// Streams on top of streams, and TLS as one that is plugged in by object.
#pragma once

#include <hawser/driver/driver.hpp>

#include <cstdint>
#include <memory>
#include <string>

namespace hawser::inline v0 {

/// A stream whose bytes travel on another one. Destroying it destroys that, too.
class stream_layer : public stream {
public:
    /// Who the stream below tells.
    [[nodiscard]] virtual stream_sink& below() noexcept = 0;
    /// The stream below, once. A dialled one has `below()` as its sink already; an accepted one gets it when
    /// this stream gets its own sink.
    virtual void set_inner(stream_ptr inner) = 0;
};
using stream_layer_ptr = std::unique_ptr<stream_layer>;  ///< owns a layer

/// What `options::tls` and `listener_options::tls` hold: `hawser::tls()` of <hawser/tls.hpp>, which needs
/// OpenSSL, or a class of yours over another library. Shared by any number of sockets on any threads.
///
/// A layer tells `on_connected` after its handshake, and ends the stream with the reason where that failed.
class tls_layer {
public:
    virtual ~tls_layer() = default;
    /// Dialling: a layer that verifies that the peer is `host`. Null, and `ec` says why, when it cannot begin.
    [[nodiscard]] virtual stream_layer_ptr client(driver& d, const std::string& host, std::uint16_t port,
                                                  stream_sink& sink, std::error_code& ec) const = 0;
    /// Accepting: the same without a sink, which is set later. Null when memory is short.
    [[nodiscard]] virtual stream_layer_ptr server(driver& d, std::error_code& ec) const = 0;
};

}  // namespace hawser::inline v0
