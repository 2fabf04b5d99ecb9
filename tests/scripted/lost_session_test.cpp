// SPDX-License-Identifier: BSL-1.0
// A session that is lost without a word on how far it got: what becomes of what was written in it.
#include "support/catch.hpp"
#include "support/world.hpp"

#include <map>
#include <string>
#include <utility>
#include <vector>

using namespace support;
using hawser::lost_session_policy;
using hawser::message;

namespace {

struct without_ids : hawser::default_policies {
    using dedup = hawser::no_dedup;
};

// What the second server is given: text, number, counter of the id.
struct given {
    std::string text;
    std::uint64_t seq = 0, counter = 0;
    friend bool operator==(const given&, const given&) = default;
};

// The client has written three messages that nobody has taken when its server loses everything, and sends two more
// before it is back.
template <class P>
struct lost_session : world<P> {
    explicit lost_session(lost_session_policy policy) : client(this->context, options(policy)) {
        client.on_outcome([this](hawser::ticket t, outcome o) { outcomes[t.counter] = o; });
        client.connect(url);
        this->listen(quick(hawser::options::reliable()));
        REQUIRE(this->net.run_until([&] { return !this->accepted.empty(); }));
        REQUIRE(client.try_send("taken"));
        REQUIRE(this->net.run_until([&] { return this->accepted.front().try_receive().has_value(); }));
        (void)this->accepted.front().try_receive();  // which takes responsibility for it
        REQUIRE(this->net.run_until([&] { return outcomes.size() == 1; }, 5s));
        for (const char* text : {"w1", "w2", "w3"}) REQUIRE(client.try_send(text));
        this->net.run_for(1s);

        this->server.reset();
        this->accepted.clear();
        this->net.last_connection().cut();
        REQUIRE(this->net.run_until([&] { return client.state() == connection_state::waiting; }, 5s));
        REQUIRE(client.try_send("normal"));
        REQUIRE(client.try_send(message::text("urgent"), {.priority = hawser::message_priority::urgent}));
        this->on_accept = [this](hawser::resilient_socket<P>& s) {
            s.on_message([this](const hawser::message_view& m) { got.push_back({std::string(m.text()), m.seq, m.id.counter}); });
        };
        this->listen(quick(hawser::options::reliable()));
        REQUIRE(this->net.run_until([&] { return outcomes.size() == 6; }, 60s));
    }
    static hawser::options options(lost_session_policy policy) {
        auto o = quick(hawser::options::reliable());
        o.lost_session = policy;
        return o;
    }
    hawser::resilient_socket<P> client;
    std::map<std::uint64_t, outcome> outcomes;  // by counter
    std::vector<given> got;
};

constexpr auto taken = outcome::acknowledged;
constexpr auto unknown = outcome::unknown;
using told = std::map<std::uint64_t, outcome>;

}  // namespace

TEST_CASE("rule 14: send_again sends what was written first and in old order, under new numbers and old ids") {
    lost_session<hawser::default_policies> w(lost_session_policy::send_again);
    CHECK(w.got == std::vector<given>{{"w1", 1, 2}, {"w2", 2, 3}, {"w3", 3, 4}, {"urgent", 4, 6}, {"normal", 5, 5}});
    CHECK(w.outcomes == told{{1, taken}, {2, taken}, {3, taken}, {4, taken}, {5, taken}, {6, taken}});
}

TEST_CASE("rule 14: without being told to, nothing that was written is sent again, and its outcome is unknown") {
    CHECK(hawser::options::reliable().lost_session == lost_session_policy::report_unknown);
    lost_session<hawser::default_policies> w(hawser::options::reliable().lost_session);
    CHECK(w.got == std::vector<given>{{"urgent", 1, 6}, {"normal", 2, 5}});
    CHECK(w.outcomes == told{{1, taken}, {2, unknown}, {3, unknown}, {4, unknown}, {5, taken}, {6, taken}});
}

TEST_CASE("rule 14: send_again sends nothing again to a server that keeps no ids") {
    lost_session<without_ids> w(lost_session_policy::send_again);
    CHECK(w.got == std::vector<given>{{"urgent", 1, 6}, {"normal", 2, 5}});
    CHECK(w.outcomes == told{{1, taken}, {2, unknown}, {3, unknown}, {4, unknown}, {5, taken}, {6, taken}});
}

namespace {

// A message is handed over and its acknowledgement lost; the client comes back when its session and its tombstone are gone.
struct known_id : world<> {
    explicit known_id(std::size_t max_dedup_memory, hawser::milliseconds session_ttl = 1s)
        : client(context, lost_session<hawser::default_policies>::options(lost_session_policy::send_again)) {
        hawser::listener_options o{.socket = quick(hawser::options::reliable())};
        o.socket.session_ttl = session_ttl;
        o.max_dedup_memory = max_dedup_memory;
        listen(std::move(o));
        on_accept = [this](hawser::resilient_socket<>& s) {
            s.on_message([this](const hawser::message_view&) { ++got; });
        };
        client.on_outcome([this](hawser::ticket t, outcome x) { outcomes[t.counter] = x; });
        client.connect(url);
        REQUIRE(client.try_send("once"));
        REQUIRE(net.run_until([&] { return got == 1; }, 5s));
        REQUIRE(outcomes.empty());
    }
    void come_back_after(std::chrono::seconds wait) {
        net.refuse_connections = true;
        net.last_connection().cut();
        net.run_for(wait);
        accepted.remove_if([](auto& s) { return s.state() == connection_state::closed; });
        net.run_for(1s);
        net.refuse_connections = false;
        REQUIRE(net.run_until([&] { return outcomes.size() == 1; }, 60s));
    }
    hawser::resilient_socket<> client;
    told outcomes;
    int got = 0;
};

}  // namespace

TEST_CASE("rule 21: what send_again sends a second time is known by its id where the server lives, and handed over once") {
    known_id w(hawser::listener_options{}.max_dedup_memory);
    w.come_back_after(30s);
    CHECK(w.outcomes == told{{1, outcome::duplicate}});
    CHECK(w.got == 1);
}

TEST_CASE("rule 21: ids of an origin without a session are forgotten where there is no room: at least once, and no longer once") {
    known_id w(0);
    w.come_back_after(30s);
    CHECK(w.outcomes == told{{1, taken}});
    CHECK(w.got == 2);
}

TEST_CASE("rule 21: a detached session keeps its ids, whether there is room or not") {
    known_id w(0, 60s);
    w.come_back_after(30s);
    CHECK(w.outcomes == told{{1, taken}});
    CHECK(w.got == 1);
}
