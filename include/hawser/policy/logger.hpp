// SPDX-License-Identifier: BSL-1.0
/// \file
/// What a socket tells: events with a level and structured fields.
///
/// | event | `no_log` | `callback_log` |
/// |---|---|---|
/// | `enabled(level)` | false, a constant | level >= threshold |
/// | `log(level, event, fields)` below the threshold | nothing | nothing |
/// | otherwise | nothing | the callback, on the thread of the caller |
/// | the callback throws | - | counted in `failures()`, goes no further |
///
/// Ask `enabled` before building fields that cost something. Tokens and payloads are never fields.
#pragma once

#include <hawser/policy/log_record.hpp>

#include <atomic>
#include <concepts>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <utility>

namespace hawser::inline v0 {

template <class T>
concept has_log_enabled = requires(const T& t, log_level level) {
    { t.enabled(level) } noexcept -> std::same_as<bool>;
};
template <class T>
concept has_log = requires(const T& t, log_level level, std::string_view event, std::initializer_list<log_field> fields) {
    { t.log(level, event) } noexcept;
    { t.log(level, event, fields) } noexcept;
};
/// Copies share one sink; called from the strand of each socket, so from several threads.
template <class T>
concept log_policy = std::copyable<T> && has_log_enabled<T> && has_log<T>;

/// Tells nothing. The null model; empty.
struct no_log {
    ///@{
    /// Never enabled; does nothing.
    [[nodiscard]] static constexpr bool enabled(log_level) noexcept { return false; }
    static void log(log_level, std::string_view, std::initializer_list<log_field> = {}) noexcept {}
    ///@}
};

/// Calls a function of the user's. A handle: copies share the function and the threshold.
/// Thread safety: all members at once, as far as the function is.
class callback_log {
public:
    using callback = std::function<void(const log_record&)>;  ///< told each record

    /// Tells nobody: for where a logger has to be given but is not wanted.
    callback_log() = default;
    /// The record and all it points to are valid during the call only.
    explicit callback_log(callback sink, log_level threshold = log_level::info)
        : shared_(sink ? std::make_shared<shared>(std::move(sink), threshold) : nullptr) {}

    /// Whether a record of this level would be told.
    [[nodiscard]] bool enabled(log_level level) const noexcept {
        return shared_ != nullptr && level >= shared_->threshold.load(std::memory_order_relaxed);
    }
    /// Changes the threshold of all copies.
    void set_threshold(log_level threshold) const noexcept {
        if (shared_ != nullptr) shared_->threshold.store(threshold, std::memory_order_relaxed);
    }

    /// Tells the record if its level is enabled. What the function throws is counted and goes no further.
    void log(const log_record& record) const noexcept {
        if (!enabled(record.level)) return;
        try {
            shared_->sink(record);
        } catch (...) {
            // A logger must not end a connection; that it fails is not hidden either.
            shared_->failures.fetch_add(1, std::memory_order_relaxed);
        }
    }
    /// The same, with the parts of a record.
    void log(log_level level, std::string_view event, std::initializer_list<log_field> fields = {}) const noexcept {
        log(log_record{level, event, {fields.begin(), fields.size()}});
    }

    /// Calls that ended with an exception.
    [[nodiscard]] std::uint64_t failures() const noexcept {
        return shared_ == nullptr ? 0 : shared_->failures.load(std::memory_order_relaxed);
    }

private:
    struct shared {
        shared(callback s, log_level t) : sink(std::move(s)), threshold(t) {}
        callback sink;
        std::atomic<log_level> threshold;
        std::atomic<std::uint64_t> failures{0};
    };
    std::shared_ptr<shared> shared_;
};

static_assert(log_policy<no_log> && log_policy<callback_log>);

}  // namespace hawser::inline v0
