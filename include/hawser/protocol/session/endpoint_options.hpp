// SPDX-License-Identifier: BSL-1.0
/// \file
/// What one end of a session is told when it is made.
#pragma once

#include <hawser/core/time.hpp>
#include <hawser/protocol/session/frame.hpp>
#include <hawser/protocol/session/inbox.hpp>

#include <cstdint>

namespace hawser::inline v0 {
namespace session {

enum class side : std::uint8_t { client, server };

struct endpoint_options {
    session::side side = session::side::client;
    bool checksum = true;              ///< offer (client) or accept (server) frame checksums
    bool durable = false;              ///< the store of this side survives the process
    bool keep_records = false;         ///< the store wants the records, not only their order
    bool transfers = false;            ///< offer (client) or accept (server) messages of transfers
    bool dedup_kept = true;            ///< ids that were received outlive the session (told in WELCOME)
    bool send_again = false;           ///< client: what a lost epoch had written is sent again, where the peer keeps ids
    std::uint32_t boot = 1;            ///< incarnation of this process, the high bits of `attempt`
    std::uint64_t max_message_size = 1024 * 1024;
    std::uint64_t send_window = 1024;  ///< messages written and not acknowledged, at most
    inbox_limits receive;
    milliseconds session_ttl{120'000};
    origin_id origin{};                ///< of the messages sent from here
    std::uint64_t send_window_bytes = 16 * 1024 * 1024;  ///< their payload, at most; one message always goes
    std::uint64_t features = feature::all;  ///< offered or accepted; of checksums, `checksum` decides
    std::size_t part_size = 64 * 1024;      ///< a larger message leaves in parts of this size
    duration max_age{};                ///< what waits so long expires; 0: nothing does
    std::uint64_t sequence_end = max_seq;  ///< the session ends before this number; lower only in tests
};

}  // namespace session
}  // namespace hawser::inline v0
