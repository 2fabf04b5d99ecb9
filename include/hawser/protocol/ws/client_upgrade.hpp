// SPDX-License-Identifier: BSL-1.0
/// \file
/// The client's side of the HTTP/1.1 upgrade (RFC 6455 section 4.1): writes the request, judges the answer.
#pragma once

#include <hawser/core/planted.hpp>
#include <hawser/protocol/ws/accept_key.hpp>
#include <hawser/protocol/ws/client_request.hpp>
#include <hawser/protocol/ws/response_rules.hpp>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace hawser::inline v0::ws {

/// Writes one upgrade request and reads its answer. `start`, then `feed` until it says `ready` or
/// `failed`; on failure close the connection. May be started again for the next attempt.
///
/// Redirects are reported and never followed. Thread safety: none. It keeps no reference to what
/// it is given.
class client_upgrade {
public:
    enum class status { need_more, ready, failed };

    /// How much of the body of a refusal is kept, in bytes.
    static constexpr std::size_t max_body_head_bytes = 1024;
    /// How many informational responses (100, 103) may precede the answer.
    static constexpr unsigned max_informational = 8;

    explicit client_upgrade(const http_limits& limits = {}) : limits_(limits), reader_(limits, limits.max_head_bytes) {}

    /// The value of Sec-WebSocket-Extensions to offer from the next `start` on; empty: none.
    /// Errors: `errc::invalid_argument` when it is malformed.
    [[nodiscard]] std::error_code offer_extensions(std::string_view value) {
        std::vector<extension> parsed;
        if (!is_value(value) || !parse_extensions(value, parsed, limits_.max_list_elements))
            return errc::invalid_argument;
        extensions_ = value;
        extension_offers_ = std::move(parsed);
        return {};
    }

    /// Appends the request to `out` and forgets an earlier attempt.
    ///
    /// `nonce` is 16 unpredictable bytes, new for each attempt. `headers` may be anything but what
    /// the upgrade writes itself: Host, Upgrade, Connection, Sec-WebSocket-*, and those that announce a body.
    /// Errors: `errc::invalid_argument` for bytes that HTTP cannot carry (CR, LF, NUL), reserved
    /// headers, subprotocols that are no tokens or are repeated, and more of anything than
    /// `http_limits` allows; `*why` (where given) is a sentence that names the header, never its
    /// value. `out` is then unchanged and no attempt is under way.
    [[nodiscard]] std::error_code start(byte_vector& out, const url& where, std::span<const std::string> subprotocols,
                                        std::span<const header> headers, std::span<const std::byte, 16> nonce,
                                        std::string* why = nullptr) {
        reset();
        const detail::request_parts parts{where, subprotocols, extensions_, headers};
        if (const auto ec = detail::check_parts(parts, limits_, why)) return ec;
        const auto key = base64_encode(nonce);
        const auto request = detail::write_request(parts, key);
        if (request.size() > limits_.max_head_bytes)
            return detail::bad_argument(why, "the request has " + std::to_string(request.size()) +
                                                 " bytes; the limit is " + std::to_string(limits_.max_head_bytes));
        append(out, as_bytes(request));
        offered_.assign(subprotocols.begin(), subprotocols.end());
        accept_ = accept_key(key);
        started_ = true;
        return {};
    }

    /// Takes bytes of the response. `consumed` is how many of `chunk` belong to its head: after
    /// `ready` what follows is for the frame reader. On a refusal the start of the body, as far as it is
    /// in the same chunk, is kept in `body_head()`. Before `start`, and after `ready` or `failed`,
    /// nothing is consumed.
    [[nodiscard]] status feed(byte_view chunk, std::size_t& consumed) {
        consumed = 0;
        while (started_ && state_ == status::need_more && consumed < chunk.size()) {
            const auto rest = chunk.subspan(consumed);
            std::size_t taken = 0;
            switch (has_http_prefix(rest) ? reader_.feed(rest, taken) : head_reader::status::failed) {
                case head_reader::status::need_more:
                    break;
                case head_reader::status::complete:
                    judge(rest.subspan(taken));
                    break;
                case head_reader::status::failed:
                    // Its first line may be as long as all of it: `first_line_too_long` is no fault of a response.
                    fail(reader_.why() == head_reader::fault::too_large ? errc::header_too_large : errc::bad_response);
            }
            consumed += taken;
        }
        return state_;
    }

