// SPDX-License-Identifier: BSL-1.0
// One connection through the fault proxy.
#pragma once

#include "plan.hpp"
#include "wire_view.hpp"

#include <asio/awaitable.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/steady_timer.hpp>

#include <array>
#include <memory>
#include <string>
#include <vector>

namespace demo {

using asio::ip::tcp;

class relay : public std::enable_shared_from_this<relay> {
public:
    relay(tcp::socket client, planner& plans, board& b);
    /// Relays until one side ends the connection, or the plan does.
    void start(tcp::endpoint server);

private:
    enum class mode : std::uint8_t {
        relaying,
        stalled,  ///< nothing passes for now
        cut,      ///< what is still read is thrown away
        ended,
    };
    /// One direction. Index 0: from the client; 1: from the server.
    struct lane {
        tcp::socket* from = nullptr;
        tcp::socket* to = nullptr;
        wire_view view;
        std::vector<std::byte> in;   ///< read and not relayed
        std::vector<std::byte> out;  ///< to be written
        bool silent = false;         ///< half-open: what is read is thrown away
        frame_type frame{};          ///< the present one
        bool partial = false;        ///< a part of it has passed
        std::uint64_t data = 0;      ///< highest sequence number that has passed
        std::uint64_t accepted = 0;  ///< highest position that has passed
        std::uint64_t cut_in = 0;    ///< bytes of the present frame that still pass; 0: not aimed at
    };

    asio::awaitable<void> run(tcp::endpoint server);
    asio::awaitable<void> pump(int index);
    asio::awaitable<bool> pass(int index);
    asio::awaitable<bool> flush(lane& l);
    asio::awaitable<void> arm();

    // How many bytes of this piece may pass before the cut; all of it: no cut here.
    [[nodiscard]] std::size_t allowed(int index, const piece& p);
    [[nodiscard]] std::size_t allowed_of_handshake(int index, const piece& p);
    [[nodiscard]] std::size_t allowed_of_frame(int index, const piece& p);
    void take_up(plan::aim at, int index);
    void passed(int index, const piece& p, std::size_t bytes);
    void opened();

    [[nodiscard]] cut_class classify() const noexcept;
    [[nodiscard]] bool quiet() const noexcept;
    void cut();
    void cut_after(std::chrono::milliseconds wait);
    void reset();
    void close_both();
    void end_of_input(lane& l, std::error_code ec);

    planner& plans_;
    board& board_;
    tcp::socket client_, server_;
    asio::steady_timer timer_, stall_;
    std::array<lane, 2> lanes_;
    plan plan_;
    mode mode_ = mode::relaying;
    bool connected_ = false;
    bool resume_passed_ = false;
    bool open_ = false;     ///< WELCOME or RESUMED has passed
    bool armed_ = false;    ///< the plan's wait is over
    bool decided_ = false;  ///< a direction is about to cut
    bool cut_ = false;
    std::string client_name_;
    int ended_lanes_ = 0;
};

}  // namespace demo
