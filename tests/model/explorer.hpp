// SPDX-License-Identifier: BSL-1.0
// Depth first through all states of a world. Each state is visited once; from each new one it is
// tried whether everything still drains when faults stop.
#pragma once

#include "model/arena.hpp"
#include "model/world.hpp"

#include <hawser/core/xxh3.hpp>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace model {

/// A set of hashes, open addressing. Never forgets.
class hash_set {
public:
    bool insert(std::uint64_t h) {
        if (h == 0) h = 1;
        if ((used_ + 1) * 2 > slots_.size()) grow();
        std::uint64_t& slot = find(h);
        if (slot == h) return false;
        slot = h;
        ++used_;
        return true;
    }
    [[nodiscard]] std::size_t size() const noexcept { return used_; }

private:
    std::uint64_t& find(std::uint64_t h) noexcept {
        std::size_t i = h & (slots_.size() - 1);
        while (slots_[i] != 0 && slots_[i] != h)
            i = (i + 1) & (slots_.size() - 1);
        return slots_[i];
    }
    void grow() {
        std::vector<std::uint64_t> old(std::max<std::size_t>(slots_.size() * 2, 1 << 12), 0);
        old.swap(slots_);
        for (const std::uint64_t h : old)
            if (h != 0) find(h) = h;
    }
    std::vector<std::uint64_t> slots_;
    std::size_t used_ = 0;
};

using trace = std::vector<action>;

struct counterexample {
    const char* what = "";
    trace steps;
    bool draining = false;  // the steps are right; it shows when faults stop afterwards
};
struct result {
    std::uint64_t states = 0, transitions = 0;
    std::size_t depth = 0;
    double seconds = 0;
    bool complete = true;
    std::optional<counterexample> found;
};

class explorer {
public:
    /// `audit`: whenever a state is met again, all that can follow it must be what followed it first.
    explicit explorer(const bounds& b, bool audit = false) : bounds_(b), audit_(audit) {}

    result run(std::uint64_t max_states = UINT64_MAX) {
        const auto start = std::chrono::steady_clock::now();
        max_states_ = max_states;
        result_ = {};
        begin();
        if (visit()) descend(0);
        result_.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
        return result_;
    }
    /// Takes the steps that are possible, in order, then lets all drain; what is wrong, if anything.
    std::optional<counterexample> replay(const trace& steps, bool draining) {
        begin();
        counterexample c;
        for (const action& a : steps) {
            if (!world_->allows(a)) continue;
            c.steps.push_back(a);
            if (const char* what = guarded([&] { world_->apply(a); })) return c.what = what, c;
        }
        c.draining = true;
        if (draining)
            if (const char* what = guarded([&] { world_->drain(); })) return c.what = what, c;
        return std::nullopt;
    }
    /// A counterexample without the steps that it does not need.
    counterexample shorten(counterexample c) {
        for (bool shorter = true; shorter;) {
            shorter = false;
            for (std::size_t i = c.steps.size(); i-- > 0;) {
                trace fewer = c.steps;
                fewer.erase(fewer.begin() + static_cast<std::ptrdiff_t>(i));
                auto again = replay(fewer, true);
                if (!again || again->steps.size() >= c.steps.size()) continue;
                c = *again;
                shorter = true;
                i = std::min(i, c.steps.size());
            }
        }
        return c;
    }

private:
    void begin() {
        arena::clear();
        const arena::scope in_arena;
        world_ = new world(bounds_);
    }
    template <class F>
    static const char* guarded(F&& f) {
        const arena::scope in_arena;
        try {
            f();
            return nullptr;
        } catch (const violation& v) {
            return v.what;
        }
    }
    // Whether the state is new; false also when something is found in it.
    bool visit() {
        const std::uint64_t hash = hash_of_state();
        const bool fresh = seen_.insert(hash);
        if (audit_) audit(hash);
        if (!fresh) return false;
        ++result_.states;
        save(scratch_);
        if (const char* what = guarded([&] { world_->drain(); })) found(what, true);
        load(scratch_);
        if (result_.states >= max_states_) result_.complete = false;
        return !over();
    }
    std::uint64_t hash_of_state() {
        printer_.clear();
        world_->print(printer_);
        return hawser::xxh3_64(printer_.bytes());
    }
    // Finds members that `print` forgets.
    void audit(std::uint64_t hash) {
        std::array<action, 96> steps;
        const unsigned n = world_->enabled(steps);
        std::uint64_t digest = n;
        save(scratch_);
        for (unsigned i = 0; i < n; ++i) {
            const bool wrong = guarded([&] { world_->apply(steps[i]); }) != nullptr;
            const std::uint64_t words[] = {digest, i, wrong ? 0 : hash_of_state()};
            digest = hawser::xxh3_64(std::as_bytes(std::span(words)));
            load(scratch_);
        }
        if (successors_.try_emplace(hash, digest).first->second != digest)
            found("the model: two states were taken for one", false);
    }
    void descend(std::size_t depth) {
        result_.depth = std::max(result_.depth, depth);
        if (saved_.size() <= depth) saved_.resize(depth + 1);
        std::array<action, 96> steps;
        const unsigned n = world_->enabled(steps);
        save(saved_[depth]);
        for (unsigned i = 0; i < n && !over(); ++i) {
            if (i > 0) load(saved_[depth]);
            path_.push_back(steps[i]);
            ++result_.transitions;
            if (const char* what = guarded([&] { world_->apply(steps[i]); }))
                found(what, false);
            else if (visit())
                descend(depth + 1);
            path_.pop_back();
        }
    }
    [[nodiscard]] bool over() const noexcept { return result_.found.has_value() || !result_.complete; }
    void found(const char* what, bool draining) { result_.found = counterexample{what, path_, draining}; }
    static void save(std::vector<std::byte>& to) {
        to.resize(arena::used());
        arena::save(to.data());
    }
    static void load(const std::vector<std::byte>& from) noexcept { arena::load(from.data(), from.size()); }

    bounds bounds_;
    bool audit_;
    std::unordered_map<std::uint64_t, std::uint64_t> successors_;
    world* world_ = nullptr;
    hash_set seen_;
    printer printer_;
    result result_;
    trace path_;
    std::uint64_t max_states_ = UINT64_MAX;
    std::vector<std::byte> scratch_;
    std::vector<std::vector<std::byte>> saved_;
};

inline std::string to_string(const action& a) {
    std::string text = act_names[static_cast<unsigned>(a.what)];
    text += ':' + std::to_string(a.where);
    if (a.which != 0) text += ':' + std::to_string(a.which);
    return text;
}
inline std::string to_string(const trace& steps) {
    std::string text;
    for (const action& a : steps)
        text += (text.empty() ? "" : " ") + to_string(a);
    return text;
}
inline std::optional<trace> parse(std::string_view text) {
    trace steps;
    while (!text.empty()) {
        const std::string_view word = text.substr(0, text.find(' '));
        text.remove_prefix(std::min(text.size(), word.size() + 1));
        if (word.empty()) continue;
        const std::string_view name = word.substr(0, word.find(':'));
        const auto at = std::find(std::begin(act_names), std::end(act_names), name);
        if (at == std::end(act_names)) return std::nullopt;
        action a{static_cast<act>(at - std::begin(act_names)), 0, 0};
        const char* p = word.data() + std::min(word.size(), name.size() + 1);
        const char* const end = word.data() + word.size();
        p = std::from_chars(p, end, a.where).ptr;
        if (p != end) (void)std::from_chars(p + 1, end, a.which);
        steps.push_back(a);
    }
    return steps;
}

}  // namespace model