    [[nodiscard]] status state() const noexcept { return state_; }
    /// What went wrong: `refused`, `redirected`, `unauthorized` (401, 403), `bad_accept`,
    /// `bad_subprotocol`, `bad_extension`, `header_too_large` or `bad_response`.
    [[nodiscard]] std::error_code error() const noexcept { return error_; }
    /// The status of the answer, 0 before it is known.
    [[nodiscard]] unsigned http_status() const noexcept { return http_status_; }
    /// The subprotocol that the server chose, empty for none.
    [[nodiscard]] const std::string& subprotocol() const noexcept { return subprotocol_; }
    /// The extensions that the server chose, all among those offered; their parameters are for the
    /// extension to judge.
    [[nodiscard]] const std::vector<extension>& extensions() const noexcept { return chosen_; }
    /// The head of the answer (or of the last informational response).
    [[nodiscard]] const http_head& head() const noexcept { return head_; }
    /// Location, when `redirected`; otherwise empty. Text of the server's: not checked.
    [[nodiscard]] std::string_view location() const noexcept {
        return error_ == errc::redirected ? head_.find("Location").value_or("") : std::string_view{};
    }
    /// How long the server asks to wait, of a 429 or 503 that says so in seconds.
    [[nodiscard]] std::optional<seconds> retry_after() const noexcept {
        return http_status_ == 429 || http_status_ == 503 ? detail::parse_retry_after(head_) : std::nullopt;
    }
    /// Up to `max_body_head_bytes` of a refusal's body, as received: any bytes.
    [[nodiscard]] const std::string& body_head() const noexcept { return body_head_; }

private:
    void reset() {
        (void)reader_.take();
        head_ = {};
        state_ = status::need_more;
        error_ = {};
        http_status_ = informational_ = 0;
        started_ = false;
        subprotocol_.clear();
        body_head_.clear();
        chosen_.clear();
    }
    // Tells what is not HTTP by its first bytes, so that it need not send an empty line first.
    [[nodiscard]] bool has_http_prefix(byte_view chunk) const noexcept {
        constexpr std::string_view prefix = "HTTP/1.";
        const auto have = std::min(reader_.text().size(), prefix.size());
        const auto expected = prefix.substr(have, chunk.size());
        return as_text(chunk).starts_with(expected);
    }
    void judge(byte_view behind) {
        const bool good = head_.parse(reader_.take());
        http_status_ = detail::parse_status_line(head_.first_line());
        if (!good || http_status_ == 0) return fail(errc::bad_response);
        if (http_status_ == 101) return judge_switch();
        if (http_status_ < 200) {
            if (++informational_ > max_informational) fail(errc::bad_response);
            return;
        }
        body_head_ = as_text(behind.first(std::min(behind.size(), max_body_head_bytes)));
        fail(detail::refusal_of(http_status_, head_));
    }
    void judge_switch() {
        if (!detail::switches_to_websocket(head_)) return fail(errc::bad_response);
        const bool any = hawser::detail::planted(hawser::detail::bug::second_accept_taken);
        if ((head_.count("Sec-WebSocket-Accept") != 1 && !any) || head_.find("Sec-WebSocket-Accept") != accept_)
            return fail(errc::bad_accept);
        if (!detail::take_subprotocol(head_, offered_, subprotocol_)) return fail(errc::bad_subprotocol);
        if (!detail::take_extensions(head_, extension_offers_, chosen_, limits_)) return fail(errc::bad_extension);
        state_ = status::ready;
    }
    void fail(errc why) noexcept {
        error_ = why;
        state_ = status::failed;
    }

    http_limits limits_;
    head_reader reader_;
    http_head head_;
    status state_ = status::need_more;
    std::error_code error_;
    unsigned http_status_ = 0;
    unsigned informational_ = 0;
    bool started_ = false;
    std::string extensions_;
    std::vector<extension> extension_offers_;
    std::vector<std::string> offered_;
    std::string accept_;
    std::string subprotocol_;
    std::vector<extension> chosen_;
    std::string body_head_;
};

}  // namespace hawser::inline v0::ws
