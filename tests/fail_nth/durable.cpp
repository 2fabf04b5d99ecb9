// SPDX-License-Identifier: BSL-1.0
// Sessions in a durable store that go on over cuts and restarts of either side: each message has its effect once, in
// order, or its sender was told.
#include "fail_nth/failing_store.hpp"
#include "fail_nth/scenarios.hpp"

#include <algorithm>
#include <map>
#include <set>

namespace fail_nth {
namespace {

struct stored : hawser::default_policies {
    using store = failing_durable_store;
};

// One direction. Its messages are "<letter><number>", and so are the rows of their effects.
struct direction {
    char letter;
    std::uint64_t wanted = 0;               // numbers up to here are to be sent
    std::set<std::uint64_t> accepted{};     // as the application was told
    std::map<std::uint64_t, outcome> told{};
};

class durable_stage : public stage<stored> {
public:
    explicit durable_stage(bool explain_it)
        : durable_stage(explain_it, std::make_shared<hawser::testing::stored_streams>()) {}

    void begin() {
        listen(options_);
        start_client();
    }
    void start_client() {
        loaded_ = asked_ = false;
        client.reset();
        dial(options_);
        transact(*client);
        connect(*client);
    }
    void stop_server() {
        for (auto& a : accepted)
            a.link.reset();
        server.reset();
        listener_failed = false;
        net.run_for(1ms);  // its port is free again
    }

    void listen_again() { listen(options_); }

    // Messages up to these numbers are accepted, and have their effects.
    void send_up_to(std::uint64_t client_messages, std::uint64_t server_messages) {
        up.wanted = client_messages;
        down.wanted = server_messages;
    }
    [[nodiscard]] bool all_accepted() {
        return last_of_client() >= up.wanted && down.accepted.size() >= down.wanted && pending() == 0;
    }
    [[nodiscard]] bool all_done() {
        return all_accepted() && client_outbox() == 0 && std::all_of(down.accepted.begin(), down.accepted.end(), [&](auto n) {
                   return has_row(down, n) || down.told.contains(n) || n <= lost_through_;
               });
    }
    template <class Done>
    bool play_until(Done done, hawser::duration limit) {
        return wait(
            [&] {
                if (done()) return true;
                go_on();
                return done();
            },
            limit);
    }

    [[nodiscard]] report finish() {
        faults::stop();
        send_up_to(up.wanted + 1, down.accepted.size() + 1);
        if (!play_until([&] { return all_done() && is_open(); }, 60s))
            fail("no recovery: the client is " + std::string(client->link ? to_string(client->link->state()) : "gone") + ", " +
                     std::to_string(rows(up).size()) + " of " + std::to_string(up.wanted) + " and " +
                     std::to_string(rows(down).size()) + " of " + std::to_string(down.accepted.size()) + " have effects",
                 verdict::hang);
        check(up);
        check(down);
        return judge();
    }

    direction up{'c'}, down{'s'};

private:
    durable_stage(bool explain_it, failing_durable_store::streams_ptr streams)
        : stage({.store = failing_durable_store(streams)}), streams_(std::move(streams)),
          options_(quick(hawser::options::reliable())) {
        explain = explain_it;
        on_accept = [this](side& s) {
            if (!s.link->restored()) {
                ++sessions_;
                if (!down.accepted.empty()) lost_through_ = *down.accepted.rbegin();
            }
            if (explain) std::fprintf(stderr, "server: accepts a session that is %s\n", s.link->restored() ? "restored" : "new");
            transact(s);
            session_of_[&s] = sessions_;
        };
        on_told = [this](side& s, hawser::ticket t, outcome o) {
            if (&s == &*client) return note(up, t.counter, o);
            const auto n = numbers_.find({session_of_[&s], t.counter});
            if (n != numbers_.end()) note(down, n->second, o);
        };
    }

    void transact(side& s) {
        const test_code setting;
        s.link->on_message_transaction([this, &s](hawser::testing::transaction& tx, const hawser::message_view& m) {
            const test_code t;
            tx.append(std::string(m.text()));
            if (explain) std::fprintf(stderr, "%s commits %s\n", s.name, std::string(m.text()).c_str());
            return std::error_code{};
        });
    }
    void note(direction& d, std::uint64_t number, outcome o) {
        if (explain) std::fprintf(stderr, "%c%lu is %s\n", d.letter, static_cast<unsigned long>(number), to_string(o));
        if (!d.told.emplace(number, o).second) fail(name(d, number) + ": its outcome was told twice");
        if (o == outcome::acknowledged && !has_row(d, number)) fail(name(d, number) + " was acknowledged and has no effect");
    }

