// SPDX-License-Identifier: BSL-1.0
// A listener and a client in virtual time, which keep an account of every message and operation.
#pragma once

#include "fail_nth/failing_driver.hpp"

#include <hawser/custom_policies.hpp>
#include <hawser/hawser.hpp>

#include <cstdio>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace fail_nth {

using namespace std::chrono_literals;
using hawser::connection_state;
using hawser::message;
using hawser::outcome;

// How one point ended.
enum class verdict : std::uint8_t { recovered, failed, thrown, crash, leak, hang, lie };

struct report {
    verdict what = verdict::recovered;
    std::string why;
};

// A message or another operation, as its user sees it.
struct account {
    int number = 0;
    bool awaits = false;   // an operation with a handler
    bool threw = false;    // std::bad_alloc left the call: it never was
    bool refused = false;  // an error code came at once: the same
    int completions = 0;
    std::error_code error;
    outcome result = outcome::pending;
    hawser::ticket ticket;
    int handed_over = 0;

    [[nodiscard]] bool never_written() const noexcept {
        return threw || refused || result == outcome::cancelled || result == outcome::refused;
    }
};

// Messages of one side, in the order of their sending, and what came of the other's.
struct ledger {
    std::list<account> sent;
    int before = 0;  // the numbers of a socket begin behind those of the one before

    account& enter() {
        account& a = sent.emplace_back();
        a.number = before + static_cast<int>(sent.size());
        return a;
    }
};

template <class P>
class stage {
public:
    using socket = hawser::resilient_socket<P>;
    struct side {
        explicit side(socket s, const char* n) : link(std::move(s)), name(n) {}
        std::optional<socket> link;
        const char* name;
        ledger book;
        std::vector<int> got;  // numbers of the peer's messages
        std::vector<hawser::state_change> states;
        bool echo = false;
        std::function<void(int)> on_number;
        [[nodiscard]] connection_state state() const {
            return states.empty() ? connection_state::idle : states.back().to;
        }
        [[nodiscard]] bool over() const {
            return !link || link->state() == connection_state::closed || link->state() == connection_state::failed;
        }
    };

    explicit stage(hawser::policy_objects<P> o = {})
        : net(hawser::install_driver<failing_driver>(context)), objects(std::move(o)) {}
    ~stage() { destroy(); }

    // Options with which nobody waits for minutes.
    static hawser::options quick(hawser::options o) {
        o.reconnect.base_delay = 10ms;
        o.reconnect.max_delay = 200ms;
        o.connect_timeout = o.handshake_timeout = 2s;
        o.close_timeout = 2s;
        o.session_ttl = 10s;
        o.heartbeat.ping_interval = 2s;
        o.heartbeat.pong_timeout = 1s;
        return o;
    }

    // What an application does that meets std::bad_alloc: once more, a little later.
    template <class F>
    void insist(F f) {
        for (int i = 0; i < 1000; ++i) {
            try {
                const library_code l;
                return f();
            } catch (const std::bad_alloc&) {
                ++thrown;
            }
            net.run_for(5ms);
        }
        fail("a call kept throwing");
    }
    template <class F>
    bool attempt(F f) {
        try {
            const library_code l;
            f();
            return true;
        } catch (const std::bad_alloc&) {
            ++thrown;
            return false;
        }
    }

    void listen(hawser::options o) {
        insist([&] { server.emplace(context, hawser::listen_endpoint{.port = 9000}, o, objects); });
        accept();
    }
    void accept() {
        if (!server) return;
        const bool started = attempt([&] {
            server->async_accept([this](std::error_code ec, socket s) {
                const test_code t;
                if (ec == hawser::errc::closed || ec == asio::error::operation_aborted) return;
                if (ec == hawser::errc::store_failed) return void(listener_failed = true);
                if (ec) return net.after(5ms, [this] { accept(); });
                side& a = accepted.emplace_back(std::move(s), "server");
                a.book.before = static_cast<int>(accepted.size()) * 1000;
                watch(a);
                if (on_accept) on_accept(a);
                accept();
            });
        });
        if (!started) net.after(5ms, [this] { accept(); });
    }
    void dial(hawser::options o) {
        insist([&] { client.emplace(socket(context, o, objects), "client"); });
        watch(*client);
    }
    void connect(side& s) {
        insist([&] { s.link->connect("ws://server.test:9000/"); });
    }
    // Setting them never fails here.
    void watch(side& s) {
        const test_code setting;
        s.link->on_state([this, &s](const hawser::state_change& c) {
            const test_code t;
            s.states.push_back(c);
            if (explain) std::fprintf(stderr, "%s: %s (%s)\n", s.name, to_string(c.to), c.reason.message().c_str());
        });
        s.link->on_outcome([this, &s](hawser::ticket k, outcome o) {
            const test_code t;
            if (on_told) return on_told(s, k, o);
            for (auto& a : s.book.sent)
                if (a.ticket == k && !a.awaits) {
                    ++a.completions;
                    a.result = o;
                }
        });
        s.link->on_message([this, &s](const hawser::message_view& m) {
            const test_code t;
            take(s, std::string(m.text()));
        });
    }
    void take(side& s, const std::string& text) {
        const int number = std::stoi(text.substr(0, text.find(' ')));
        s.got.push_back(number);
        if (explain) std::fprintf(stderr, "%s gets %d\n", s.name, number);
        if (s.echo && s.link) (void)try_send(s, text.size());
        if (s.on_number) s.on_number(number);
    }

