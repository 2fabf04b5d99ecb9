// SPDX-License-Identifier: BSL-1.0
// Our side of a conversation with a peer in another language, told what to do line by line on
// stdin; each line gets one line of answer on stdout.
//
//   open URL [protocols=A,B] [connect=TEXT]... [ping=MS] [session=off|preferred|required]
//                                 -> open SUBPROTOCOL, or failed REASON
//   echo text|binary SIZE COUNT   -> ok, when all COUNT messages came back, in order and intact
//   say TEXT                      -> ok
//   receive                       -> text CONTENT, or binary SIZE
//   wait STATE                    -> STATE ERROR CODE|remote or local|REASON, of the next change to STATE
//   close CODE REASON             -> closed ERROR CODE|remote or local|REASON; CODE 0: none on the wire
//   drop                          -> ok; the socket is destroyed
//
// A listener instead, with `serve` as the first argument: `listening PORT`, then it echoes, except
// for "close CODE REASON" and "subprotocol", and prints `gone ERROR CODE|...` for each
// connection that ends. It ends with the end of stdin.
//
// From the environment: HAWSER_COMPRESSION turns compression on; a listener speaks TLS with the certificate in
// HAWSER_TLS_CHAIN and the key in HAWSER_TLS_KEY, and whom wss:// trusts is in SSL_CERT_FILE.
#include <hawser/deflate.hpp>
#include <hawser/hawser.hpp>
#include <hawser/tls.hpp>

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/read_until.hpp>
#include <asio/redirect_error.hpp>
#include <asio/steady_timer.hpp>
#include <asio/streambuf.hpp>
#include <asio/use_awaitable.hpp>

#include <cstdio>
#include <cstdlib>
#include <deque>
#include <functional>
#include <istream>
#include <map>
#include <memory>
#include <sstream>
#include <stdexcept>

#include <unistd.h>

namespace {

using hawser::connection_state;
using words = std::vector<std::string>;
using asio::awaitable;
using asio::use_awaitable;

constexpr auto patience = std::chrono::seconds(20);

void answer(const std::string& line) {
    std::printf("%s\n", line.c_str());
    std::fflush(stdout);
}
std::string describe(const hawser::state_change& s) {
    const std::string error = s.reason ? std::to_string(s.reason.value()) : "0";
    return error + " " + std::to_string(static_cast<int>(s.close.code)) + "|" + (s.close.remote ? "remote" : "local") +
           "|" + s.close.reason;
}
bool is_final(connection_state s) { return s == connection_state::closed || s == connection_state::failed; }

std::string environment(const char* name) {
    const char* value = std::getenv(name);
    return value ? value : "";
}

hawser::options read_options(const words& given, std::size_t from) {
    auto o = hawser::options::plain();
    static const auto compression = hawser::deflate();
    if (!environment("HAWSER_COMPRESSION").empty()) o.compression = compression;
    o.max_message_size = 16 * 1024 * 1024;
    o.reconnect = {.base_delay = std::chrono::milliseconds(20), .max_delay = std::chrono::milliseconds(200)};
    o.heartbeat.ping_interval = std::chrono::milliseconds(0);
    for (std::size_t i = from; i < given.size(); ++i) {
        const auto equals = given[i].find('=');
        const auto name = given[i].substr(0, equals), value = given[i].substr(equals + 1);
        if (name == "protocols") {
            std::istringstream list(value);
            for (std::string one; std::getline(list, one, ',');) o.subprotocols.push_back(one);
        } else if (name == "connect") {
            o.on_connect.push_back(hawser::message::text(value));
        } else if (name == "ping") {
            o.heartbeat.ping_interval = std::chrono::milliseconds(std::stoi(value));
        } else if (name == "session") {
            o.session = value == "required" ? hawser::session_mode::required : hawser::session_mode::preferred;
        } else {
            throw std::invalid_argument("unknown option " + name);
        }
    }
    return o;
}

// Begins with the index, so that no two messages are alike; text has characters of one to four bytes.
hawser::message pattern(bool text, std::size_t size, std::size_t index) {
    static const std::string letters = "h\xc3\xa4wser \xe2\x82\xac \xf0\x9f\x9a\xa2 0123456789";
    auto bytes = std::to_string(100'000'000 + index).substr(0, size);
    if (!text) {
        for (std::size_t i = bytes.size(); i < size; ++i) bytes += static_cast<char>(i * 31 + index);
        return hawser::message::binary(hawser::as_bytes(bytes));
    }
    while (bytes.size() + letters.size() <= size) bytes += letters;
    bytes.append(size - bytes.size(), 'z');
    return hawser::message::text(bytes);
}

class client {
public:
    explicit client(asio::io_context& c) : context_(c), wake_(c) {}

