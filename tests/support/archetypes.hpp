// SPDX-License-Identifier: BSL-1.0
// Completion tokens, handlers and allocators that show whether an asynchronous operation is generic.
#pragma once

#include <asio/async_result.hpp>
#include <asio/execution/context.hpp>
#include <asio/io_context.hpp>

#if __has_include(<asio/deferred.hpp>)
#include <asio/as_tuple.hpp>
#include <asio/deferred.hpp>
#else
#include <asio/experimental/as_tuple.hpp>
#include <asio/experimental/deferred.hpp>
#endif

#include <cstddef>
#include <memory>
#include <system_error>
#include <tuple>
#include <type_traits>
#include <utility>

namespace support {

// Top level from Asio 1.24 on.
#if __has_include(<asio/deferred.hpp>)
using asio::as_tuple;
using asio::deferred;
#else
using asio::experimental::as_tuple;
using asio::experimental::deferred;
#endif

// ---- lazy: keeps the operation, with copies of its arguments, and starts it later -----------------

struct lazy_token {};

template <class Initiation, class... Args>
class lazy_operation {
public:
    explicit lazy_operation(Initiation i, Args... args) : initiation_(std::move(i)), arguments_(std::move(args)...) {}
    template <class Handler>
    void start(Handler&& handler) && {
        std::apply([&](Args&... args) { std::move(initiation_)(std::forward<Handler>(handler), std::move(args)...); }, arguments_);
    }

private:
    Initiation initiation_;
    std::tuple<Args...> arguments_;
};

// ---- immediate: starts at once, and returns what it sees of the completion ------------------------

// Also says that its handler may be called at once, where Asio knows of that (1.27).
struct inline_executor {
    asio::io_context* context_ = nullptr;
    template <class F>
    void execute(F f) const { std::move(f)(); }
    [[nodiscard]] asio::execution_context& query(asio::execution::context_t) const noexcept { return *context_; }
    friend bool operator==(const inline_executor&, const inline_executor&) noexcept = default;
};

struct immediate_token {
    asio::io_context* context;
};

// Whether the operation completed inside of its initiating function, and what came.
struct observed {
    int calls = 0;
    bool initiating = true;
    bool inside = false;
    std::error_code error;
};

// Cannot be copied, and counts itself.
struct immediate_handler {
    using immediate_executor_type = inline_executor;
    [[nodiscard]] immediate_executor_type get_immediate_executor() const noexcept { return {context}; }
    template <class... Args>
    void operator()(std::error_code ec, Args&&...) && {
        ++seen->calls;
        seen->inside = seen->initiating;
        seen->error = ec;
    }
    asio::io_context* context;
    std::shared_ptr<observed> seen;
    std::unique_ptr<int> not_copyable = std::make_unique<int>();
};

// ---- handlers with associations -------------------------------------------------------------------

// Memory that a handler's allocator gave out and has not got back.
struct ledger {
    int given = 0;
    int outstanding = 0;
};

template <class T>
class counting_allocator {
public:
    using value_type = T;
    explicit counting_allocator(ledger& l) noexcept : ledger_(&l) {}
    template <class U>
    counting_allocator(const counting_allocator<U>& other) noexcept : ledger_(other.ledger_) {}
    [[nodiscard]] T* allocate(std::size_t n) {
        ++ledger_->given;
        ++ledger_->outstanding;
        return std::allocator<T>{}.allocate(n);
    }
    void deallocate(T* p, std::size_t n) noexcept {
        --ledger_->outstanding;
        std::allocator<T>{}.deallocate(p, n);
    }
    friend bool operator==(const counting_allocator& a, const counting_allocator& b) noexcept { return a.ledger_ == b.ledger_; }

private:
    template <class>
    friend class counting_allocator;
    ledger* ledger_;
};

// Move-only; its allocator is a ledger's, and it sees whether the memory was back at its call.
template <class F>
struct counted_handler {
    using allocator_type = counting_allocator<void>;
    [[nodiscard]] allocator_type get_allocator() const noexcept { return allocator_type(*book); }
    template <class... Args>
    void operator()(Args&&... args) {
        function(book->outstanding, std::forward<Args>(args)...);
    }
    ledger* book;
    F function;
    std::unique_ptr<int> not_copyable = std::make_unique<int>();
};
template <class F>
[[nodiscard]] counted_handler<F> counted(ledger& l, F f) {
    return {&l, std::move(f)};
}

}  // namespace support

namespace asio {

template <class R, class... Args>
class async_result<support::lazy_token, R(Args...)> {
public:
    template <class Initiation, class... Given>
    static auto initiate(Initiation&& i, support::lazy_token, Given&&... given) {
        return support::lazy_operation<std::decay_t<Initiation>, std::decay_t<Given>...>(std::forward<Initiation>(i),
                                                                                         std::forward<Given>(given)...);
    }
};

template <class R, class... Args>
class async_result<support::immediate_token, R(Args...)> {
public:
    template <class Initiation, class... Given>
    static std::shared_ptr<support::observed> initiate(Initiation&& i, support::immediate_token token, Given&&... given) {
        auto seen = std::make_shared<support::observed>();
        std::forward<Initiation>(i)(support::immediate_handler{token.context, seen}, std::forward<Given>(given)...);
        seen->initiating = false;
        return seen;
    }
};

}  // namespace asio
