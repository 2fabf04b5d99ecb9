// SPDX-License-Identifier: BSL-1.0
/// \file
/// Whether an endpoint may be dialled at all: a circuit breaker, shared by all who dial it.
///
/// | state | event | effect |
/// |---|---|---|
/// | closed | `try_acquire` | permit |
/// | closed | result | recorded; **open** if calls >= minimum and failures >= threshold |
/// | open | `try_acquire` before `retry_at` | refused |
/// | open | `try_acquire` from `retry_at` on | **half-open**, permit |
/// | half-open | `try_acquire`, a slot is free | permit |
/// | half-open | `try_acquire`, no slot is free | refused |
/// | half-open | result | recorded; as soon as the rest cannot change the verdict: **open** (longer) or **closed** |
/// | half-open | `max_wait_duration_in_half_open_state` is over | permits not returned count as failures, then the verdict as above; with no result at all the time starts again |
/// | any | `release` | the slot is free again, nothing is recorded |
/// | any | a permit of an older state | ignored |
///
/// The wait in open starts at `wait_duration_in_open_state`, grows by `open_wait_multiplier`
/// with each half-open that fails, and starts anew once closed. Time moves the state when
/// somebody asks: there is no timer in here.
///
/// Sources: resilience4j (names, windows, verdict in half-open), Polly (a break that grows);
/// permits with a generation are from the sony/gobreaker family.
#pragma once

#include <hawser/core/time.hpp>
#include <hawser/policy/check.hpp>
#include <hawser/policy/detail/breaker_core.hpp>

#include <algorithm>
#include <atomic>
#include <concepts>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>

namespace hawser::inline v0 {

template <class T>
concept has_permits = requires(T& t, typename T::permit permit, time_point now) {
    { t.try_acquire(now) } -> std::same_as<std::optional<typename T::permit>>;
    t.release(permit, now);
};
template <class T>
concept has_results = requires(T& t, typename T::permit permit, time_point now) {
    { t.on_success(permit, now) } -> std::same_as<bool>;  // the breaker closed
    { t.on_failure(permit, now) } -> std::same_as<bool>;  // the breaker opened
};
template <class T>
concept has_breaker_state = requires(const T& t, time_point now) {
    { t.state(now) } -> std::same_as<breaker_state>;
    { t.retry_at(now) } -> std::same_as<time_point>;
};
template <class T>
concept breaker_policy = std::copyable<T> && std::constructible_from<T, const breaker_options&> && has_permits<T> &&
                         has_results<T> && has_breaker_state<T>;

/// Permits everything. The null model; empty.
struct no_breaker {
    struct permit {};  ///< empty
    no_breaker() = default;
    ///@{
    /// Always closed: permits at once, and nothing that is reported has an effect.
    explicit no_breaker(const breaker_options&) noexcept {}
    [[nodiscard]] static std::optional<permit> try_acquire(time_point) noexcept { return permit{}; }
    static bool on_success(permit, time_point) noexcept { return false; }
    static bool on_failure(permit, time_point) noexcept { return false; }
    static void release(permit, time_point) noexcept {}
    [[nodiscard]] static breaker_state state(time_point) noexcept { return breaker_state::closed; }
    [[nodiscard]] static time_point retry_at(time_point now) noexcept { return now; }
    ///@}
};

/// A handle; copies share one state. Give each endpoint one and copy it into every socket.
///
/// Thread safety: all members of one or of several copies may be called at once (assigning to
/// one and the same handle may not). Deciding takes a mutex for some tens of nanoseconds, and
/// only when dialling or when a dial ends, never per message; `state`, `retry_at` and
/// `transitions` take no lock, since everybody who waits, and every metrics scrape, reads them.
class shared_circuit_breaker {
public:
    /// Given for one attempt.
    using permit = breaker_permit;

    shared_circuit_breaker() : shared_circuit_breaker(breaker_options{}) {}
    /// Precondition: `options.check` found nothing.
    explicit shared_circuit_breaker(const breaker_options& options) : shared_(std::make_shared<shared>(options)) {}

    /// A permit to dial once, to be given back by exactly one of `on_success`, `on_failure`,
    /// `release`; nullopt = not now, see `retry_at`.
    [[nodiscard]] std::optional<permit> try_acquire(time_point now) const {
        const std::lock_guard lock{shared_->mutex};
        auto result = shared_->core.try_acquire(now);
        shared_->publish();
        return result;
    }
    /// The attempt succeeded. Returns true if this closed the breaker.
    bool on_success(permit p, time_point now) const { return finish(p, now, false); }
    /// The attempt failed. Returns true if this opened the breaker.
    bool on_failure(permit p, time_point now) const { return finish(p, now, true); }
    /// The attempt was cancelled: it says nothing about the endpoint.
    void release(permit p, time_point now) const {
        const std::lock_guard lock{shared_->mutex};
        shared_->core.release(p, now);
        shared_->publish();
    }

    /// The state now. An open breaker whose wait is over is still `open` until somebody asks
    /// for a permit.
    [[nodiscard]] breaker_state state(time_point) const noexcept {
        return shared_->state.load(std::memory_order_acquire);
    }

    /// When to ask again after a refusal (arm a timer); `now` if a permit may be had at once.
    /// While others probe it is soon (`half_open_recheck_interval`), since their verdict may
    /// come at any time. Add jitter where many wait.
    [[nodiscard]] time_point retry_at(time_point now) const noexcept {
        const time_point from{duration{shared_->permitted_from.load(std::memory_order_acquire)}};
        if (from <= now) return now;
        if (state(now) != breaker_state::half_open) return from;
        return std::min(from, add_saturated(now, shared_->recheck));
    }

    /// How often each state was entered; never falls. Read without a lock: the three numbers
    /// may belong to slightly different moments.
    [[nodiscard]] breaker_transitions transitions() const noexcept {
        return {shared_->opened.load(std::memory_order_relaxed), shared_->half_opened.load(std::memory_order_relaxed),
                shared_->closed.load(std::memory_order_relaxed)};
    }

    /// Whether both handles share one state.
    friend bool operator==(const shared_circuit_breaker&, const shared_circuit_breaker&) = default;

private:
    struct shared {
        explicit shared(const breaker_options& o) : recheck(o.half_open_recheck_interval), core(o) {}

        void publish() noexcept {
            const auto& t = core.transitions();
            opened.store(t.opened, std::memory_order_relaxed);
            half_opened.store(t.half_opened, std::memory_order_relaxed);
            closed.store(t.closed, std::memory_order_relaxed);
            state.store(core.state(), std::memory_order_release);
            permitted_from.store(core.permitted_from().time_since_epoch().count(), std::memory_order_release);
        }

        const duration recheck;
        std::mutex mutex;
        detail::breaker_core core;  // under the mutex; what follows are its published copies
        std::atomic<breaker_state> state{breaker_state::closed};
        std::atomic<duration::rep> permitted_from{duration::min().count()};
        std::atomic<std::uint64_t> opened{0}, half_opened{0}, closed{0};
    };

    bool finish(permit p, time_point now, bool failed) const {
        const std::lock_guard lock{shared_->mutex};
        const bool changed = shared_->core.finish(p, now, failed);
        shared_->publish();
        return changed;
    }

    std::shared_ptr<shared> shared_;
};

static_assert(breaker_policy<no_breaker> && breaker_policy<shared_circuit_breaker>);

}  // namespace hawser::inline v0
