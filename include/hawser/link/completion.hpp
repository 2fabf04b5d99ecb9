// SPDX-License-Identifier: BSL-1.0
/// \file
/// A waiting operation of the application: its handler, type-erased.
#pragma once

#include <hawser/core/config.hpp>
#include <hawser/core/detail/recycling.hpp>
#include <hawser/core/outcome.hpp>
#include <hawser/driver/driver.hpp>
#include <hawser/link/failure.hpp>

#include <asio/associated_allocator.hpp>
#include <asio/associated_cancellation_slot.hpp>
#include <asio/associated_executor.hpp>
#include <asio/cancellation_type.hpp>
#include <asio/error.hpp>
#include <asio/execution/allocator.hpp>
#include <asio/execution/blocking.hpp>
#include <asio/executor_work_guard.hpp>
#include <asio/is_executor.hpp>
#include <asio/post.hpp>
#include <asio/prefer.hpp>
#include <asio/require.hpp>

#include <atomic>
#include <memory>
#include <new>
#include <optional>
#include <tuple>
#include <type_traits>
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

/// The result of an operation that could not even be started, beside its error.
template <class T>
struct no_result {
    [[nodiscard]] static T make() { return T{}; }
};
template <>
struct no_result<outcome> {
    [[nodiscard]] static outcome make() noexcept { return outcome::refused; }
};

template <class Executor>
[[nodiscard]] bool is_strand_of(const driver& d, const Executor& e) noexcept {
    if constexpr (std::is_same_v<Executor, driver::executor_type>) {
        return e == d.executor();
    } else if constexpr (requires { e.template target<driver::executor_type>(); }) {
        const auto* strand = e.template target<driver::executor_type>();
        return strand && *strand == d.executor();
    } else {
        return false;
    }
}

/// Whether `asio::post` takes it. Of those of `asio::any_completion_handler` and others that may call a function at once, and
/// cannot be asked not to, Asio wants that they are used where that does no harm.
template <class Executor>
inline constexpr bool can_post = asio::can_require_v<Executor, asio::execution::blocking_t::never_t> || asio::is_executor<Executor>::value;

/// A handler that is called once or destroyed, in memory of its own; it counts who refers to it.
class held_call : public pending_call {
public:
    /// On the handler's executor: the memory goes back, then the handler is called.
    virtual void invoke() = 0;
    void refer() noexcept { references_.fetch_add(1, std::memory_order_relaxed); }
    void release() noexcept {
        if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) destroy();
    }
    /// As `release`, of one reference among several.
    void drop_one() noexcept { references_.fetch_sub(1, std::memory_order_acq_rel); }
    [[nodiscard]] bool shared() const noexcept { return references_.load(std::memory_order_acquire) > 1; }

protected:
    virtual void destroy() noexcept = 0;

private:
    std::atomic<int> references_{1};
};

/// Lives while this thread hands a handler to an executor: whether it came back uncalled, as it does where there is no memory
/// and where nothing runs any more. Once it did not, another thread may have called and destroyed it.
class handing_over {
public:
    explicit handing_over(const held_call& what) noexcept : what_(&what), outer_(std::exchange(innermost_, this)) {}
    handing_over(const handing_over&) = delete;
    handing_over& operator=(const handing_over&) = delete;
    ~handing_over() { innermost_ = outer_; }
    [[nodiscard]] bool came_back() const noexcept { return came_back_; }
    /// `what` was destroyed uncalled. Whether this thread is handing it over just now, and keeps it.
    [[nodiscard]] static bool give_back(const held_call* what) noexcept {
        if (!is_handed(what)) return false;
        innermost_->came_back_ = true;
        innermost_->what_ = nullptr;
        return true;
    }
    /// `what` is called, and gone: another one may get its address.
    static void called(const held_call* what) noexcept {
        if (is_handed(what)) innermost_->what_ = nullptr;
    }

private:
    [[nodiscard]] static bool is_handed(const held_call* what) noexcept { return innermost_ && innermost_->what_ == what; }
    static inline thread_local constinit handing_over* innermost_ = nullptr;
    const held_call* what_;
    handing_over* outer_;
    bool came_back_ = false;
};

