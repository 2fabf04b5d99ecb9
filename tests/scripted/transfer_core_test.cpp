// SPDX-License-Identifier: BSL-1.0
// Transfers whose worker takes its time, sources that fail, callbacks that throw, and all of it at random.
#include "support/catch.hpp"
#include "support/transfers.hpp"

#include <deque>
#include <memory>
#include <optional>
#include <string>

using namespace support;
using hawser::message;
namespace transfer = hawser::transfer;

namespace {

// Each job takes a while of virtual time, so that whatever may happen meanwhile does.
class slow_worker final : public hawser::transfer_worker {
public:
    slow_worker(hawser::driver& d, std::uint64_t seed) : driver_(d), rng_(seed) {}
    void submit(std::function<void()> job) override {
        jobs_.push_back(std::move(job));
        if (jobs_.size() == 1) arm();
    }

private:
    void arm() { driver_.arm(timer_, driver_.now() + std::chrono::microseconds(hawser::uniform(rng_, 1, 3000))); }
    void on_time(hawser::time_point) {
        const auto job = std::move(jobs_.front());
        job();
        jobs_.pop_front();
        if (!jobs_.empty()) arm();
    }
    hawser::driver& driver_;
    hawser::xoshiro256 rng_;
    std::deque<std::function<void()>> jobs_;
    hawser::timer_node timer_{this, hawser::on_timer<&slow_worker::on_time>};
};

class broken_source final : public hawser::transfer_source {
public:
    enum class how { open_fails, read_fails, read_throws, shrinks };
    explicit broken_source(how h) : how_(h) {}
    [[nodiscard]] std::error_code open() override {
        return how_ == how::open_fails ? std::make_error_code(std::errc::permission_denied) : std::error_code{};
    }
    [[nodiscard]] std::optional<std::uint64_t> size() const override { return 200'000; }
    [[nodiscard]] std::size_t read(hawser::byte_span into, std::error_code& ec) override {
        if (at_ < 100'000) {
            const std::size_t n = std::min<std::size_t>(into.size(), 100'000 - at_);
            at_ += n;
            return n;
        }
        if (how_ == how::read_throws) throw std::runtime_error("no");
        if (how_ == how::read_fails) ec = std::make_error_code(std::errc::io_error);
        return 0;
    }

private:
    how how_;
    std::size_t at_ = 0;
};

// Has something only now and then.
class waiting_source final : public hawser::transfer_source {
public:
    explicit waiting_source(waiting_source*& self) { self = this; }
    [[nodiscard]] std::size_t read(hawser::byte_span into, std::error_code& ec) override {
        if (there.empty() && !ended) {
            ec = errc::would_block;
            return 0;
        }
        const std::size_t n = std::min(into.size(), there.size());
        std::memcpy(into.data(), there.data(), n);
        there.erase(0, n);
        return n;
    }
    void on_ready(std::function<void()> f) override { wake = std::move(f); }
    std::string there;
    bool ended = false;
    std::function<void()> wake;
};

struct counting_carrier final : hawser::detail::transfer_carrier {
    explicit counting_carrier(std::uint64_t& n) : sent(n) {}
    [[nodiscard]] std::uint64_t send(message) override { return ++sent; }
    [[nodiscard]] std::uint64_t max_message_size() const override { return 1 << 20; }
    void callback_threw() noexcept override {}
    std::uint64_t& sent;
};

}  // namespace

TEST_CASE("transfer: who makes this side answer, and takes no answers, is stopped at a limit") {
    world<> w;
    std::uint64_t answers = 0;
    const auto core = std::make_shared<hawser::detail::transfer_core>(w.net, inline_options());
    core->attach(std::make_unique<counting_carrier>(answers));
    core->on_link_open(true, true);
    hawser::byte_vector bytes;
    std::error_code ec;
    int taken = 0;
    for (; !ec && taken < 10'000; ++taken) {
        transfer::encode(bytes, transfer::offer{static_cast<std::uint64_t>(taken), key(1), 1, "x", {}});
        ec = core->on_message(bytes);
    }
    CHECK(ec == errc::table_full);
    CHECK(answers == 4096);
}

TEST_CASE("transfer: a source that fails ends the transfer on both sides, with its own error here") {
    using how = broken_source::how;
    for (const auto& [kind, expected] : {std::pair(how::open_fails, std::make_error_code(std::errc::permission_denied)),
                                         std::pair(how::read_fails, std::make_error_code(std::errc::io_error)),
                                         std::pair(how::read_throws, make_error_code(errc::handler_failed)),
                                         std::pair(how::shrinks, make_error_code(errc::transfer_source))}) {
        CAPTURE(static_cast<int>(kind));
        receiving_world<> w;
        hawser::resilient_socket<> socket(w.context, with_transfers());
        hawser::transfers<> out(socket, inline_options());
        socket.connect(url);
        sent s;
        out.async_send_stream(std::make_unique<broken_source>(kind), {.name = "x"}, s.handler());
        REQUIRE(w.net.run_until([&] { return s.done; }, 60s));
        w.net.run_for(1s);
        CHECK(s.error == expected);
        CHECK(w.folder.files.empty());
        CHECK(w.folder.parts.empty());
        REQUIRE(w.reports.size() == (kind == how::open_fails ? 0 : 1));
        if (kind == how::shrinks || kind == how::read_fails) CHECK(w.reports[0].error == errc::transfer_source);
        CHECK(socket.state() == connection_state::open);
    }
}

TEST_CASE("transfer: a stream that has nothing yet goes on when it has") {
    receiving_world<> w;
    hawser::resilient_socket<> socket(w.context, with_transfers());
    hawser::transfers<> out(socket, inline_options());
    socket.connect(url);
    waiting_source* source = nullptr;
    auto owned = std::make_unique<waiting_source>(source);
    sent s;
    out.async_send_stream(std::move(owned), {.name = "x"}, s.handler());
    w.net.run_for(1s);
    for (const char* part : {"one ", "two ", "three"}) {
        source->there = part;
        source->wake();
        w.net.run_for(100s);  // a stream may be slower than any timeout
    }
    CHECK(!s.done);
    source->ended = true;
    source->wake();
    w.net.run_for(1s);
    REQUIRE(s.done);
    CHECK(s.error == std::error_code{});
    CHECK(hawser::as_text(w.folder.files["x"]) == "one two three");
}

TEST_CASE("transfer: nothing of the application is called once its object is gone, whatever the worker has just done") {
    // Does a job when it is told to.
    struct held_worker : hawser::transfer_worker {
        void submit(std::function<void()> job) override { jobs.push_back(std::move(job)); }
        bool run_one() {
            if (jobs.empty()) return false;
            const auto job = std::move(jobs.front());
            jobs.pop_front();
            job();
            return true;
        }
        std::deque<std::function<void()>> jobs;
    };
    for (int moment = 1; moment <= 8; ++moment) {
        CAPTURE(moment);
        const auto worker = std::make_shared<held_worker>();
        int called = 0;
        receiving_world<> w;
        w.settings.worker = worker;
        w.settings.on_progress = [&](const hawser::transfer_progress&) { ++called; };
        w.settings.on_received = [&](const hawser::transfer_report&) { ++called; };
        hawser::resilient_socket<> socket(w.context, with_transfers());
        hawser::transfers<> out(socket, inline_options());
        socket.connect(url);
        sent s;
        out.async_send_stream(std::make_unique<memory_source>(pattern(3'000'000)), {.name = "x", .key = key(1)}, s.handler());
        for (int i = 1; i < moment; ++i) {
            w.net.run_for(100ms);
            (void)worker->run_one();
        }
        w.net.run_for(100ms);
        const int before = called;
        (void)worker->run_one();  // what comes of it is on its way to the strand
        w.receivers.clear();
        do w.net.run_for(100ms);
        while (worker->run_one());
        CHECK(called == before);
        CHECK(s.done);
    }
}

TEST_CASE("transfer: the transfers may be destroyed inside of their own callbacks, which go on with what they hold") {
    const auto which = GENERATE(0, 1, 2, 3);
    CAPTURE(which);
    receiving_world<> w;
    const auto held = std::make_shared<std::string>(100, 'h');
    std::string seen;
    hawser::resilient_socket<> socket(w.context, with_transfers());
    std::optional<hawser::transfers<>> out;
    const auto let_go = [&seen, held](auto gone) {
        gone();
        seen = *held;
    };
    auto at_sender = inline_options();
    if (which == 0) at_sender.on_progress = [=, &out](const hawser::transfer_progress&) { let_go([&] { out.reset(); }); };
    if (which == 1) w.settings.on_progress = [=, &w](const hawser::transfer_progress&) { let_go([&] { w.receivers.clear(); }); };
    if (which == 2) w.settings.on_received = [=, &w](const hawser::transfer_report&) { let_go([&] { w.receivers.clear(); }); };
    if (which == 3)
        w.settings.on_offer = [=, &w](const hawser::transfer_offer&, std::string&) {
            let_go([&] { w.receivers.clear(); });
            return std::unique_ptr<hawser::transfer_sink>();
        };
    out.emplace(socket, at_sender);
    socket.connect(url);
    w.net.run_for(1s);
    REQUIRE(w.receivers.size() == 1);
    sent s;
    out->async_send_stream(std::make_unique<memory_source>(pattern(300'000)), {.name = "x", .key = key(1)}, s.handler());
    w.net.run_for(10s);
    CHECK(s.done);
    CHECK(seen == *held);
    at_sender = {};
    w.settings = {};
    // Nobody keeps what the callbacks held: what is left is this test's and `let_go`'s.
    CHECK(held.use_count() == 2);
}

TEST_CASE("transfer: an exception out of a callback is one of a handler") {
    for (const auto critical : {hawser::handler_criticality::critical, hawser::handler_criticality::non_critical}) {
        receiving_world<> w;
        auto settings = with_transfers();
        settings.handler_errors = critical;
        hawser::resilient_socket<> socket(w.context, settings);
        auto o = inline_options();
        o.on_progress = [](const hawser::transfer_progress&) { throw std::runtime_error("no"); };
        hawser::transfers<> out(socket, o);
        socket.connect(url);
        sent s;
        out.async_send_stream(std::make_unique<memory_source>(pattern(500'000)), {.name = "x"}, s.handler());
        REQUIRE(w.net.run_until([&] { return s.done; }, 60s));
        const bool fails = critical == hawser::handler_criticality::critical;
        CHECK(s.error == (fails ? make_error_code(errc::handler_failed) : std::error_code{}));
        CHECK((socket.state() == connection_state::failed) == fails);
    }
}

TEST_CASE("transfer: slow disks, cuts, restarts of the receiver, cancelling: what completes is complete, and all ends") {
    std::size_t resumed = 0, cancelled = 0, completed = 0;
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
        CAPTURE(seed);
        receiving_world<> w(seed);
        hawser::xoshiro256 rng(seed * 31);
        w.settings.worker = std::make_shared<slow_worker>(w.net, seed);
        auto o = inline_options();
        o.worker = std::make_shared<slow_worker>(w.net, seed + 1000);
        o.max_sending = 3;
        hawser::resilient_socket<> socket(w.context, with_transfers());
        hawser::transfers<> out(socket, o);
        socket.connect(url);
        constexpr unsigned count = 5;
        std::list<sent> all;
        asio::cancellation_signal signal;
        for (unsigned i = 0; i < count; ++i) {
            auto source = std::make_unique<memory_source>(pattern(400'000 + i, seed + i));
            const hawser::transfer_description what{.name = std::to_string(i), .key = key(i)};
            if (i == 0) out.async_send_stream(std::move(source), what, asio::bind_cancellation_slot(signal.slot(), all.emplace_back().handler()));
            else out.async_send_stream(std::move(source), what, all.emplace_back().handler());
        }
        const auto over = [&] { return std::all_of(all.begin(), all.end(), [](const sent& s) { return s.done; }); };
        for (int step = 0; step < 40 && !over(); ++step) {
            w.net.run_for(std::chrono::microseconds(hawser::uniform(rng, 100, 30'000)));
            const auto what = hawser::uniform(rng, 0, 9);
            if (what < 4)
                for (auto& c : w.net.connections()) c->cut();
            if (what == 4 && step < 20) {
                w.stop();
                w.net.run_for(500ms);
                w.start();
            }
            if (what == 5 && step > 10) signal.emit(asio::cancellation_type::terminal);
        }
        REQUIRE(w.net.run_until(over, 600s));
        w.net.run_for(200s);  // what is detached expires
        unsigned i = 0;
        for (const sent& s : all) {
            CAPTURE(i, s.error.message(), s.result.text);
            const auto found = w.folder.files.find(std::to_string(i));
            if (!s.error) {
                ++completed;
                REQUIRE(found != w.folder.files.end());
                CHECK((found->second == pattern(400'000 + i, seed + i)));
                resumed += s.result.resumed_from != 0;
            } else {
                CHECK(i == 0);
                CHECK(s.error == asio::error::operation_aborted);
                ++cancelled;
            }
            ++i;
        }
        CHECK(out.sending() == 0);
        CHECK(out.bytes_in_flight() == 0);
        for (auto& r : w.receivers) CHECK(r.receiving() == 0);
    }
    CHECK(resumed > 5);
    CHECK(cancelled > 3);
    CHECK(completed > 150);
}
