// SPDX-License-Identifier: BSL-1.0
// Messages of transfers: whatever decodes is plausible, is the same once encoded and decoded again, and leaves a receiver
// within its limits.
#include "fuzz.hpp"

#include <hawser/transfer/codec.hpp>
#include <hawser/transfer/receiving.hpp>

namespace transfer = hawser::transfer;
using hawser::byte_vector;
using hawser::byte_view;

const fuzz::bug fuzz::planted = bug::transfer_size_unchecked;

namespace {

constexpr transfer::receiving_limits limits{5000, 512};

void judge_codec(byte_view data, const transfer::any_message& m) {
    byte_vector out;
    std::visit([&](const auto& v) { transfer::encode(out, v); }, m);
    fuzz::require(hawser::as_text(out) == hawser::as_text(data), "decoded and encoded again");
    if (const auto* o = std::get_if<transfer::offer>(&m)) fuzz::require(o->size.value_or(0) <= transfer::max_size, "a size that can be");
    if (const auto* c = std::get_if<transfer::chunk>(&m)) fuzz::require(c->offset <= transfer::max_size && !c->bytes.empty(), "a chunk");
    if (const auto* a = std::get_if<transfer::accept>(&m)) fuzz::require(a->from <= a->limit, "credit beyond what is there");
}

}  // namespace

// A byte says how long the next message is; all go to one receiver, which writes down as much as the byte before says.
void fuzz::run(byte_view data) {
    input in(data);
    if (in.flag()) {
        const byte_view rest = in.rest();
        if (const auto m = transfer::decode(rest)) judge_codec(rest, *m);
        return;
    }
    transfer::receiving r({1, {}, in.flag() ? std::optional<std::uint64_t>(in.number() * 8) : std::nullopt, "n", {}}, limits);
    (void)r.prepared(in.number(), {});
    while (!in.empty()) {
        const unsigned what = in.below(4), number = in.number();
        std::error_code ec;
        if (what == 0) ec = r.on_begin({1, number});
        if (what == 1) ec = r.on_chunk(number * 4, in.number());
        if (what == 2) ec = r.on_end({1, number * 4, {}});
        if (what == 3) (void)r.written(std::min<std::uint64_t>(number, r.received() - r.written()));
        if (ec) return;
        require(r.received() <= limits.max_size && r.received() <= r.size().value_or(limits.max_size), "never more than offered or permitted");
        require(r.received() - r.written() <= limits.window, "never more than the window waits");
    }
}
