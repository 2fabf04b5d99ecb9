// SPDX-License-Identifier: BSL-1.0
// Frames of hawser.v1: whatever decodes is plausible, and is the same once encoded and decoded again.
#include "fuzz.hpp"

#include <hawser/protocol/session/checksum.hpp>
#include <hawser/protocol/session/decode.hpp>
#include <hawser/protocol/session/encode.hpp>

namespace session = hawser::session;
using hawser::byte_vector;
using hawser::byte_view;
using type = session::frame_type;

const fuzz::bug fuzz::planted = bug::first_retained_unchecked;

namespace {

bool lies_in(byte_view part, byte_view whole) {
    return part.empty() || (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}
bool good_checksum(byte_view frame) {
    session::envelope e;
    if (session::decode(frame, e)) return false;
    session::data d;
    byte_view payload = e.type == type::datagram ? e.body : byte_view();
    if (e.type == type::data && !session::decode(e, d, payload)) return false;
    return session::checksum_matches(frame, e, payload);
}

// `write(out, sum)` encodes what was decoded; `Fields` decodes it again.
template <class Fields, class Write>
void judge(const Fields& was, Write write) {
    byte_vector out;
    for (const bool sum : {false, true}) {
        write(out, sum);
        session::envelope e;
        Fields again;
        fuzz::require(!session::decode(out, e) && session::decode(e, again) && again == was,
                      "encoded and decoded again");
        fuzz::require(good_checksum(out), "its checksum is right");
        if (!sum) continue;
        out.back() ^= std::byte{1};
        fuzz::require(!good_checksum(out), "a wrong bit is found");
    }
}
template <class Fields>
void judge_fields(const session::envelope& e) {
    Fields f;
    if (session::decode(e, f)) judge(f, [&](byte_vector& out, bool sum) { session::encode(out, f, sum); });
}
// The numbers rise, and none is beyond the position.
void judge_exceptions(session::exception_view list, std::uint64_t accepted) {
    session::exception_reader in(list);
    std::uint64_t last = 0;
    std::size_t count = 0;
    for (auto e = in.next(); e; e = in.next(), ++count) {
        fuzz::require(e->seq > last && e->seq <= accepted, "exceptions rise up to the position");
        last = e->seq;
    }
    fuzz::require(count <= session::max_exceptions, "a bounded list");
}
template <class Fields>
void judge_positions(const session::envelope& e) {
    Fields f;
    if (!session::decode(e, f)) return;
    judge_exceptions(f.exceptions, f.accepted);
    fuzz::require(f.first_retained >= 1 && f.first_retained <= f.next_seq && f.next_seq <= session::max_seq,
                  "positions");
    judge_fields<Fields>(e);
}
void judge_data(byte_view frame, const session::envelope& e) {
    session::data d;
    byte_view payload;
    if (!session::decode(e, d, payload)) return;
    fuzz::require(lies_in(payload, frame) && d.key.size() <= session::max_key_size, "views into the frame");
    fuzz::require((d.seq >= 1 || d.more) && d.seq < session::max_seq, "a number");
    fuzz::require(!d.more || (!d.last_part && !payload.empty()), "a part");
    byte_vector out;
    session::encode(out, d, payload, true);
    fuzz::require(out.size() <= session::max_data_head_size, "the head of DATA is bounded");
    hawser::append(out, payload);
    session::envelope e2;
    session::data again;
    byte_view payload_again;
    fuzz::require(!session::decode(out, e2) && session::decode(e2, again, payload_again), "encoded and decoded again");
    fuzz::require(again == d && hawser::as_text(payload_again) == hawser::as_text(payload), "and the same");
    fuzz::require(good_checksum(out), "its checksum is right");
}

}  // namespace

void fuzz::run(byte_view data) {
    session::envelope e;
    if (session::decode(data, e)) return;
    require(lies_in(e.body, data) && lies_in(hawser::as_bytes(e.key), data), "views into the frame");
    (void)good_checksum(data);
    switch (e.type) {
        case type::hello:
            return judge_fields<session::hello>(e);
        case type::welcome:
            return judge_fields<session::welcome>(e);
        case type::resume:
            return judge_positions<session::resume>(e);
        case type::resumed:
            return judge_positions<session::resumed>(e);
        case type::resume_failed:
            return judge_fields<session::resume_failed>(e);
        case type::data:
            return judge_data(data, e);
        case type::ack:
        case type::ping:
        case type::pong: {
            session::ack_fields f;
            if (!session::decode(e, f)) return;
            judge_exceptions(f.exceptions, f.accepted);
            judge(f, [&](byte_vector& out, bool sum) { session::encode(out, e.type, f, sum); });
            return;
        }
        case type::goaway:
            return judge_fields<session::goaway>(e);
        default:
            return;
    }
}
