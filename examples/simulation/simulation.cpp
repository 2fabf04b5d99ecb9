// SPDX-License-Identifier: BSL-1.0
// A shop takes orders over a WebSocket. Its naive handler books whatever comes in; the simulator
// finds the seed with which a customer, who orders again after a cut, pays twice.
#include <hawser/hawser.hpp>
#include <hawser/testing/world.hpp>

#include <chrono>
#include <iostream>
#include <list>
#include <set>
#include <string>

using namespace std::chrono_literals;
using hawser::testing::process, hawser::testing::world;

struct shop {
    shop(process& p, world& w, bool is_careful)
        : sim(w), careful(is_careful), listener(p.context(), {.port = 9000}, hawser::options::plain()) {
        accept();
    }
    void accept() {
        listener.async_accept([this](std::error_code ec, hawser::resilient_socket<> s) {
            if (ec) return;
            auto& peer = peers.emplace_back(std::move(s));
            peer.on_message([this, &peer](const hawser::message_view& m) {
                const bool is_new = booked.insert(std::string(m.text())).second;
                if (careful && !is_new) return (void)peer.try_send(m.text());  // booked before: only confirm
                sim.check(is_new, "an order was booked twice");
                (void)peer.try_send(m.text());
            });
            accept();
        });
    }
    world& sim;
    bool careful;
    hawser::listener<> listener;
    std::list<hawser::resilient_socket<>> peers;
    std::set<std::string> booked;
};

struct customer {
    explicit customer(process& p) : link(p.context(), hawser::options::plain()) {
        for (int i = 1; i <= 20; ++i) open_orders.insert("order " + std::to_string(i));
        link.on_message([this](const hawser::message_view& m) { open_orders.erase(std::string(m.text())); });
        link.on_state([this](const hawser::state_change& c) {
            if (c.to == hawser::connection_state::open)
                for (const auto& order : open_orders) (void)link.try_send(order);  // again, if there was no answer
        });
        link.connect("ws://shop:9000/");
    }
    std::set<std::string> open_orders;
    hawser::resilient_socket<> link;
};

std::optional<hawser::testing::finding> look_for_trouble(bool careful) {
    return hawser::testing::explore(1, 500, [careful](world& sim) {
        customer* buyer = nullptr;
        sim.add("shop").start([&](process& p) { p.make<shop>(p, sim, careful); });
        sim.add("customer").start([&](process& p) { buyer = &p.make<customer>(p); });
        auto rates = hawser::testing::fault_rates::all(2s);
        rates.immortal = {"shop", "customer"};  // both keep their memory here
        rates[hawser::testing::fault::corruption] = {};  // a WebSocket alone has no checksum
        sim.faults().start(rates);
        sim.run_for(20s);
        sim.faults().stop();
        const bool done = sim.run_until([&] { return buyer->open_orders.empty(); }, 120s);
        sim.check(done, "an order was never confirmed");
    });
}

int main() {
    const auto naive = look_for_trouble(false), careful = look_for_trouble(true);
    if (naive) std::cout << "naive: seed " << naive->seed << ": " << naive->what << '\n';
    if (careful) std::cout << "careful: seed " << careful->seed << ": " << careful->what << '\n';
    else std::cout << "careful: 500 seeds, nothing found\n";
    return naive && !careful ? 0 : 1;
}
