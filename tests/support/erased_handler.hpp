// SPDX-License-Identifier: BSL-1.0
// `asio::any_completion_handler` (Asio 1.26), or where Asio has none the like of it: the executor, the allocator and the
// cancellation slot of what it holds come through, its allocator is one with what it holds, and its executor cannot be asked
// not to call at once.
#pragma once

#include <asio/async_result.hpp>
#include <asio/associated_allocator.hpp>
#include <asio/associated_cancellation_slot.hpp>
#include <asio/associated_executor.hpp>
#include <asio/bind_executor.hpp>
#include <asio/execution/any_executor.hpp>
#include <asio/execution/context_as.hpp>
#include <asio/execution/outstanding_work.hpp>
#include <asio/execution/prefer_only.hpp>
#include <asio/execution/relationship.hpp>
#include <asio/execution_context.hpp>

#if __has_include(<asio/any_completion_handler.hpp>)
#include <asio/any_completion_handler.hpp>
#endif

#include <cstddef>
#include <memory>
#include <type_traits>
#include <utility>

namespace support {

#if __has_include(<asio/any_completion_handler.hpp>)
template <class Signature>
using any_handler = asio::any_completion_handler<Signature>;
#else

using any_handler_executor =
    asio::execution::any_executor<asio::execution::context_as_t<asio::execution_context&>,
                                  asio::execution::prefer_only<asio::execution::outstanding_work_t::tracked_t>,
                                  asio::execution::prefer_only<asio::execution::outstanding_work_t::untracked_t>,
                                  asio::execution::prefer_only<asio::execution::relationship_t::fork_t>,
                                  asio::execution::prefer_only<asio::execution::relationship_t::continuation_t>>;

struct erased_base {
    virtual void* allocate(std::size_t n) = 0;
    virtual void deallocate(void* p, std::size_t n) noexcept = 0;
    virtual any_handler_executor executor(const any_handler_executor& otherwise) = 0;
    virtual asio::cancellation_slot slot() = 0;
    virtual void destroy() noexcept = 0;

protected:
    ~erased_base() = default;
};

// Of the handler that it points to, and as short-lived; none can be made from nothing.
template <class T>
struct erased_allocator {
    using value_type = T;
    explicit erased_allocator(erased_base* b) noexcept : of(b) {}
    template <class U>
    erased_allocator(const erased_allocator<U>& other) noexcept : of(other.of) {}
    [[nodiscard]] T* allocate(std::size_t n) { return static_cast<T*>(of->allocate(n * sizeof(T))); }
    void deallocate(T* p, std::size_t n) noexcept { of->deallocate(p, n * sizeof(T)); }
    friend bool operator==(const erased_allocator&, const erased_allocator&) noexcept = default;
    erased_base* of;
};

template <class Signature>
class any_handler;
template <class... Args>
class any_handler<void(Args...)> {
    struct callable : erased_base {
        virtual void call(Args... args) = 0;

    protected:
        ~callable() = default;
    };
    template <class H>
    struct held final : callable {
        using bytes = typename std::allocator_traits<asio::associated_allocator_t<H>>::template rebind_alloc<std::byte>;
        using own = typename std::allocator_traits<asio::associated_allocator_t<H>>::template rebind_alloc<held>;
        explicit held(H h) : handler(std::move(h)) {}
        static held* make(H h) {
            own a(asio::get_associated_allocator(h));
            return ::new (std::allocator_traits<own>::allocate(a, 1)) held(std::move(h));
        }
        void* allocate(std::size_t n) override {
            bytes a(asio::get_associated_allocator(handler));
            return std::allocator_traits<bytes>::allocate(a, n);
        }
        void deallocate(void* p, std::size_t n) noexcept override {
            bytes a(asio::get_associated_allocator(handler));
            std::allocator_traits<bytes>::deallocate(a, static_cast<std::byte*>(p), n);
        }
        any_handler_executor executor(const any_handler_executor& otherwise) override {
            return any_handler_executor(asio::get_associated_executor(handler, otherwise));
        }
        asio::cancellation_slot slot() override { return asio::get_associated_cancellation_slot(handler); }
        void call(Args... args) override {
            H h(std::move(handler));
            destroy();
            std::move(h)(std::move(args)...);
        }
        void destroy() noexcept override {
            own a(asio::get_associated_allocator(handler));
            std::destroy_at(this);
            std::allocator_traits<own>::deallocate(a, this, 1);
        }
        H handler;
    };
    struct deleter {
        void operator()(callable* c) const noexcept { c->destroy(); }
    };

public:
    using allocator_type = erased_allocator<void>;
    using cancellation_slot_type = asio::cancellation_slot;

    template <class H>
        requires(!std::is_same_v<std::decay_t<H>, any_handler>)
    any_handler(H&& h) : held_(held<std::decay_t<H>>::make(std::forward<H>(h))) {}  // NOLINT: converts
    [[nodiscard]] allocator_type get_allocator() const noexcept { return allocator_type(held_.get()); }
    [[nodiscard]] cancellation_slot_type get_cancellation_slot() const noexcept { return held_->slot(); }
    [[nodiscard]] any_handler_executor executor(const any_handler_executor& otherwise) const { return held_->executor(otherwise); }
    void operator()(Args... args) { held_.release()->call(std::move(args)...); }

private:
    std::unique_ptr<callable, deleter> held_;
};
#endif

// A completion token whose handler is type-erased for the signature of the operation; `Executor` void: without one of its own.
template <class Executor, class Handler>
struct erased_token {
    Executor executor;
    Handler handler;
};
template <class Handler>
struct erased_token<void, Handler> {
    struct none {} executor;
    Handler handler;
};

}  // namespace support

namespace asio {

#if !__has_include(<asio/any_completion_handler.hpp>)
template <class Signature, class Candidate>
struct associated_executor<support::any_handler<Signature>, Candidate> {
    using type = support::any_handler_executor;
    static type get(const support::any_handler<Signature>& h, const Candidate& c = Candidate()) noexcept { return h.executor(type(c)); }
};
#endif

template <class Executor, class Handler, class... Args>
class async_result<support::erased_token<Executor, Handler>, void(Args...)> {
public:
    template <class Initiation, class... Given>
    static void initiate(Initiation&& i, support::erased_token<Executor, Handler> token, Given&&... given) {
        using erased = support::any_handler<void(Args...)>;
        if constexpr (std::is_void_v<Executor>)
            std::forward<Initiation>(i)(erased(std::move(token.handler)), std::forward<Given>(given)...);
        else
            std::forward<Initiation>(i)(erased(bind_executor(token.executor, std::move(token.handler))), std::forward<Given>(given)...);
    }
};

}  // namespace asio
