// SPDX-License-Identifier: BSL-1.0
// What clients and server have in common: how they send, and how they note what they received.
#pragma once

#include "board.hpp"
#include "files.hpp"
#include "input.hpp"
#include "sockets.hpp"

#include <hawser/policy/random.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <system_error>

namespace demo {

/// When a sender's next message is due: bursts of 1 to 8, so that all of them take about as long
/// as a run is to last, however many they are.
class pacer {
public:
    using clock = std::chrono::steady_clock;

    pacer(const settings& s, std::uint32_t sender) : random_(s.seed * 1000 + sender), next_(clock::now()) {
        const std::chrono::nanoseconds all = 6s;
        gap_ = std::min<std::chrono::nanoseconds>(all / s.messages, 40ms);
    }
    /// The moment of the next message; in the past if it is late.
    [[nodiscard]] clock::time_point next() {
        if (burst_ == 0) {
            burst_ = hawser::uniform(random_, 1, 8);
            next_ += gap_ * static_cast<long>(burst_);
        }
        --burst_;
        return next_;
    }

private:
    hawser::xoshiro256 random_;
    clock::time_point next_;
    std::chrono::nanoseconds gap_{};
    std::uint64_t burst_ = 0;
};

/// One sender's numbers, its ledger, and its part of the counters.
class outgoing {
public:
    outgoing(const settings& s, direction d, std::uint32_t client, const input& in, party& p)
        : sender_(sender_id(d, client)), input_(in), party_(p), ledger_(ledger_path(s, d, client)) {}

    [[nodiscard]] std::uint32_t last() const noexcept { return last_; }
    /// The next message, noted as handed to the socket.
    [[nodiscard]] hawser::message next() {
        ledger_.add(++last_, ledger_line::handed);
        ++party_.handed;
        return input_.message(sender_, last_);
    }
    void decided(std::uint32_t number, hawser::outcome what) {
        using hawser::outcome;
        ledger_.add(number, static_cast<std::uint32_t>(what));
        ++party_.decided;
        if (what == outcome::acknowledged || what == outcome::duplicate) ++party_.acknowledged;
        if (what == outcome::unknown) ++party_.unknown;
    }
    /// After a restart: goes on behind the last number that was handed to a socket. What became
    /// of those without an outcome nobody can tell any more.
    void take_up(const std::vector<ledger_line>& lines) {
        std::vector<std::uint32_t> outcome_of;
        for (const auto& line : lines) {
            if (line.number >= outcome_of.size()) outcome_of.resize(line.number + 1, 0);
            if (line.what != ledger_line::handed) outcome_of[line.number] = line.what;
            last_ = std::max(last_, line.number);
        }
        party_.handed += last_;
        for (std::uint32_t n = 1; n <= last_; ++n) {
            if (outcome_of[n] == 0) {
                decided(n, hawser::outcome::unknown);
                continue;
            }
            ++party_.decided;
            if (outcome_of[n] == static_cast<std::uint32_t>(hawser::outcome::acknowledged)) ++party_.acknowledged;
            if (outcome_of[n] == static_cast<std::uint32_t>(hawser::outcome::unknown)) ++party_.unknown;
        }
    }

private:
    std::uint32_t sender_;
    const input& input_;
    party& party_;
    ledger ledger_;
    std::uint32_t last_ = 0;
};

/// A line in the process's log (its standard error): what its link went through.
inline void log_state(std::uint32_t client, const hawser::state_change& s) {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    std::fprintf(stderr, "%lld client %u: %s -> %s%s (%s, close %d)\n",
                 static_cast<long long>(std::chrono::duration_cast<std::chrono::milliseconds>(now).count()), client,
                 to_string(s.from), to_string(s.to), s.resumed ? ", resumed" : "", s.reason.message().c_str(),
                 static_cast<int>(s.close.code));
}

}  // namespace demo
