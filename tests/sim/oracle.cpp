// SPDX-License-Identifier: BSL-1.0
#include "oracle.hpp"

#include <algorithm>
#include <charconv>

using hawser::outcome;

namespace sim {
namespace {

// "stream number size " and filler that nobody could guess from another message.
std::string content(std::uint32_t id, std::uint64_t number, std::uint32_t size) {
    std::string text = std::to_string(id) + ' ' + std::to_string(number) + ' ' + std::to_string(size) + ' ';
    hawser::xoshiro256 filler(id * 1'000'003u + number);
    while (text.size() < size) text += static_cast<char>('!' + hawser::uniform(filler, 0, 93));
    return text;
}

bool take_number(std::string_view& text, std::uint64_t& value) {
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (ec != std::errc{} || end == text.data() + text.size() || *end != ' ') return false;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()) + 1);
    return true;
}

}  // namespace

void oracle::fail(const stream& s, std::uint64_t number, const char* what) {
    world_.fail("message " + std::to_string(number) + " of stream " + std::to_string(s.id) + ": " + what);
}

hawser::message oracle::next(stream& s, std::uint32_t size, const hawser::send_options& how) {
    s.records.push_back({.size = size,
                         .priority = how.priority,
                         .expires = how.ttl > hawser::milliseconds{0},
                         .coalesce_key = how.coalesce_key});
    const std::string text = content(s.id, s.records.size(), size);
    return s.records.size() % 2 == 0 ? hawser::message::text(text) : hawser::message::binary(hawser::as_bytes(text));
}

void oracle::taken(stream& s, std::uint64_t number, hawser::ticket t) {
    auto& r = s.records[number - 1];
    if (!r.accepted) ++accepted;
    r.accepted = true;
    if (!t) return;
    s.number_of_ticket[t.counter] = number;
    if (const auto e = s.early.find(t.counter); e != s.early.end()) {
        const outcome o = e->second;
        s.early.erase(e);
        told_number(s, number, o);
    }
}

void oracle::refused(stream& s, std::uint64_t number) {
    auto& r = s.records[number - 1];
    if (r.accepted) return fail(s, number, "refused after it was accepted");
    if (r.delivered) return fail(s, number, "refused, and delivered");
    r.told = outcome::refused;
    ++refusals;
}

void oracle::told(stream& s, hawser::ticket t, outcome o) {
    const auto n = s.number_of_ticket.find(t.counter);
    if (n == s.number_of_ticket.end()) s.early[t.counter] = o;
    else told_number(s, n->second, o);
}

void oracle::told_number(stream& s, std::uint64_t number, outcome o) {
    auto& r = s.records[number - 1];
    if (r.told != outcome::pending) {
        if (r.told != o) fail(s, number, "two different outcomes");
        return;
    }
    r.told = o;
    const bool out = r.delivered;
    switch (o) {
    case outcome::acknowledged:
    case outcome::duplicate:
        ++acknowledged;
        if (!out) fail(s, number, "acknowledged before it was handed over");
        break;
    case outcome::unknown:
        ++unknown;
        if (!s.may_be_unknown) fail(s, number, "unknown, although nothing happened that loses it");
        break;
    case outcome::written:
        ++written;
        if (s.reliable) fail(s, number, "'written' in a session");
        break;
    default:
        ++cancelled;
        if (out) fail(s, number, "reported as never written, and delivered");
        check_never_written(s, number, o);
    }
}

// Such an end needs a reason.
void oracle::check_never_written(const stream& s, std::uint64_t number, outcome o) {
    const auto& r = s.records[number - 1];
    if (o == outcome::expired && !r.expires && s.max_age == hawser::milliseconds{0}) fail(s, number, "expired, without a time to live");
    if (o == outcome::replaced && r.coalesce_key.empty()) fail(s, number, "replaced, without a key");
    if (o == outcome::dropped && !s.drops) fail(s, number, "dropped, which its policy does not do");
}