    // What applications do all the time: they start again what failed, and send what is to be sent.
    void go_on() {
        if (client->over()) {
            failed_socket = failed_socket || client->state() == connection_state::failed;
            net.run_for(10ms);
            return start_client();
        }
        if (!server || listener_failed) {
            stop_server();
            net.run_for(10ms);
            return listen(options_);
        }
        if (!loaded_) return await_loaded();
        if (std::exchange(sending_, true)) return;
        net.after(1ms, [this] {  // on the strand, where `last_ticket` is true at once
            sending_ = false;
            send();
        });
    }
    void send() {
        while (loaded_ && !client->over() && last_of_client() < up.wanted)
            if (!enqueue(*client, up, last_of_client() + 1)) break;
        if (accepted.empty() || accepted.back().over() || down.accepted.size() >= down.wanted || pending() > 0) return;
        (void)enqueue(accepted.back(), down, ++last_of_server_);
    }
    void await_loaded() {
        if (asked_) return;
        asked_ = attempt([&] {
            client->link->async_wait_loaded([this](std::error_code ec) {
                const test_code t;
                if (ec == asio::error::operation_aborted) return;  // of a socket that is gone
                asked_ = false;
                loaded_ = !ec;
            });
        });
    }
    bool enqueue(side& s, direction& d, std::uint64_t number) {
        if (explain) std::fprintf(stderr, "%s: to be sent\n", name(d, number).c_str());
        const std::uint64_t before = s.link->last_ticket().counter;
        account& a = others.emplace_back();
        a.number = static_cast<int>(number);
        a.awaits = true;
        const std::string text = name(d, number);
        a.threw = !attempt([&] {
            s.link->async_enqueue(message::text(text), [this, &a, &d, number, in = sessions_](std::error_code ec, hawser::ticket t) {
                const test_code c;
                ++a.completions;
                a.error = ec;
                if (explain) std::fprintf(stderr, "%s: %s, ticket %d\n", name(d, number).c_str(), ec ? ec.message().c_str() : "accepted", static_cast<int>(t.counter));
                if (ec) return;
                d.accepted.insert(number);
                if (&d == &down) numbers_[{in, t.counter}] = number;
                else if (t.counter != number) fail("tickets do not count messages");
            });
        });
        return !a.threw && s.link && s.link->last_ticket().counter > before;
    }

    [[nodiscard]] static std::string name(const direction& d, std::uint64_t number) { return d.letter + std::to_string(number); }
    [[nodiscard]] bool has_row(const direction& d, std::uint64_t number) const {
        const auto& all = streams_->rows();
        return std::find(all.begin(), all.end(), name(d, number)) != all.end();
    }
    [[nodiscard]] std::vector<std::uint64_t> rows(const direction& d) const {
        std::vector<std::uint64_t> numbers;
        for (const std::string& row : streams_->rows())
            if (row[0] == d.letter) numbers.push_back(std::stoull(row.substr(1)));
        return numbers;
    }
    [[nodiscard]] std::uint64_t last_of_client() const {
        return loaded_ && client->link ? client->link->last_ticket().counter : 0;
    }
    [[nodiscard]] std::size_t client_outbox() const { return streams_->image(std::string(hawser::client_stream)).outbox.size(); }

    void check(const direction& d) {
        std::uint64_t last = 0;
        for (const std::uint64_t n : rows(d)) {
            if (n <= last) fail(name(d, n) + (n == last ? " had its effect twice" : " had its effect late"));
            last = n;
        }
        for (const std::uint64_t n : d.accepted) {
            const auto told = d.told.find(n);
            const bool lost = &d == &down && n <= lost_through_;
            if (!has_row(d, n) && told == d.told.end() && !lost) fail(name(d, n) + " was accepted and lost, and nobody was told");
        }
        for (const auto& [n, o] : d.told)
            if (has_row(d, n) && (o == outcome::cancelled || o == outcome::refused))
                fail(name(d, n) + " was never written, they say, and has its effect");
    }

    failing_durable_store::streams_ptr streams_;
    hawser::options options_;
    bool loaded_ = false, asked_ = false, sending_ = false;
    std::uint64_t sessions_ = 0;
    std::uint64_t last_of_server_ = 0;
    std::uint64_t lost_through_ = 0;  // messages of the server in sessions that are no more
    std::map<const side*, std::uint64_t> session_of_;
    std::map<std::pair<std::uint64_t, std::uint64_t>, std::uint64_t> numbers_;  // by session and ticket
};

}  // namespace

report durable_restarts(bool explain) {
    durable_stage w(explain);
    w.begin();
    w.send_up_to(3, 2);
    (void)w.play_until([&] { return w.all_done(); }, 2s);
    w.send_up_to(5, 3);
    (void)w.play_until([&] { return w.all_accepted(); }, 1s);
    w.cut();
    (void)w.play_until([&] { return w.all_done(); }, 2s);
    w.send_up_to(7, 4);
    (void)w.play_until([&] { return w.all_accepted(); }, 1s);
    w.start_client();
    (void)w.play_until([&] { return w.all_done(); }, 2s);
    w.send_up_to(9, 6);
    (void)w.play_until([&] { return w.all_accepted(); }, 1s);
    w.stop_server();
    (void)w.play_until([&] { return w.all_done(); }, 3s);
    return w.finish();
}

report durable_ends(bool explain) {
    durable_stage w(explain);
    w.begin();
    w.send_up_to(2, 1);
    (void)w.play_until([&] { return w.all_done(); }, 2s);
    // By the client, in order.
    (void)w.attempt([&] { w.client->link->close(); });
    w.send_up_to(4, 2);
    (void)w.play_until([&] { return w.client->over(); }, 3s);
    (void)w.play_until([&] { return w.all_done(); }, 3s);
    // By the server, with messages under way.
    w.send_up_to(6, 4);
    (void)w.play_until([&] { return w.all_accepted(); }, 1s);
    if (!w.accepted.empty()) (void)w.attempt([&] { w.accepted.back().link->close(); });
    (void)w.play_until([&] { return w.client->over(); }, 3s);
    (void)w.play_until([&] { return w.all_done(); }, 3s);
    // By its time to live, behind a restart of the server.
    w.client->link.reset();
    w.stop_server();
    w.listen_again();
    w.net.run_for(12s);
    w.start_client();
    w.send_up_to(7, 5);
    (void)w.play_until([&] { return w.all_done(); }, 3s);
    return w.finish();
}

}  // namespace fail_nth
