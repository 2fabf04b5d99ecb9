// SPDX-License-Identifier: BSL-1.0
// Cancelling an operation: each operation, in each state, by each kind of cancellation. It completes
// without time passing, once, with the documented error, and the message's fate is what was told.
#include "support/catch.hpp"
#include "support/delaying_store.hpp"
#include "support/policies.hpp"
#include "support/world.hpp"

#include <asio/bind_executor.hpp>

#include <algorithm>
#include <iomanip>
#include <iostream>
#include <map>

using namespace support;
using hawser::message;
using socket_type = hawser::resilient_socket<>;
using asio::cancellation_type;

namespace {

constexpr std::array kinds{cancellation_type::terminal, cancellation_type::partial, cancellation_type::total};
constexpr std::array kind_names{"terminal", "partial", "total"};

hawser::options reliable() {
    auto o = quick(hawser::options::reliable());
    o.breaker.minimum_number_of_calls = 2;
    o.send_window_messages = 1;  // one flies,
    o.queue.max_messages = 1;    // one waits, the next one waits for room
    o.max_write_buffer = 1024;
    return o;
}
hawser::options plain() {
    auto o = reliable();
    o.session = hawser::session_mode::off;
    return o;
}

// What a handler was told; the first error stays.
struct told {
    int calls = 0;
    std::error_code error;
};

}  // namespace

// ---- socket --------------------------------------------------------------------------------------

namespace {

enum class op { connect, wait_open, send, send_written, send_blocked, enqueue, enqueue_blocked, outcome, receive, close };
constexpr std::array op_names{"connect", "wait_open",    "send",    "send_written", "send_blocked",
                              "enqueue", "enq_blocked", "outcome", "receive",      "close"};
enum class where { idle, dialling, upgrading, open_plain, open_session, waiting, circuit_open, closing, closed, failed, detached };
constexpr std::array where_names{"idle",         "dialling", "upgrading", "open_plain", "open_session", "waiting",
                                 "circuit_open", "closing",  "closed",    "failed",     "detached"};

// One letter per kind of cancellation: A operation_aborted, C cancelled (never delivered), D detached
// (delivered later), I ignored (goes on), R has its own result already. After the slash: where it
// differs, the same when the cancellation comes before anything of the operation has run.
// never: there is no such operation in this state; the legend says why.
constexpr std::array<std::array<const char*, op_names.size()>, where_names.size()> expected{{
    // connect       wait   send       send_written    send_blocked   enqueue    enq_blocked    outcome receive close
    {"-/AAI",        "AAA", "CCC",     "never written", "CCC",        "RRR/CCC", "CCC",         "DDD", "AAA", "RRR"},
    {"AAI",          "AAA", "CCC",     "DDI",           "CCC",        "RRR/CCC", "CCC",         "DDD", "AAA", "AAI"},
    {"AAI",          "AAA", "CCC",     "DDI",           "CCC",        "RRR/CCC", "CCC",         "DDD", "AAA", "AAI"},
    {"RRR",          "RRR", "RRR",     "never pends",   "CCC",        "RRR",     "CCC",         "RRR", "AAA", "AAI"},
    {"RRR",          "RRR", "DDI/CCC", "DDI",           "CCC",        "RRR/CCC", "CCC",         "DDD", "AAA", "AAI"},
    {"AAI",          "AAA", "CCC",     "DDI",           "CCC",        "RRR/CCC", "CCC",         "DDD", "AAA", "AAI"},
    {"AAI",          "AAA", "CCC",     "DDI",           "CCC",        "RRR/CCC", "CCC",         "DDD", "AAA", "AAI"},
    {"AAI",          "AAA", "RRR",     "DDI",           "CCC",        "RRR",     "CCC",         "DDD", "AAA", "AAI"},
    {"RRR",          "RRR", "RRR",     "never ended",   "never ended", "RRR",    "never ended", "RRR", "RRR", "RRR"},
    {"RRR",          "RRR", "RRR",     "never ended",   "never ended", "RRR",    "never ended", "RRR", "RRR", "RRR"},
    {"RRR",          "AAA", "CCC",     "DDI",           "CCC",        "RRR/CCC", "CCC",         "DDD", "AAA", "AAI"},
}};
constexpr const char* legend =
    "after the slash: cancelled before anything of the operation ran, where that differs\n"
    "never written: nothing is written before the first connection\n"
    "never pends: in plain mode a message that was written is done\n"
    "never ended: operations that wait end with the state\n"
    "handles have no asynchronous operation: sender::send completes or refuses at once\n";

// The result of an operation that was complete before.
std::error_code own_result(op o, where s) {
    if (o == op::connect && s == where::detached) return hawser::errc::already_connecting;
    if (o == op::close || s <= where::circuit_open || s == where::detached) return {};
    if (o == op::outcome) return errc::outcome_unknown;
    if (s == where::failed) return errc::unauthorized;
    return errc::closed;
}

class cell {
public:
    cell(op o, where s, std::size_t kind, bool at_once, char letter)
        : what(o), state(s), how(kinds[kind]), early(at_once), wanted(letter) {}

