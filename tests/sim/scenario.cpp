// SPDX-License-Identifier: BSL-1.0
#include "scenario.hpp"

#include "durable.hpp"
#include "transfer.hpp"
#include "wire_audit.hpp"

#include <list>

namespace sim {
namespace {

using namespace std::chrono_literals;
using hawser::connection_state;

constexpr std::uint16_t port = 9000;

class server_app {
public:
    server_app(shared_state& all, hawser::testing::process& p, const client_settings& how)
        : all_(all), process_(p), how_(how), incarnation_(++all.processes),
          listener_(p.context(), {.port = port}, all.plan.server, objects{.metrics = metrics_}) {
        accept();
    }
    ~server_app() { note_counters(all_, metrics_); }
    server_app(const server_app&) = delete;
    server_app& operator=(const server_app&) = delete;

    [[nodiscard]] bool settled() const {
        return std::all_of(peers_.begin(), peers_.end(), [](const endpoint& e) { return e.settled(); });
    }
    [[nodiscard]] std::size_t connections() const { return listener_.connections(); }
    [[nodiscard]] std::size_t peers() const {
        return static_cast<std::size_t>(std::count_if(peers_.begin(), peers_.end(), [](const endpoint& e) { return !e.is_final(); }));
    }

private:
    void accept() {
        listener_.async_accept([this](std::error_code ec, socket s) {
            if (ec) return;
            const client_settings& how = s.in_session() ? how_ : plain_;
            auto& e = peers_.emplace_back(all_, process_, incarnation_, how, std::move(s), metrics_);
            e.on_final = [this, &e] {
                peers_.remove_if([&e](const endpoint& other) { return &other == &e; });
            };
            e.start();
            accept();
        });
    }
    static client_settings as_plain(client_settings s) {
        s.reliable = false;
        return s;
    }

    shared_state& all_;
    hawser::testing::process& process_;
    const client_settings& how_;
    client_settings plain_ = as_plain(how_);
    std::uint32_t incarnation_;
    hawser::counting_metrics metrics_;
    std::list<endpoint> peers_;
    server_socket listener_;
};

class client_app {
public:
    client_app(shared_state& all, hawser::testing::process& p, const client_settings& how)
        : all_(all), process_(p), how_(how), incarnation_(++all.processes) {
        dial();
        plan_replacement();
    }
    client_app(const client_app&) = delete;
    client_app& operator=(const client_app&) = delete;

    [[nodiscard]] endpoint& end() { return *end_; }
    [[nodiscard]] bool settled() const { return end_ && end_->settled() && end_->is_final() == false; }
    void close() {
        closing_ = true;
        if (end_) end_->link().close();
    }

private:
    void dial() {
        hawser::counting_metrics metrics;
        socket s(process_.context(), how_.options, objects{.metrics = metrics});
        end_ = std::make_unique<endpoint>(all_, process_, incarnation_, how_, std::move(s), metrics);
        // It ended for good: whoever cares starts another, as an application would.
        end_->on_final = [this] {
            if (closing_) return;
            process_.after(500ms, [this] {
                if (!closing_ && end_->is_final()) dial();
            });
        };
        end_->start();
        end_->link().connect("ws://server:" + std::to_string(port) + "/");
    }
    void plan_replacement() {
        if (how_.replaces_socket_every <= 0s) return;
        process_.after(how_.replaces_socket_every, [this] {
            if (all_.quiet || closing_) return;
            if (hawser::uniform(all_.world.random(), 0, 1) == 0) {
                all_.reach(mark::socket_closed);
                end_->link().close();
            } else {
                all_.reach(mark::socket_destroyed);
                dial();
            }
            plan_replacement();
        });
    }

    shared_state& all_;
    hawser::testing::process& process_;
    const client_settings& how_;
    std::uint32_t incarnation_;
    bool closing_ = false;
    std::unique_ptr<endpoint> end_;
};

// The applications that live at present.
class run {
public:
    run(std::uint64_t seed, const trace_sink& trace) : world_(seed), plan_(swarm(world_.random())), truth_(world_), all_{world_, truth_, plan_} {
        if (trace) world_.on_trace(trace);
        jitter_in_use = plan_.jitter;
        overflow_met = {};
        serving_.options = plan_.server.socket;
        serving_.messages = plan_.clients.front().messages;
        serving_.mean_gap = plan_.clients.front().mean_gap;
        serving_.largest = 200;
        serving_.uses_classes = seed % 3 != 0;
        serving_.pull = plan_.server.socket.acceptance == hawser::acceptance_mode::on_processed || seed % 2 == 0;
        world_.net().on_connection = [this](const auto& c) { wire_audit::attach(world_, c); };
    }

    ~run() { world_.end(); }
    run(const run&) = delete;
    run& operator=(const run&) = delete;

