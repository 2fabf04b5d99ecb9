// SPDX-License-Identifier: BSL-1.0
// An application at one end of one socket: it sends, receives, and tells the oracle what it saw.
#pragma once

#include "oracle.hpp"
#include "settings.hpp"

#include <array>
#include <memory>
#include <string>
#include <vector>

namespace sim {

// What a run must have seen at least once somewhere, see `marks`.
enum class mark : std::uint8_t {
    resume_hit, resume_miss, epoch_change, dedup_hit, high_watermark, half_open_failure, session_takeover, expiry,
    overflow_block, overflow_reject, breaker_opened, handler_threw, replayed, heartbeat_timeout, outcome_unknown,
    socket_destroyed, socket_closed, plain_reconnect,
    session_restored, sender_restored, died_in_commit, effect_undone, torn_tail,
    overflow_drop_oldest, overflow_drop_newest, overflow_coalesce, overflow_close, expired, replaced, dropped, batch, resumed_writing,
    transfer_resumed,
};
inline constexpr std::array<const char*, 33> mark_names{
    "resume_hit", "resume_miss", "epoch_change", "dedup_hit", "high_watermark", "half_open_failure", "session_takeover", "expiry",
    "overflow_block", "overflow_reject", "breaker_opened", "handler_threw", "replayed", "heartbeat_timeout", "outcome_unknown",
    "socket_destroyed", "socket_closed", "plain_reconnect", "session_restored", "sender_restored", "died_in_commit", "effect_undone", "torn_tail",
    "overflow_drop_oldest", "overflow_drop_newest", "overflow_coalesce", "overflow_close", "expired", "replaced", "dropped", "batch", "resumed_writing",
    "transfer_resumed"};
using marks = std::array<std::uint64_t, mark_names.size()>;

// What all applications of a run share.
struct shared_state {
    hawser::testing::world& world;
    oracle& truth;
    const settings& plan;
    marks reached{};
    bool quiet = false;                   // faults are over: nothing is replaced or slow any more
    std::uint32_t processes = 0;          // numbers them
    void reach(mark m, std::uint64_t n = 1) { reached[static_cast<std::size_t>(m)] += n; }
};

void note_counters(shared_state& all, const hawser::counting_metrics& metrics);

class endpoint {
public:
    endpoint(shared_state& all, hawser::testing::process& p, std::uint32_t incarnation, const client_settings& how, socket s,
             hawser::counting_metrics metrics);
    ~endpoint();
    endpoint(const endpoint&) = delete;
    endpoint& operator=(const endpoint&) = delete;

    void start();
    [[nodiscard]] socket& link() noexcept { return socket_; }
    // Nothing of its own is under way.
    [[nodiscard]] bool settled() const { return is_final() || (left_ == 0 && socket_.unacknowledged() == 0 && pending_ == 0); }
    [[nodiscard]] bool is_final() const {
        return socket_.state() == hawser::connection_state::closed || socket_.state() == hawser::connection_state::failed;
    }
    [[nodiscard]] bool is_paused() const { return paused_; }
    // Of a dialling socket, whose counters are its own.
    void check_counters();
    std::function<void()> on_final;  // called later, not inside of a callback

private:
    void on_state(const hawser::state_change& c);
    void on_outcome(hawser::ticket t, hawser::outcome o);
    void on_message(const hawser::message_view& m);
    void receive();
    void received(hawser::message m);
    void plan_next();
    void send_one();
    [[nodiscard]] hawser::send_options choose_options();
    void send_batch(bool waits);
    void watch_expiry(std::uint64_t number, const hawser::send_options& how);
    void on_backpressure(bool paused);
    void check_budget();
    void leave();
    void note_counters();

    shared_state& all_;
    hawser::testing::process& process_;
    std::uint32_t incarnation_;
    const client_settings& how_;
    socket socket_;
    hawser::counting_metrics metrics_;
    stream& out_;
    stream& by_handle_;
    std::uint32_t left_;
    std::uint32_t pending_ = 0;             // operations that were started
    std::vector<hawser::message> unfinished_;  // received and not yet acknowledged
    hawser::connection_state last_ = hawser::connection_state::idle;
    bool opened_ = false;
    bool over_ = false;
    bool dials_ = false;
    bool in_session_before_ = false;
    std::uint32_t lost_sessions_ = 0;
    std::uint32_t opens_ = 0;
    bool paused_ = false;
    std::uint64_t told_acknowledged_ = 0;
    std::shared_ptr<bool> gone_ = std::make_shared<bool>(false);
};

}  // namespace sim
