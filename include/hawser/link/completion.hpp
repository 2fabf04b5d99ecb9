// SPDX-License-Identifier: BSL-1.0
/// \file
/// A waiting operation of the application: its handler, type-erased.
#pragma once

#include <hawser/driver/driver.hpp>

#include <asio/associated_allocator.hpp>
#include <asio/associated_cancellation_slot.hpp>
#include <asio/associated_executor.hpp>
#include <asio/cancellation_type.hpp>
#include <asio/error.hpp>
#include <asio/executor_work_guard.hpp>
#include <asio/post.hpp>

#include <atomic>
#include <memory>
#include <optional>
#include <tuple>
#include <utility>

namespace hawser::inline v0::detail {

/// Whether nothing may be left behind by what is cancelled: the other kinds permit it.
[[nodiscard]] inline bool is_total(asio::cancellation_type how) noexcept {
    using kind = asio::cancellation_type;
    return (how & (kind::terminal | kind::partial)) == kind::none;
}

/// A result on its way from the strand to its handler. Cancelling may come first, and then it goes
/// back to where it was taken from: an operation that loses a race swallows nothing. It belongs to
/// the first who claims it. Thread safety: `claim` from any thread.
template <class T>
class parcel {
public:
    [[nodiscard]] bool claim() noexcept { return !claimed_.exchange(true); }
    std::optional<T> content;

private:
    std::atomic<bool> claimed_{false};
};

/// Where a result waits for the call of its handler: in a parcel, if there is one.
template <class T>
struct by_parcel {
    std::shared_ptr<parcel<T>> shared;
    void put(const std::error_code& ec, T& result) const {
        if (shared && !ec) shared->content.emplace(std::move(result));
    }
    void take(std::error_code& ec, T& result) const {
        if (!shared || ec) return;
        if (shared->claim()) result = std::move(*shared->content);
        else ec = asio::error::operation_aborted;
    }
};
/// The same for results that nobody misses.
struct by_value {
    static void put(const auto&...) noexcept {}
    static void take(const auto&...) noexcept {}
};

/// A handler with its arguments, ready to run; keeps the handler's associated allocator.
template <class Handler, class Delivery, class... Args>
struct bound_handler {
    Handler handler;
    [[no_unique_address]] Delivery delivery;
    std::tuple<Args...> arguments;

    using allocator_type = asio::associated_allocator_t<Handler>;
    [[nodiscard]] allocator_type get_allocator() const noexcept { return asio::get_associated_allocator(handler); }
    void operator()() {
        std::apply([this](Args&... args) { delivery.take(args...); }, arguments);
        std::apply(std::move(handler), std::move(arguments));
    }
};

/// Holds one handler until it is completed, exactly once, or destroyed. Completing posts it to
/// its associated executor (the driver's where it has none) after its memory was given back,
/// never inside the call that completes. While it waits, its executor has work.
template <class... Args>
class completion {
    struct base {
        virtual void complete(Args... args) = 0;
        virtual void destroy() noexcept = 0;

    protected:
        ~base() = default;
    };

    template <class Handler, class Delivery>
    struct holder final : base {
        using executor_type = asio::associated_executor_t<Handler, driver::executor_type>;
        using allocator_type =
            typename std::allocator_traits<asio::associated_allocator_t<Handler>>::template rebind_alloc<holder>;

        holder(Handler h, Delivery d, const driver::executor_type& fallback)
            : handler(std::move(h)), delivery(std::move(d)), work(asio::get_associated_executor(handler, fallback)) {}

        void complete(Args... args) override {
            allocator_type allocator(asio::get_associated_allocator(handler));
            delivery.put(args...);
            bound_handler<Handler, Delivery, Args...> bound{std::move(handler), std::move(delivery),
                                                            {std::move(args)...}};
            auto guard = std::move(work);
            release(allocator);
            asio::post(guard.get_executor(), std::move(bound));
        }
        void destroy() noexcept override {
            allocator_type allocator(asio::get_associated_allocator(handler));
            release(allocator);
        }
        void release(allocator_type& allocator) noexcept {
            std::destroy_at(this);
            std::allocator_traits<allocator_type>::deallocate(allocator, this, 1);
        }
        static holder* make(Handler h, Delivery d, const driver::executor_type& fallback) {
            allocator_type allocator(asio::get_associated_allocator(h));
            holder* memory = std::allocator_traits<allocator_type>::allocate(allocator, 1);
            return std::construct_at(memory, std::move(h), std::move(d), fallback);
        }

        Handler handler;
        [[no_unique_address]] Delivery delivery;
        asio::executor_work_guard<executor_type> work;
    };

public:
    completion() noexcept = default;
    template <class Handler, class Delivery = by_value>
    completion(Handler h, const driver::executor_type& fallback, Delivery d = {})
        : held_(holder<Handler, Delivery>::make(std::move(h), std::move(d), fallback)) {}
    completion(completion&& other) noexcept : held_(std::exchange(other.held_, nullptr)) {}
    completion& operator=(completion&& other) noexcept {
        std::swap(held_, other.held_);
        return *this;
    }
    ~completion() {
        if (held_) held_->destroy();
    }

    [[nodiscard]] explicit operator bool() const noexcept { return held_ != nullptr; }
    void operator()(Args... args) {
        if (held_) std::exchange(held_, nullptr)->complete(std::move(args)...);
    }

private:
    base* held_ = nullptr;
};

}  // namespace hawser::inline v0::detail