    awaitable<std::string> run(const words& w) {
        ++command_;
        if (w[0] == "open") co_return co_await open(w);
        if (w[0] == "drop") co_return link_.reset(), "ok";
        if (!link_) throw std::invalid_argument("open first");
        if (w[0] == "echo") co_return co_await echo(w.at(1) == "text", std::stoul(w.at(2)), std::stoul(w.at(3)));
        if (w[0] == "say") co_return link_->try_send(w.at(1)) ? "ok" : "not sent";
        if (w[0] == "receive") co_return co_await receive();
        if (w[0] == "wait") co_return co_await wait(w.at(1));
        if (w[0] == "close") {
            const auto code = w.at(1) == "0" ? hawser::close_code::no_status
                                             : static_cast<hawser::close_code>(std::stoi(w.at(1)));
            std::string reason = w.size() > 2 ? w[2] : "";
            for (std::size_t i = 3; i < w.size(); ++i) reason += " " + w[i];
            link_->close(code, reason);
            co_return co_await wait("closed");
        }
        throw std::invalid_argument("unknown command " + w[0]);
    }

private:
    awaitable<std::string> open(const words& w) {
        changes_.clear();
        received_.clear();
        auto o = read_options(w, 2);
        if (w.at(1).starts_with("wss")) o.tls = tls_;
        link_ = std::make_unique<hawser::resilient_socket<>>(context_, std::move(o));
        link_->on_state([this](const hawser::state_change& s) {
            changes_.push_back(s);
            wake_.cancel();
        });
        link_->on_message([this](const hawser::message_view& m) {
            received_.push_back(hawser::message::copy(m.bytes, m.kind));
            wake_.cancel();
        });
        link_->connect(w.at(1));
        std::error_code ec;
        co_await link_->async_wait_open(asio::redirect_error(use_awaitable, ec));
        co_return ec ? "failed " + std::to_string(ec.value()) + " " + ec.message() : "open " + link_->subprotocol();
    }
    awaitable<std::string> echo(bool text, std::size_t size, std::size_t count) {
        asio::co_spawn(link_->get_executor(), send(text, size, count), asio::detached);
        for (std::size_t i = 0; i < count; ++i) {
            if (!co_await until([this] { return !received_.empty(); }))
                co_return "echo " + std::to_string(i) + " of " + std::to_string(count) + " did not come";
            const auto expected = pattern(text, size, i);
            const auto got = std::move(received_.front());
            received_.pop_front();
            if (got.kind() != expected.kind() || got.text() != expected.text())
                co_return "echo " + std::to_string(i) + " differs: " + std::to_string(got.size()) + " bytes";
        }
        co_return "ok";
    }
    /// Ends early with the command, where an echo was wrong; the next may drop the socket.
    awaitable<void> send(bool text, std::size_t size, std::size_t count) {
        std::error_code ec;
        const auto mine = command_;
        for (std::size_t i = 0; i < count && !ec && command_ == mine; ++i)
            co_await link_->async_enqueue(pattern(text, size, i), asio::redirect_error(use_awaitable, ec));
    }
    awaitable<std::string> receive() {
        if (!co_await until([this] { return !received_.empty(); })) co_return "nothing came";
        const auto m = std::move(received_.front());
        received_.pop_front();
        co_return m.is_text() ? "text " + std::string(m.text()) : "binary " + std::to_string(m.size());
    }
    awaitable<std::string> wait(const std::string& state) {
        for (;;) {
            if (!co_await until([this] { return !changes_.empty(); })) co_return "never " + state;
            const auto s = std::move(changes_.front());
            changes_.pop_front();
            if (to_string(s.to) == state) co_return state + " " + describe(s);
        }
    }
    awaitable<bool> until(std::function<bool()> condition) {
        const auto deadline = std::chrono::steady_clock::now() + patience;
        while (!condition()) {
            if (std::chrono::steady_clock::now() >= deadline) co_return false;
            wake_.expires_at(deadline);
            std::error_code ec;
            co_await wake_.async_wait(asio::redirect_error(use_awaitable, ec));
        }
        co_return true;
    }

