// SPDX-License-Identifier: BSL-1.0
// TLS between whole sockets in virtual time. (What TLS itself draws at random is not the simulation's.)
#include <hawser/tls.hpp>

#include "support/catch.hpp"
#include "support/certificates.hpp"
#include "support/world.hpp"

#include <numeric>

using namespace support;
using hawser::message;

namespace {

const std::string secure_url = "wss://server.test:9000/";

hawser::options dialling(std::shared_ptr<const hawser::tls_layer> tls, hawser::options o = hawser::options::plain()) {
    o = quick(std::move(o));
    o.tls = std::move(tls);
    return o;
}
hawser::listener_options accepting(std::shared_ptr<const hawser::tls_layer> tls, hawser::options o = hawser::options::plain()) {
    hawser::listener_options l{.socket = quick(std::move(o))};
    l.tls = std::move(tls);
    return l;
}
std::shared_ptr<const hawser::tls_layer> trusting_client() { return hawser::tls(trusting(authority())); }

// A server that echoes, and the last state that a client told.
struct echo_world {
    explicit echo_world(hawser::listener_options l) {
        w.listen(std::move(l));
        w.on_accept = [](hawser::resilient_socket<>& s) {
            s.on_message([&s](const hawser::message_view& m) { CHECK(s.try_send(m)); });
        };
    }
    explicit echo_world(context_ptr context = server_context()) : echo_world(accepting(hawser::tls(std::move(context)))) {}
    void start(hawser::options o, const std::string& to = secure_url) {
        client.emplace(w.context, std::move(o));
        client->on_state([this](const hawser::state_change& s) {
            last = s;
            states.push_back(s.to);
        });
        client->on_message([this](const hawser::message_view& m) { got.push_back(message::copy(m.bytes, m.kind)); });
        client->connect(to);
    }
    [[nodiscard]] bool open() {
        return w.net.run_until([this] { return client->state() == connection_state::open; }, 10s);
    }
    [[nodiscard]] std::error_code refusal() {
        REQUIRE(w.net.run_until([this] { return client->state() == connection_state::failed; }, 5s));
        CHECK(std::count(states.begin(), states.end(), connection_state::connecting) == 1);  // not tried again
        CHECK(last.reason == hawser::condition::fatal);
        return last.reason;
    }
    [[nodiscard]] bool echoes(const message& m) {
        const std::size_t had = got.size();
        REQUIRE(client->try_send(m));
        return w.net.run_until([&] { return got.size() > had; }, 5s) && got.back().text() == m.text();
    }

    world<> w;
    std::optional<hawser::resilient_socket<>> client;
    hawser::state_change last;
    std::vector<connection_state> states;
    std::vector<message> got;
};

std::string noise(std::size_t size) {
    std::string text(size, 0);
    std::uint32_t x = 1;
    for (char& c : text) c = static_cast<char>('a' + (x = x * 1664525 + 1013904223) / 165191050);
    return text;
}

// The plain bytes and headers of TLS that an end wrote.
struct record_counter {
    explicit record_counter(hawser::testing::virtual_driver& net, int end) {
        net.on_connection = [this, end](const auto& c) {
            c->tap = [this, end](int from, hawser::byte_vector& bytes) {
                if (from == end) hawser::append(written, bytes);
            };
        };
    }
    [[nodiscard]] std::vector<std::size_t> records() const {
        std::vector<std::size_t> sizes;
        for (std::size_t at = 0; at + 5 <= written.size();) {
            sizes.push_back(hawser::load_be<std::uint16_t>(written.data() + at + 3));
            at += 5 + sizes.back();
        }
        return sizes;
    }
    hawser::byte_vector written;
};

}  // namespace

TEST_CASE("tls: messages of all sizes pass in both directions, plain and in a session") {
    for (const auto& preset : {hawser::options::plain(), hawser::options::reliable()}) {
        echo_world e(accepting(hawser::tls(server_context()), preset));
        e.start(dialling(trusting_client(), preset));
        REQUIRE(e.open());
        for (const std::size_t size : {0U, 1U, 125U, 126U, 16'000U, 16'384U, 16'385U, 65'536U, 200'000U, 900'000U})
            CHECK(e.echoes(message::text(noise(size))));
    }
}

