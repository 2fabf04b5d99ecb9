// SPDX-License-Identifier: BSL-1.0
/// \file
/// A waiting operation of the application: its handler, type-erased.
#pragma once

#include <hawser/driver/driver.hpp>

#include <asio/associated_allocator.hpp>
#include <asio/associated_cancellation_slot.hpp>
#include <asio/associated_executor.hpp>
#include <asio/cancellation_type.hpp>
#include <asio/executor_work_guard.hpp>
#include <asio/post.hpp>

#include <memory>
#include <tuple>
#include <utility>

namespace hawser::inline v0::detail {

/// A handler with its arguments, ready to run; keeps the handler's associated allocator.
template <class Handler, class... Args>
struct bound_handler {
    Handler handler;
    std::tuple<Args...> arguments;

    using allocator_type = asio::associated_allocator_t<Handler>;
    [[nodiscard]] allocator_type get_allocator() const noexcept { return asio::get_associated_allocator(handler); }
    void operator()() { std::apply(std::move(handler), std::move(arguments)); }
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

    template <class Handler>
    struct holder final : base {
        using executor_type = asio::associated_executor_t<Handler, driver::executor_type>;
        using allocator_type =
            typename std::allocator_traits<asio::associated_allocator_t<Handler>>::template rebind_alloc<holder>;

        holder(Handler h, const driver::executor_type& fallback)
            : handler(std::move(h)), work(asio::get_associated_executor(handler, fallback)) {}

        void complete(Args... args) override {
            allocator_type allocator(asio::get_associated_allocator(handler));
            bound_handler<Handler, Args...> bound{std::move(handler), {std::move(args)...}};
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
        static holder* make(Handler h, const driver::executor_type& fallback) {
            allocator_type allocator(asio::get_associated_allocator(h));
            holder* memory = std::allocator_traits<allocator_type>::allocate(allocator, 1);
            return std::construct_at(memory, std::move(h), fallback);
        }

        Handler handler;
        asio::executor_work_guard<executor_type> work;
    };

public:
    completion() noexcept = default;
    template <class Handler>
    completion(Handler h, const driver::executor_type& fallback)
        : held_(holder<Handler>::make(std::move(h), fallback)) {}
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
