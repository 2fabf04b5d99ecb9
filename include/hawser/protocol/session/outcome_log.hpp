// SPDX-License-Identifier: BSL-1.0
/// \file
/// Outcomes: reported once, when they are durable, and looked up afterwards.
#pragma once

#include <hawser/core/planted.hpp>
#include <hawser/core/ring.hpp>
#include <hawser/protocol/session/journal.hpp>
#include <hawser/protocol/session/outgoing_message.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <utility>

namespace hawser::inline v0 {
namespace session {

/// Outcomes wait here until the removal from the outbox is durable; then `pop` gives each once.
/// Afterwards only those that are not the normal one are remembered, the last `max_remembered`.
/// Thread safety: none.
class outcome_log {
public:
    static constexpr std::size_t max_remembered = 1024;

    explicit outcome_log(journal& log) noexcept : log_(log) {}

    /// The message is over. Takes its waiters. Throws std::bad_alloc, and nothing changed.
    void add(outgoing_message& m, outcome result) {
        // Only what was never written may end as if nothing had happened.
        const bool harmless = result != outcome::acknowledged && result != outcome::duplicate && result != outcome::rejected &&
                              result != outcome::written;
        if (harmless && m.written) result = outcome::unknown;
        const bool exceptional = result != outcome::acknowledged && result != outcome::written;
        if (exceptional && exceptions_.size() < max_remembered) exceptions_.reserve_one();
        finished_message& f = finished_.emplace_back();
        try {
            f.lsn = log_.add(record_kind::finished, m.counter, 0, result);
            if (exceptional) remember(m.counter, result);  // for which there is room: a record is not taken back
        } catch (...) {
            (void)finished_.pop_back();
            throw;
        }
        f.counter = m.counter;
        f.result = result;
        f.enqueued = m.enqueued;
        f.waiters = std::move(m.waiters);
    }

    /// The same where the peer has accepted it, as it does with almost all.
    void add_acknowledged(outgoing_message& m) {
        finished_.reserve_one();
        const std::uint64_t lsn = log_.add(record_kind::finished, m.counter, 0, outcome::acknowledged);
        (void)finished_.push_back({m.counter, lsn, outcome::acknowledged, m.enqueued, std::move(m.waiters)});
    }
    /// What `add` did last has another outcome. Where there is no memory to remember it, only its waiters
    /// and `on_outcome` learn it.
    void amend_last(outcome result) noexcept {
        finished_.back().result = result;
        try {
            remember(finished_.back().counter, result);
        } catch (const std::bad_alloc&) {
        }
    }
    [[nodiscard]] std::optional<finished_message> pop() noexcept {
        if (finished_.empty()) return std::nullopt;
        const bool durable = finished_.front().lsn <= log_.durable() || planted(bug::report_before_commit);
        if (!durable) return std::nullopt;
        std::optional<finished_message> first(std::move(finished_.front()));
        finished_.drop_front();
        return first;
    }
    /// Hands out everything, durable or not.
    template <class Visit>
    void drain(Visit&& visit) {
        while (!finished_.empty()) {
            finished_message f = finished_.pop_front();
            visit(f);
        }
    }

    /// Gives memory back where nothing waits to be reported.
    void release() noexcept { finished_.release(); }

    /// A message that is over and not reported yet, or null.
    [[nodiscard]] finished_message* find_unreported(std::uint64_t counter) noexcept {
        for (std::size_t i = finished_.size(); i-- > 0;)
            if (finished_[i].counter == counter) return &finished_[i];
        return nullptr;
    }
    /// Calls `visit(finished)` for each that is not reported yet, until it returns true.
    template <class Visit>
    bool find_if(Visit&& visit) {
        for (std::size_t i = 0; i < finished_.size(); ++i)
            if (visit(finished_[i])) return true;
        return false;
    }
    /// Outcome of a message that is over and reported; nothing if it is too old to tell.
    [[nodiscard]] std::optional<outcome> lookup(std::uint64_t counter, outcome normally) const noexcept {
        for (std::size_t i = exceptions_.size(); i-- > 0;)
            if (exceptions_[i].counter == counter) return exceptions_[i].result;
        if (counter <= forgotten_through_) return std::nullopt;
        return normally;
    }

private:
    struct exception {
        std::uint64_t counter;
        outcome result;
    };
    void remember(std::uint64_t counter, outcome result) {
        if (exceptions_.size() == max_remembered)
            forgotten_through_ = std::max(forgotten_through_, exceptions_.pop_front().counter);
        (void)exceptions_.push_back({counter, result});
    }

    journal& log_;
    ring<finished_message> finished_;
    ring<exception> exceptions_;
    std::uint64_t forgotten_through_ = 0;
};

}  // namespace session
}  // namespace hawser::inline v0