TEST_CASE("tls: the same result however the ciphertext is cut") {
    for (const std::size_t cut : {1U, 2U, 3U, 5U, 7U, 64U, 1000U, 16'389U}) {
        echo_world e;
        e.w.net.on_connection = [cut](const auto& c) {
            c->limit_reads_of(0, cut);
            c->limit_reads_of(1, cut);
        };
        e.start(dialling(trusting_client()));
        REQUIRE(e.open());
        CHECK(e.echoes(message::text(noise(3'000))));
        CHECK(e.echoes(message::text(noise(40'000))));
    }
}

TEST_CASE("tls: a write that is cut short goes on where it stopped") {
    for (const std::size_t cut : {1U, 100U, 16'384U, 70'000U}) {
        echo_world e;
        e.w.net.on_connection = [cut](const auto& c) { c->end(0).max_write = c->end(1).max_write = cut; };
        e.start(dialling(trusting_client()));
        REQUIRE(e.open());
        CHECK(e.echoes(message::text(noise(cut == 1 ? 5'000 : 300'000))));
    }
}

TEST_CASE("T1: a certificate for another host, expired, not yet valid, untrusted: final, each with its own error") {
    const auto refused = [](const certificate_request& what, std::shared_ptr<const hawser::tls_layer> tls,
                            const std::string& to = secure_url) {
        echo_world e(server_context(what));
        e.start(dialling(std::move(tls)), to);
        return e.refusal();
    };
    CHECK(refused({.alternatives = "DNS:other.test"}, trusting_client()) == errc::certificate_name);
    CHECK(refused({.name = "server.test", .alternatives = "DNS:*.server.test"}, trusting_client()) == errc::certificate_name);
    CHECK(refused({.alternatives = "IP:127.0.0.2"}, trusting_client(), "wss://127.0.0.1:9000/") == errc::certificate_name);
    CHECK(refused({.from_s = -7200, .to_s = -3600}, trusting_client()) == errc::certificate_expired);
    CHECK(refused({.from_s = 3600}, trusting_client()) == errc::certificate_expired);
    CHECK(refused({}, hawser::tls()) == errc::certificate_untrusted);  // the system does not know it
    const certificate stranger({.name = "stranger", .alternatives = "", .is_authority = true});
    CHECK(refused({}, hawser::tls(trusting(stranger))) == errc::certificate_untrusted);
    // A context that was never told to verify does it nevertheless.
    CHECK(refused({}, hawser::tls(asio::ssl::context(asio::ssl::context::tls_client))) == errc::certificate_untrusted);
}

TEST_CASE("T1: the right name, also by wildcard, by address and with a final dot") {
    const auto accepted = [](const std::string& alternatives, const std::string& to, hawser::tls_options o = {}) {
        echo_world e(server_context({.name = "x", .alternatives = alternatives}));
        e.start(dialling(hawser::tls(trusting(authority()), std::move(o))), to);
        return e.open();
    };
    CHECK(accepted("DNS:server.test", secure_url));
    CHECK(accepted("DNS:server.test", "wss://server.test.:9000/"));
    CHECK(accepted("DNS:*.server.test", "wss://a.server.test:9000/"));
    CHECK(accepted("IP:127.0.0.1", "wss://127.0.0.1:9000/"));
    CHECK(accepted("IP:::1", "wss://[::1]:9000/"));
    CHECK(accepted("DNS:server.test", "wss://127.0.0.1:9000/", {.host_name = "server.test"}));
    CHECK(accepted("DNS:other.test", secure_url, {.verify_peer = false}));
}

TEST_CASE("T1: no downgrade: wss without options::tls is refused, and what to set is said") {
    world<> w;
    hawser::resilient_socket<> client(w.context, quick(hawser::options::plain()));
    std::string why;
    CHECK(client.try_connect(secure_url, why) == errc::tls_missing);
    CHECK(why.find("options::tls") != std::string::npos);
    CHECK(client.state() == connection_state::idle);
    CHECK(make_error_code(errc::tls_missing) == hawser::condition::fatal);
}

TEST_CASE("T1: no downgrade: TLS to a server without it fails and is tried again as TLS") {
    echo_world e{hawser::listener_options{.socket = quick(hawser::options::plain())}};
    e.start(dialling(trusting_client()));
    REQUIRE(e.w.net.run_until([&] { return e.last.to == connection_state::waiting; }, 5s));
    CHECK(e.last.reason == hawser::condition::retryable);
    CHECK(e.w.accepted.empty());
}

TEST_CASE("tls: a plain client of a TLS server is not served") {
    echo_world e;
    e.start(quick(hawser::options::plain()), url);
    REQUIRE(e.w.net.run_until([&] { return e.last.to == connection_state::waiting; }, 5s));
    CHECK(e.w.accepted.empty());
}

TEST_CASE("T4: a TLS handshake that stalls is cut at the deadline, on both sides") {
    echo_world e;
    const auto limit = quick(hawser::options::plain()).handshake_timeout;
    // A server: nothing, and half a ClientHello.
    for (const std::string_view said : {"", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"}) {
        const auto peer = e.w.net.dial(port);
        REQUIRE(e.w.net.run_until([&] { return peer->connected; }, 1s));
        if (!said.empty()) peer->send(said);
        e.w.net.run_for(limit - 100ms);
        CHECK(!peer->closed);
        e.w.net.run_for(200ms);
        CHECK(peer->closed);
        CHECK(peer->received.empty());
    }
    // A client: the server accepts and says nothing.
    std::vector<hawser::stream_ptr> silent;
    const auto trap = e.w.net.listen_raw(9001, [&](hawser::stream_ptr s) { silent.push_back(std::move(s)); });
    e.start(dialling(trusting_client()), "wss://server.test:9001/");
    REQUIRE(e.w.net.run_until([&] { return e.last.to == connection_state::waiting; }, 5s));
    CHECK(e.last.reason == errc::connect_timeout);
}

TEST_CASE("T4: TLS 1.1 is refused with an alert, whatever the context allows") {
    const auto old = [] {
        auto context = trusting(authority());
        SSL_CTX_set_min_proto_version(context->native_handle(), TLS1_VERSION);
        SSL_CTX_set_max_proto_version(context->native_handle(), TLS1_1_VERSION);
        SSL_CTX_set_cipher_list(context->native_handle(), "ALL:@SECLEVEL=0");
        return context;
    };
    auto lenient = server_context();
    SSL_CTX_set_min_proto_version(lenient->native_handle(), TLS1_VERSION);
    SSL_CTX_set_cipher_list(lenient->native_handle(), "ALL:@SECLEVEL=0");
    echo_world e(lenient);
    record_counter from_server(e.w.net, 1);
    // An SSL of its own: the library's client would not offer TLS 1.1.
    const auto peer = e.w.net.dial(port);
    REQUIRE(e.w.net.run_until([&] { return peer->connected; }, 1s));
    const auto context = old();
    const hawser::detail::ssl_ptr ssl(SSL_new(context->native_handle()));
    BIO* out = BIO_new(BIO_s_mem());
    SSL_set_bio(ssl.get(), BIO_new(BIO_s_mem()), out);
    SSL_set_connect_state(ssl.get());
    (void)SSL_do_handshake(ssl.get());
    char* data = nullptr;
    const long n = BIO_get_mem_data(out, &data);
    REQUIRE(n > 0);
    peer->send({data, static_cast<std::size_t>(n)});
    REQUIRE(e.w.net.run_until([&] { return peer->closed; }, 1s));
    REQUIRE(peer->received.size() >= 7);
    CHECK(peer->received[0] == 21);                              // an alert
    CHECK(peer->received[5] == 2);                               // fatal
    CHECK(peer->received[6] == static_cast<char>(TLS1_AD_PROTOCOL_VERSION));
}

TEST_CASE("tls: nothing in common is final") {
    auto only_12 = server_context();
    SSL_CTX_set_max_proto_version(only_12->native_handle(), TLS1_2_VERSION);
    auto only_13 = trusting(authority());
    SSL_CTX_set_min_proto_version(only_13->native_handle(), TLS1_3_VERSION);
    echo_world e(only_12);
    e.start(dialling(hawser::tls(only_13)));
    CHECK(e.refusal() == errc::tls_incompatible);
}

namespace {

// One end of TLS by OpenSSL alone, on a raw peer of the simulation.
struct bare_tls_end {
    bare_tls_end(hawser::testing::virtual_driver& n, context_ptr c) : net(n), context(std::move(c)), ssl(SSL_new(context->native_handle())) {
        SSL_set_bio(ssl.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    }
    void exchange() {
        char* data = nullptr;
        const long n = BIO_get_mem_data(SSL_get_wbio(ssl.get()), &data);
        if (n > 0) peer->send({data, static_cast<std::size_t>(n)});
        (void)BIO_reset(SSL_get_wbio(ssl.get()));
        net.run_for(5ms);
        const std::string fresh = peer->received.substr(seen);
        seen += fresh.size();
        last_size = fresh.size();
        if (!fresh.empty()) (void)BIO_write(SSL_get_rbio(ssl.get()), fresh.data(), static_cast<int>(fresh.size()));
    }
    [[nodiscard]] bool handshake() {
        int r = 0;
        for (int i = 0; i < 10 && r != 1; ++i) {
            r = SSL_do_handshake(ssl.get());
            exchange();
        }
        return r == 1;
    }
    void write(std::string_view text) {
        (void)SSL_write(ssl.get(), text.data(), static_cast<int>(text.size()));
        exchange();
    }
    [[nodiscard]] std::string read() {
        std::string text(64 * 1024, 0);
        exchange();
        const int n = SSL_read(ssl.get(), text.data(), static_cast<int>(text.size()));
        return n > 0 ? text.substr(0, static_cast<std::size_t>(n)) : std::string();
    }

    hawser::testing::virtual_driver& net;
    context_ptr context;
    hawser::detail::ssl_ptr ssl;
    std::unique_ptr<hawser::testing::raw_peer> peer;
    std::size_t seen = 0, last_size = 0;
};
struct bare_tls_client : bare_tls_end {
    bare_tls_client(world<>& w, context_ptr c) : bare_tls_end(w.net, std::move(c)) {
        peer = net.dial(port);
        SSL_set_connect_state(ssl.get());
        SSL_set_tlsext_host_name(ssl.get(), "server.test");
        REQUIRE(net.run_until([this] { return peer->connected; }, 1s));
    }
};

const std::string upgrade_request = "GET / HTTP/1.1\r\nHost: server.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

context_ptr at_most_12(context_ptr context) {
    SSL_CTX_set_max_proto_version(context->native_handle(), TLS1_2_VERSION);
    return context;
}

}  // namespace

TEST_CASE("T2: renegotiation by the client is refused; the connection goes on or ends, and never renegotiates") {
    echo_world e;
    bare_tls_client c(e.w, at_most_12(trusting(authority())));
    REQUIRE(c.handshake());
    const hawser::byte_vector before = [&] {
        hawser::byte_vector finished(64);
        finished.resize(SSL_get_finished(c.ssl.get(), finished.data(), finished.size()));
        return finished;
    }();
    REQUIRE(SSL_renegotiate(c.ssl.get()) == 1);
    for (int i = 0; i < 4; ++i) {
        (void)SSL_do_handshake(c.ssl.get());
        c.exchange();
    }
    hawser::byte_vector after(64);
    after.resize(SSL_get_finished(c.ssl.get(), after.data(), after.size()));
    CHECK(before == after);
    CHECK(SSL_total_renegotiations(c.ssl.get()) <= 1);
}

TEST_CASE("T2: a server that asks for renegotiation is refused, and the connection goes on") {
    world<> w;
    bare_tls_end server(w.net, at_most_12(server_context()));
    SSL_set_accept_state(server.ssl.get());
    const auto acceptor = w.net.listen_raw(port, [&](hawser::stream_ptr s) { server.peer = std::make_unique<hawser::testing::raw_peer>(std::move(s)); });
    hawser::resilient_socket<> client(w.context, dialling(trusting_client()));
    std::string got;
    client.on_message([&](const hawser::message_view& m) { got += hawser::as_text(m.bytes); });
    client.connect(secure_url);
    REQUIRE(w.net.run_until([&] { return server.peer != nullptr; }, 1s));
    REQUIRE(server.handshake());
    const std::string request = server.read();
    const std::string mark = "Sec-WebSocket-Key: ";
    const auto at = request.find(mark);
    REQUIRE(at != std::string::npos);
    server.write("HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
                 hawser::ws::accept_key(request.substr(at + mark.size(), 24)) + "\r\n\r\n");
    REQUIRE(client.state() == connection_state::open);
    REQUIRE(SSL_renegotiate(server.ssl.get()) == 1);
    (void)SSL_do_handshake(server.ssl.get());  // writes HelloRequest
    server.exchange();
    const std::size_t seen = server.peer->received.size();
    CHECK(server.peer->received[seen - server.last_size] == 21);  // what came back is an alert, no ClientHello
    // The server of OpenSSL is in its handshake now and would not write: a record of its own is not possible here,
    // so that the client lives shows in what it sends.
    CHECK(client.state() == connection_state::open);
    CHECK(client.try_send("still here"));
    w.net.run_for(10ms);
    CHECK(server.peer->received.size() > seen);
    CHECK(server.peer->received[seen] == 23);  // application data
}

TEST_CASE("tls: ALPN: http/1.1 is agreed on; a client with other protocols alone gets an alert; without ALPN it is served") {
    echo_world e;
    {
        bare_tls_client c(e.w, trusting(authority()));
        REQUIRE(SSL_set_alpn_protos(c.ssl.get(), reinterpret_cast<const unsigned char*>("\x02h2\x08http/1.1"), 12) == 0);
        REQUIRE(c.handshake());
        const unsigned char* chosen = nullptr;
        unsigned n = 0;
        SSL_get0_alpn_selected(c.ssl.get(), &chosen, &n);
        CHECK(std::string(reinterpret_cast<const char*>(chosen), n) == "http/1.1");
    }
    {
        bare_tls_client c(e.w, trusting(authority()));
        REQUIRE(SSL_set_alpn_protos(c.ssl.get(), reinterpret_cast<const unsigned char*>("\x02h2"), 3) == 0);
        CHECK(!c.handshake());
        CHECK(c.peer->closed);
        CHECK(ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL);
        ERR_clear_error();
    }
    {
        bare_tls_client c(e.w, trusting(authority()));
        REQUIRE(c.handshake());
        c.write(upgrade_request);
        CHECK(c.read().starts_with("HTTP/1.1 101"));
    }
}

TEST_CASE("tls: SNI names the host, an address is not sent") {
    static std::string asked;
    for (const auto& [to, expected] : {std::pair<std::string, std::string>{secure_url, "server.test"}, {"wss://127.0.0.1:9000/", "none"}}) {
        auto context = server_context({.alternatives = "DNS:server.test,IP:127.0.0.1"});
        asked.clear();
        SSL_CTX_set_tlsext_servername_callback(context->native_handle(), +[](SSL* ssl, int*, void*) {
            const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
            asked = name ? name : "none";
            return SSL_TLSEXT_ERR_OK;
        });
        echo_world e(context);
        e.start(dialling(trusting_client()), to);
        REQUIRE(e.open());
        CHECK(asked == expected);
    }
}

TEST_CASE("tls: a cut without close_notify is truncation, an end with it is not") {
    for (const bool notified : {false, true}) {
        echo_world e;
        e.start(dialling(trusting_client()));
        REQUIRE(e.open());
        REQUIRE(e.w.net.run_until([&] { return !e.w.accepted.empty(); }, 1s));
        if (notified) {
            // A peer that closes TLS in order, without a close frame: its process ends.
            e.w.accepted.clear();
        } else {
            e.w.net.last_connection().finish();  // FIN on both ends
        }
        REQUIRE(e.w.net.run_until([&] { return e.last.to == connection_state::waiting; }, 5s));
        if (notified) CHECK(e.last.reason != errc::tls_truncated);
        else CHECK(e.last.reason == errc::tls_truncated);
        CHECK(e.last.reason != hawser::condition::fatal);
        CHECK(e.open());  // it comes back
    }
}

TEST_CASE("tls: close_notify without a close frame is a lost connection, not a truncated one") {
    echo_world e;
    bare_tls_client c(e.w, trusting(authority()));
    REQUIRE(c.handshake());
    c.write(upgrade_request);
    REQUIRE(c.read().starts_with("HTTP/1.1 101"));
    REQUIRE(e.w.accepted.size() == 1);
    std::error_code reason;
    e.w.accepted.front().on_state([&](const hawser::state_change& s) { reason = s.reason; });
    SECTION("with close_notify") {
        (void)SSL_shutdown(c.ssl.get());
        c.exchange();
        CHECK(reason == errc::connection_lost);
    }
    SECTION("without") {
        c.peer->close();
        c.net.run_for(10ms);
        CHECK(reason == errc::tls_truncated);
    }
    SECTION("a corrupt record") {
        c.peer->send(std::string("\x17\x03\x03\x00\x20", 5) + std::string(32, 'x'));
        c.net.run_for(10ms);
        CHECK(reason == errc::tls_failed);
    }
}

TEST_CASE("tls: the closing handshake ends with close_notify on both sides") {
    echo_world e;
    record_counter from_client(e.w.net, 0);
    e.start(dialling(trusting_client()));
    REQUIRE(e.open());
    const std::size_t before = from_client.records().size();
    e.client->close();
    REQUIRE(e.w.net.run_until([&] { return e.client->state() == connection_state::closed; }, 5s));
    CHECK(!e.last.reason);
    e.w.net.run_for(5s);
    CHECK(from_client.records().size() == before + 2);  // the close frame, the alert
    CHECK(!e.w.net.last_connection().alive());
}

TEST_CASE("tls: clients with certificates") {
    const auto asking = [] {
        auto context = server_context();
        context->set_verify_mode(asio::ssl::verify_peer | asio::ssl::verify_fail_if_no_peer_cert);
        context->add_certificate_authority(asio::buffer(authority().pem()));
        return context;
    };
    const auto with = [](const certificate& c) {
        auto context = presenting(c, asio::ssl::context::tls_client);
        context->add_certificate_authority(asio::buffer(authority().pem()));
        return hawser::tls(context);
    };
    for (const bool old : {false, true}) {
        echo_world e(old ? at_most_12(asking()) : asking());
        SECTION(old ? "TLS 1.2: the right one" : "TLS 1.3: the right one") {
            e.start(dialling(with(certificate({.name = "client", .alternatives = ""}, &authority()))));
            REQUIRE(e.open());
            CHECK(e.echoes(message::text("hello")));
            // It comes back with a session, which the certificate does not hinder.
            e.w.net.last_connection().cut();
            REQUIRE(e.w.net.run_until([&] { return e.last.to == connection_state::waiting; }, 5s));
            REQUIRE(e.open());
            CHECK(e.echoes(message::text("again")));
        }
        SECTION(old ? "TLS 1.2: none" : "TLS 1.3: none") {
            e.start(dialling(trusting_client()));
            CHECK(e.refusal() == (old ? errc::tls_incompatible : errc::certificate_refused));
        }
        SECTION(old ? "TLS 1.2: another authority's" : "TLS 1.3: another authority's") {
            const certificate stranger({.name = "stranger", .alternatives = "", .is_authority = true});
            e.start(dialling(with(certificate({.name = "client", .alternatives = ""}, &stranger))));
            CHECK(e.refusal() == errc::certificate_refused);
        }
    }
}

TEST_CASE("tls: a client resumes its session, and not with a server that has new certificates") {
    for (const bool old : {false, true}) {
        auto context = old ? at_most_12(server_context()) : server_context();
        const auto tls = hawser::tls(context);
        echo_world e(accepting(tls));
        e.start(dialling(trusting_client()));
        REQUIRE(e.open());
        const auto again = [&] {
            e.w.net.last_connection().cut();
            REQUIRE(e.w.net.run_until([&] { return e.last.to == connection_state::waiting; }, 5s));
            REQUIRE(e.open());
        };
        CHECK(SSL_CTX_sess_hits(context->native_handle()) == 0);
        again();
        CHECK(SSL_CTX_sess_hits(context->native_handle()) == 1);
        again();
        CHECK(SSL_CTX_sess_hits(context->native_handle()) == 2);
        const auto renewed = server_context();
        tls->replace(renewed);
        CHECK(e.echoes(message::text("the old connection goes on")));
        again();
        CHECK(SSL_CTX_sess_hits(renewed->native_handle()) == 0);
        CHECK(SSL_CTX_sess_hits(context->native_handle()) == 2);
        again();
        CHECK(SSL_CTX_sess_hits(renewed->native_handle()) == 1);
    }
}

TEST_CASE("tls: certificates are replaced without a restart") {
    const auto tls = hawser::tls(server_context({.alternatives = "DNS:old.test"}));
    echo_world e(accepting(tls));
    e.start(dialling(hawser::tls(trusting(authority()), {.host_name = "old.test"})));
    REQUIRE(e.open());
    tls->replace(server_context({.alternatives = "DNS:new.test"}));
    CHECK(e.echoes(message::text("still here")));
    e.start(dialling(hawser::tls(trusting(authority()), {.host_name = "new.test"})));
    CHECK(e.open());
    e.states.clear();
    e.start(dialling(hawser::tls(trusting(authority()), {.host_name = "old.test"})));
    CHECK(e.refusal() == errc::certificate_name);
}

TEST_CASE("tls: many small frames of one turn are one record; a large message is records of 16 KiB") {
    echo_world e;
    record_counter from_server(e.w.net, 1);
    e.start(dialling(trusting_client()));
    REQUIRE(e.open());
    REQUIRE(e.w.net.run_until([&] { return !e.w.accepted.empty(); }, 1s));
    auto& server = e.w.accepted.front();
    const auto sent_by = [&](auto&& action) {
        const std::size_t before = from_server.records().size();
        {
            const hawser::driver::turn t(e.w.net);
            action();
        }
        e.w.net.run_for(50ms);
        const auto all = from_server.records();
        return std::vector<std::size_t>(all.begin() + static_cast<std::ptrdiff_t>(before), all.end());
    };
    const auto small = sent_by([&] {
        for (int i = 0; i < 100; ++i) CHECK(server.try_send("0123456789"));
    });
    CHECK(small.size() == 1);
    const auto large = sent_by([&] { CHECK(server.try_send(message::text(noise(100'000)))); });
    CHECK(large.size() == 7);
    CHECK(std::count_if(large.begin(), large.end(), [](std::size_t n) { return n >= 16'384; }) == 6);
    CHECK(e.got.size() == 101);
}

TEST_CASE("tls: a reader that pauses holds its peer back, and goes on where it stopped") {
    echo_world e;
    e.start(dialling(trusting_client()));
    REQUIRE(e.open());
    REQUIRE(e.w.net.run_until([&] { return !e.w.accepted.empty(); }, 1s));
    auto& server = e.w.accepted.front();
    e.client->pause_receiving();
    std::size_t sent = 0;
    for (; sent < 200; ++sent) {
        if (!server.try_send(message::text(noise(50'000) + std::to_string(sent)))) break;
        e.w.net.run_for(5ms);
    }
    CHECK(sent > 20);
    CHECK(sent < 200);  // the watermark was reached
    CHECK(e.got.empty());
    e.client->resume_receiving();
    REQUIRE(e.w.net.run_until([&] { return e.got.size() >= sent; }, 5s));
    for (std::size_t i = 0; i < sent; ++i) CHECK(e.got[i].text() == noise(50'000) + std::to_string(i));
}

TEST_CASE("tls: what arrived before the end is handed over although the reader was paused") {
    echo_world e;
    e.start(dialling(trusting_client()));
    REQUIRE(e.open());
    REQUIRE(e.w.net.run_until([&] { return !e.w.accepted.empty(); }, 1s));
    e.client->pause_receiving();
    for (int i = 0; i < 30; ++i) CHECK(e.w.accepted.front().try_send(message::text(noise(40'000))));
    e.w.accepted.front().close();
    e.w.net.run_for(1s);
    CHECK(e.got.empty());
    e.client->resume_receiving();
    CHECK(e.w.net.run_until([&] { return e.got.size() == 30; }, 5s));
}

TEST_CASE("tls: a socket may be destroyed in its callback, and a server in the middle of a handshake") {
    {
        echo_world e;
        e.start(dialling(trusting_client()));
        REQUIRE(e.open());
        e.client->on_message([&](const hawser::message_view&) { e.client.reset(); });
        CHECK(e.client->try_send("x"));
        CHECK(e.w.net.run_until([&] { return !e.client; }, 5s));
        e.w.net.run_for(1s);
    }
    {
        echo_world e;
        e.start(dialling(trusting_client()));
        e.client->on_state([&](const hawser::state_change& s) {
            if (s.to == connection_state::open) e.client.reset();
        });
        CHECK(e.w.net.run_until([&] { return !e.client; }, 5s));
        e.w.net.run_for(1s);
    }
    for (int handlers = 1; handlers < 40; ++handlers) {
        echo_world e;
        e.start(dialling(trusting_client()));
        const std::uint64_t start = e.w.net.handlers();
        (void)e.w.net.run_until([&] { return e.w.net.handlers() - start >= static_cast<std::uint64_t>(handlers); }, 1s);
        e.w.server.reset();
        e.w.accepted.clear();
        e.w.net.run_for(20ms);
        e.client.reset();
        e.w.net.run_for(20ms);
    }
}

TEST_CASE("tls: the options of a listener's sockets have no tls") {
    hawser::listener_options o;
    o.socket.tls = trusting_client();
    REQUIRE(o.problems().size() == 1);
    CHECK(o.problems()[0].find("listener_options::tls") != std::string::npos);
}
