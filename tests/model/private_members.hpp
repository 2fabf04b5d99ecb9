// SPDX-License-Identifier: BSL-1.0
// Everything that tells two states of the shipped classes apart, read through pointers to their
// private members (an explicit instantiation may name them), so that the classes need no door.
#pragma once

#include <hawser/protocol/session/session_table.hpp>

#include <cstdint>
#include <cstring>
#include <type_traits>
#include <vector>

namespace model {

namespace session = hawser::session;

template <class Tag, auto Member>
struct reveal {
    friend constexpr auto member(Tag) noexcept { return Member; }
};
// clang-format off
#define MODEL_REVEAL(type, name)                              \
    struct type##_##name {                                    \
        friend constexpr auto member(type##_##name) noexcept; \
    };                                                        \
    template struct reveal<type##_##name, &session::type::name>;
MODEL_REVEAL(endpoint, log_) MODEL_REVEAL(endpoint, out_) MODEL_REVEAL(endpoint, in_) MODEL_REVEAL(endpoint, phase_)
MODEL_REVEAL(endpoint, opening_) MODEL_REVEAL(endpoint, ping_wanted_) MODEL_REVEAL(endpoint, pong_wanted_)
MODEL_REVEAL(endpoint, has_epoch_) MODEL_REVEAL(endpoint, resuming_) MODEL_REVEAL(endpoint, gap_seen_)
MODEL_REVEAL(endpoint, attempt_) MODEL_REVEAL(endpoint, opening_lsn_) MODEL_REVEAL(endpoint, ended_lsn_)
MODEL_REVEAL(endpoint, hello_id_base_) MODEL_REVEAL(endpoint, epoch_serial_) MODEL_REVEAL(endpoint, features_)
MODEL_REVEAL(endpoint, peer_id_base_) MODEL_REVEAL(endpoint, peer_origin_) MODEL_REVEAL(endpoint, epoch_)
MODEL_REVEAL(endpoint, token_) MODEL_REVEAL(endpoint, echo_due_) MODEL_REVEAL(endpoint, parts_)
MODEL_REVEAL(endpoint, parts_done_)
MODEL_REVEAL(journal, committing_) MODEL_REVEAL(journal, last_) MODEL_REVEAL(journal, in_flight_)
MODEL_REVEAL(journal, durable_) MODEL_REVEAL(journal, kept_)
MODEL_REVEAL(inbox, pending_) MODEL_REVEAL(inbox, received_) MODEL_REVEAL(inbox, accepted_)
MODEL_REVEAL(inbox, committing_accepted_) MODEL_REVEAL(inbox, durable_accepted_) MODEL_REVEAL(inbox, announced_)
MODEL_REVEAL(inbox, announced_bytes_) MODEL_REVEAL(inbox, accepted_bytes_) MODEL_REVEAL(inbox, committing_bytes_)
MODEL_REVEAL(inbox, durable_bytes_) MODEL_REVEAL(inbox, pending_bytes_) MODEL_REVEAL(inbox, due_)
MODEL_REVEAL(inbox, ack_deadline_) MODEL_REVEAL(inbox, urgent_) MODEL_REVEAL(inbox, forced_)
MODEL_REVEAL(inbox, exceptions_) MODEL_REVEAL(inbox, told_)
MODEL_REVEAL(inbox, names_exceptions_)
MODEL_REVEAL(outbox, window_) MODEL_REVEAL(outbox, outcomes_)
MODEL_REVEAL(outbox, max_body_) MODEL_REVEAL(outbox, cursor_bytes_) MODEL_REVEAL(outbox, epoch_id_base_)
MODEL_REVEAL(outbox, next_seq_) MODEL_REVEAL(outbox, cursor_) MODEL_REVEAL(outbox, acked_)
MODEL_REVEAL(outbox, written_) MODEL_REVEAL(outbox, assigned_bytes_) MODEL_REVEAL(outbox, acked_bytes_)
MODEL_REVEAL(outbox, takes_transfers_) MODEL_REVEAL(outbox, credit_messages_) MODEL_REVEAL(outbox, credit_bytes_)
MODEL_REVEAL(outbox, part_size_) MODEL_REVEAL(outbox, part_counter_) MODEL_REVEAL(outbox, part_offset_)
MODEL_REVEAL(outcome_log, finished_)
MODEL_REVEAL(session_table, records_) MODEL_REVEAL(session_table, by_token_)
#undef MODEL_REVEAL

// A member added to a class belongs into `print`, else different states are taken for one.
#if defined(__GLIBCXX__) && defined(__x86_64__)
static_assert(sizeof(session::journal) == 40, "a new member of journal: print it");
static_assert(sizeof(session::inbox) == 160, "a new member of inbox: print it");
static_assert(sizeof(session::outbox) == 400, "a new member of outbox: print it");
static_assert(sizeof(session::endpoint) == 920, "a new member of endpoint: print it");
static_assert(sizeof(session::session_record) == 240, "a new member of session_record: print it");
#endif
// clang-format on

/// Bytes that are the same if and only if two states are.
class printer {
public:
    template <class T>
    void operator()(const T& value) {
        static_assert(std::has_unique_object_representations_v<T>);
        const auto* bytes = reinterpret_cast<const std::byte*>(&value);
        bytes_.insert(bytes_.end(), bytes, bytes + sizeof value);
    }
    void small(std::uint64_t value) {
        if (value < 255) return (*this)(static_cast<std::uint8_t>(value));
        (*this)(std::uint8_t{255});
        (*this)(value);
    }
    template <class... T>
    void all(const T&... values) {
        (small(static_cast<std::uint64_t>(values)), ...);
    }
    void raw(const void* data, std::size_t size) {
        const auto* bytes = static_cast<const std::byte*>(data);
        bytes_.insert(bytes_.end(), bytes, bytes + size);
    }
    void clear() noexcept { bytes_.clear(); }
    [[nodiscard]] const std::vector<std::byte>& bytes() const noexcept { return bytes_; }

private:
    std::vector<std::byte> bytes_;
};

inline void print(printer& p, session::inbox& in) {
    auto& pending = in.*member(inbox_pending_{});
    p.small(pending.size());
    for (std::size_t i = 0; i < pending.size(); ++i)
        p.all(pending[i].size, pending[i].result);
    p.all(in.*member(inbox_received_{}), in.*member(inbox_accepted_{}), in.*member(inbox_committing_accepted_{}),
          in.*member(inbox_durable_accepted_{}), in.*member(inbox_announced_{}), in.*member(inbox_announced_bytes_{}),
          in.*member(inbox_accepted_bytes_{}), in.*member(inbox_committing_bytes_{}),
          in.*member(inbox_durable_bytes_{}), in.*member(inbox_pending_bytes_{}), in.*member(inbox_due_{}),
          in.*member(inbox_ack_deadline_{}) != hawser::never, in.*member(inbox_urgent_{}), in.*member(inbox_forced_{}));
    auto& exceptions = (in.*member(inbox_exceptions_{}))->kept;
    p.all(exceptions.size(), in.*member(inbox_told_{}), in.*member(inbox_names_exceptions_{}));
    for (std::size_t i = 0; i < exceptions.size(); ++i)
        p.all(exceptions[i].seq, exceptions[i].what);
}
// Positions in the journal count only relative to what is durable.
inline void print(printer& p, session::outbox& out, std::uint64_t durable) {
    const auto ahead = [durable](std::uint64_t lsn) { return lsn > durable ? lsn - durable : 0; };
    // `order` is their order. Nothing here has a priority or expires.
    const auto message = [&](const session::outgoing_message& m) {
        p.all(m.counter, ahead(m.lsn), m.written, m.numbered);
        return false;
    };
    p.small(out.queued());
    (void)out.intake().queue().find_if(message);
    auto& window = out.*member(outbox_window_{});
    p.small(window.size());
    for (std::size_t i = 0; i < window.size(); ++i) message(window[i]);
    auto& finished = (out.*member(outbox_outcomes_{})).*member(outcome_log_finished_{});
    p.small(finished.size());
    for (std::size_t i = 0; i < finished.size(); ++i)
        p.all(finished[i].counter, ahead(finished[i].lsn), finished[i].result);
    p.all(out.*member(outbox_max_body_{}), out.*member(outbox_cursor_bytes_{}), out.next_counter(), out.*member(outbox_epoch_id_base_{}),
          out.*member(outbox_next_seq_{}), out.*member(outbox_cursor_{}), out.*member(outbox_acked_{}),
          out.*member(outbox_written_{}), out.*member(outbox_assigned_bytes_{}), out.*member(outbox_acked_bytes_{}),
          out.*member(outbox_credit_messages_{}), out.*member(outbox_credit_bytes_{}), out.*member(outbox_takes_transfers_{}),
          out.*member(outbox_part_counter_{}), out.*member(outbox_part_offset_{}));
    p.small(out.*member(outbox_part_size_{}) == UINT64_MAX ? 0 : out.*member(outbox_part_size_{}));
}
inline void print(printer& p, session::endpoint& e) {
    auto& log = e.*member(endpoint_log_{});
    const std::uint64_t durable = log.*member(journal_durable_{});
    const auto ahead = [durable](std::uint64_t lsn) { return lsn > durable ? lsn - durable : 0; };
    const bool committing = log.*member(journal_committing_{});
    p.all(committing, log.*member(journal_last_{}) - durable,
          committing ? log.*member(journal_in_flight_{}) - durable : 0);
    if (const auto& kept = log.*member(journal_kept_{}))
        for (const session::record& r : kept->pending) p.all(r.kind, r.counter, r.seq, r.result);
    print(p, e.*member(endpoint_out_{}), durable);
    print(p, e.*member(endpoint_in_{}));
    p.all(e.*member(endpoint_phase_{}), e.*member(endpoint_opening_{}), e.*member(endpoint_ping_wanted_{}),
          e.*member(endpoint_pong_wanted_{}), e.*member(endpoint_has_epoch_{}), e.*member(endpoint_resuming_{}),
          e.*member(endpoint_gap_seen_{}), e.*member(endpoint_attempt_{}), ahead(e.*member(endpoint_opening_lsn_{})),
          ahead(e.*member(endpoint_ended_lsn_{})), e.*member(endpoint_hello_id_base_{}),
          e.*member(endpoint_epoch_serial_{}), e.*member(endpoint_features_{}), e.*member(endpoint_peer_id_base_{}));
    const auto& parts = e.*member(endpoint_parts_{});
    p.all(e.*member(endpoint_echo_due_{}), e.*member(endpoint_parts_done_{}), parts.size());
    p.raw(parts.data(), parts.size());
    // The first bytes of what is minted here are a number.
    p((e.*member(endpoint_peer_origin_{}))[0]);
    p((e.*member(endpoint_epoch_{}))[0]);
    p((e.*member(endpoint_token_{}))[0]);
}
inline void print(printer& p, const session::session_record& s, hawser::time_point now) {
    p.all(s.serial, s.has_previous, s.alive, s.attached, s.confirmed, s.generation, s.highest_attempt, s.has_position,
          s.accepted,
          s.expires == hawser::never ? 0
          : s.expires <= now         ? 1
                                     : 2);
    p.small(s.exceptions.size());
    p.raw(s.exceptions.data(), s.exceptions.size());
    p(s.current[0]);
    if (s.has_previous) p(s.previous[0]);
    if (s.expires != hawser::never && s.expires > now) p((s.expires - now).count());
}

inline void print(printer& p, const session::session_table& table, hawser::time_point now) {
    const auto& records = table.*member(session_table_records_{});
    p.all(records.size(), (table.*member(session_table_by_token_{})).size());
    for (const auto& [serial, record] : records)
        print(p, record, now);
}

}  // namespace model
