// SPDX-License-Identifier: BSL-1.0
// The outbox beside a model of its queue that is too simple to be wrong: lists, searched from end to end.
#include "support/catch.hpp"

#include <hawser/protocol/session/outbox.hpp>

#include <rapidcheck.h>

#include <algorithm>
#include <array>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace {

namespace session = hawser::session;
using hawser::message_priority;
using hawser::milliseconds;
using hawser::outcome;
using hawser::send_options;
using hawser::time_point;

struct waiting {
    std::uint64_t counter = 0;
    std::string coalesce_key{};
    std::optional<milliseconds> deadline{};
    milliseconds since{};
    bool written = false;
};

// What must be true of the queue, in the words of the documents.
class reference {
public:
    explicit reference(milliseconds max_age) : max_age_(max_age) {}

    std::array<std::list<waiting>, 4> classes;
    std::list<waiting> returned;
    std::list<waiting> flight;
    std::map<std::uint64_t, outcome> ended;

    void enqueue(std::uint64_t counter, const send_options& how, milliseconds now) {
        waiting w{counter, how.coalesce_key, {}, now};
        // The rounds begin with the first message that has options.
        has_rounds_ = has_rounds_ || how.priority != message_priority::normal || how.ttl > milliseconds{0} || !how.coalesce_key.empty();
        if (how.ttl > milliseconds{0}) w.deadline = now + how.ttl;
        if (!how.coalesce_key.empty())
            for (auto& lane : classes)
                for (auto& old : lane)
                    if (old.coalesce_key == how.coalesce_key) {
                        end(old, outcome::replaced);
                        old = w;
                        return;
                    }
        classes[static_cast<std::size_t>(how.priority)].push_back(w);
    }
    // The next to leave; by class, a round of 15 slots.
    std::uint64_t take() {
        static const std::string round = "UHUNUHULUHUNUHU";
        if (!returned.empty()) {
            flight.splice(flight.end(), returned, returned.begin());
            return flight.back().counter;
        }
        for (std::size_t i = 0; i < round.size(); ++i) {
            const char slot = round[(slot_ + i) % round.size()];
            auto& lane = classes[std::string("UHNL").find(slot)];
            if (lane.empty()) continue;
            if (has_rounds_) slot_ = (slot_ + i + 1) % round.size();
            flight.splice(flight.end(), lane, lane.begin());
            return flight.back().counter;
        }
        return 0;
    }
    void expire(milliseconds now) {
        for (auto& lane : classes)
            lane.remove_if([&](const waiting& w) {
                const bool over = (w.deadline && *w.deadline <= now) || (max_age_ > milliseconds{0} && w.since + max_age_ <= now);
                if (over) end(w, outcome::expired);
                return over;
            });
    }
    void drop(std::size_t least) {
        for (std::size_t c = 4; c-- > least;)
            if (!classes[c].empty()) {
                end(classes[c].front(), outcome::dropped);
                classes[c].pop_front();
                return;
            }
    }
    bool cancel(std::uint64_t counter) {
        const auto in = [&](std::list<waiting>& lane) {
            for (auto w = lane.begin(); w != lane.end(); ++w)
                if (w->counter == counter && !w->written) {
                    end(*w, outcome::cancelled);
                    lane.erase(w);
                    return true;
                }
            return false;
        };
        return in(returned) || std::any_of(classes.begin(), classes.end(), in);
    }
    void acknowledge(std::size_t n) {
        for (; n > 0; --n) {
            end(flight.front(), outcome::acknowledged);
            flight.pop_front();
        }
    }
    [[nodiscard]] std::size_t size() const {
        std::size_t n = returned.size();
        for (const auto& lane : classes) n += lane.size();
        return n;
    }

private:
    void end(const waiting& w, outcome o) {
        if (ended.contains(w.counter)) throw std::logic_error("two outcomes in the model");
        ended[w.counter] = o;
    }
    milliseconds max_age_;
    std::size_t slot_ = 0;
    bool has_rounds_ = false;
};

class both {
public:
    explicit both(milliseconds max_age) : model_(max_age), out_(log_, {.max_age = max_age}) { begin(); }