    void play() {
        start();
        world_.faults().start(plan_.faults);
        world_.run_for(60s);
        all_.quiet = true;
        world_.faults().stop();
        settle();
        shut_down();
    }
    [[nodiscard]] result report() {
        result r;
        r.seeds = 1;
        r.violations = world_.violation() ? 1 : 0;
        if (world_.violation()) {
            r.first_bad_seed = world_.seed();
            r.first_violation = *world_.violation();
        }
        r.simulated_seconds = std::chrono::duration<double>(world_.elapsed()).count();
        r.events = world_.events();
        r.messages = truth_.accepted;
        r.deliveries = truth_.deliveries;
        r.acknowledged = truth_.acknowledged;
        r.unknown = truth_.unknown;
        r.reconnects = world_.net().established();
        r.too_small = truth_.accepted < 200 || world_.faults().total() < 5 ? 1 : 0;
        for (std::size_t i = 0; i < r.faults.size(); ++i) r.faults[i] = world_.faults().count(static_cast<hawser::testing::fault>(i));
        r.trace_hash = world_.trace_hash();
        world_.end();
        static constexpr mark overflow_marks[] = {mark::overflow_block, mark::overflow_reject, mark::overflow_drop_oldest,
                                                  mark::overflow_drop_newest, mark::overflow_coalesce, mark::overflow_close};
        for (std::size_t i = 0; i < overflow_kinds; ++i) all_.reach(overflow_marks[i], overflow_met[i]);
        r.reached = all_.reached;
        return r;
    }

private:
    void start() {
        hosts_.push_back(&world_.add("server"));
        hosts_.back()->start([this](hawser::testing::process& p) { server_ = &p.make<server_app>(all_, p, serving_); });
        hosts_.back()->on_exit = [this] { server_ = nullptr; };
        clients_.resize(plan_.clients.size());
        for (std::size_t i = 0; i < clients_.size(); ++i) {
            hosts_.push_back(&world_.add("client" + std::to_string(i)));
            hosts_.back()->start([this, i](hawser::testing::process& p) {
                clients_[i] = &p.make<client_app>(all_, p, plan_.clients[i]);
                if (leaving_) clients_[i]->close();  // a crash that was due came late
            });
            hosts_.back()->on_exit = [this, i] { clients_[i] = nullptr; };
        }
    }
    [[nodiscard]] bool everybody_settled() const {
        return server_ && server_->settled() &&
               std::all_of(clients_.begin(), clients_.end(), [](const client_app* c) {
                   return c && c->settled() && const_cast<client_app*>(c)->end().link().state() == connection_state::open;
               });
    }
    // Liveness: all are connected again, queues are empty, breakers closed, and each sender knows.
    void settle() {
        if (!world_.run_until([this] { return everybody_settled(); }, 240s)) {
            if (!world_.violation()) world_.fail(stuck());
            return;
        }
        for (auto* c : clients_) {
            auto& s = c->end().link();
            world_.check(s.breaker().state(world_.now()) == hawser::breaker_state::closed, "the breaker is not closed although the socket is open");
            c->end().check_counters();
            world_.check(!c->end().is_paused(), "a pause without a resume");
        }
        truth_.check_all_told();
    }
    [[nodiscard]] std::string stuck() {
        std::string text = "not settled 240 s after the last fault:";
        if (!server_) text += " no server;";
        else if (!server_->settled()) text += " server has work;";
        for (std::size_t i = 0; i < clients_.size(); ++i) {
            if (!clients_[i]) text += " no client " + std::to_string(i) + ";";
            else {
                auto& s = clients_[i]->end().link();
                if (!clients_[i]->settled() || s.state() != connection_state::open)
                    text += " client " + std::to_string(i) + " " + to_string(s.state()) + ", " + std::to_string(s.unacknowledged()) + " unacknowledged;";
            }
        }
        return text;
    }
    // No ghosts: when all have closed, nothing is left anywhere.
    void shut_down() {
        if (world_.violation()) return;
        leaving_ = true;
        for (std::size_t i = 0; i < clients_.size(); ++i)
            hosts_[i + 1]->run([this, i](hawser::testing::process&) { clients_[i]->close(); });
        const bool over = world_.run_until(
            [this] {
                return server_ && std::all_of(clients_.begin(), clients_.end(), [](client_app* c) { return c && c->end().is_final(); });
            },
            30s);
        if (world_.violation()) return;
        world_.check(over, "a socket did not close in time");
        // Sessions of clients that were killed may wait for them until their time is over.
        world_.run_for(plan_.server.socket.session_ttl + 30s);
        if (world_.violation()) return;
        world_.check(server_ && server_->peers() == 0, "a ghost: the server has a socket whose client is gone");
        world_.check(server_ && server_->connections() == 0, "a ghost: the listener counts a link that is over");
        world_.check(world_.net().live().empty(), "a ghost: a connection that nobody holds is open");
    }

    hawser::testing::world world_;
    settings plan_;
    client_settings serving_;
    oracle truth_;
    shared_state all_;
    std::vector<hawser::testing::host*> hosts_;
    server_app* server_ = nullptr;
    std::vector<client_app*> clients_;
    bool leaving_ = false;
};

}  // namespace

void result::add(const result& other) {
    seeds += other.seeds;
    violations += other.violations;
    nondeterministic += other.nondeterministic;
    trace_hash ^= other.trace_hash;
    simulated_seconds += other.simulated_seconds;
    events += other.events;
    messages += other.messages;
    deliveries += other.deliveries;
    acknowledged += other.acknowledged;
    unknown += other.unknown;
    reconnects += other.reconnects;
    too_small += other.too_small;
    for (std::size_t i = 0; i < faults.size(); ++i) faults[i] += other.faults[i];
    for (std::size_t i = 0; i < reached.size(); ++i) reached[i] += other.reached[i];
    if (first_bad_seed == 0 || (other.first_bad_seed != 0 && other.first_bad_seed < first_bad_seed)) {
        first_bad_seed = other.first_bad_seed;
        first_violation = other.first_violation;
    }
}

result run_seed(std::uint64_t seed, const trace_sink& trace) {
    run r(seed, trace);
    r.play();
    result all = r.report();
    // Another world beside it, smaller: only its violations, time and what it reached count.
    if (all.violations == 0) run_durable(seed, trace, all);
    if (all.violations == 0 && seed % 4 == 0) run_transfer(seed, trace, all);
    return all;
}

}  // namespace sim
