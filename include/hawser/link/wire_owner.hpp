// SPDX-License-Identifier: BSL-1.0
/// \file
/// What a wire tells its owner.
#pragma once

#include <hawser/core/bytes.hpp>
#include <hawser/core/close_code.hpp>
#include <hawser/core/message.hpp>
#include <hawser/core/time.hpp>
#include <hawser/protocol/ws/upgrade_request.hpp>

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <system_error>

namespace hawser::inline v0::detail {

class wire;

/// Held by a connection: its place among those of its address; null where these are not counted, as mostly.
using address_place = std::unique_ptr<const std::shared_ptr<const void>>;

/// How a connection ended, told once.
struct wire_end {
    std::error_code error;             ///< none after an orderly close
    close_info close;
    unsigned http_status = 0;          ///< of a refused upgrade
    std::optional<duration> retry_after;
    std::string refusal;               ///< head of the body of a refused upgrade
};

/// The owner of a wire. A wire may be destroyed inside each of these calls.
class wire_owner {
public:
    /// Client: the upgrade succeeded. Server: after `accept`.
    virtual void on_wire_open(wire& w) = 0;
    /// Server: a request is complete; answer with `accept` or `reject`.
    virtual void on_wire_request(wire& w, const ws::upgrade_request& request) = 0;
    virtual void on_wire_message(wire& w, byte_view payload, bool text) = 0;
    /// A part of a message: `wire::hand_out_pieces`.
    virtual void on_wire_piece(wire&, const message_piece&) {}
    /// Bytes came in on an open connection, whatever they are.
    virtual void on_wire_input(wire& w) noexcept = 0;
    /// Output has drained below the limit after `backed_up()` was true.
    virtual void on_wire_writable(wire& w) = 0;
    /// What a lingering close of the wire is to count in, if anything.
    [[nodiscard]] virtual std::shared_ptr<std::size_t> linger_count() const noexcept = 0;
    /// It is over; the wire does nothing more.
    virtual void on_wire_closed(wire& w, const wire_end& end) = 0;

protected:
    ~wire_owner() = default;
};

}  // namespace hawser::inline v0::detail
