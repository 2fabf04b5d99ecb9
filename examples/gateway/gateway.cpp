// SPDX-License-Identifier: BSL-1.0
// A gateway in callbacks: what plain WebSockets send it, it passes on over one reliable link, and listens no faster
// than that takes it. gateway PORT ws://HOST:PORT/NAME; the latter a hawser.v1 listener such as chat_server
#include <hawser/hawser.hpp>

#include <cstdlib>
#include <iostream>
#include <map>

using socket_type = hawser::resilient_socket<>;

class gateway {
public:
    gateway(asio::io_context& context, std::uint16_t port, const char* upstream)
        : upstream_(context, hawser::options::reliable()),
          listener_(context, {.port = port}, hawser::options::plain()) {
        upstream_.on_state([](const hawser::state_change& s) { std::cout << to_string(s.to) << std::endl; });
        upstream_.on_outcome([](hawser::ticket, hawser::outcome o) { std::cout << to_string(o) << std::endl; });
        upstream_.connect(upstream);
        accept();
    }
    std::uint16_t port() const { return listener_.port(); }

private:
    void accept() {
        listener_.async_accept([this](std::error_code ec, socket_type accepted) {
            if (ec) return;  // the listener was closed
            add(++last_, std::move(accepted));
            accept();
        });
    }
    void add(int id, socket_type accepted) {
        socket_type& client = clients_.emplace(id, std::move(accepted)).first->second;
        client.on_message([this, id](const hawser::message_view& m) { pass_on(id, m); });
        client.on_state([this, id](const hawser::state_change&) { clients_.erase(id); });  // from open to its end
        if (client.state() != hawser::connection_state::open) clients_.erase(id);
    }
    void pass_on(int id, const hawser::message_view& m) {
        if (upstream_.try_send(m)) return;
        clients_.at(id).pause_receiving();
        upstream_.async_enqueue(hawser::message::copy(m.bytes, m.kind), [this, id](std::error_code ec, hawser::ticket) {
            const auto client = clients_.find(id);
            if (!ec && client != clients_.end()) client->second.resume_receiving();
        });
    }

    socket_type upstream_;
    hawser::listener<> listener_;
    std::map<int, socket_type> clients_;
    int last_ = 0;
};

int main(int argc, char** argv) try {
    if (argc != 3) throw std::invalid_argument("usage: gateway PORT URL");
    asio::io_context context(1);
    gateway g(context, static_cast<std::uint16_t>(std::atoi(argv[1])), argv[2]);
    std::cout << "listening on port " << g.port() << std::endl;
    context.run();
} catch (const std::exception& e) {
    std::cerr << "gateway: " << e.what() << '\n';
    return 2;
}
