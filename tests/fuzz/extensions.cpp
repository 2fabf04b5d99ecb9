// SPDX-License-Identifier: BSL-1.0
// Sec-WebSocket-Extensions: what is parsed can be written and parsed again, and two ends of ours with any
// options agree on permessage-deflate as RFC 7692 section 7.1 allows.
#include "fuzz.hpp"

#include <hawser/protocol/ws/deflate_terms.hpp>

namespace ws = hawser::ws;

const fuzz::bug fuzz::planted = bug::no_takeover_unheeded;

namespace {

std::string written(const std::vector<ws::extension>& list) {
    std::string out;
    for (const auto& e : list) {
        out += (out.empty() ? "" : ", ") + e.name;
        for (const auto& p : e.params)
            out += "; " + p.name + (p.value ? "=\"" + *p.value + "\"" : "");
    }
    return out;
}
bool same(const std::vector<ws::extension>& a, const std::vector<ws::extension>& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) {
        return x.name == y.name &&
               std::equal(x.params.begin(), x.params.end(), y.params.begin(), y.params.end(),
                          [](const auto& p, const auto& q) { return p.name == q.name && p.value == q.value; });
    });
}

hawser::deflate_options options(fuzz::input& in) {
    const unsigned bits = in.number(), flags = in.number();
    hawser::deflate_options o;
    o.window_bits = 9 + static_cast<int>(bits % 7);
    o.peer_window_bits = 9 + static_cast<int>(bits / 7 % 7);
    o.context_takeover = (flags & 1u) != 0;
    o.peer_context_takeover = (flags & 2u) != 0;
    return o;
}

// A server's answer to an offer: section 7.1.1 and 7.1.2, parameter by parameter.
void judge_answer(const ws::deflate_terms& offer, const ws::deflate_terms& answer) {
    using fuzz::require;
    using ws::deflate_terms;
    require(!offer.server_no_context_takeover || answer.server_no_context_takeover,
            "7.1.1.1: no takeover was asked for");
    if (offer.server_max_window_bits != deflate_terms::absent)
        require(answer.server_max_window_bits != deflate_terms::absent &&
                    answer.server_max_window_bits <= offer.server_max_window_bits,
                "7.1.2.1: the window that was asked for");
    if (offer.client_max_window_bits == deflate_terms::absent)
        require(answer.client_max_window_bits == deflate_terms::absent, "7.1.2.2: not without the client's word");
    if (offer.client_max_window_bits > deflate_terms::without_value)
        require(answer.client_max_window_bits <= offer.client_max_window_bits, "7.1.2.2: at most what was offered");
    const auto ours = ws::agreement_of(answer);
    require(ours.own_window_bits >= 9 && ours.own_window_bits <= 15, "zlib has such a window");
    require(ours.peer_window_bits >= 9 && ours.peer_window_bits <= 15, "zlib inflates such a window");
}

// Through their text, as between two ends.
std::optional<ws::deflate_terms> sent(const ws::deflate_terms& terms, bool is_offer) {
    std::vector<ws::extension> list;
    fuzz::require(ws::parse_extensions(terms.text(), list) && list.size() == 1, "terms are one extension");
    return ws::parse_deflate_terms(list[0], is_offer);
}

}  // namespace

void fuzz::run(byte_view data) {
    input in(data);
    const auto server = options(in), client = options(in);
    const bool frugal = in.flag();

    const auto offer = sent(ws::offered_terms(client), true);
    require(offer.has_value(), "our offer can be read");
    if (const auto answer = ws::answer_terms(*offer, server, frugal)) {
        judge_answer(*offer, *answer);
        const auto read = sent(*answer, false);
        require(read && ws::confirm_terms(*read, client), "our client takes our server's answer");
        const auto at_client = *ws::confirm_terms(*read, client), at_server = ws::agreement_of(*answer);
        require(at_client.peer_window_bits >= at_server.own_window_bits, "the client can inflate");
        require(at_server.peer_window_bits >= at_client.own_window_bits, "the server can inflate");
        require(at_client.peer_takeover || !at_server.own_takeover, "the client keeps what the server refers to");
        require(at_server.peer_takeover || !at_client.own_takeover, "the server keeps what the client refers to");
    }

    const std::string text(in.text());
    std::vector<ws::extension> list;
    if (!ws::parse_extensions(text, list)) return;
    require(list.size() <= 32, "bounded");
    std::vector<ws::extension> again;
    require(ws::parse_extensions(written(list), again) && same(list, again), "written and parsed again");
    for (const auto& one : list) {
        require(one.params.size() <= 32, "bounded");
        if (const auto theirs = ws::parse_deflate_terms(one, true))
            if (const auto answer = ws::answer_terms(*theirs, server, frugal)) judge_answer(*theirs, *answer);
        if (const auto theirs = ws::parse_deflate_terms(one, false))
            if (const auto agreed = ws::confirm_terms(*theirs, client)) {
                require(client.peer_context_takeover || !agreed->peer_takeover, "what was asked for was given");
                require(agreed->peer_window_bits <= client.peer_window_bits, "the window that was asked for");
            }
    }
}
