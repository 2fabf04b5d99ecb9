// SPDX-License-Identifier: BSL-1.0
/// \file
/// The transport by URL scheme.
///
/// | scheme | stream |
/// |---|---|
/// | `ws` | TCP of the driver |
/// | `wss` | not in this version: `errc::invalid_argument` |
#pragma once

#include <hawser/core/errc.hpp>
#include <hawser/core/url.hpp>
#include <hawser/driver/driver.hpp>
#include <hawser/options.hpp>

#include <concepts>
#include <system_error>

namespace hawser::inline v0 {

template <class T>
concept transport_policy = std::default_initializable<T> &&
    requires(T& t, driver& d, const url& where, const options& o, stream_sink& sink, std::error_code& ec) {
        { t.dial(d, where, o, sink, ec) } -> std::same_as<stream_ptr>;
    };

/// Makes the stream that a URL asks for. Empty.
struct any_transport {
    /// `sink.on_connected` is called later. Null, and `ec` says why, when it cannot even begin.
    [[nodiscard]] static stream_ptr dial(driver& d, const url& where, const options&, stream_sink& sink,
                                         std::error_code& ec) {
        if (where.secure()) {
            ec = errc::invalid_argument;
            return nullptr;
        }
        return d.connect(where.host, where.port, sink);
    }
};

static_assert(transport_policy<any_transport>);

}  // namespace hawser::inline v0
