// SPDX-License-Identifier: BSL-1.0
/// \file
/// Limits and callbacks of transfers, and what they are told.
#pragma once

#include <hawser/core/bytes.hpp>
#include <hawser/core/time.hpp>
#include <hawser/core/xxh3.hpp>
#include <hawser/policy/check.hpp>
#include <hawser/transfer/endpoints.hpp>
#include <hawser/transfer/message.hpp>
#include <hawser/transfer/worker.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace hawser::inline v0 {

/// What the peer offers to send.
struct transfer_offer {
    std::uint64_t id = 0;               ///< of the transfer, for `transfers::cancel`
    std::string name{};                 ///< as the peer says: any bytes, at most 1,024. See `safe_file_name`.
    std::optional<std::uint64_t> size{};  ///< bytes, where the peer knows
    byte_vector metadata{};             ///< of the peer's application, at most 4,096 bytes
    transfer::key_type key{};           ///< the same each time the same source is offered
};

/// How far a transfer is.
struct transfer_progress {
    std::uint64_t id = 0;                ///< of the transfer; another one when it is offered again
    std::string_view name;               ///< as offered
    bool outgoing = false;               ///< sent from here
    std::uint64_t bytes = 0;             ///< acknowledged by the peer, or written down here
    std::optional<std::uint64_t> total;  ///< where it is known
};

/// What became of a transfer.
struct transfer_result {
    std::uint64_t bytes = 0;         ///< of the whole, or as far as it came
    std::uint64_t resumed_from = 0;  ///< of these, not sent again: the receiver had them already
    digest128 digest{};              ///< XXH3-128 of the whole; zeros if it did not complete
    std::string text{};              ///< what the peer said about its end
};

/// What became of a transfer that was received.
struct transfer_report {
    std::uint64_t id = 0;        ///< of the transfer
    std::string name{};          ///< as offered
    std::string place{};         ///< of the sink: where it is, if it completed
    std::error_code error{};     ///< none: it is complete, correct and durable
    transfer_result result{};    ///< the rest
};

/// What a sender says about a source.
struct transfer_description {
    std::string name{};                       ///< 1 to 1,024 bytes; a file's own name where it is empty
    byte_vector metadata{};                   ///< for the peer's application; at most 4,096 bytes
    std::optional<transfer::key_type> key{};  ///< names the source over all attempts. Absent: from the path of a
                                              ///< file; a stream's is drawn by lot, so that it is never gone on with.
};

/// All options of the transfers of one socket.
struct transfer_options {
    std::size_t chunk_bytes = 64 * 1024;           ///< of a message with a part of a transfer; 1 KiB to 1 MiB
    std::size_t max_bytes_in_flight = 256 * 1024;  ///< of these messages, queued or not yet acknowledged, all transfers together
    std::size_t max_sending = 16;                  ///< transfers sent at once; others wait
    std::size_t max_waiting = 1024;                ///< that wait to be sent; more: `too_many_waiters`
    std::size_t max_receiving = 16;                ///< transfers received at once; more are refused
    std::uint64_t max_size = std::uint64_t{64} << 30;  ///< bytes of a received transfer
    std::uint64_t receive_window = 1024 * 1024;    ///< bytes received and not yet written down, per transfer
    milliseconds answer_timeout{60'000};           ///< for the answer to an offer, and to the end; 1 ms to 24 h

    /// Called for each offer, on the strand: where it goes. Null refuses it, and `why` (at most 255 bytes) is told to the
    /// sender. Empty: all are refused. `receive_into` makes one for a folder.
    std::function<std::unique_ptr<transfer_sink>(const transfer_offer&, std::string& why)> on_offer{};
    /// Called when a transfer that was accepted is over, on the strand.
    std::function<void(const transfer_report&)> on_received{};
    /// Called as a transfer goes on, on the strand, about once per `chunk_bytes`.
    std::function<void(const transfer_progress&)> on_progress{};
    /// Where sources and sinks are used. Null: a thread for the transfers of this socket, from the first one on.
    std::shared_ptr<transfer_worker> worker{};

    /// All problems, one sentence each.
    [[nodiscard]] std::vector<std::string> problems() const {
        std::vector<std::string> found;
        constexpr std::size_t one = 1, kib = 1024, mib = kib * kib;
        detail::check_range(found, "", "chunk_bytes", chunk_bytes, kib, mib);
        detail::check_range(found, "", "max_bytes_in_flight", max_bytes_in_flight, kib, kib * mib);
        detail::check_range(found, "", "max_sending", max_sending, one, mib);
        detail::check_range(found, "", "max_waiting", max_waiting, std::size_t{0}, mib);
        detail::check_range(found, "", "max_receiving", max_receiving, std::size_t{0}, mib);
        detail::check_range(found, "", "max_size", max_size, std::uint64_t{0}, transfer::max_size);
        detail::check_range(found, "", "receive_window", receive_window, std::uint64_t{kib}, std::uint64_t{kib * mib});
        detail::check_range(found, "", "answer_timeout", answer_timeout, milliseconds{1}, milliseconds{std::chrono::hours{24}});
        return found;
    }
};

}  // namespace hawser::inline v0
