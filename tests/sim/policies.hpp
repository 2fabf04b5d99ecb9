// SPDX-License-Identifier: BSL-1.0
// The policies of simulated sockets: the shipped ones, chosen at run time so that one type serves
// all configurations.
#pragma once

#include <hawser/custom_policies.hpp>
#include <hawser/hawser.hpp>

#include <array>
#include <variant>

namespace sim {

enum class jitter_kind : std::uint8_t { full, equal, decorrelated, none };
inline constexpr const char* jitter_names[] = {"full", "equal", "decorrelated", "none"};
inline jitter_kind jitter_in_use = jitter_kind::full;  // of the present world

struct chosen_jitter {
    static std::uint64_t draw(hawser::xoshiro256& rng, const hawser::jitter_range& range) {
        switch (jitter_in_use) {
        case jitter_kind::full: return hawser::full_jitter::draw(rng, range);
        case jitter_kind::equal: return hawser::equal_jitter::draw(rng, range);
        case jitter_kind::decorrelated: return hawser::decorrelated_jitter::draw(rng, range);
        case jitter_kind::none: break;
        }
        return hawser::no_jitter::draw(rng, range);
    }
};

enum class overflow_kind : std::uint8_t { block, reject, drop_oldest, drop_newest, coalesce, close };
inline constexpr std::size_t overflow_kinds = 6;
// How often each did something, in the present world.
inline std::array<std::uint64_t, overflow_kinds> overflow_met{};

// The remainder of `max_messages` chooses the model.
[[nodiscard]] inline overflow_kind kind_of(const hawser::overflow_limits& limits) {
    return static_cast<overflow_kind>(limits.max_messages % overflow_kinds);
}
class chosen_overflow {
public:
    explicit chosen_overflow(const hawser::overflow_limits& limits = {}) : kind_(kind_of(limits)) {
        switch (kind_) {
        case overflow_kind::block: model_.emplace<hawser::blocking_overflow>(limits); break;
        case overflow_kind::reject: model_.emplace<hawser::rejecting_overflow>(limits); break;
        case overflow_kind::drop_oldest: model_.emplace<hawser::drop_oldest_overflow>(limits); break;
        case overflow_kind::drop_newest: model_.emplace<hawser::drop_newest_overflow>(limits); break;
        case overflow_kind::coalesce: model_.emplace<hawser::coalescing_overflow>(limits); break;
        case overflow_kind::close: model_.emplace<hawser::closing_overflow>(limits); break;
        }
    }
    [[nodiscard]] hawser::overflow_action on_enqueue(std::size_t bytes, std::size_t messages, std::size_t size) {
        const auto action = std::visit([&](auto& m) { return m.on_enqueue(bytes, messages, size); }, model_);
        if (action != hawser::overflow_action::accept) ++overflow_met[static_cast<std::size_t>(kind_)];
        return action;
    }
    [[nodiscard]] bool on_drained(std::size_t bytes, std::size_t messages) {
        return std::visit([&](auto& m) { return m.on_drained(bytes, messages); }, model_);
    }
    [[nodiscard]] bool paused() const {
        return std::visit([](const auto& m) { return m.paused(); }, model_);
    }
    [[nodiscard]] hawser::overflow_action on_aged() const {
        return kind_ == overflow_kind::close ? hawser::overflow_action::close : hawser::overflow_action::drop_oldest;
    }

private:
    overflow_kind kind_;
    std::variant<hawser::blocking_overflow, hawser::rejecting_overflow, hawser::drop_oldest_overflow, hawser::drop_newest_overflow,
                 hawser::coalescing_overflow, hawser::closing_overflow>
        model_;
};

struct policies : hawser::default_policies {
    using reconnect = hawser::exponential_backoff<chosen_jitter>;
    using overflow = chosen_overflow;
    using metrics = hawser::counting_metrics;
    using logger = hawser::callback_log;
};

using socket = hawser::resilient_socket<policies>;
using server_socket = hawser::listener<policies>;
using objects = hawser::policy_objects<policies>;

}  // namespace sim

// Compiled once, in sockets.cpp: a socket takes a compiler many seconds.
#if !defined(SIM_SOCKETS_HERE)
namespace hawser::inline v0 {
extern template class detail::link<sim::policies>;
extern template class detail::listener_core<sim::policies>;
extern template class resilient_socket<sim::policies>;
extern template class listener<sim::policies>;
}  // namespace hawser::inline v0
#endif
