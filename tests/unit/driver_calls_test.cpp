// SPDX-License-Identifier: BSL-1.0
// Handlers on their way to their call: in order, each a handler of its own to the host.
#include "support/catch.hpp"

#include <hawser/driver/make_driver.hpp>
#include <hawser/driver/use_driver.hpp>

#include <asio/io_context.hpp>
#include <asio/post.hpp>

#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

struct noted_call final : hawser::pending_call {
    noted_call(std::string& l, char n, std::function<void()> f = nullptr) : log(l), name(n), then(std::move(f)) {}
    void post() override { log += "posted "; }
    void call() override {
        log += name;
        if (then) then();
    }
    void abandon() noexcept override { log += std::string("abandoned ") + name + ' '; }
    std::string& log;
    char name;
    std::function<void()> then;
};

struct calls {
    // On the strand, where completions are.
    void soon(std::vector<hawser::pending_call*> all) {
        asio::post(driver.executor(), [this, all = std::move(all)] {
            for (auto* c : all) driver.call_soon(*c);
            log += '|';
        });
    }
    std::string log;
    std::unique_ptr<asio::io_context> context = std::make_unique<asio::io_context>(1);
    hawser::driver& driver = hawser::use_driver(*context);
};

}  // namespace

TEST_CASE("driver: calls come in their order, and never inside of what asks for them", "[driver]") {
    calls t;
    noted_call d(t.log, 'd'), c(t.log, 'c'), b(t.log, 'b', [&] { t.driver.call_soon(d); }), a(t.log, 'a');
    t.soon({&a, &b, &c});
    t.context->run();
    CHECK(t.log == "|abcd");
}
TEST_CASE("driver: what one handler throws leaves run(), and the next run() goes on with the others", "[driver]") {
    calls t;
    noted_call c(t.log, 'c'), b(t.log, 'b', [] { throw std::runtime_error("b"); }), a(t.log, 'a');
    t.soon({&a, &b, &c});
    CHECK_THROWS_AS(t.context->run(), std::runtime_error);
    CHECK(t.log == "|ab");
    t.context->run();
    CHECK(t.log == "|abc");
}
TEST_CASE("driver: after a handler has stopped the io_context no other is called until it is started again", "[driver]") {
    calls t;
    noted_call c(t.log, 'c'), b(t.log, 'b'), a(t.log, 'a', [&] { t.context->stop(); });
    t.soon({&a, &b, &c});
    t.context->run();
    CHECK(t.log == "|a");
    t.context->restart();
    t.context->run();
    CHECK(t.log == "|abc");
}
TEST_CASE("driver: calls that are due when the io_context is destroyed are given up", "[driver]") {
    calls t;
    noted_call b(t.log, 'b'), a(t.log, 'a');
    t.soon({&a, &b});
    t.context->run_one();
    CHECK(t.log == "|");
    t.context.reset();
    CHECK(t.log == "|abandoned a abandoned b ");
}
TEST_CASE("driver: a child process calls nothing that was due", "[driver]") {
    calls t;
    noted_call c(t.log, 'c'), b(t.log, 'b', [&] { t.driver.shut_down(); }), a(t.log, 'a');
    t.soon({&a, &b, &c});
    t.context->run();
    CHECK(t.log == "|ababandoned c ");
}
