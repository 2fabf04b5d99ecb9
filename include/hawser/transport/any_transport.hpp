// SPDX-License-Identifier: BSL-1.0
/// \file
/// The transport by URL scheme.
///
/// | scheme | stream |
/// |---|---|
/// | `ws` | TCP of the driver |
/// | `ws+unix` | a socket file |
/// | `wss` | TCP below `options::tls`; without that `errc::tls_missing` |
#pragma once

#include <hawser/core/errc.hpp>
#include <hawser/core/url.hpp>
#include <hawser/driver/driver.hpp>
#include <hawser/options.hpp>
#include <hawser/transport/proxy_stream.hpp>
#include <hawser/transport/stream_layer.hpp>

#include <concepts>
#include <memory>
#include <string>
#include <system_error>
#include <utility>

namespace hawser::inline v0 {

template <class T>
concept transport_policy = std::default_initializable<T> &&
    requires(T& t, driver& d, const url& where, const options& o, stream_sink& sink, std::error_code& ec) {
        { t.dial(d, where, o, sink, ec) } -> std::same_as<stream_ptr>;
    };

/// Makes the stream that a URL asks for. Empty.
struct any_transport {
    /// `sink.on_connected` is called later. Null, and `ec` says why, when it cannot even begin.
    [[nodiscard]] static stream_ptr dial(driver& d, const url& where, const options& o, stream_sink& sink,
                                         std::error_code& ec) {
        if (ec = check(where, o); ec) return nullptr;
        if (!where.socket_path.empty()) return d.connect_local(where.socket_path, sink, ec);
        stream_layer_ptr tls;
        if (where.secure()) tls = o.tls->client(d, where.host, where.port, sink, ec);
        if (ec) return nullptr;
        stream_ptr tcp = connect(d, where, o, tls ? tls->below() : sink);
        if (!tls) return tcp;
        tls->set_inner(std::move(tcp));
        return tls;
    }
    /// What would keep `dial` from beginning.
    [[nodiscard]] static std::error_code check(const url& where, const options& o) noexcept {
        return where.secure() && !o.tls ? make_error_code(errc::tls_missing) : std::error_code();
    }

private:
    [[nodiscard]] static stream_ptr connect(driver& d, const url& where, const options& o, stream_sink& sink) {
        if (o.proxy.host.empty()) return d.connect(where.host, where.port, sink);
        const std::string host = where.ipv6_literal ? "[" + where.host + "]" : where.host;
        auto proxy = std::make_unique<detail::proxy_stream>(o.proxy, host + ":" + std::to_string(where.port), o.http, sink);
        proxy->set_inner(d.connect(o.proxy.host, o.proxy.port, proxy->below()));
        return proxy;
    }
};

static_assert(transport_policy<any_transport>);

}  // namespace hawser::inline v0
