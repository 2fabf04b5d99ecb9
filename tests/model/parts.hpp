// SPDX-License-Identifier: BSL-1.0
// What a world is made of: its bounds, the steps that may be taken, links, messages, stores.
#pragma once

#include <hawser/protocol/session/session_table.hpp>

#include <algorithm>
#include <cstdint>
#include <memory>

namespace model {

namespace session = hawser::session;
using hawser::byte_view;
using hawser::outcome;
using hawser::time_point;
using session::endpoint;

struct violation {
    const char* what;  // without memory of its own: states are thrown away whole
};
inline void require(bool holds, const char* what) {
    if (!holds) throw violation{what};
}

/// How large a world is: what the applications do, and how often each fault may happen.
struct bounds {
    const char* name = "";
    unsigned messages[2] = {1, 1};  ///< sent by the client's application, by the server's
    unsigned cancels = 0, pings = 0;
    unsigned dials = 2;     ///< links in all
    unsigned cuts = 0;      ///< a link dies with all that is on its way
    unsigned leaves = 0;    ///< one side is gone; what it wrote still arrives, what comes to it is lost
    unsigned losses = 0;    ///< one frame vanishes
    unsigned damages = 0;   ///< one byte of a frame is flipped
    unsigned expiries = 0;  ///< session_ttl passes
    unsigned server_crashes = 0, client_crashes = 0;
    unsigned forgeries = 0;               ///< frames that no honest peer sends
    unsigned rejects = 0;                 ///< messages that an application refuses
    std::uint64_t features[2] = {0, 0};   ///< of the client, of the server
    unsigned part_size = 0;               ///< 1: each message, of two bytes, leaves in two parts
    bool on_processed = false;            ///< messages are finished later, in any order
    bool slow_store[2] = {false, false};  ///< commits of this side take time
    bool checksum = false;
    std::uint64_t window_messages = 8, window_bytes = 100, send_window = 8, sequence_end = session::max_seq;
};

enum class act : std::uint8_t {
    send,
    write,
    deliver,
    commit,
    finish,
    dial,
    leave,
    cut,
    lose,
    damage,
    tick,
    expire,
    crash,
    cancel,
    ping,
    forge,
    reject
};
inline constexpr const char* act_names[] = {"send",  "write",  "deliver", "commit", "finish", "dial",
                                            "leave", "cut",    "lose",    "damage", "tick",   "expire",
                                            "crash", "cancel", "ping",    "forge",  "reject"};
/// One step. `where`: a node (0 the client, else a session of the server) or link * 2 + side that
/// the frame goes to; `which`: a message or a forgery.
struct action {
    act what = act::send;
    std::uint8_t where = 0, which = 0;
};

inline constexpr unsigned client_side = 0, server_side = 1;
inline constexpr unsigned max_messages = 4, max_nodes = 6, max_links = 4, max_frames = 6, max_origins = 8;

struct frame {
    std::uint8_t size = 0;
    std::byte bytes[127];
    [[nodiscard]] byte_view view() const noexcept { return {bytes, size}; }
};
struct link {
    frame to[2][max_frames];
    std::uint8_t queued[2] = {0, 0};
    bool closed[2] = {false, false};  // this side writes nothing more; the other learns of it
    bool deaf[2] = {false, false};    // what comes to this side is dropped
    bool tainted = false;             // something was lost, damaged or forged
    bool goodbye = false;             // the client's close says that the session is over
    enum class stage : std::uint8_t { ask, asked, answered, confirmed } client_stage = stage::ask;
    std::uint8_t bound = 0;  // server: the session's node
    std::uint64_t generation = 0;
    std::uint64_t last_seq[2] = {0, 0};  // of DATA written by this side, 0 before the first

    void push(unsigned side, byte_view head, byte_view body) {
        if (deaf[side]) return;
        frame& f = to[side][queued[side]++];
        f.size = static_cast<std::uint8_t>(head.size() + body.size());
        std::copy(head.begin(), head.end(), f.bytes);
        std::copy(body.begin(), body.end(), f.bytes + head.size());
    }
    frame pop(unsigned side) {
        const frame f = to[side][0];
        std::copy(to[side] + 1, to[side] + queued[side], to[side]);
        --queued[side];
        return f;
    }
    [[nodiscard]] bool gone() const noexcept { return deaf[0] && deaf[1]; }
};

struct sent_message {
    outcome result = outcome::pending;
    bool written = false, handed = false, finished = false, rejected = false;
    bool remembered = false;  // finished, and the receiver's process that did it lives
    bool covered = false;     // the position of a failed RESUME says that the peer has it
    bool uncertain = false;   // its epoch ended, and no position says whether it arrived
};
struct processing {
    std::uint64_t serial = 0, seq = 0;
    hawser::message_id id;
};
/// What the store of a node holds.
struct disk {
    std::uint64_t accepted = 0, next_seq = 1, finished = 0, ended = 0;
    std::byte token{};
};
/// One endpoint with its application and its store.
struct node {
    std::unique_ptr<endpoint> ep;
    session::session_record* record = nullptr;  // server only
    unsigned origin = 0;
    bool alive = false, crashed = false, committing = false, ended_honestly = false, gap_seen = false;
    int link = -1;
    disk durable, in_flight;
    std::uint64_t ended = 0, serial = 0, last_seq = 0, last_acked = 0, last_attempt = 0;
    std::uint64_t counters[max_messages + 1] = {};  // written in this epoch, by number
    processing at_work[max_messages];
    unsigned working = 0;
    bool position_known = false;  // a tombstone's
    std::uint64_t position = 0;
    time_point answers_until = hawser::never;
    session::epoch_id epoch{};
    std::byte first_token{};
};

}  // namespace model
