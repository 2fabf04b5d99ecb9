// SPDX-License-Identifier: BSL-1.0
// Watches the bytes of one connection: what must be true of every frame on the wire.
#pragma once

#include <hawser/protocol/session/decode.hpp>
#include <hawser/protocol/ws/frame_header.hpp>
#include <hawser/testing/world.hpp>

#include <memory>
#include <string>

namespace sim {

class wire_audit {
public:
    static void attach(hawser::testing::world& w, const std::shared_ptr<hawser::testing::connection>& c) {
        c->tap = [audit = std::make_shared<wire_audit>(w)](int from, hawser::byte_vector& bytes) { audit->on_bytes(from, bytes); };
    }
    explicit wire_audit(hawser::testing::world& w) : world_(w) {}

    void on_bytes(int from, hawser::byte_view bytes);

private:
    struct direction {
        hawser::byte_vector input;
        bool upgraded = false;
        bool closed = false;
        hawser::ws::mask_key last_key{};
        std::uint64_t accepted = 0;       // the position told last
        std::uint64_t highest_sent = 0;   // number of DATA
        std::uint64_t base = 0;           // position at the attach: what the other end may acknowledge
    };
    void on_frame(int from, const hawser::ws::frame_header& h, hawser::byte_vector payload);
    void on_session_frame(int from, hawser::byte_view payload);
    void on_position(int from, std::uint64_t accepted);

    hawser::testing::world& world_;
    direction ways_[2];
    bool session_ = false;
};

}  // namespace sim