/// What is posted: the reference of the completion, and the only one, so that the memory is back before the call.
class posted_call {
public:
    explicit posted_call(held_call& c) noexcept : target_(&c) {}
    posted_call(posted_call&& other) noexcept : target_(std::exchange(other.target_, nullptr)) {}
    posted_call& operator=(posted_call&&) = delete;
    ~posted_call() {
        if (target_ && !handing_over::give_back(target_)) target_->release();
    }
    void operator()() {
        held_call* const c = std::exchange(target_, nullptr);
        handing_over::called(c);
        c->invoke();
    }

private:
    held_call* target_;
};

/// The same with the handler's allocator, where it has one.
template <class Holder, class Allocator>
class posted_call_with : public posted_call {
public:
    using allocator_type = Allocator;
    explicit posted_call_with(Holder& h) noexcept : posted_call(h), holder_(&h) {}
    [[nodiscard]] allocator_type get_allocator() const noexcept { return asio::get_associated_allocator(holder_->handler); }

private:
    Holder* holder_;
};

// Most handlers have one of these executors: what takes a compiler long is not done again for each of them.
HAWSER_COMPILED_ONCE void post_call(const driver::executor_type& executor, posted_call&& c);
HAWSER_COMPILED_ONCE void post_call(const asio::any_io_executor& executor, posted_call&& c);
template <class Executor, class Call>
void post_call(const Executor& executor, Call&& c) {
    asio::post(executor, std::move(c));
}

/// Holds one handler until it is completed, exactly once, or destroyed. Completing posts it to
/// its associated executor (the driver's where it has none), never inside the call that completes;
/// the memory is back before the handler is called or destroyed, as its allocator may be a part of it. Completing never fails: where there is no memory
/// to post, that is tried again later. While it waits, its executor has work.
template <class... Args>
class completion {
    struct base : held_call {
        virtual void complete(Args... args) = 0;
        completion* starting = nullptr;  // another reference, as long as it is on the stack of `start_with`
    };

    template <class Handler, class Delivery>
    struct holder final : base {
        using executor_type = asio::associated_executor_t<Handler, driver::executor_type>;
        using allocator_type =
            typename std::allocator_traits<asio::associated_allocator_t<Handler, recycling_allocator<char>>>::template rebind_alloc<holder>;

        using posted_allocator = asio::associated_allocator_t<Handler>;
        using posted = std::conditional_t<std::is_same_v<posted_allocator, std::allocator<void>>, posted_call,
                                          posted_call_with<holder, posted_allocator>>;

        holder(Handler h, Delivery d, driver& runtime, const allocator_type& a)
            : memory(a), handler(std::move(h)), delivery(std::move(d)),
              work(asio::get_associated_executor(handler, runtime.executor())), owner(runtime),
              on_strand(is_strand_of(runtime, work.get_executor())) {}