    void run() {
        make();
        reach();
        start();
        if (!early) w.net.poll();
        if (wanted == 'R' && !early) CHECK(result.calls == 1);
        signal.emit(how);
        signal.emit(how);
        w.net.poll();
        check_result();
        recover();
        check_fate();
        check_usable();
        CHECK(result.calls == 1);
    }

private:
    [[nodiscard]] auto handler() {
        return asio::bind_cancellation_slot(signal.slot(), [this](std::error_code ec, auto&&...) {
            if (result.calls++ == 0) result.error = ec;
        });
    }
    void make() {
        const auto o = state == where::open_plain ? plain() : reliable();
        hawser::listener_options l{.socket = o};
        l.authorize = [this](const hawser::ws::upgrade_request&) -> hawser::authorization {
            return {.status = refuse ? 401U : 101U};
        };
        w.listen(l);
        client = std::make_unique<socket_type>(w.context, o);
        if (state != where::detached) adopt(std::move(client));
    }
    void adopt(std::unique_ptr<socket_type> s) {
        subject = std::move(s);
        subject->on_state([this](const hawser::state_change& c) { reason = c.reason; });
        subject->on_outcome([this](hawser::ticket, outcome o) { ++outcomes[o]; });
    }
    // Connecting is an operation that began before the state; the others begin in it.
    void reach() {
        if (state == where::idle) return;
        if (what == op::connect && state != where::detached) {
            if (state != where::open_plain && state != where::open_session) fault();
            subject->async_connect(url, handler());
            w.net.poll();
        } else {
            (subject ? subject : client)->connect(url);
            (void)w.net.run_until([&] { return w.accepted.size() == 1; }, 5s);
            w.net.run_for(100ms);
            if (state == where::detached) adopt(std::make_unique<socket_type>(std::move(w.accepted.front())));
            if (what == op::send_written || state == where::closing) start_before();
            if (needs_filler()) filler = subject->try_send("filler").ticket;
            w.net.run_for(50ms);
            fault();
            if (state != where::open_plain && state != where::open_session && state != where::closing)
                if (state != where::closed) w.net.last_connection().cut();
        }
        leave();
    }
    [[nodiscard]] bool needs_filler() const {
        return what == op::outcome || (what == op::close && state != where::closed) ||
               (state == where::closing && what != op::send_written);
    }
    void start_before() {
        if (what == op::send_written) {
            begin_send("x");
            w.net.poll();
        }
        if (what != op::send_blocked && what != op::enqueue_blocked) return;
        fill();
        if (what == op::send_blocked) begin_send("x");
        else begin_enqueue("x");
        started = true;
    }
    void fault() {
        switch (state) {
        case where::dialling: w.net.blackhole = true; break;
        case where::upgrading:
            w.net.on_connection = [](const auto& c) { c->hold_towards(1, true); };
            break;
        case where::waiting:
        case where::circuit_open:
        case where::detached: w.net.refuse_connections = true; break;
        case where::failed: refuse = true; break;
        case where::closing:
        case where::closed: w.net.blackhole = what == op::connect; break;
        default: break;
        }
    }
    void until(connection_state s) {
        REQUIRE(w.net.run_until([&] { return subject->state() == s; }, 30s));
    }
    void leave() {
        switch (state) {
        case where::dialling: return until(connection_state::connecting);
        case where::upgrading: until(connection_state::connecting); return w.net.run_for(20ms);
        case where::open_plain:
        case where::open_session: return until(connection_state::open);
        case where::waiting: return until(connection_state::waiting);
        case where::circuit_open:
            REQUIRE(w.net.run_until([&] { return reason == errc::circuit_open; }, 30s));
            return;
        case where::closing:
            if (what == op::connect) REQUIRE(subject->try_send("keeps it from closing at once"));
            subject->close();
            w.net.poll();
            return until(connection_state::closing);
        case where::closed: subject->close(); return until(connection_state::closed);
        case where::failed: return until(connection_state::failed);
        case where::detached: return until(connection_state::detached);
        default: return;
        }
    }
    // Until there is no room; in plain mode the connection's buffer is filled first.
    void fill() {
        const std::string text(state == where::open_plain ? 300'000 : 10, 'f');
        for (int i = 0; subject->try_send(text); ++i) {
            REQUIRE(i < 10);
            w.net.poll();
        }
    }
    void begin_send(const char* text) { subject->async_send(message::text(text), handler()); }
    void begin_enqueue(const char* text) { subject->async_enqueue(message::text(text), handler()); }
    void start() {
        if (started) return;
        switch (what) {
        case op::connect:
            if (state == where::idle) w.net.blackhole = true;
            if (state == where::idle || state == where::detached) subject->async_connect(url, handler());
            return;
        case op::wait_open: return subject->async_wait_open(handler());
        case op::send: return begin_send("x");
        case op::send_written: return;
        case op::send_blocked: fill(); return begin_send("x");
        case op::enqueue: return begin_enqueue("x");
        case op::enqueue_blocked: fill(); return begin_enqueue("x");
        case op::outcome:
            if (state == where::idle) filler = subject->try_send("filler").ticket;
            return subject->async_outcome(filler, handler());
        case op::receive: return subject->async_receive(handler());
        case op::close: return subject->async_close(handler());
        }
    }
    void check_result() {
        CHECK(result.calls == (wanted == 'I' ? 0 : 1));
        switch (wanted) {
        case 'A': CHECK(result.error == asio::error::operation_aborted); break;
        case 'C': CHECK(result.error == errc::cancelled); break;
        case 'D': CHECK(result.error == errc::detached); break;
        case 'R': CHECK(result.error == own_result(what, state)); break;
        default: break;
        }
    }
    // The world is well again, and the peer takes what comes.
    void recover() {
        w.net.blackhole = w.net.refuse_connections = refuse = false;
        w.net.on_connection = nullptr;
        if (state == where::idle) {
            std::string why;
            (void)subject->try_connect(url, why);
        }
        if (client) take(*client);
        else if (!w.accepted.empty()) take(w.accepted.front());
        w.on_accept = [this](socket_type& s) { take(s); };
        w.net.run_for(30s);
    }
    void take(socket_type& s) {
        s.on_message([this](const hawser::message_view& m) { ++got[std::string(m.text())]; });
    }
    void check_fate() {
        if (wanted == 'I') CHECK(!result.error);
        if (what < op::send || what > op::enqueue_blocked) return;
        CHECK(got["x"] == (wanted == 'D' || wanted == 'I' || (wanted == 'R' && !result.error) ? 1 : 0));
        if (wanted == 'C' && what != op::send_blocked && what != op::enqueue_blocked) CHECK(outcomes[outcome::cancelled] == 1);
        if (wanted == 'D') CHECK(outcomes[outcome::acknowledged] >= got["x"]);
    }
    void check_usable() {
        const bool over = what == op::close || state == where::closing || state == where::closed || state == where::failed;
        CHECK(subject->state() == (state == where::failed ? connection_state::failed
                                   : over                 ? connection_state::closed
                                                          : connection_state::open));
        std::optional<std::error_code> sent, received;
        subject->async_send(message::text("later"), [&](std::error_code ec, outcome) { sent = ec; });
        subject->async_receive([&](std::error_code ec, message) { received = ec; });
        w.net.run_for(over ? 0s : 5s);
        REQUIRE(sent);
        CHECK(static_cast<bool>(*sent) == over);
        CHECK(received.has_value() == over);
        CHECK(got["later"] == (over ? 0 : 1));
        subject.reset();
        w.net.poll();
        CHECK(received);
    }

    op what;
    where state;
    cancellation_type how;
    bool early;
    char wanted;
    asio::cancellation_signal signal;
    world<> w{11};
    std::unique_ptr<socket_type> client, subject;
    told result;
    hawser::ticket filler;
    std::error_code reason;
    std::map<outcome, int> outcomes;
    std::map<std::string, int> got;
    bool refuse = false, started = false;
};

}  // namespace

TEST_CASE("cancelling: each operation of a socket, in each state, by each kind") {
    std::ostringstream table;
    table << std::left << std::setw(14) << "cancelled in";
    for (const char* name : op_names) table << std::setw(14) << name;
    int cells = 0;
    for (std::size_t s = 0; s < where_names.size(); ++s) {
        table << '\n' << std::setw(14) << where_names[s];
        for (std::size_t o = 0; o < op_names.size(); ++o) {
            REQUIRE(expected[s][o] != nullptr);
            const std::string text = expected[s][o];
            table << std::setw(14) << text;
            if (text.starts_with("never")) continue;
            const std::size_t slash = text.find('/');
            const std::string late = text.substr(0, slash), early = slash == std::string::npos ? late : text.substr(slash + 1);
            REQUIRE(early.size() == kinds.size());
            for (std::size_t k = 0; k < kinds.size(); ++k) {
                CAPTURE(where_names[s], op_names[o], kind_names[k]);
                ++cells;
                INFO("before anything ran");
                std::make_unique<cell>(static_cast<op>(o), static_cast<where>(s), k, true, early[k])->run();
                if (late == "-") continue;
                INFO("while it waits");
                std::make_unique<cell>(static_cast<op>(o), static_cast<where>(s), k, false, late[k])->run();
            }
        }
    }
    CHECK(cells >= 300);
    std::cout << table.str() << '\n' << legend << std::flush;
}

// ---- listener ------------------------------------------------------------------------------------

namespace {

enum class listening { quiet, upgrading, unclaimed, closing, closed };
constexpr std::array listening_names{"quiet", "upgrading", "unclaimed", "closing", "closed"};
struct listener_row {
    const char *accept, *close;
};
// As above. A cancelled accept leaves its socket to the next one.
constexpr std::array<listener_row, listening_names.size()> expected_of_listener{{
    {"AAA", "RRR"},
    {"AAA", "RRR"},
    {"RRR/AAA", "RRR"},
    {"RRR", "AAI"},
    {"RRR", "RRR"},
}};

struct listener_cell {
    listener_cell(bool a, listening s, std::size_t kind, bool at_once, char letter)
        : accepting(a), state(s), how(kinds[kind]), early(at_once), wanted(letter) {}