    // ---- sending -----------------------------------------------------------------------------

    // Messages carry their numbers.
    [[nodiscard]] static std::string text_of(const account& a, std::size_t size) {
        std::string text = std::to_string(a.number) + " ";
        text.resize(std::max(size, text.size()), 'x');
        return text;
    }
    account& try_send(side& s, std::size_t size = 40) {
        account& a = s.book.enter();
        const std::string text = text_of(a, size);
        a.threw = !attempt([&] {
            const auto r = s.link->try_send(message::text(text));
            a.refused = static_cast<bool>(r.error);
            a.error = r.error;
            a.ticket = r.ticket;
        });
        return a;
    }
    account& send(side& s, std::size_t size = 40) {
        account& a = s.book.enter();
        a.awaits = true;
        const std::string text = text_of(a, size);
        a.threw = !attempt([&] {
            s.link->async_send(message::text(text), [this, &s, &a](std::error_code ec, outcome o) {
                const test_code t;
                ++a.completions;
                a.error = ec;
                a.result = o;
                if (explain)
                    std::fprintf(stderr, "%s: message %d is %s (%s)\n", s.name, a.number, to_string(o),
                                 ec.message().c_str());
                if (on_sent) on_sent(s, a);
            });
        });
        return a;
    }
    account& enqueue(side& s, std::size_t size = 40) {
        account& a = s.book.enter();
        a.awaits = true;
        const std::string text = text_of(a, size);
        a.threw = !attempt([&] {
            s.link->async_enqueue(message::text(text), [this, &s, &a](std::error_code ec, hawser::ticket k) {
                const test_code t;
                a.error = ec;
                a.ticket = k;
                if (ec) {
                    ++a.completions;
                    a.refused = true;
                    return;
                }
                await_outcome(s, a);
            });
        });
        return a;
    }
    void await_outcome(side& s, account& a) {
        if (!s.link) return void(++a.completions);
        const bool started = attempt([&] {
            s.link->async_outcome(a.ticket, [this, &s, &a](std::error_code ec, outcome o) {
                const test_code t;
                if (ec == hawser::errc::out_of_memory) return net.after(5ms, [this, &s, &a] { await_outcome(s, a); });
                ++a.completions;
                a.error = ec;
                a.result = o;
            });
        });
        if (!started) net.after(5ms, [this, &s, &a] { await_outcome(s, a); });
    }
    // An operation of another kind, such as `async_close`.
    template <class Start>
    account& operation(Start start) {
        account& a = others.emplace_back();
        a.awaits = true;
        a.threw = !attempt([&] {
            start([this, &a](std::error_code ec) {
                const test_code t;
                ++a.completions;
                a.error = ec;
                if (explain) std::fprintf(stderr, "operation: %s\n", ec.message().c_str());
            });
        });
        return a;
    }

    // ---- time --------------------------------------------------------------------------------

    template <class Done>
    bool wait(Done done, hawser::duration limit = 5s) {
        return net.run_until([&] { return done() || net.executed() > most_events; }, limit);
    }
    bool wait_open(hawser::duration limit = 5s) {
        return wait([&] { return is_open(); }, limit);
    }
    [[nodiscard]] bool is_open() {
        return client && client->link && client->link->state() == connection_state::open && !accepted.empty() &&
               accepted.back().link && accepted.back().link->state() == connection_state::open;
    }
    void cut() {
        if (!net.connections.empty()) net.connections.back()->cut();
    }

    // ---- findings ----------------------------------------------------------------------------

