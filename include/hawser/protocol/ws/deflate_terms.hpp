// SPDX-License-Identifier: BSL-1.0
/// \file
/// The parameters of permessage-deflate (RFC 7692 section 7.1), parsed, judged and written. No zlib.
#pragma once

#include <hawser/core/planted.hpp>
#include <hawser/protocol/ws/extension_list.hpp>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hawser::inline v0 {

/// How messages are compressed. "This side" compresses what it sends, the peer what it sends.
struct deflate_options {
    int level = 1;                      ///< effort: 1 (fast) to 9 (small)
    int memory_level = 8;               ///< memory of zlib beside the window, 1 to 9
    int window_bits = 15;               ///< window of this side, 2^9 to 2^15 bytes
    int peer_window_bits = 15;          ///< window asked of the peer, 2^9 to 2^15 bytes
    bool context_takeover = true;       ///< this side refers back to earlier messages
    bool peer_context_takeover = true;  ///< the peer may do so
    std::size_t min_size = 64;          ///< smaller messages are sent as they are, bytes; 1 to 1 GiB

    /// All problems, one sentence each, naming the option, its value and what is allowed.
    [[nodiscard]] std::vector<std::string> problems() const;
};

namespace ws {

inline constexpr std::string_view deflate_name = "permessage-deflate";

/// One offer or answer.
struct deflate_terms {
    static constexpr int absent = 0;
    static constexpr int without_value = 1;  ///< client_max_window_bits in an offer
    static constexpr int largest_window_bits = 15;

    bool server_no_context_takeover = false;
    bool client_no_context_takeover = false;
    int server_max_window_bits = absent;  ///< 8 to 15
    int client_max_window_bits = absent;  ///< 8 to 15

