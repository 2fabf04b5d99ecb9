// SPDX-License-Identifier: BSL-1.0
// TLS, socket files and addresses on real sockets.
#include <hawser/tls.hpp>

#include "integration/host_support.hpp"
#include "support/certificates.hpp"

#include <asio/ip/tcp.hpp>

#include <filesystem>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

using namespace host_support;
using hawser::connection_state;
using hawser::errc;
using hawser::message;
using support::authority;

namespace {

struct client {
    client(asio::io_context& c, hawser::options o, const std::string& to) : context(c), socket(c, std::move(o)) {
        socket.on_state([this](const hawser::state_change& s) { last = s; });
        socket.on_message([this](const hawser::message_view& m) { got.push_back(message::copy(m.bytes, m.kind)); });
        socket.connect(to);
    }
    [[nodiscard]] bool reaches(connection_state s) {
        return run_until(context, [&] { return last.to == s; });
    }
    [[nodiscard]] bool echoes(const message& m) {
        const std::size_t had = got.size();
        return socket.try_send(m) && run_until(context, [&] { return got.size() > had; }) && got.back().text() == m.text();
    }
    asio::io_context& context;
    hawser::state_change last;
    std::vector<message> got;
    hawser::resilient_socket<> socket;
};

hawser::options dialling(std::shared_ptr<const hawser::tls_layer> tls = {}) {
    auto o = hawser::options::plain();
    o.reconnect.base_delay = 10ms;
    o.max_message_size = 8 * 1024 * 1024;
    o.tls = std::move(tls);
    return o;
}
hawser::listener_options accepting(const support::context_ptr& context) {
    hawser::listener_options o;
    o.socket.max_message_size = 8 * 1024 * 1024;
    if (context) o.tls = hawser::tls(context);
    return o;
}
support::context_ptr local_certificate() {
    return support::server_context({.name = "localhost", .alternatives = "DNS:localhost,IP:127.0.0.1,IP:::1"});
}
bool has_ipv6() {
    asio::io_context context;
    asio::ip::tcp::acceptor a(context);
    std::error_code ec;
    a.open(asio::ip::tcp::v6(), ec);
    if (!ec) a.bind({asio::ip::make_address("::1"), 0}, ec);
    return !ec;
}

// A folder that goes with the test.
struct temporary_folder {
    temporary_folder() {
        std::string name = (std::filesystem::temp_directory_path() / "hawser-XXXXXX").string();
        REQUIRE(::mkdtemp(name.data()) != nullptr);
        path = name;
    }
    ~temporary_folder() { std::filesystem::remove_all(path); }
    std::filesystem::path path;
};

}  // namespace

TEST_CASE("tls: messages of all sizes over real sockets, by name and by address") {
    asio::io_context context;
    echo_listener server(context, {}, accepting(local_certificate()));
    server.echo();
    for (const std::string host : {"localhost", "127.0.0.1"}) {
        client c(context, dialling(hawser::tls(support::trusting(authority()))), "wss://" + host + ":" + std::to_string(server.port()) + "/");
        REQUIRE(c.reaches(connection_state::open));
        for (const std::size_t size : {1U, 125U, 16'384U, 65'536U, 1'000'000U, 5'000'000U}) CHECK(c.echoes(message::text(std::string(size, 'x'))));
        c.socket.close();
        CHECK(c.reaches(connection_state::closed));
    }
}

TEST_CASE("T1: wrong host, expired, untrusted over real sockets: final, and the server sees no upgrade") {
    asio::io_context context;
    const auto trust = hawser::tls(support::trusting(authority()));
    const std::tuple<support::certificate_request, std::shared_ptr<const hawser::tls_layer>, errc> cases[] = {
        {{.alternatives = "DNS:other.test"}, trust, errc::certificate_name},
        {{.alternatives = "IP:127.0.0.1", .to_s = -60}, trust, errc::certificate_expired},
        {{.alternatives = "IP:127.0.0.1"}, hawser::tls(), errc::certificate_untrusted}};
    for (const auto& [what, tls, expected] : cases) {
        echo_listener server(context, {}, accepting(support::server_context(what)));
        server.echo();
        client c(context, dialling(tls), "wss://127.0.0.1:" + std::to_string(server.port()) + "/");
        REQUIRE(c.reaches(connection_state::failed));
        CHECK(c.last.reason == expected);
        CHECK(server.sockets.empty());
    }
}

TEST_CASE("T4: a client that stalls in the TLS handshake is dropped at the deadline") {
    asio::io_context context;
    auto o = accepting(local_certificate());
    o.socket.handshake_timeout = 200ms;
    echo_listener server(context, {}, std::move(o));
    asio::ip::tcp::socket silent(context);
    silent.connect({asio::ip::make_address("127.0.0.1"), server.port()});
    char byte = 0;
    std::error_code ended;
    silent.async_read_some(asio::buffer(&byte, 1), [&](std::error_code ec, std::size_t) { ended = ec; });
    const auto begin = std::chrono::steady_clock::now();
    REQUIRE(run_until(context, [&] { return static_cast<bool>(ended); }));
    CHECK(std::chrono::steady_clock::now() - begin >= 190ms);
    CHECK((ended == asio::error::eof || ended == asio::error::connection_reset));
}