    void fail(std::string what, verdict v = verdict::lie) {
        if (!found) found = report{v, std::move(what)};
    }
    // The fault is over: messages flow in both directions, unless the client has said that it failed.
    void expect_recovery() {
        faults::stop();
        if (!client || !client->link) return fail("there is no client");
        const auto ended = [&] { return client->over(); };
        account* there = nullptr;
        account* back = nullptr;
        side* sender = nullptr;
        const auto arrived = [](const std::vector<int>& got, const account* a) {
            return a && std::find(got.begin(), got.end(), a->number) != got.end();
        };
        const bool well = wait(
            [&] {
                if (ended()) return true;
                if (!is_open()) return false;
                if (!there || there->threw || there->refused || (there->completions > 0 && there->error))
                    there = &send(*client);
                if (sender != &accepted.back()) {
                    sender = &accepted.back();
                    back = &send(*sender);
                }
                return arrived(client->got, back) && arrived(accepted.back().got, there);
            },
            60s);
        if (!well)
            return fail(std::string("no recovery; the client is ") + to_string(client->link->state()) + ", " +
                            std::to_string(accepted.size()) + " accepted",
                        verdict::hang);
        if (ended()) expect_reason(*client);
    }
    void expect_reason(side& s) {
        failed_socket = true;
        if (s.states.empty() || s.state() != s.link->state()) return fail("the end of a socket was not told");
        if (!s.states.back().reason) fail(std::string("a socket ended without a reason"));
    }
    // Everything that was started has ended, as the application was told.
    void settle() {
        faults::stop();
        if (!wait([&] { return pending() == 0; }, 60s))
            fail(std::to_string(pending()) + " operations or outcomes never came", verdict::hang);
    }
    [[nodiscard]] std::size_t pending() {
        std::size_t n = 0;
        const auto open = [&](const account& a, bool session) {
            // In plain mode a ticket alone says nothing more.
            return !a.threw && !a.refused && a.completions == 0 && (a.awaits || session);
        };
        each_side([&](side& s) {
            for (const auto& a : s.book.sent)
                n += open(a, with_session && s.link.has_value());
        });
        for (const auto& a : others)
            n += open(a, false);
        return n;
    }
    template <class F>
    void each_side(F f) {
        if (client) f(*client);
        for (auto& a : accepted)
            f(a);
    }
    void destroy() {
        const test_code t;
        if (client) client->link.reset();
        for (auto& a : accepted)
            a.link.reset();
        server.reset();
        net.run_for(3s);
    }
    // After everything was destroyed.
    [[nodiscard]] report judge() {
        settle();
        destroy();
        for (const auto& a : others)
            check_completions(a, "operation");
        if (client) {
            check_order(accepted_got());
            check_order(client->got);
            check_outcomes(*client, accepted_got());
            for (auto& a : accepted)
                check_outcomes(a, client->got);
        }
        if (net.executed() > most_events) fail("too many events", verdict::hang);
        if (found) return *found;
        if (failed_socket) return {verdict::failed, {}};
        return {net.thrown > 0 ? verdict::thrown : verdict::recovered, {}};
    }

    static constexpr std::uint64_t most_events = 100'000;

    asio::io_context context;
    failing_driver& net;
    hawser::policy_objects<P> objects;
    std::optional<hawser::listener<P>> server;
    std::optional<side> client;
    std::list<side> accepted;
    std::list<account> others;
    std::function<void(side&)> on_accept;
    std::function<void(side&, account&)> on_sent;
    std::function<void(side&, hawser::ticket, outcome)> on_told;  // instead of entering it in the ledger
    bool with_session = true;
    bool failed_socket = false;
    bool listener_failed = false;  // it takes nobody any more
    bool explain = false;
    std::uint64_t thrown = 0;  // out of calls
    std::optional<report> found;

private:
    [[nodiscard]] std::vector<int> accepted_got() {
        std::vector<int> all;
        for (auto& a : accepted)
            all.insert(all.end(), a.got.begin(), a.got.end());
        return all;
    }
    void check_completions(const account& a, const char* what) {
        const int expected = a.threw || !a.awaits ? 0 : 1;
        if (a.awaits && a.completions != expected)
            fail(std::string(what) + " " + std::to_string(a.number) + " was completed " +
                 std::to_string(a.completions) + " times");
        if (a.completions > 1) fail("an outcome was told twice");
    }
    void check_order(const std::vector<int>& got) {
        int last = 0;
        for (const int n : got) {
            if (n == last) fail("message " + std::to_string(n) + " was handed over twice");
            if (n < last) fail("message " + std::to_string(n) + " came late");
            last = n;
        }
    }
    void check_outcomes(side& s, const std::vector<int>& got) {
        for (const auto& a : s.book.sent) {
            check_completions(a, "message");
            const bool there = std::find(got.begin(), got.end(), a.number) != got.end();
            const std::string who = "message " + std::to_string(a.number) + " of the " + s.name;
            if (there && a.never_written()) fail(who + " was never written, they say, and arrived");
            const bool promised = a.result == outcome::acknowledged || a.result == outcome::duplicate;
            if (promised && !there) fail(who + " was acknowledged and never arrived");
        }
    }
};

}  // namespace fail_nth
