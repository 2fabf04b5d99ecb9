// SPDX-License-Identifier: BSL-1.0
#include "settings.hpp"

namespace sim {
namespace {

using namespace std::chrono_literals;
using hawser::testing::fault;
using hawser::milliseconds;

std::uint64_t pick(hawser::xoshiro256& rng, std::uint64_t low, std::uint64_t high) { return hawser::uniform(rng, low, high); }
bool one_in(hawser::xoshiro256& rng, std::uint64_t n) { return pick(rng, 1, n) == 1; }
milliseconds ms(hawser::xoshiro256& rng, std::uint64_t low, std::uint64_t high) { return milliseconds(pick(rng, low, high)); }

void choose_overflow(hawser::options& o, hawser::xoshiro256& rng) {
    // Closing is rare: an application has lost its socket then.
    std::uint64_t kind = one_in(rng, 2) ? 0 : pick(rng, 0, overflow_kinds - 1);
    if (static_cast<overflow_kind>(kind) == overflow_kind::close && one_in(rng, 2)) kind = 0;
    o.queue.max_messages = overflow_kinds * pick(rng, 2, 300) + kind;
    if (one_in(rng, 4)) o.queue.max_age = ms(rng, 500, 20'000);
    // It must not be full in quiet times, else its application never gets through.
    if (static_cast<overflow_kind>(kind) != overflow_kind::close) return;
    o.queue.high_watermark = std::max<std::size_t>(o.queue.high_watermark, 1'000'000);
    o.queue.max_messages = overflow_kinds * pick(rng, 5, 8) + kind;
    if (o.queue.max_age > milliseconds{0}) o.queue.max_age += 5s;
    o.send_window_messages = std::max<std::uint64_t>(o.send_window_messages, 100);
    o.send_window_bytes = 16 * 1024 * 1024;
}

hawser::options random_options(hawser::xoshiro256& rng) {
    hawser::options o;
    o.connect_timeout = ms(rng, 1'000, 5'000);
    o.handshake_timeout = ms(rng, 1'000, 5'000);
    o.close_timeout = ms(rng, 500, 5'000);
    o.write_stall_timeout = ms(rng, 3'000, 15'000);
    o.message_timeout = ms(rng, 5'000, 30'000);
    o.max_write_buffer = std::size_t{1024} << pick(rng, 0, 8);
    o.receive_window_messages = one_in(rng, 3) ? pick(rng, 1, 10) : 1024;
    o.receive_window_bytes = one_in(rng, 3) ? pick(rng, 1024, 20'000) : 4 * 1024 * 1024;
    o.send_window_messages = one_in(rng, 3) ? pick(rng, 1, 10) : 4096;
    o.send_window_bytes = one_in(rng, 3) ? pick(rng, 1, 20'000) : 16 * 1024 * 1024;
    o.ack_delay = ms(rng, 0, 400);
    o.session_ttl = 120s;
    o.receive_buffer_bytes = one_in(rng, 3) ? pick(rng, 1, 4096) : 1024 * 1024;
    o.acceptance = one_in(rng, 4) ? hawser::acceptance_mode::on_processed : hawser::acceptance_mode::on_hand_off;
    o.reconnect.base_delay = ms(rng, 10, 1'000);
    o.reconnect.max_delay = o.reconnect.base_delay + ms(rng, 0, 3'000);
    o.reconnect.multiplier = 1 + static_cast<double>(pick(rng, 0, 20)) / 10;
    o.breaker.minimum_number_of_calls = static_cast<std::uint32_t>(pick(rng, 1, 10));
    o.breaker.wait_duration_in_open_state = ms(rng, 100, 3'000);
    o.breaker.max_wait_duration_in_open_state = ms(rng, 3'000, 8'000);
    o.heartbeat.ping_interval = ms(rng, 500, 5'000);
    o.heartbeat.pong_timeout = ms(rng, 2'000, 6'000);
    if (one_in(rng, 2)) {
        o.queue.high_watermark = pick(rng, 500, 20'000);
        o.queue.low_watermark = o.queue.high_watermark / pick(rng, 1, 10);
    }
    choose_overflow(o, rng);
    if (one_in(rng, 4)) o.gather_delay = ms(rng, 1, 100);
    return o;
}

client_settings random_client(hawser::xoshiro256& rng, bool may_replace) {
    client_settings c;
    c.reliable = !one_in(rng, 5);
    c.options = random_options(rng);
    c.options.session = c.reliable ? hawser::session_mode::required : hawser::session_mode::off;
    c.messages = static_cast<std::uint32_t>(pick(rng, 60, 150));
    c.largest = static_cast<std::uint32_t>(one_in(rng, 6) ? pick(rng, 1'000, 70'000) : pick(rng, 20, 300));
    c.mean_gap = hawser::duration(50s) / c.messages;
    c.pull = c.options.acceptance == hawser::acceptance_mode::on_processed || one_in(rng, 2);
    c.options.handler_errors = hawser::handler_criticality::non_critical;
    if (one_in(rng, 4)) c.throws_per_thousand = 20;
    if (one_in(rng, 4)) c.slow_per_thousand = 20;
    c.uses_classes = one_in(rng, 2);
    if (may_replace && one_in(rng, 2)) c.replaces_socket_every = ms(rng, 5'000, 30'000);
    return c;
}

}  // namespace

settings swarm(hawser::xoshiro256& rng) {
    settings s;
    s.faults = hawser::testing::fault_rates::swarm(rng);
    s.faults[fault::reset] = std::max<hawser::duration>(s.faults[fault::reset], 8s);  // at least some faults in each run
    s.jitter = static_cast<jitter_kind>(pick(rng, 0, 3));
    const bool gentle = one_in(rng, 2);
    if (gentle) s.faults[fault::crash] = s.faults[fault::power_failure] = s.faults[fault::corruption] = {};
    const bool short_ttl = !gentle && one_in(rng, 3);
    const std::uint64_t clients = pick(rng, 2, 5);
    for (std::uint64_t i = 0; i < clients; ++i) s.clients.push_back(random_client(rng, !gentle));
    // A WebSocket alone has no checksum: what a damaged plain connection delivers is anybody's guess.
    if (s.faults[fault::corruption] > hawser::duration::zero())
        for (auto& c : s.clients) {
            c.reliable = true;
            c.options.session = hawser::session_mode::required;
        }
    s.server.socket = random_options(rng);
    s.server.socket.session = hawser::session_mode::preferred;
    s.server.socket.handler_errors = hawser::handler_criticality::non_critical;
    if (short_ttl) {
        // Sessions end while messages are in processing: their copies come in the next session.
        s.server.socket.session_ttl = ms(rng, 300, 5'000);
        if (!one_in(rng, 4)) s.server.socket.acceptance = hawser::acceptance_mode::on_processed;
    }
    const auto closes = [](const hawser::options& o) { return kind_of(o.queue) == overflow_kind::close; };
    s.may_lose_windows = !gentle || closes(s.server.socket) ||
                         std::any_of(s.clients.begin(), s.clients.end(), [&](const client_settings& c) { return closes(c.options); });
    return s;
}

}  // namespace sim
