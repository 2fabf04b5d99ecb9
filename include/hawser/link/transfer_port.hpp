// SPDX-License-Identifier: BSL-1.0
/// \file
/// Between a link and the transfers on it, which are a room above.
#pragma once

#include <hawser/core/bytes.hpp>
#include <hawser/core/errc.hpp>
#include <hawser/core/message.hpp>
#include <hawser/core/outcome.hpp>

#include <cstdint>
#include <system_error>
#include <utility>
#include <vector>

namespace hawser::inline v0::detail {

/// What a link tells its transfers. Everything runs on the strand.
class transfer_port {
public:
    virtual ~transfer_port() = default;
    /// A message of the peer's transfers. The view is valid during the call. An error is the peer's: it
    /// costs it the connection.
    [[nodiscard]] virtual std::error_code on_message(byte_view bytes) = 0;
    /// Whether this was a message of the transfers.
    [[nodiscard]] virtual bool on_outcome(std::uint64_t counter, outcome result) = 0;
    /// Messages may flow. `usable`: the peer knows transfers; `resumed`: all that was sent before still holds.
    virtual void on_link_open(bool usable, bool resumed) = 0;
    virtual void on_link_detached() = 0;
    /// The last call.
    virtual void on_link_closed(std::error_code why) = 0;
    /// Another port takes its place.
    virtual void hand_over(transfer_port& next) = 0;
};

/// In place of the transfers until the application attaches them, for the offers that come before.
class transfer_backlog final : public transfer_port {
public:
    static constexpr std::size_t max_messages = 64;
    static constexpr std::size_t max_bytes = 256 * 1024;

    [[nodiscard]] std::error_code on_message(byte_view bytes) override {
        if (kept_.size() >= max_messages || bytes_ + bytes.size() > max_bytes) return errc::table_full;
        kept_.push_back(message::binary(bytes));
        bytes_ += bytes.size();
        return {};
    }
    [[nodiscard]] bool on_outcome(std::uint64_t, outcome) override { return false; }
    void on_link_open(bool, bool resumed) override {
        if (!resumed) clear();
    }
    void on_link_detached() override {}
    void on_link_closed(std::error_code) override { clear(); }
    void hand_over(transfer_port& next) override {
        const auto kept = std::exchange(kept_, {});
        for (const message& m : kept) (void)next.on_message(m.bytes());
    }

private:
    void clear() noexcept {
        kept_.clear();
        bytes_ = 0;
    }
    std::vector<message> kept_;
    std::size_t bytes_ = 0;
};

}  // namespace hawser::inline v0::detail
