// SPDX-License-Identifier: BSL-1.0
// Where and how the next cut of a link is to happen: drawn from the seed.
#pragma once

#include "board.hpp"
#include "cut.hpp"
#include "settings.hpp"

#include <hawser/policy/random.hpp>

#include <chrono>
#include <cstdint>

namespace demo {

/// How far a handshake may get before it is cut.
enum class handshake_point : std::uint8_t { accepted, in_request, before_response, before_hello, before_answer, none };

struct plan {
    enum class aim : std::uint8_t { handshake, resume, frame, data_and_ack, quiet, anything, pause };
    aim at = aim::anything;
    cut_kind kind = cut_kind::reset;
    handshake_point point = handshake_point::none;
    std::chrono::milliseconds wait{0};   ///< from the moment the link is open
    int lane = 0;                        ///< the direction aimed at: 0 from the client, 1 from the server
    int silent_lanes = 3;                ///< half-open: bit per direction
    double share = 0.5;                  ///< of a frame that still passes
    std::chrono::milliseconds pause{0};  ///< of a stall; of a half-open link until its sockets close
};

/// Draws plans. A class of cut that did not happen yet in this run comes first, without wait;
/// after that an open link lives for `cut_every_ms` on average.
class planner {
public:
    planner(const settings& s, const board& b) : settings_(s), board_(b), random_(s.seed ^ 0x70726f7879ULL) {}

    /// For a connection that was just accepted: whether its handshake is to fail.
    [[nodiscard]] plan for_handshake();
    /// For a client that sent RESUME: whether it is to go without an answer.
    [[nodiscard]] plan for_resume();
    /// For a link that is open, or goes on after a stall.
    [[nodiscard]] plan for_open_link();
    /// Whether cuts of this class are wanted and there was none in this run yet.
    [[nodiscard]] bool missing(cut_class c) const noexcept {
        return !calm() && board_.cuts[static_cast<std::size_t>(c)].load() == 0;
    }

private:
    [[nodiscard]] bool calm() const noexcept { return board_.calm.load() != 0; }
    [[nodiscard]] std::uint64_t draw(std::uint64_t low, std::uint64_t high) {
        return hawser::uniform(random_, low, high);
    }
    [[nodiscard]] bool chance(std::uint64_t percent) { return draw(1, 100) <= percent; }
    [[nodiscard]] plan drawn();
    [[nodiscard]] plan::aim draw_aim();
    [[nodiscard]] std::chrono::milliseconds draw_lifetime();

    const settings& settings_;
    const board& board_;
    hawser::xoshiro256 random_;
};

}  // namespace demo