    void step() {
        switch (*rc::gen::inRange(0, 12)) {
        case 0: case 1: case 2: return enqueue();
        case 3: return batch();
        case 4: case 5: case 6: return take(*rc::gen::inRange<std::size_t>(1, 20));
        case 7: return acknowledge();
        case 8: return lose_epoch();
        case 9: return cancel();
        case 10: return pass_time();
        default: return drop();
        }
    }
    void finish() {
        while (model_.size() > 0) {
            take(50);
            acknowledge_all();
        }
        acknowledge_all();
        check();
        // Conservation: every message has one outcome.
        RC_ASSERT(told_.size() == last_);
    }

private:
    void enqueue() {
        const send_options how = options();
        last_ = out_.enqueue(hawser::message::text("x"), how, nullptr, at(now_));
        model_.enqueue(last_, how, now_);
        check();
    }
    void batch() {
        send_options how = options();
        how.coalesce_key.clear();
        const std::vector<hawser::message> bodies(*rc::gen::inRange<std::size_t>(1, 10), hawser::message::text("y"));
        const auto first = out_.intake().enqueue_batch(bodies, how, at(now_));
        RC_ASSERT(first == last_ + 1);
        for (std::size_t i = 0; i < bodies.size(); ++i) model_.enqueue(++last_, how, now_);
        check();
    }
    static send_options options() {
        send_options how;
        if (*rc::gen::inRange(0, 3) > 0) how.priority = static_cast<message_priority>(*rc::gen::inRange(0, 4));
        if (*rc::gen::inRange(0, 3) == 0) how.ttl = milliseconds(*rc::gen::inRange(1, 200));
        if (*rc::gen::inRange(0, 3) == 0) how.coalesce_key = "key" + std::to_string(*rc::gen::inRange(0, 6));
        return how;
    }
    // One at a time, so that what may follow cannot hide.
    void take(std::size_t n) {
        for (; n > 0 && model_.size() > 0; --n) {
            out_.assign(1);
            commit();
            auto* e = out_.next_to_write();
            RC_ASSERT(e != nullptr);
            RC_ASSERT(e->counter == model_.take());
            out_.written(*e);
            model_.flight.back().written = true;
        }
        check();
    }
    void acknowledge() {
        if (model_.flight.empty()) return;
        acknowledge(*rc::gen::inRange<std::size_t>(1, model_.flight.size() + 1));
    }
    void acknowledge_all() { acknowledge(model_.flight.size()); }
    void acknowledge(std::size_t n) {
        RC_ASSERT(!out_.on_ack(out_.acked() + n));
        model_.acknowledge(n);
        check();
    }
    // With a position: what is behind it is sent again first, in its old order.
    void lose_epoch() {
        const std::size_t kept = *rc::gen::inRange<std::size_t>(0, model_.flight.size() + 1);
        out_.end_epoch(out_.acked() + kept);
        model_.acknowledge(kept);
        model_.returned.splice(model_.returned.begin(), model_.flight);
        begin();
        check();
    }
    void cancel() {
        if (last_ == 0) return;
        const auto counter = *rc::gen::inRange<std::uint64_t>(1, last_ + 1);
        RC_ASSERT(out_.cancel(counter) == model_.cancel(counter));
        check();
    }
    void pass_time() {
        now_ += milliseconds(*rc::gen::inRange(1, 100));
        out_.expire(at(now_));
        model_.expire(now_);
        RC_ASSERT(out_.deadline() > at(now_));
        check();
    }
    void drop() {
        const auto p = static_cast<message_priority>(*rc::gen::inRange(0, 4));
        const auto [messages, bytes] = out_.intake().droppable_for(p);
        RC_ASSERT(out_.intake().drop_for(p) == (messages > 0));
        model_.drop(static_cast<std::size_t>(p));
        check();
    }
    void begin() {
        out_.begin_epoch(0, UINT64_MAX, UINT64_MAX);
        out_.attach();
    }
    void commit() {
        (void)log_.begin_commit();
        log_.end_commit();
    }
    void check() {
        commit();
        while (const auto f = out_.pop_finished()) {
            RC_ASSERT(told_.emplace(f->counter, f->result).second);  // once
            const auto m = model_.ended.find(f->counter);
            RC_ASSERT(m != model_.ended.end());
            RC_ASSERT(m->second == f->result);
        }
        RC_ASSERT(told_.size() == model_.ended.size());
        RC_ASSERT(out_.queued() == model_.size());
        RC_ASSERT(out_.in_flight() == model_.flight.size());
        // Each is found by its counter, and nobody else.
        const auto lowest = out_.id_base();
        for (std::uint64_t c = 1; c <= last_; ++c) {
            const auto* e = out_.find(c);
            RC_ASSERT((e != nullptr) == !model_.ended.contains(c));
            if (e) RC_ASSERT(e->counter == c);
            if (e && !e->numbered) RC_ASSERT(lowest < c);
        }
    }
    static time_point at(milliseconds t) { return time_point{} + std::chrono::hours{1} + t; }

    reference model_;
    session::journal log_{false};
    session::outbox out_;
    milliseconds now_{0};
    std::uint64_t last_ = 0;
    std::map<std::uint64_t, outcome> told_;
};

}  // namespace

TEST_CASE("rules 3, 14 and 22: the outbox does with waiting messages what a simple model does", "[session][property]") {
    CHECK(rc::check([] {
        both b(*rc::gen::element(milliseconds{0}, milliseconds{150}));
        const int steps = *rc::gen::inRange(1, 150);
        for (int i = 0; i < steps; ++i) b.step();
        b.finish();
    }));
}

TEST_CASE("invariant 3: no class starves: the first of a class is overtaken by 1, 3, 7 or 14 at most", "[session][property]") {
    CHECK(rc::check([] {
        session::journal log{false};
        session::outbox out(log, {});
        out.begin_epoch(0, UINT64_MAX, UINT64_MAX);
        out.attach();
        std::map<std::uint64_t, std::size_t> class_of;
        std::array<std::size_t, 4> waiting{}, overtaken{};
        constexpr std::array<std::size_t, 4> bound{1, 3, 7, 14};
        const auto now = time_point{} + std::chrono::hours{1};
        for (int i = 0; i < 400; ++i) {
            for (int n = *rc::gen::inRange(0, 4); n > 0; --n) {
                const auto c = *rc::gen::inRange<std::size_t>(0, 4);
                class_of[out.enqueue(hawser::message::text("x"), {.priority = static_cast<message_priority>(c)}, nullptr, now)] = c;
                ++waiting[c];
            }
            out.assign(1);
            (void)log.begin_commit();
            log.end_commit();
            auto* e = out.next_to_write();
            if (!e) continue;
            const std::size_t mine = class_of.at(e->counter);
            out.written(*e);
            --waiting[mine];
            overtaken[mine] = 0;
            for (std::size_t c = 0; c < 4; ++c) {
                if (c == mine) continue;
                overtaken[c] = waiting[c] > 0 ? overtaken[c] + 1 : 0;
                RC_ASSERT(overtaken[c] <= bound[c]);
            }
        }
    }));
}
