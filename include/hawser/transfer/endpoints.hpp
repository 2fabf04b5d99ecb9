// SPDX-License-Identifier: BSL-1.0
/// \file
/// Where the bytes of a transfer come from and go to: interfaces for files, and for what you write yourself.
#pragma once

#include <hawser/core/bytes.hpp>
#include <hawser/core/errc.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <system_error>

namespace hawser::inline v0 {

/// What is sent. All members are called by the transfers' worker, one at a time, and may block it.
class transfer_source {
public:
    virtual ~transfer_source() = default;
    /// Before each attempt. Errors end the transfer.
    [[nodiscard]] virtual std::error_code open() { return {}; }
    /// After `open`: how much it is, where that is known.
    [[nodiscard]] virtual std::optional<std::uint64_t> size() const { return std::nullopt; }
    /// Whether it can be read again from the beginning: otherwise the transfer ends with its session.
    [[nodiscard]] virtual bool seekable() const noexcept { return false; }
    /// The next read begins here. Only if `seekable()`.
    [[nodiscard]] virtual std::error_code seek(std::uint64_t) { return errc::invalid_state; }
    /// Reads some bytes, at least one; none is the end. `errc::would_block`: none yet, and `wake` is called when
    /// there are. Errors end the transfer.
    [[nodiscard]] virtual std::size_t read(byte_span into, std::error_code& ec) = 0;
    /// Before the first `open`. `wake` may be called from any thread, also later than there is anything to wake.
    virtual void on_ready(std::function<void()> wake) { (void)wake; }
};

/// How an incoming transfer ended that did not complete.
enum class transfer_end : std::uint8_t {
    interrupted,  ///< its session is over: it may be offered again and go on
    failed,       ///< cancelled, too big, or an error of the sink
    wrong,        ///< the digest does not match: what was received is useless
};

/// Where a transfer is received. All members are called by the transfers' worker, one at a time, and may block it.
class transfer_sink {
public:
    virtual ~transfer_sink() = default;
    /// First. Returns how many bytes are kept of an earlier attempt with the same key.
    [[nodiscard]] virtual std::uint64_t open(std::error_code& ec) = 0;
    /// The next of the kept bytes, for their digest. Fewer than asked for is the end.
    [[nodiscard]] virtual std::size_t reread(byte_span into, std::error_code& ec) {
        (void)into;
        ec = errc::invalid_state;
        return 0;
    }
    /// Writing begins behind all kept bytes, or at 0, and then nothing is kept.
    [[nodiscard]] virtual std::error_code begin(std::uint64_t from) = 0;
    /// The next bytes, all of them.
    [[nodiscard]] virtual std::error_code write(byte_view bytes) = 0;
    /// Everything was written and is what was sent: durable, and under its name. The last call.
    [[nodiscard]] virtual std::error_code commit() = 0;
    /// The last call where it did not complete.
    virtual void give_up(transfer_end how) noexcept { (void)how; }
    /// The connection is lost, for who knows how long; another transfer may take over what was written.
    virtual void detach() noexcept {}
    /// It is back. An error: somebody did, and the sender has to offer again.
    [[nodiscard]] virtual std::error_code attach() { return {}; }
    /// After `commit`: where it is, for the report.
    [[nodiscard]] virtual std::string place() const { return {}; }
};

}  // namespace hawser::inline v0
