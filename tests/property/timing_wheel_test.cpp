// SPDX-License-Identifier: BSL-1.0
// The wheel against a std::multimap that keeps the exact deadlines.
#include "support/catch.hpp"

#include <hawser/driver/timing_wheel.hpp>
#include <hawser/policy/random.hpp>

#include <map>
#include <memory>
#include <vector>

using namespace hawser;
using namespace std::chrono_literals;

namespace {

class model_run {
public:
    model_run(std::uint64_t seed, duration tick)
        : rng_(seed), tick_(tick), start_(duration{static_cast<duration::rep>(uniform(rng_, 0, 1'000'000'000'000))}), now_(start_), wheel_(start_, tick) {
        for (int i = 0; i < 60; ++i) nodes_.push_back(std::make_unique<timer_node>());
    }

    void step() {
        const auto i = static_cast<std::size_t>(uniform(rng_, 0, nodes_.size() - 1));
        switch (uniform(rng_, 0, 9)) {
        case 0: disarm(i); break;
        case 1: destroy(i); break;
        case 2:
        case 3: advance(now_ + random_wait()); break;
        case 4: advance(wheel_.next_deadline() == never ? now_ : std::max(now_, wheel_.next_deadline())); break;
        default: arm(i, now_ + random_wait() - 5ms); break;
        }
        REQUIRE(wheel_.size() == model_.size());
        const time_point next = wheel_.next_deadline();
        if (model_.empty()) REQUIRE(next == never);
        else REQUIRE(next < std::max(model_.begin()->first.first, now_) + tick_);
    }

private:
    using key = std::pair<time_point, std::uint64_t>;  // deadline, order of arming

    // From nanoseconds to centuries, each magnitude as likely.
    duration random_wait() {
        const auto bits = uniform(rng_, 0, 56);
        return duration{static_cast<duration::rep>(uniform(rng_, 0, (std::uint64_t{1} << bits) - 1) >> uniform(rng_, 0, 8))};
    }
    void disarm(std::size_t i) {
        wheel_.cancel(*nodes_[i]);
        forget(i);
    }
    void destroy(std::size_t i) {
        nodes_[i] = std::make_unique<timer_node>();
        forget(i);
    }
    void arm(std::size_t i, time_point deadline) {
        forget(i);
        wheel_.arm(*nodes_[i], deadline);
        model_.emplace(key{deadline, ++order_}, i);
    }
    void forget(std::size_t i) {
        std::erase_if(model_, [i](const auto& entry) { return entry.second == i; });
    }

    void advance(time_point to) {
        if (to > time_point{std::chrono::hours{24 * 365 * 200}}) return;
        now_ = to;
        const std::uint64_t armed_before = order_;
        wheel_.advance(to, [&](timer_node& node) {
            // The first of the model that may fire in this call, in exact order.
            auto expected = model_.begin();
            while (expected != model_.end() && expected->first.second > armed_before) ++expected;
            REQUIRE(expected != model_.end());
            REQUIRE(nodes_[expected->second].get() == &node);
            REQUIRE(expected->first.first <= to);  // never early
            model_.erase(expected);
            const auto i = static_cast<std::size_t>(uniform(rng_, 0, nodes_.size() - 1));
            switch (uniform(rng_, 0, 5)) {
            case 0: disarm(i); break;
            case 1: destroy(i); break;
            case 2: arm(i, to + random_wait() - 1ms); break;
            default: break;
            }
        });
        for (const auto& [entry, i] : model_)
            if (entry.second <= armed_before) REQUIRE(entry.first + tick_ > to);  // less than a tick late
    }

    xoshiro256 rng_;
    duration tick_;
    time_point start_;
    time_point now_;
    timing_wheel wheel_;
    std::vector<std::unique_ptr<timer_node>> nodes_;
    std::multimap<key, std::size_t> model_;
    std::uint64_t order_ = 0;
};

}  // namespace

TEST_CASE("wheel: behaves as a sorted map of deadlines", "[wheel][property]") {
    for (std::uint64_t seed = 1; seed <= 150; ++seed) {
        CAPTURE(seed);
        model_run run{seed, seed % 3 == 0 ? duration{100us} : duration{1ms}};
        for (int i = 0; i < 400; ++i) run.step();
    }
}