    [[nodiscard]] auto handler() {
        return asio::bind_cancellation_slot(signal.slot(), [this](std::error_code ec, auto&&... s) {
            if (result.calls++ == 0) result.error = ec;
            (sockets.push_back(std::move(s)), ...);
        });
    }
    void run() {
        reach();
        if (accepting) server->async_accept(handler());
        else server->async_close(handler());
        if (!early) net.poll();
        if (wanted == 'R' && !early) CHECK(result.calls == 1);
        signal.emit(how);
        signal.emit(how);
        net.poll();
        CHECK(result.calls == (wanted == 'I' ? 0 : 1));
        if (wanted == 'A') CHECK(result.error == asio::error::operation_aborted);
        if (wanted == 'R') CHECK(result.error == (accepting && state >= listening::closing ? errc::closed : std::error_code{}));
        accepting ? check_accept() : check_close();
        CHECK(result.calls == 1);
    }

private:
    void reach() {
        server.emplace(context, hawser::listen_endpoint{.port = port}, plain());
        if (state >= listening::unclaimed) {
            client.connect(url);
            net.run_for(100ms);
        }
        if (state == listening::upgrading) {
            net.on_connection = [](const auto& c) { c->hold_towards(1, true); };
            client.connect(url);
            net.run_for(10ms);
        }
        if (state < listening::closing) return;
        server->async_accept([this](std::error_code, socket_type s) { sockets.push_back(std::move(s)); });
        net.run_for(10ms);
        if (state == listening::closing) net.last_connection().hold_towards(0, true);
        server->async_close([](std::error_code) {});
        net.run_for(state == listening::closed ? 10s : 0s);
    }
    // The socket that comes, or came, goes to the next one.
    void check_accept() {
        if (state >= listening::closing) return;
        sockets.clear();
        std::error_code ec;
        server->async_accept([&](std::error_code e, socket_type s) {
            ec = e;
            sockets.push_back(std::move(s));
        });
        if (state == listening::quiet) client.connect(url);
        if (state == listening::upgrading) net.last_connection().hold_towards(1, false);
        net.run_for(5s);
        CHECK(!ec);
        REQUIRE(sockets.size() == 1);
        if (wanted == 'A') CHECK(net.connections().size() == 1);
        std::optional<std::error_code> sent;
        sockets.front().async_send(message::text("x"), [&](std::error_code e, outcome) { sent = e; });
        net.run_for(1s);
        REQUIRE(sent);
        CHECK(!*sent);
    }
    void check_close() {
        net.run_for(20s);
        if (wanted == 'I') CHECK(!result.error);
        std::error_code ec;
        server->async_accept([&](std::error_code e, socket_type) { ec = e; });
        net.poll();
        CHECK(ec == errc::closed);
        CHECK(server->connections() == 0);
    }

