// SPDX-License-Identifier: BSL-1.0
/// \file
/// A callback with `handler_options`: its breaker, its fallback, and who is told.
#pragma once

#include <hawser/link/failure.hpp>
#include <hawser/link/link.hpp>
#include <hawser/policy/handler_options.hpp>

#include <memory>
#include <tuple>
#include <type_traits>
#include <utility>

namespace hawser::inline v0::detail {

/// What the link holds in place of the bare function, which costs it nothing where nobody asked for a guard.
/// Lives in its link, which outlives the turn in which it is called.
template <class P, class... Args>
class guarded_handler {
public:
    guarded_handler(link<P>& owner, std::string_view name, std::function<void(Args...)> f, handler_options<Args...> how)
        : state_(std::make_shared<state>(owner, name, std::move(f), std::move(how))) {}

    void operator()(Args... args) const {
        const auto keep = state_;  // it may be replaced in the call
        keep->call(args...);
    }

private:
    struct state {
        state(link<P>& l, std::string_view n, std::function<void(Args...)> f, handler_options<Args...> h)
            : owner(l), name(n), main(std::move(f)), how(std::move(h)) {
            if (how.breaker) breaker.emplace(*how.breaker);
        }

        void call(Args... args) {
            const time_point now = owner.runtime().now();
            std::optional<breaker_permit> permit;
            if (breaker && !(permit = breaker->try_acquire(now))) return skip(args...);
            handler_failure failure{.callback = name};
            std::string what;
            try {
                main(args...);
                if (permit) (void)breaker->finish(*permit, now, false);
                return;
            } catch (...) {
                owner.note_exception("callback_threw", name);
                failure.error = error_of_exception();
                what = text_without_throwing();
            }
            failure.what = what;
            if (permit) failure.breaker_opened = breaker->finish(*permit, now, true);
            if (!owner.orphaned) mend(failure, args...);
        }
        void skip(Args... args) {
            owner.count(counter::handlers_skipped);
            handler_failure failure{.callback = name, .error = errc::circuit_open, .skipped = true};
            mend(failure, args...);
        }
        void mend(handler_failure& failure, Args... args) {
            if (how.fallback) failure.helped = attempt("fallback_threw", [&] { how.fallback(args...); });
            if (failure.helped) owner.count(counter::handler_fallbacks);
            if (owner.orphaned) return;
            if (how.on_failure) (void)attempt("on_failure_threw", [&] { how.on_failure(failure); });
            if (failure.helped || owner.orphaned) return;
            owner.handler_gave_up(how.criticality.value_or(owner.settings().handler_errors));
            if constexpr (std::is_same_v<std::tuple<Args...>, std::tuple<const message_view&>>) owner.fail_for_handler();
        }
        template <class F>
        bool attempt(std::string_view event, F f) {
            try {
                f();
                return true;
            } catch (...) {
                owner.note_exception(event, name);
                return false;
            }
        }
        [[nodiscard]] static std::string text_without_throwing() noexcept {
            try {
                return text_of_exception();
            } catch (...) {
                return {};
            }
        }

        link<P>& owner;
        std::string_view name;
        std::function<void(Args...)> main;
        handler_options<Args...> how;
        std::optional<breaker_core> breaker;
    };
    std::shared_ptr<state> state_;
};

/// `f` as the link is to hold it; the name is a literal.
template <class P, class... Args>
[[nodiscard]] std::function<void(Args...)> guard(link<P>& owner, std::string_view name, std::function<void(Args...)> f,
                                                 handler_options<Args...> how) {
    if (!f) return f;
    return guarded_handler<P, Args...>(owner, name, std::move(f), std::move(how));
}

}  // namespace hawser::inline v0::detail
