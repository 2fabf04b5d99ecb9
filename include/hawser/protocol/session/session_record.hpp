// SPDX-License-Identifier: BSL-1.0
/// \file
/// What a server keeps of a session, and its answer to a RESUME.
#pragma once

#include <hawser/core/time.hpp>
#include <hawser/protocol/session/endpoint.hpp>
#include <hawser/protocol/session/session_state.hpp>

#include <cstdint>
#include <optional>
#include <string>

namespace hawser::inline v0 {
namespace session {

/// A session: alive with its endpoint, or a tombstone that answers a late RESUME truthfully.
struct session_record {
    std::uint64_t serial = 0;
    epoch_id epoch{};
    token_hash current{};
    token_hash previous{};
    bool has_previous = false;
    bool alive = true;
    bool attached = false;
    bool confirmed = false;
    bool settled = true;         ///< a tombstone: the store has it, where one keeps it
    bool peer_durable = false;   ///< the client's store survives its process
    bool has_position = false;   ///< of a tombstone: `accepted` is known
    std::uint64_t generation = 1;
    std::uint64_t highest_attempt = 0;
    std::string principal;
    origin_id peer_origin{};
    endpoint* state = nullptr;   ///< of the owner; null in a tombstone, and while the session is in the store alone
    void* owner = nullptr;       ///< the shell's, given back by `decide`
    time_point expires = never;  ///< of a detached session, or of a tombstone
    time_point issued = never;   ///< when `current` was made; never: it does not age
    std::uint64_t accepted = 0;  ///< of a tombstone
    byte_vector exceptions{};    ///< of a tombstone: what `accepted` covers that was not simply accepted
    session_record* older = nullptr;  ///< among the tombstones, in the order of their burial
    session_record* newer = nullptr;

    /// What the store keeps of it.
    [[nodiscard]] server_facts facts() const {
        return {current, previous, has_previous, generation, highest_attempt, principal};
    }
};

/// The answer to a RESUME.
struct resume_decision {
    enum class kind : std::uint8_t {
        failed,  ///< answer RESUME_FAILED with `answer`; nothing else changes
        stale,   ///< close the link; the session is untouched
        ended,   ///< as failed, and `record`'s session just became a tombstone: end its owner
        resume,  ///< attach `record`'s endpoint; its older link is superseded
        load,    ///< `record`'s session is in the store alone: ask again when it is loaded
    };
    kind what = kind::failed;
    resume_failed answer;
    session_record* record = nullptr;  ///< also of a tombstone that answers
    void* owner = nullptr;
    /// Position for the owner's own window when the session ended; none: outcomes unknown.
    std::optional<std::uint64_t> own_position;
};

}  // namespace session
}  // namespace hawser::inline v0