    [[nodiscard]] std::string text() const {
        std::string out(deflate_name);
        if (server_no_context_takeover) out += "; server_no_context_takeover";
        if (client_no_context_takeover) out += "; client_no_context_takeover";
        append_bits(out, "; server_max_window_bits", server_max_window_bits);
        append_bits(out, "; client_max_window_bits", client_max_window_bits);
        return out;
    }

private:
    static void append_bits(std::string& out, std::string_view name, int bits) {
        if (bits != absent) out += name;
        if (bits > without_value) out.append("=").append(std::to_string(bits));
    }
};

/// What a connection does in the end.
struct deflate_agreement {
    int own_window_bits = 15;   ///< below 9 zlib cannot compress: this side then sends all as it is
    int peer_window_bits = 15;  ///< enough to inflate what the peer sends
    bool own_takeover = true;
    bool peer_takeover = true;
};

namespace detail {

// "8" to "15", without a leading zero; 0 for anything else.
[[nodiscard]] inline int parse_window_bits(std::string_view text) noexcept {
    if (text.size() == 1 && (text[0] == '8' || text[0] == '9')) return text[0] - '0';
    if (text.size() == 2 && text[0] == '1' && text[1] >= '0' && text[1] <= '5') return 10 + (text[1] - '0');
    return 0;
}

[[nodiscard]] inline bool take_flag(const extension_param& param, bool& flag) noexcept {
    return !param.value && !std::exchange(flag, true);
}
[[nodiscard]] inline bool take_bits(const extension_param& param, int& bits, bool value_optional) noexcept {
    if (bits != deflate_terms::absent) return false;
    bits = param.value ? parse_window_bits(*param.value) : (value_optional ? deflate_terms::without_value : 0);
    return bits != deflate_terms::absent;
}

}  // namespace detail

/// The terms that `from` states; none where a parameter is unknown, stands twice, or has a value that it
/// must not have (RFC 7692 sections 7.1.1 and 7.1.2): an offer is then declined, an answer refused.
[[nodiscard]] inline std::optional<deflate_terms> parse_deflate_terms(const extension& from, bool is_offer) {
    deflate_terms terms;
    for (const auto& param : from.params) {
        bool good = false;
        if (param.name == "server_no_context_takeover")
            good = detail::take_flag(param, terms.server_no_context_takeover);
        else if (param.name == "client_no_context_takeover")
            good = detail::take_flag(param, terms.client_no_context_takeover);
        else if (param.name == "server_max_window_bits")
            good = detail::take_bits(param, terms.server_max_window_bits, false);
        else if (param.name == "client_max_window_bits")
            good = detail::take_bits(param, terms.client_max_window_bits, is_offer);
        if (!good) return std::nullopt;
    }
    return terms;
}

/// Client: what to offer.
[[nodiscard]] inline deflate_terms offered_terms(const deflate_options& o) noexcept {
    constexpr int largest = deflate_terms::largest_window_bits;
    deflate_terms offer;
    offer.server_no_context_takeover = !o.peer_context_takeover;
    offer.client_no_context_takeover = !o.context_takeover;
    if (o.peer_window_bits < largest) offer.server_max_window_bits = o.peer_window_bits;
    offer.client_max_window_bits = o.window_bits < largest ? o.window_bits : deflate_terms::without_value;
    return offer;
}

/// Client: what follows from the server's answer; none where the answer is not one to the offer.
[[nodiscard]] inline std::optional<deflate_agreement> confirm_terms(const deflate_terms& answer,
                                                                    const deflate_options& o) noexcept {
    const bool server_bits_named = answer.server_max_window_bits != deflate_terms::absent;
    if (!o.peer_context_takeover && !answer.server_no_context_takeover) return std::nullopt;
    if (o.peer_window_bits < deflate_terms::largest_window_bits && !server_bits_named) return std::nullopt;
    if (answer.server_max_window_bits > o.peer_window_bits) return std::nullopt;
    if (answer.client_max_window_bits > o.window_bits) return std::nullopt;
    deflate_agreement result;
    result.own_window_bits =
        answer.client_max_window_bits != deflate_terms::absent ? answer.client_max_window_bits : o.window_bits;
    result.peer_window_bits = server_bits_named ? std::max(answer.server_max_window_bits, 9) : 15;
    result.own_takeover = o.context_takeover && !answer.client_no_context_takeover;
    result.peer_takeover = !answer.server_no_context_takeover;
    return result;
}

/// Server: the answer to an offer; none where the offer cannot be met, which is a window of 256 bytes for
/// what the server compresses: zlib has no such. `frugal`: without takeover in either direction.
[[nodiscard]] inline std::optional<deflate_terms> answer_terms(const deflate_terms& offer, const deflate_options& o,
                                                               bool frugal) noexcept {
    constexpr int largest = deflate_terms::largest_window_bits;
    if (offer.server_max_window_bits == 8) return std::nullopt;
    deflate_terms answer;
    const bool heard = !hawser::detail::planted(hawser::detail::bug::no_takeover_unheeded);
    answer.server_no_context_takeover = (offer.server_no_context_takeover && heard) || !o.context_takeover || frugal;
    answer.client_no_context_takeover = offer.client_no_context_takeover || !o.peer_context_takeover || frugal;
    const bool asked = offer.server_max_window_bits != deflate_terms::absent;
    const int own = asked ? std::min(offer.server_max_window_bits, o.window_bits) : o.window_bits;
    if (asked || own < largest) answer.server_max_window_bits = own;
    // It may only be asked of a client that offered it (section 7.1.2.2).
    if (offer.client_max_window_bits != deflate_terms::absent) {
        const int most =
            offer.client_max_window_bits == deflate_terms::without_value ? largest : offer.client_max_window_bits;
        const int peer = std::min(most, o.peer_window_bits);
        if (peer < largest) answer.client_max_window_bits = peer;
    }
    return answer;
}

/// Server: what follows from its own answer.
[[nodiscard]] inline deflate_agreement agreement_of(const deflate_terms& answer) noexcept {
    const auto bits = [](int named) { return named == deflate_terms::absent ? 15 : named; };
    return {bits(answer.server_max_window_bits), std::max(bits(answer.client_max_window_bits), 9),
            !answer.server_no_context_takeover, !answer.client_no_context_takeover};
}

}  // namespace ws
}  // namespace hawser::inline v0
