// SPDX-License-Identifier: BSL-1.0
/// \file
/// Simulated machines and the processes that live and die on them.
#pragma once

#include <hawser/testing/disk.hpp>
#include <hawser/testing/node.hpp>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace hawser::inline v0::testing {

class host;

/// One run of a program on a machine, from its start to its death.
class process {
public:
    /// Internal: `host::start` makes it.
    process(host& where, scheduler& s, network& net, const std::string& name, std::uint64_t seed)
        : where_(where), context_(1), node_(install_driver<testing::node>(context_, s, net, name, seed)) {}
    ~process() {
        while (!objects_.empty()) objects_.pop_back();
    }
    process(const process&) = delete;
    process& operator=(const process&) = delete;

    /// The context for the sockets and listeners of the program.
    [[nodiscard]] asio::io_context& context() noexcept { return context_; }
    /// Makes an object that lives as long as the process; the last made dies first. When the
    /// process is killed its destructor still runs, but nothing of that is seen outside.
    template <class T, class... Args>
    T& make(Args&&... args) {
        struct holder final : object {
            explicit holder(Args&&... a) : value(std::forward<Args>(a)...) {}
            T value;
        };
        auto owned = std::make_unique<holder>(std::forward<Args>(args)...);
        T& result = owned->value;
        objects_.push_back(std::move(owned));
        return result;
    }
    /// Does something later; nothing if the process is dead by then.
    void after(duration wait, std::function<void()> what) { node_.after(wait, std::move(what)); }
    /// The present handler takes so long: until then nothing else of the process runs.
    void spend(duration time);
    /// The machine that it runs on.
    [[nodiscard]] host& where() noexcept { return where_; }
    /// Its driver, for faults of the process.
    [[nodiscard]] testing::node& runtime() noexcept { return node_; }

private:
    struct object {
        virtual ~object() = default;
    };
    host& where_;
    asio::io_context context_;
    testing::node& node_;
    std::vector<std::unique_ptr<object>> objects_;
};

/// A machine: a name in the network, a disk, and at most one process at a time.
/// Thread safety: none.
class host {
public:
    using program = std::function<void(process&)>;  ///< makes the objects of a process and returns

    /// Internal: `world::add` makes it.
    host(scheduler& s, network& net, std::string name, std::uint64_t seed)
        : scheduler_(s), network_(net), name_(std::move(name)), seeds_(seed), storage_(seeds_()) {
        (void)net.at(name_);
    }
    host(const host&) = delete;
    host& operator=(const host&) = delete;

    /// Starts `main`, now and after each restart. It makes its objects and returns.
    void start(program main) {
        program_ = std::move(main);
        boot();
    }
    /// The process dies before its next handler; peers see what `how` says. Can be called
    /// anywhere, also by the process itself.
    void kill(farewell how = farewell::reset) {
        if (process_) process_->runtime().die(how);
    }
    /// The machine loses power: its process is gone, unsynchronised files suffer, and whatever
    /// comes for it stays unanswered until it is started again.
    void power_off() {
        if (!process_) return;
        network_.power(name_, false);
        kill(farewell::silence);
    }
    /// Starts the program again after a while, on a machine that has power again. A process that
    /// still runs is let be, but if it is about to die.
    void restart_in(duration after) {
        scheduler_.at(scheduler_.now() + after, scheduler::nobody, [this] {
            if (!program_) return;
            if (!process_) boot();
            else if (process_->runtime().handlers_until_death > 0 || !running()) restart_in(milliseconds{100});
        });
    }
    /// The process gets no processor for a while.
    void pause(duration time) {
        if (!process_) return;
        process_->runtime().pause();
        scheduler_.at(scheduler_.now() + time, scheduler::nobody, [this, life = incarnation_] {
            if (process_ && life == incarnation_) process_->runtime().resume();
        });
    }
    /// Whether a process runs, and is not about to die.
    [[nodiscard]] bool running() const noexcept { return process_ && !process_->runtime().is_dying(); }
    /// Precondition: `running()`.
    [[nodiscard]] testing::process& process() noexcept { return *process_; }
    /// Does something inside the process, as one of its handlers. Without a process: nothing.
    void run(std::function<void(testing::process&)> what) {
        if (!running()) return;
        asio::post(process_->runtime().executor(), [this, what = std::move(what)] { what(*process_); });
        process_->runtime().drain();
    }
    /// How often it was started.
    [[nodiscard]] std::uint32_t incarnation() const noexcept { return incarnation_; }
    /// Its name in the network.
    [[nodiscard]] const std::string& name() const noexcept { return name_; }
    /// Its disk, which outlives its processes.
    [[nodiscard]] disk& storage() noexcept { return storage_; }
    /// Executes what was started from outside of the simulation.
    void drain() {
        if (process_) process_->runtime().drain();
    }

private:
    void boot() {
        if (process_) return;
        network_.power(name_, true);
        scheduler_.trace("start ", name_);
        ++incarnation_;
        process_ = std::make_unique<testing::process>(*this, scheduler_, network_, name_, seeds_());
        process_->runtime().on_death = [this](farewell how) {
            scheduler_.trace(how == farewell::silence ? "power off " : "killed ", name_);
            scheduler_.at(scheduler_.now(), scheduler::nobody, [this, how] { bury(how); });
        };
        run([this](testing::process& p) { program_(p); });
    }
    void bury(farewell how) {
        process_.reset();
        if (how == farewell::silence) storage_.crash();
        if (on_exit) on_exit();
    }

public:
    /// Called when its process is gone.
    std::function<void()> on_exit;

private:
    scheduler& scheduler_;
    network& network_;
    std::string name_;
    xoshiro256 seeds_;
    disk storage_;
    std::unique_ptr<testing::process> process_;
    program program_;
    std::uint32_t incarnation_ = 0;
};

inline void process::spend(duration time) { where_.pause(time); }

}  // namespace hawser::inline v0::testing