    bool accepting;
    listening state;
    cancellation_type how;
    bool early;
    char wanted;
    asio::cancellation_signal signal;
    asio::io_context context;
    hawser::testing::virtual_driver& net = hawser::install_driver<hawser::testing::virtual_driver>(context, 3);
    std::optional<hawser::listener<>> server;
    socket_type client{context, plain()};
    std::list<socket_type> sockets;
    told result;
};

}  // namespace

TEST_CASE("cancelling: each operation of a listener, in each state, by each kind") {
    std::ostringstream table;
    table << std::left << std::setw(14) << "cancelled in" << std::setw(14) << "accept" << "close";
    for (std::size_t s = 0; s < listening_names.size(); ++s) {
        table << '\n' << std::setw(14) << listening_names[s];
        for (const bool accepting : {true, false}) {
            const char* row = accepting ? expected_of_listener[s].accept : expected_of_listener[s].close;
            REQUIRE(row != nullptr);
            const std::string text = row;
            table << std::setw(14) << text;
            const std::size_t slash = text.find('/');
            const std::string late = text.substr(0, slash), early = slash == std::string::npos ? late : text.substr(slash + 1);
            REQUIRE((early.size() == kinds.size() && late.size() == kinds.size()));
            for (std::size_t k = 0; k < kinds.size(); ++k) {
                for (const bool at_once : {true, false}) {
                    CAPTURE(listening_names[s], accepting, kind_names[k], at_once);
                    listener_cell(accepting, static_cast<listening>(s), k, at_once, (at_once ? early : late)[k]).run();
                }
            }
        }
    }
    std::cout << table.str() << '\n' << std::flush;
}

// ---- rules ---------------------------------------------------------------------------------------

namespace {

using support::stored;

// A handler's executor that runs when the test says so: results wait there for the call of the handler.
struct elsewhere {
    asio::io_context context;
    void run() {
        context.restart();
        context.run();
    }
};

// An open socket, and its peer.
template <class P = hawser::default_policies>
struct pair {
    explicit pair(hawser::options o) : client(w.context, o) {
        w.listen(o);
        client.connect(url);
        REQUIRE(w.net.run_until([&] { return w.accepted.size() == 1 && client.state() == connection_state::open; }, 5s));
    }
    [[nodiscard]] hawser::resilient_socket<P>& peer() { return w.accepted.front(); }
    world<P> w;
    hawser::resilient_socket<P> client;
};

hawser::options wide(hawser::options o) {
    o.send_window_messages = o.queue.max_messages = 100;
    return o;
}

}  // namespace

TEST_CASE("cancelling: a receive whose message is on its way gives it back, in its order") {
    for (const auto acceptance : {hawser::acceptance_mode::on_hand_off, hawser::acceptance_mode::on_processed}) {
        for (const bool in_session : {true, false}) {
            CAPTURE(in_session, acceptance);
            auto o = wide(in_session ? reliable() : plain());
            o.acceptance = acceptance;
            pair<> p(o);
            int acknowledged = 0;
            p.peer().on_outcome([&](hawser::ticket, outcome r) { acknowledged += r == outcome::acknowledged; });
            for (const char* text : {"1", "2", "3"}) REQUIRE(p.peer().try_send(text));
            p.w.net.run_for(1s);
            elsewhere e;
            std::vector<std::string> got;
            for (int cancelled = 0; cancelled < 2; ++cancelled) {
                asio::cancellation_signal signal;
                told result;
                std::string left;
                p.client.async_receive(asio::bind_cancellation_slot(
                    signal.slot(), asio::bind_executor(e.context, [&](std::error_code ec, message m) {
                        ++result.calls;
                        result.error = ec;
                        left = m.text();
                    })));
                p.w.net.poll();  // it has completed: the message is on its way to the handler
                signal.emit(cancellation_type::terminal);
                p.w.net.run_for(1s);
                e.run();
                CHECK(result.calls == 1);
                CHECK(result.error == asio::error::operation_aborted);
                CHECK(left.empty());
            }
            CHECK(acknowledged == 0);
            for (int i = 0; i < 3; ++i) {
                p.client.async_receive([&](std::error_code ec, message m) {
                    CHECK(!ec);
                    got.emplace_back(m.text());
                    m.ack();
                });
                p.w.net.run_for(1s);
            }
            p.w.net.run_for(5s);
            CHECK(got == std::vector<std::string>{"1", "2", "3"});
            if (in_session) CHECK(acknowledged == 3);
        }
    }
}

TEST_CASE("cancelling: what a receive gives back goes to on_message, or to the receive that waits") {
    for (const bool by_callback : {true, false}) {
        CAPTURE(by_callback);
        pair<> p(wide(reliable()));
        elsewhere e;
        asio::cancellation_signal signal;
        p.client.async_receive(asio::bind_cancellation_slot(signal.slot(), asio::bind_executor(e.context, [](std::error_code ec, message) {
            CHECK(ec == asio::error::operation_aborted);
        })));
        REQUIRE(p.peer().try_send("x"));
        p.w.net.run_for(100ms);
        std::vector<std::string> got;
        if (by_callback) p.client.on_message([&](const hawser::message_view& m) { got.emplace_back(m.text()); });
        else p.client.async_receive([&](std::error_code, message m) { got.emplace_back(m.text()); });
        p.w.net.poll();
        CHECK(got.empty());
        signal.emit(cancellation_type::total);
        p.w.net.poll();
        CHECK(got == std::vector<std::string>{"x"});
        e.run();
    }
}

TEST_CASE("cancelling: a receive whose handler was called is over, and its message stays with it") {
    pair<> p(wide(reliable()));
    REQUIRE(p.peer().try_send("x"));
    p.w.net.run_for(100ms);
    asio::cancellation_signal signal;
    std::string got;
    p.client.async_receive(asio::bind_cancellation_slot(signal.slot(), [&](std::error_code, message m) { got = m.text(); }));
    p.w.net.poll();
    signal.emit(cancellation_type::terminal);
    p.w.net.poll();
    CHECK(got == "x");
    CHECK(!p.client.try_receive());
}

TEST_CASE("cancelling: an accept whose socket is on its way leaves it to the next, or to the end of the listener") {
    for (const int how : {0, 1, 2}) {
        CAPTURE(how);
        asio::cancellation_signal signal;  // outlives the io_context
        elsewhere e;
        asio::io_context context;
        auto& net = hawser::install_driver<hawser::testing::virtual_driver>(context, 3);
        auto server = std::make_unique<hawser::listener<>>(context, hawser::listen_endpoint{.port = port}, plain());
        socket_type client(context, plain());
        std::error_code first;
        server->async_accept(asio::bind_cancellation_slot(signal.slot(), asio::bind_executor(e.context, [&](std::error_code ec, socket_type) {
            first = ec;
        })));
        client.connect(url);
        net.run_for(100ms);
        if (how == 2) server.reset();
        std::optional<socket_type> second;
        if (how == 1) server->async_accept([&](std::error_code, socket_type s) { second = std::move(s); });
        signal.emit(cancellation_type::partial);
        net.poll();
        if (how == 0) server->async_accept([&](std::error_code, socket_type s) { second = std::move(s); });
        net.run_for(100ms);
        e.run();
        if (how == 2) continue;
        CHECK(first == asio::error::operation_aborted);
        REQUIRE(second);
        CHECK(second->state() == connection_state::open);
        CHECK(client.state() == connection_state::open);
        CHECK(net.connections().size() == 1);  // it is the same one
    }
}

TEST_CASE("cancelling: it overtakes an operation that is still on its way to the strand, and ends it all the same") {
    world<> w;
    w.listen(plain());
    socket_type client(w.context, plain());
    asio::cancellation_signal signals[3];
    std::vector<std::error_code> told;
    client.on_state([&](const hawser::state_change&) {
        for (auto& s : signals) s.emit(cancellation_type::terminal);
    });
    w.net.blackhole = true;
    client.connect(url);  // calls on_state on the strand before the operations get there
    client.async_receive(asio::bind_cancellation_slot(signals[0].slot(), [&](std::error_code ec, message) { told.push_back(ec); }));
    client.async_wait_open(asio::bind_cancellation_slot(signals[1].slot(), [&](std::error_code ec) { told.push_back(ec); }));
    client.async_send(message::text("x"), asio::bind_cancellation_slot(signals[2].slot(), [&](std::error_code ec, outcome) {
        told.push_back(ec);
    }));
    w.net.poll();
    REQUIRE(told.size() == 3);
    CHECK(std::count(told.begin(), told.end(), asio::error::operation_aborted) == 2);
    CHECK(std::count(told.begin(), told.end(), make_error_code(errc::cancelled)) == 1);
}

TEST_CASE("cancelling: of several that wait, only the one meant ends, and the others keep their order") {
    pair<> p(reliable());
    while (p.client.try_send("filler")) p.w.net.poll();
    asio::cancellation_signal signal;
    std::vector<int> done;
    std::vector<std::string> got;
    const auto send = [&](int n, auto&& wrap) {
        p.client.async_send(message::text(std::to_string(n)), wrap([&done, n](std::error_code, outcome) { done.push_back(n); }));
    };
    const auto same = [](auto h) { return h; };
    send(1, same);
    send(2, [&](auto h) { return asio::bind_cancellation_slot(signal.slot(), h); });
    send(3, same);
    send(4, same);
    p.w.net.poll();
    signal.emit(cancellation_type::total);
    p.w.net.poll();
    CHECK(done == std::vector<int>{2});
    p.peer().on_message([&](const hawser::message_view& m) { got.emplace_back(m.text()); });
    p.w.net.run_for(10s);
    CHECK(done == std::vector<int>{2, 1, 3, 4});
    got.erase(std::remove(got.begin(), got.end(), "filler"), got.end());
    CHECK(got == std::vector<std::string>{"1", "3", "4"});
}

TEST_CASE("cancelling: a message that is accepted and not durable yet is withdrawn, or in flight and its ticket tells the rest") {
    for (std::size_t k = 0; k < kinds.size(); ++k) {
        for (const bool flies : {true, false}) {
            CAPTURE(kind_names[k], flies);
            auto o = wide(reliable());
            pair<stored> p(o);
            std::vector<std::string> got;
            p.peer().on_message([&](const hawser::message_view& m) { got.emplace_back(m.text()); });
            if (!flies) {
                p.w.net.refuse_connections = true;
                p.w.net.last_connection().cut();
                p.w.net.run_for(10ms);
            }
            asio::cancellation_signal signal;
            told result;
            hawser::ticket t;
            p.client.async_enqueue(message::text("x"), asio::bind_cancellation_slot(signal.slot(), [&](std::error_code ec, hawser::ticket given) {
                ++result.calls;
                result.error = ec;
                t = given;
            }));
            p.w.net.poll();
            REQUIRE(result.calls == 0);
            signal.emit(kinds[k]);
            p.w.net.poll();
            const bool ignored = flies && kinds[k] == cancellation_type::total;
            CHECK(result.calls == (ignored ? 0 : 1));
            if (!ignored) CHECK(result.error == (flies ? errc::detached : errc::cancelled));
            p.w.net.refuse_connections = false;
            p.w.net.run_for(10s);
            CHECK(result.calls == 1);
            if (ignored) CHECK(!result.error);
            CHECK(got == (flies ? std::vector<std::string>{"x"} : std::vector<std::string>{}));
            std::optional<outcome> later;
            p.client.async_outcome(t, [&](std::error_code, outcome r) { later = r; });
            p.w.net.poll();
            CHECK(later == (flies ? outcome::acknowledged : outcome::cancelled));
        }
    }
}

TEST_CASE("cancelling: who asks for an outcome does not withdraw the message, who sent it does, and both are told") {
    pair<> p(reliable());
    REQUIRE(p.client.try_send("filler"));
    p.w.net.poll();
    asio::cancellation_signal sender, asker;
    std::vector<std::error_code> sent, asked, asked_too;
    p.client.async_send(message::text("x"), asio::bind_cancellation_slot(sender.slot(), [&](std::error_code ec, outcome) { sent.push_back(ec); }));
    p.w.net.poll();
    p.client.async_outcome({2}, asio::bind_cancellation_slot(asker.slot(), [&](std::error_code ec, outcome) { asked.push_back(ec); }));
    p.client.async_outcome({2}, [&](std::error_code ec, outcome) { asked_too.push_back(ec); });
    p.w.net.poll();
    asker.emit(cancellation_type::total);
    p.w.net.poll();
    CHECK(asked == std::vector<std::error_code>{errc::detached});
    CHECK(sent.empty());
    sender.emit(cancellation_type::total);
    p.w.net.poll();
    CHECK(sent == std::vector<std::error_code>{errc::cancelled});
    CHECK(asked_too == std::vector<std::error_code>{errc::cancelled});
    CHECK(p.client.queued_bytes() == 0);
}