TEST_CASE("endpoints: a name with several addresses reaches the one that listens") {
    asio::io_context context;
    std::vector<std::string> addresses{"127.0.0.1"};
    if (has_ipv6()) addresses.push_back("::1");
    for (const auto& address : addresses) {
        echo_listener server(context, {.address = address}, hawser::options::plain());
        server.echo();
        const std::string at = ":" + std::to_string(server.port()) + "/";
        for (const std::string& host : {std::string("localhost"), address == "::1" ? std::string("[::1]") : address}) {
            if (host == "localhost" && address == "::1") {
                // Not every /etc/hosts has both families for it.
                asio::ip::tcp::resolver resolver(context);
                bool has = false;
                for (const auto& e : resolver.resolve("localhost", "1")) has = has || e.endpoint().address().is_v6();
                if (!has) continue;
            }
            client c(context, dialling(), "ws://" + host + at);
            REQUIRE(c.reaches(connection_state::open));
            CHECK(c.echoes(message::text("hello")));
            CHECK(c.socket.remote_address() == address);
        }
    }
}

TEST_CASE("endpoints: a connection under way ends with its socket, and a port where nobody listens is refused") {
    asio::io_context context;
    {
        asio::ip::tcp::acceptor closed(context, {asio::ip::make_address("127.0.0.1"), 0});
        const auto port = closed.local_endpoint().port();
        closed.close();
        client c(context, dialling(), "ws://localhost:" + std::to_string(port) + "/");
        REQUIRE(c.reaches(connection_state::waiting));
        CHECK(c.last.reason == asio::error::connection_refused);
    }
    for (const std::string host : {"localhost", "127.0.0.1", "[::1]"}) {
        auto c = std::make_unique<client>(context, dialling(), "ws://" + host + ":9/");
        context.restart();
        (void)context.poll_one();
        c.reset();
        context.restart();
        context.run_for(50ms);
        CHECK(context.stopped());  // nothing is left of it
    }
}

TEST_CASE("endpoints: a socket file, its permissions, and its end") {
    const temporary_folder folder;
    const std::string file = folder.path / "app.sock";
    asio::io_context context;
    struct ::stat made {};
    {
        const auto mask = ::umask(0077);
        echo_listener server(context, {.path = file, .permissions = 0660}, hawser::options::plain());
        ::umask(mask);
        server.echo();
        REQUIRE(::stat(file.c_str(), &made) == 0);
        CHECK(S_ISSOCK(made.st_mode));
        CHECK((made.st_mode & 0777) == 0660);
        for (const std::string target : {"", ":/feed?x=1"}) {
            client c(context, dialling(), "ws+unix://" + file + target);
            REQUIRE(c.reaches(connection_state::open));
            CHECK(c.echoes(message::text(std::string(300'000, 'x'))));
            CHECK(c.socket.remote_address() == "unix");
        }
        // In use: neither taken over nor removed.
        CHECK_THROWS_AS(hawser::listener<>(context, {.path = file}, hawser::options::plain()), std::system_error);
        client again(context, dialling(), "ws+unix://" + file);
        CHECK(again.reaches(connection_state::open));
    }
    context.restart();
    context.poll();  // the listener ends on its strand
    CHECK(::stat(file.c_str(), &made) != 0);
    client late(context, dialling(), "ws+unix://" + file);
    REQUIRE(late.reaches(connection_state::waiting));
    CHECK(late.last.reason == std::errc::no_such_file_or_directory);
}

TEST_CASE("endpoints: a stale socket file is replaced, any other file is left alone") {
    const temporary_folder folder;
    const std::string stale = folder.path / "stale.sock", other = folder.path / "data";
    {
        // As a process leaves it that was killed.
        const int s = ::socket(AF_UNIX, SOCK_STREAM, 0);
        sockaddr_un where{};
        where.sun_family = AF_UNIX;
        stale.copy(where.sun_path, sizeof where.sun_path - 1);
        REQUIRE(::bind(s, reinterpret_cast<const sockaddr*>(&where), sizeof where) == 0);
        ::close(s);
        std::ofstream(other) << "precious";
    }
    asio::io_context context;
    echo_listener server(context, {.path = stale}, hawser::options::plain());
    server.echo();
    client c(context, dialling(), "ws+unix://" + stale);
    CHECK(c.reaches(connection_state::open));
    CHECK_THROWS_AS(hawser::listener<>(context, {.path = other}, hawser::options::plain()), std::system_error);
    CHECK(std::filesystem::file_size(other) == 8);
    CHECK_THROWS_AS(hawser::listener<>(context, {.path = std::string(200, 'x')}, hawser::options::plain()), std::system_error);
}
