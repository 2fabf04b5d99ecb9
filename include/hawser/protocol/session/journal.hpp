// SPDX-License-Identifier: BSL-1.0
/// \file
/// What a session wants on disk before it goes on, in order.
#pragma once

#include <hawser/core/config.hpp>
#include <hawser/core/message.hpp>
#include <hawser/core/outcome.hpp>
#include <hawser/core/send_options.hpp>
#include <hawser/core/store_transaction.hpp>
#include <hawser/protocol/session/frame.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace hawser::inline v0 {
namespace session {

enum class record_kind : std::uint8_t {
    enqueued = 1,       ///< counter, body, key, priority, coalesce_key, ttl: before the message is reported as accepted
    assigned = 2,       ///< counter, seq, bytes: before the first byte of its DATA
    finished = 3,       ///< counter, result: before the outcome is reported
    accepted = 4,       ///< epoch, from, seq, bytes, exceptions, effect: before an ACK carries the position `seq`
    epoch_begun = 5,    ///< epoch, state: before the confirming ACK, WELCOME or RESUMED
    epoch_ended = 6,    ///< epoch, seq (a tombstone's position) where `has_position`: before HELLO of the client, before RESUME_FAILED of the server
};

/// What changes in a stream. The sum of all records is what a store gives back:
/// `epoch_begun` of another epoch than the present one sets all positions and numbers to 0, of the same one it
/// replaces the state; `accepted` replaces position and exceptions; `assigned` makes a message `written`; `finished` removes it; `epoch_ended` sets `seq` of all
/// messages that are left to 0, and they stay `written`.
struct record {
    record_kind kind{};
    bool has_position = false;  ///< of `epoch_ended`
    outcome result = outcome::pending;
    std::uint64_t counter = 0;
    std::uint64_t seq = 0;
    std::uint64_t from = 0;     ///< the position before this one
    std::uint64_t bytes = 0;    ///< payload bytes of the epoch in this direction, up to and with `seq`
    message body{};
    std::string key{};
    std::string coalesce_key{};
    milliseconds ttl{0};        ///< what was left of it, rounded up; 0: without a limit
    message_priority priority = message_priority::normal;
    epoch_id epoch{};
    std::string state{};        ///< encoded `session_state`; a secret of the client is in it
    std::string exceptions{};   ///< what `seq` covers and its sender may have to be told by name, as `exception_view` has it
    store_effect effect{};      ///< to be done in the same transaction
};

/// Collects records until the store takes them. Positions ("lsn") count records from 1; what
/// depends on a record waits until `durable()` has reached its position. One commit is under
/// way at a time; what is added meanwhile goes with the next one (group commit).
class journal {
public:
    /// `keep_records` false: positions advance, nothing is kept (a store in memory).
    explicit journal(bool keep_records) : kept_(keep_records ? std::make_unique<kept_records>() : nullptr) {}

    /// A record that nothing is known of but its kind, where records are not kept.
    std::uint64_t add(record_kind kind, std::uint64_t counter, std::uint64_t seq = 0,
                      outcome result = outcome::pending) {
        if (kept_) keep(kind, counter, seq, result);
        return ++last_;
    }
    /// Throws std::bad_alloc, and `r` is unchanged.
    std::uint64_t add(record&& r) {
        if (kept_) {
            r.epoch = kept_->epoch;
            kept_->pending.push_back(std::move(r));
        }
        return ++last_;
    }
    /// The epoch that records belong to is over, with the position that its tombstone tells. Its record is the last of
    /// the next commit, so that a session can end also without memory. At most once.
    void bury(std::optional<std::uint64_t> told) noexcept {
        if (kept_) {
            kept_->buried = true;
            kept_->told = told;
        }
        ++last_;
    }
    /// The epoch that records belong to from here on.
    void begin_epoch(const epoch_id& epoch) noexcept {
        if (kept_) kept_->epoch = epoch;
    }
    /// Takes back the last `n` records. Precondition: added since the last commit began.
    void take_back(std::uint64_t n) noexcept {
        last_ -= n;
        if (kept_) kept_->pending.erase(kept_->pending.end() - static_cast<std::ptrdiff_t>(n), kept_->pending.end());
    }
    [[nodiscard]] bool keeps_records() const noexcept { return kept_ != nullptr; }
    [[nodiscard]] std::uint64_t last() const noexcept { return last_; }
    [[nodiscard]] std::uint64_t durable() const noexcept { return durable_; }
    [[nodiscard]] bool wants_commit() const noexcept { return !committing_ && last_ > durable_; }
    /// Something is not durable yet, also while a commit is under way.
    [[nodiscard]] bool dirty() const noexcept { return last_ > durable_; }

    /// Hands out the records added since the last commit. Throws std::bad_alloc, and nothing changed.
    [[nodiscard]] std::vector<record> begin_commit() {
        if (kept_ && kept_->buried) {
            const auto& told = kept_->told;
            kept_->pending.push_back({.kind = record_kind::epoch_ended, .has_position = told.has_value(), .seq = told.value_or(0), .epoch = kept_->epoch});
            kept_->buried = false;
        }
        committing_ = true;
        in_flight_ = last_;
        return kept_ ? std::exchange(kept_->pending, {}) : std::vector<record>();
    }
    void end_commit() noexcept {
        committing_ = false;
        durable_ = in_flight_;
    }

private:
    HAWSER_OUT_OF_LINE void keep(record_kind kind, std::uint64_t counter, std::uint64_t seq, outcome result) {
        kept_->pending.push_back({.kind = kind, .result = result, .counter = counter, .seq = seq});
    }

    struct kept_records {
        std::vector<record> pending{};
        epoch_id epoch{};
        bool buried = false;  // its record is not in `pending` yet
        std::optional<std::uint64_t> told{};
    };
    std::unique_ptr<kept_records> kept_;
    bool committing_ = false;
    std::uint64_t last_ = 0;
    std::uint64_t in_flight_ = 0;
    std::uint64_t durable_ = 0;
};

}  // namespace session
}  // namespace hawser::inline v0