        void complete(Args... args) override {
            delivery.put(args...);
            arguments.emplace(std::move(args)...);
            if (on_strand) owner.call_soon(*this);
            else post();
        }
        void post() override {
            if constexpr (can_post<executor_type>) hand_over([this] { post_call(work.get_executor(), posted(*this)); }, false);
            else owner.call_soon(*this);  // first out of the call that completes
        }
        void call() override {
            if constexpr (!can_post<executor_type>) {
                if (!on_strand)
                    return hand_over([this] {
                        asio::prefer(work.get_executor(), asio::execution::allocator(asio::get_associated_allocator(handler)))
                            .execute(posted(*this));
                    }, true);
            }
            invoke();
        }
        void abandon() noexcept override { this->release(); }
        template <class F>
        void hand_over(F&& to_executor, bool may_call) {
            const handing_over attempt(*this);
            try {
                to_executor();
            } catch (const std::bad_alloc&) {
                if (attempt.came_back()) return owner.postpone(*this);
                if (may_call) throw;  // the handler's own
                return;  // it was taken before: a strand allocates once more to be run
            } catch (...) {
                if (attempt.came_back()) this->release();
                throw;
            }
            if (attempt.came_back()) this->release();
        }
        void invoke() override {
            Handler h(std::move(handler));
            Delivery d(std::move(delivery));
            std::tuple<Args...> a(std::move(*arguments));
            handler_taken = true;
            this->release();
            std::apply([&d](Args&... result) { d.take(result...); }, a);
            std::apply(std::move(h), std::move(a));
        }
        void destroy() noexcept override {
            allocator_type allocator(std::move(memory));
            std::optional<Handler> uncalled;
            try {
                if (!handler_taken) uncalled.emplace(std::move(handler));
            } catch (...) {
                // It cannot be moved, and goes with the rest.
            }
            std::destroy_at(this);
            std::allocator_traits<allocator_type>::deallocate(allocator, this, 1);
        }
        static holder* make(Handler h, Delivery d, driver& runtime) {
            allocator_type allocator(asio::get_associated_allocator(h, recycling_allocator<char>()));
            holder* place = std::allocator_traits<allocator_type>::allocate(allocator, 1);
            return std::construct_at(place, std::move(h), std::move(d), runtime, allocator);
        }

        [[no_unique_address]] allocator_type memory;  // the handler's, which moves on before its memory goes back
        Handler handler;
        [[no_unique_address]] Delivery delivery;
        asio::executor_work_guard<executor_type> work;
        driver& owner;
        bool on_strand;  // so is the handler's executor
        bool handler_taken = false;
        std::optional<std::tuple<Args...>> arguments;
    };

public:
    completion() noexcept = default;
    template <class Handler, class Delivery = by_value>
    completion(Handler h, driver& runtime, Delivery d = {})
        : held_(holder<Handler, Delivery>::make(std::move(h), std::move(d), runtime)) {}
    completion(completion&& other) noexcept : held_(std::exchange(other.held_, nullptr)) {}
    completion& operator=(completion&& other) noexcept {
        std::swap(held_, other.held_);
        return *this;
    }
    ~completion() {
        if (held_) held_->release();
    }

    [[nodiscard]] explicit operator bool() const noexcept { return held_ != nullptr; }
    void operator()(Args... args) {
        if (!held_) return;
        base* const b = std::exchange(held_, nullptr);
        if (b->starting) b->starting->let_go();
        b->complete(std::move(args)...);
    }
    /// Calls `start(the operation)`. If that throws and has not put the operation anywhere, it is
    /// completed with the error.
    template <class Start>
    void start_with(Start&& start) {
        completion same;
        same.held_ = held_;
        held_->refer();
        held_->starting = &same;
        try {
            start(std::move(*this));
        } catch (...) {
            completion(std::move(*this));  // where `start` left it
            const bool elsewhere = !same.held_ || same.held_->shared();
            same.started();
            if (!elsewhere) same.fail(error_of_exception(), static_cast<std::tuple<Args...>*>(nullptr));
            return;
        }
        same.started();
    }

private:
    template <class... Rest>
    void fail(std::error_code ec, std::tuple<std::error_code, Rest...>*) {
        (*this)(ec, no_result<Rest>::make()...);
    }
    void started() noexcept {
        if (held_) held_->starting = nullptr;
    }
    // It completes, perhaps on another thread, where nobody else may have a reference.
    void let_go() noexcept {
        base* const b = std::exchange(held_, nullptr);
        if (!b) return;
        b->starting = nullptr;
        b->drop_one();
    }
    base* held_ = nullptr;
};

}  // namespace hawser::inline v0::detail

#if !defined(HAWSER_SEPARATE_COMPILATION)
#include <hawser/link/completion_members.hpp>
#endif
