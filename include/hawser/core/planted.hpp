// SPDX-License-Identifier: BSL-1.0
/// \file
/// Bugs planted on purpose, one at a time, so that the tests can show that they would find them.
/// They exist only where the whole program is compiled with HAWSER_PLANTED_BUGS; everywhere else
/// `planted` is the constant false and leaves nothing behind.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace hawser::inline v0::detail {

/// Name, and what it breaks: a rule of the session layer, or an invariant. Append only.
#define HAWSER_PLANTED_LIST(X)                                                                     \
    X(sequence_end_ignored, "1: the numbers of a session end")                                     \
    X(id_base_of_welcome, "2: ids are counted from the base that HELLO told")                      \
    X(numbered_cancelled, "3: a message with a number cannot be withdrawn")                        \
    X(write_before_commit, "3: a number is durable before the first byte of DATA")                 \
    X(written_flag_dropped, "4: the flag `written` never comes off")                               \
    X(unknown_told_acknowledged, "4: a written message without an answer ends unknown")            \
    X(ack_of_received, "5, 6: a position says what was accepted, not what was received")           \
    X(prefix_with_holes, "5: accepted is the contiguous prefix")                                   \
    X(ack_before_commit, "5: a position is durable before it is told")                             \
    X(resume_tells_received, "6: RESUME carries what was accepted")                                \
    X(ack_beyond_sent_taken, "6: an acknowledgement beyond what was sent is an error")             \
    X(ack_goes_back, "6: an acknowledgement that goes back is ignored")                            \
    X(ack_never_flushed, "6: an acknowledgement leaves by its deadline")                           \
    X(ack_now_unheeded, "6: an acknowledgement that is waited for leaves at once")                 \
    X(credit_ignored, "7: nothing is sent beyond the credit")                                      \
    X(nothing_alone, "7: one message is always allowed when nothing is outstanding")               \
    X(checksum_unchecked, "8: a frame whose checksum is wrong is not taken")                       \
    X(confirm_skipped, "9: the first frame after the answer is an ACK")                            \
    X(early_answer_taken, "9: an answer to a question that was not written is none")               \
    X(hello_replaces, "10: HELLO never replaces a session")                                        \
    X(attempt_stands_still, "12: attempts rise strictly")                                          \
    X(new_token_forgotten, "12: the client keeps the token of RESUMED")                            \
    X(stale_resume_taken, "13, row 2: a stale RESUME does not unseat a live link")                 \
    X(tombstone_without_position, "13, row 3: a tombstone answers with its position")              \
    X(epoch_not_compared, "13, row 4: the epoch is compared")                                      \
    X(client_ahead_taken, "13, row 5: a client that has what was not sent ends the session")       \
    X(client_behind_taken, "13, row 6: a client whose numbers went back ends the session")         \
    X(hole_taken, "13, row 7: what one side needs and the other dropped ends the session")         \
    X(nothing_replayed, "14: after RESUMED, what was not accepted is sent again")                  \
    X(server_ahead_taken, "14: a server that has what was not sent ends the session")              \
    X(position_of_failure_ignored, "14: the position of RESUME_FAILED acknowledges")               \
    X(unknown_sent_again, "14: without a position, what was written is not sent again")            \
    X(requeued_behind, "14: what is sent again goes first, in old order")                          \
    X(copies_delivered, "15: the receiver drops what it has")                                      \
    X(gap_ignored, "15: a gap closes the link")                                                    \
    X(second_gap_mended, "15: a second gap without progress ends the session")                     \
    X(generation_stays, "16: what a superseded link brings is ignored")                            \
    X(ttl_while_attached, "16: the lifetime of a session runs only while it is detached")          \
    X(no_tombstone, "17: after its end a tombstone answers")                                       \
    X(previous_token_lost, "18: the previous token is good until the new one is confirmed")        \
    X(previous_token_kept, "18: the first ACK retires the previous token")                         \
    X(principal_ignored, "18: a token is bound to its principal")                                  \
    X(opening_before_commit, "durability: epoch and token, before the frame that rests on them")   \
    X(report_before_commit, "durability: removal from the outbox, before the outcome is reported") \
    X(ids_used_again, "2: an id is never used twice, also after a restart")                        \
    X(boot_stands_still, "12: attempts rise across restarts")                                      \
    X(position_not_restored, "19: a restored session goes on where it was")                        \
    X(effect_apart, "19: an effect and its position are one transaction")                          \
    X(sync_skipped, "5: what is told to be durable survives a loss of power")                      \
    X(dedup_forgets, "21: ids are remembered across sessions")                                     \
    X(dedup_by_hash, "21: equality compares the whole id")                                         \
    X(limits_ignored, "budgets hold")                                                              \
    X(pause_without_resume, "each pause gets exactly one resume")                                  \
    X(told_after_destruction, "no callback after destruction")                                     \
    X(ghost_session, "no ghosts: what ended is forgotten")                                         \
    X(open_breaker_permits, "no attempt while the breaker is open")                                \
    X(delay_beyond_maximum, "every delay is in [0, max]")                                          \
    X(mask_used_again, "a fresh mask for each frame")                                              \
    X(acknowledged_not_counted, "metrics conserve")                                                \
    X(attempt_without_deadline, "every wait has a deadline")                                       \
    X(two_owners, "a session has at most one live owner")                                          \
    X(seed_from_address, "the same seed gives the same trace")                                     \
    X(length_top_bit_taken, "F4: the top bit of a 64-bit length is 0")                             \
    X(mask_phase_lost, "F16: the key goes on where the payload was split")                         \
    X(utf8_seam_missed, "F17: a character across two vectors is judged")                           \
    X(inflates_beyond_limit, "D1: no byte over the limit is inflated")                             \
    X(second_host_taken, "H3: there is one Host header field")                                     \
    X(second_accept_taken, "C5: there is one Sec-WebSocket-Accept header field")                   \
    X(port_wraps, "URL: a port is at most 65535")                                                  \
    X(no_takeover_unheeded, "RFC 7692 7.1.1.1: who is asked for no takeover gives none")           \
    X(first_retained_unchecked, "a position that cannot be is malformed")                          \
    X(handshake_without_deadline, "H12: a handshake ends at its deadline")                         \
    X(transfer_size_unchecked, "transfers: a size that cannot be is malformed")                    \
    X(transfer_credit_unchecked, "transfers: a chunk stays within the credit")                      \
    X(rejected_told_acknowledged, "6: a rejected message is named")                                \
    X(exceptions_told_once, "6: exceptions are told again until they are known")                   \
    X(poison_stalls, "6: a rejected message does not stall the window")                            \
    X(part_misplaced, "8: a part follows the one before it")                                       \
    X(part_resumed_blindly, "8: on a new link a message in parts begins anew")                     \
    X(class_starves, "3: no class of priority starves")                                            \
    X(numbered_expired, "3: a message with a number does not expire")                              \
    X(numbered_replaced, "3: a message with a number is not replaced")                             \
    X(expiry_forgotten, "22: what has waited for its time to live ends expired")                   \
    X(replaced_untold, "22: who is replaced is told")                                              \
    X(transfer_prefix_trusted, "transfers: what an interruption has left is compared")

/// One name for each planted bug.
enum class bug : std::uint8_t {
    none,
#define HAWSER_PLANTED_NAME(name, breaks) name,
    HAWSER_PLANTED_LIST(HAWSER_PLANTED_NAME)
#undef HAWSER_PLANTED_NAME
};

#ifdef HAWSER_PLANTED_BUGS
struct planted_bug {
    bug which;
    std::string_view name;
    std::string_view breaks;
};
inline constexpr planted_bug planted_bugs[] = {
#define HAWSER_PLANTED_ROW(name, breaks) {bug::name, #name, breaks},
    HAWSER_PLANTED_LIST(HAWSER_PLANTED_ROW)
#undef HAWSER_PLANTED_ROW
};
inline constexpr std::size_t planted_bug_count = sizeof planted_bugs / sizeof planted_bugs[0];

/// The one that is on. Not to be changed while other threads run.
inline bug active_bug = bug::none;
[[nodiscard]] inline bool planted(bug b) noexcept { return active_bug == b; }
#else
[[nodiscard]] constexpr bool planted(bug) noexcept { return false; }
#endif
#undef HAWSER_PLANTED_LIST

}  // namespace hawser::inline v0::detail