void oracle::check_expired(const stream& s, std::uint64_t number) {
    if (s.records[number - 1].told == outcome::pending) fail(s, number, "its time to live is over, and it still waits");
}

// In order within a class; messages with a key take the places of others, and are in order by key.
void oracle::check_order(stream& s, std::uint64_t number, std::uint64_t receiver) {
    const auto& r = s.records[number - 1];
    const auto line = r.coalesce_key.empty() ? r.priority : hawser::message_priority::normal;
    std::uint64_t& last = s.last_in[{receiver, line, r.coalesce_key}];
    if (number <= last) return fail(s, number, "out of order");
    last = number;
}

// No class starves: since the one before it in its class, or since it was accepted, at most so many younger ones of
// other classes went before it. Nothing is known where messages were lost with their session.
void oracle::check_turns(const stream& s, std::uint64_t number) {
    static constexpr std::uint64_t bound[] = {1, 3, 7, 14};
    const auto& r = s.records[number - 1];
    if (!r.coalesce_key.empty() || !s.reliable || s.may_be_unknown) return;
    if (r.size > s.part_size) return;  // it takes a turn for each part, and anew on each connection
    std::uint64_t overtook = 0;
    for (auto d = s.deliveries->rbegin(); d != s.deliveries->rend(); ++d) {
        const auto& other = d->from->records[d->number - 1];
        if (other.priority == r.priority || !other.coalesce_key.empty()) break;
        if (d->from == &s && d->number > number && ++overtook > bound[static_cast<std::size_t>(r.priority)])
            return fail(s, number, "its class starved");
    }
}

bool oracle::find(const hawser::message_view& m, stream*& s, std::uint64_t& number) {
    std::string_view rest = m.text();
    std::uint64_t id = 0, size = 0;
    if (!take_number(rest, id) || !take_number(rest, number) || !take_number(rest, size) || id == 0 || id > streams_.size()) return false;
    s = &streams_[id - 1];
    return number != 0 && number <= s->records.size() && s->records[number - 1].size == size;
}

void oracle::finished(const hawser::message_view& m, std::uint32_t incarnation) {
    stream* s = nullptr;
    std::uint64_t number = 0;
    if (find(m, s, number)) s->records[number - 1].finished_in.push_back(incarnation);
}

void oracle::delivered(const hawser::message_view& m, std::uint32_t incarnation, std::uint32_t receiver, bool is_finished) {
    ++deliveries;
    stream* from = nullptr;
    std::uint64_t number = 0;
    if (!find(m, from, number)) return world_.fail("a message came out that nobody sent");
    stream& s = *from;
    auto& r = s.records[number - 1];
    if ( m.text() != content(s.id, number, r.size) || (m.kind == hawser::message_kind::text) != (number % 2 == 0))
        return fail(s, number, "it changed on its way");
    if (std::find(r.finished_in.begin(), r.finished_in.end(), incarnation) != r.finished_in.end())
        return fail(s, number, "delivered twice");
    check_order(s, number, s.reliable && is_finished ? incarnation : (std::uint64_t{1} << 32 | receiver));
    if (!r.delivered) {
        check_turns(s, number);
        s.deliveries->push_back({&s, number});
    }
    // Handed to an earlier incarnation and acknowledged there: nothing may bring it back.
    if (r.told == outcome::acknowledged) return fail(s, number, "delivered after it was acknowledged");
    if (r.told != outcome::pending && r.told != outcome::unknown && r.told != outcome::written)
        return fail(s, number, "delivered after it was reported as never written");
    r.delivered = true;
    if (is_finished) r.finished_in.push_back(incarnation);
}

void oracle::check_all_told() {
    for (const stream& s : streams_) {
        if (!s.alive || !s.reliable) continue;
        for (std::size_t i = 0; i < s.records.size(); ++i)
            if (s.records[i].accepted && s.records[i].told == outcome::pending) return fail(s, i + 1, "accepted, and its outcome is never told");
    }
}

}  // namespace sim
