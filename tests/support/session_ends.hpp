// SPDX-License-Identifier: BSL-1.0
// Two endpoints that exchange their frames, for rules that need both.
#pragma once

#include "support/session_frames.hpp"

#include <optional>

namespace session_test {

struct two_ends {
    /// `client` and `server`: feature bits of each.
    explicit two_ends(std::uint64_t client = session::feature::all, std::uint64_t server = session::feature::all,
                      std::size_t part_size = 64 * 1024)
        : c(options(session::side::client, client, part_size)), s(options(session::side::server, server, part_size)) {}

    static session::endpoint_options options(session::side side, std::uint64_t features, std::size_t part_size) {
        auto o = one_end::defaults(side);
        o.features = features;
        o.checksum = (features & session::feature::checksum) != 0;
        o.part_size = part_size;
        o.receive.window_messages = 1024;
        o.receive.window_bytes = 100'000;
        return o;
    }
    void open() {
        c.ep.attach_client();
        const auto asked = frames(c);
        session::envelope e;
        session::hello h;
        if (session::decode(asked.at(0), e) || !session::decode(e, h)) throw std::runtime_error("no HELLO");
        if (s.ep.attach_hello(h, filled<16>(0xe1), filled<32>(0x70))) throw std::runtime_error("HELLO refused");
        exchange();
    }
    void cut() {
        c.ep.detach();
        s.ep.detach();
    }
    /// A new link that resumes. What each said first.
    texts resume() {
        c.ep.attach_client();
        const auto asked = frames(c);
        session::envelope e;
        session::resume r;
        if (session::decode(asked.at(0), e) || !session::decode(e, r)) throw std::runtime_error("no RESUME");
        s.ep.attach_resume(r, filled<32>(0x71), {}, s.now);
        texts said{frame_text(asked[0])};
        for (const auto& f : frames(s)) {
            said.push_back(frame_text(f));
            note(c, f, at_client);
        }
        exchange();
        return said;
    }
    /// All that both have to say, until nobody says more.
    void exchange() {
        for (bool moved = true; moved;) {
            moved = false;
            for (const auto& f : frames(c)) moved = true, note(s, f, at_server);
            for (const auto& f : frames(s)) moved = true, note(c, f, at_client);
        }
    }
    /// What `e` writes, made durable before.
    static std::vector<byte_vector> frames(one_end& e) {
        e.ep.assign(1'000'000);
        e.commit();
        std::vector<byte_vector> all;
        while (const auto f = e.ep.next_frame()) {
            all.emplace_back(f->head.begin(), f->head.end());
            hawser::append(all.back(), f->payload);
        }
        return all;
    }
    static texts words(const std::vector<byte_vector>& all) {
        texts t;
        for (const auto& f : all) t.push_back(frame_text(f));
        return t;
    }

    one_end c, s;
    texts at_client, at_server;  // actions, but "none"

private:
    static void note(one_end& e, byte_view frame, texts& log) {
        const std::string what = e.in(frame);
        if (what != "none") log.push_back(what);
    }
};

}  // namespace session_test