    asio::io_context& context_;
    asio::steady_timer wake_;
    std::shared_ptr<const hawser::tls_layer> tls_ = hawser::tls();
    std::unique_ptr<hawser::resilient_socket<>> link_;
    std::size_t command_ = 0;
    std::deque<hawser::state_change> changes_;
    std::deque<hawser::message> received_;
};

awaitable<void> obey(asio::io_context& context) {
    asio::posix::stream_descriptor in(context, ::dup(STDIN_FILENO));
    asio::streambuf buffer;
    client c(context);
    for (;;) {
        std::error_code ec;
        co_await asio::async_read_until(in, buffer, '\n', asio::redirect_error(use_awaitable, ec));
        if (ec) break;
        std::istream lines(&buffer);
        std::string line;
        std::getline(lines, line);
        std::istringstream parts(line);
        words w;
        for (std::string word; parts >> word;) w.push_back(word);
        if (w.empty()) continue;
        std::string result;
        try {
            result = co_await c.run(w);
        } catch (const std::exception& e) {
            result = std::string("mistake: ") + e.what();
        }
        answer(result);
    }
    context.stop();
}

// ---- the listener --------------------------------------------------------------------------

using socket_ptr = std::shared_ptr<hawser::resilient_socket<>>;

awaitable<void> converse(socket_ptr s) {
    std::error_code ec;
    s->on_state([](const hawser::state_change& change) {
        if (is_final(change.to)) answer("gone " + describe(change));
    });
    for (;;) {
        auto m = co_await s->async_receive(asio::redirect_error(use_awaitable, ec));
        if (ec) break;
        std::istringstream parts{std::string(m.is_text() ? m.text() : "")};
        std::string word;
        parts >> word;
        if (word == "close") {
            int code = 0;
            parts >> code >> std::ws;
            std::string reason;
            std::getline(parts, reason);
            s->close(code == 0 ? hawser::close_code::no_status : static_cast<hawser::close_code>(code), reason);
        } else if (word == "subprotocol") {
            (void)s->try_send(s->subprotocol());
        } else {
            co_await s->async_enqueue(std::move(m), asio::redirect_error(use_awaitable, ec));
        }
    }
}

awaitable<void> serve(hawser::listener<>& listener) {
    for (;;) {
        auto s = std::make_shared<hawser::resilient_socket<>>(co_await listener.async_accept(use_awaitable));
        asio::co_spawn(listener.get_executor(), converse(std::move(s)), asio::detached);
    }
}

std::shared_ptr<asio::ssl::context> certificate() {
    auto context = std::make_shared<asio::ssl::context>(asio::ssl::context::tls_server);
    context->use_certificate_chain_file(environment("HAWSER_TLS_CHAIN"));
    context->use_private_key_file(environment("HAWSER_TLS_KEY"), asio::ssl::context::pem);
    return context;
}

awaitable<void> until_end_of_input(asio::io_context& context) {
    asio::posix::stream_descriptor in(context, ::dup(STDIN_FILENO));
    asio::streambuf buffer;
    std::error_code ec;
    while (!ec) co_await asio::async_read_until(in, buffer, '\n', asio::redirect_error(use_awaitable, ec));
    context.stop();
}

}  // namespace

int main(int argc, char** argv) try {
    asio::io_context context(1);
    const words given(argv + 1, argv + argc);
    std::unique_ptr<hawser::listener<>> listener;
    if (!given.empty() && given[0] == "serve") {
        hawser::listener_options o{.socket = read_options(given, 1)};
        if (!environment("HAWSER_TLS_CHAIN").empty()) o.tls = hawser::tls(certificate());
        listener = std::make_unique<hawser::listener<>>(context, hawser::listen_endpoint{}, std::move(o));
        answer("listening " + std::to_string(listener->port()));
        asio::co_spawn(listener->get_executor(), serve(*listener), asio::detached);
        asio::co_spawn(listener->get_executor(), until_end_of_input(context), asio::detached);
    } else {
        asio::co_spawn(hawser::use_driver(context).executor(), obey(context), asio::detached);
    }
    context.run();
    return 0;
} catch (const std::exception& e) {
    std::fprintf(stderr, "conformance driver: %s\n", e.what());
    return 2;
}
