// SPDX-License-Identifier: BSL-1.0
// Compares what was sent with what arrived, in one direction of one client.
#pragma once

#include "files.hpp"
#include "input.hpp"

#include <hawser/core/outcome.hpp>
#include <hawser/core/xxh3.hpp>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

namespace demo {

struct audit {
    std::uint64_t sent = 0;             ///< handed to a socket
    std::uint64_t acknowledged = 0;     ///< of these; reported to the sender
    std::uint64_t unknown = 0;          ///< reported so, or the sender was killed before it could tell
    std::uint64_t delivered = 0;        ///< different messages that arrived intact
    std::uint64_t lost = 0;             ///< neither arrived nor unknown
    std::uint64_t duplicated = 0;       ///< arrived once more
    std::uint64_t out_of_order = 0;     ///< arrived behind one with a higher number
    std::uint64_t corrupted = 0;        ///< arrived, but never sent like that
    std::vector<std::string> findings;  ///< the first few, in words

    audit& operator+=(const audit& o) {
        sent += o.sent, acknowledged += o.acknowledged, unknown += o.unknown, delivered += o.delivered;
        lost += o.lost, duplicated += o.duplicated, out_of_order += o.out_of_order, corrupted += o.corrupted;
        for (const auto& f : o.findings)
            find(f);
        return *this;
    }
    void find(std::string what) {
        if (findings.size() < 20) findings.push_back(std::move(what));
    }
};

/// `Expected`: number -> message_head of what its sender sent under it.
template <class Expected>
class auditor {
public:
    auditor(std::string name, Expected expected) : name_(std::move(name)), expected_(std::move(expected)) {}

    [[nodiscard]] audit run(const std::vector<ledger_line>& ledger, bytes_view received) {
        for (const auto& line : ledger)
            read(line);
        bytes_view message;
        while (next_record(received, message))
            read(message);
        if (!received.empty()) corrupted("a record that is cut off at the end");
        for (std::uint32_t n = 1; n < messages_.size(); ++n)
            settle(n, messages_[n]);
        return result_;
    }

private:
    struct state {
        bool handed = false;
        std::uint32_t outcome = 0;
        std::uint32_t arrived = 0;
    };

    state& of(std::uint32_t number) {
        if (number >= messages_.size()) messages_.resize(number + 1);
        return messages_[number];
    }
    void read(const ledger_line& line) {
        state& m = of(line.number);
        if (line.what == ledger_line::handed)
            m.handed = true;
        else if (m.outcome == 0)
            m.outcome = line.what;
        else
            result_.find(name_ + ": two outcomes for number " + std::to_string(line.number));
    }
    void read(bytes_view message) {
        message_head h;
        if (message.size() < sizeof h) return corrupted("a message of " + std::to_string(message.size()) + " bytes");
        std::memcpy(&h, message.data(), sizeof h);
        const bytes_view piece = message.subspan(sizeof h);
        if (h.number == 0 || h.number >= messages_.size() || !messages_[h.number].handed)
            return corrupted("number " + std::to_string(h.number) + ", which was never sent");
        const message_head good = expected_(h.number);
        const bool intact = h.sender == good.sender && h.length == good.length && h.digest == good.digest &&
                            piece.size() == h.length && hawser::xxh3_64(piece) == h.digest;
        if (!intact) return corrupted("number " + std::to_string(h.number) + " differs from what was sent");
        if (messages_[h.number].arrived++ != 0) {
            ++result_.duplicated;
            return result_.find(name_ + ": number " + std::to_string(h.number) + " came again");
        }
        ++result_.delivered;
        if (h.number < highest_) {
            ++result_.out_of_order;
            result_.find(name_ + ": number " + std::to_string(h.number) + " came behind " + std::to_string(highest_));
        }
        highest_ = std::max(highest_, h.number);
    }
    void settle(std::uint32_t number, const state& m) {
        if (!m.handed) return;
        ++result_.sent;
        const auto what = static_cast<hawser::outcome>(m.outcome);
        if (what == hawser::outcome::acknowledged || what == hawser::outcome::duplicate) ++result_.acknowledged;
        const bool unknown = what == hawser::outcome::unknown || what == hawser::outcome::pending;
        if (unknown) ++result_.unknown;
        if (m.arrived != 0 || unknown) return;
        ++result_.lost;
        result_.find(name_ + ": number " + std::to_string(number) + " is lost, its sender was told '" +
                     to_string(what) + "'");
    }
    void corrupted(const std::string& what) {
        ++result_.corrupted;
        result_.find(name_ + ": " + what);
    }

    std::string name_;
    Expected expected_;
    std::vector<state> messages_;
    std::uint32_t highest_ = 0;
    audit result_;
};

}  // namespace demo
