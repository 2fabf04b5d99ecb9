// SPDX-License-Identifier: BSL-1.0
/// \file
/// The server's side of the HTTP/1.1 upgrade (RFC 6455 section 4.2): bytes in, a request or a refusal out.
#pragma once

#include <hawser/protocol/ws/http_date.hpp>
#include <hawser/protocol/ws/request_rules.hpp>
#include <hawser/protocol/ws/upgrade_response.hpp>

#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace hawser::inline v0::ws {

/// Reads one upgrade request and writes its answer.
///
/// `feed` until it says `ready` or `failed`. When ready, look at `request()` and call `accept` or
/// `reject`; when failed, call `write_failure` (or `reject`, to answer differently) and close.
/// `reject` is possible in each state, also before the request is complete (408 at a deadline, 503
/// while draining). One answer at most is written.
///
/// Limits: `http_limits`. Memory: bounded by `max_head_bytes` and a small factor of it.
/// Thread safety: none. It holds no reference to what it is fed.
class server_upgrade {
public:
    enum class status { need_more, ready, failed };

    explicit server_upgrade(const http_limits& limits = {})
        : limits_(limits), reader_(limits, limits.max_target + request_line_slack) {}

    /// Takes bytes of the head. `consumed` is how many of `chunk` belong to it: what follows the
    /// head of a valid request is for the frame reader. The result does not depend on how the bytes are split
    /// into chunks. After `ready` or `failed` nothing more is consumed.
    [[nodiscard]] status feed(byte_view chunk, std::size_t& consumed) {
        consumed = 0;
        if (state_ != status::need_more || chunk.empty()) return state_;
        const char first = as_text(chunk).front();
        if (reader_.text().empty() && !is_token_char(first) && first != '\r') {
            consumed = 1;
            // The first byte of a TLS record of type handshake, for the one mistake that is common.
            return fail(detail::bad_request(first == '\x16' ? "TLS was sent to a port without TLS"
                                                                             : "this is not an HTTP request"));
        }
        switch (reader_.feed(chunk, consumed)) {
            case head_reader::status::need_more:
                return state_;
            case head_reader::status::complete:
                return check();
            case head_reader::status::failed:
                break;
        }
        return fail(reader_failure());
    }

    [[nodiscard]] status state() const noexcept { return state_; }
    /// The request. Precondition: `ready`. Valid as long as this object.
    [[nodiscard]] const upgrade_request& request() const noexcept { return request_; }
    /// Moves the request out, for a host that keeps it. Precondition: `ready`, and answered.
    [[nodiscard]] upgrade_request take_request() noexcept { return std::move(request_); }
    /// Why the request is refused; false as a boolean unless `failed`.
    [[nodiscard]] const upgrade_failure& failure() const noexcept { return failure_; }
    /// Whether an answer was written.
    [[nodiscard]] bool answered() const noexcept { return answered_; }

    /// Appends the 101 response.
    ///
    /// `subprotocol` is one that the client offered, or empty for none. `extra` may hold one
    /// Sec-WebSocket-Extensions field that names extensions which the client offered; any other
    /// field that the upgrade writes itself is refused.
    /// Errors: `errc::invalid_argument` for those, and for names and values that HTTP cannot carry
    /// (CR, LF, NUL); `errc::invalid_state` unless `ready` and not answered. `out` is then unchanged.
    [[nodiscard]] std::error_code accept(byte_vector& out, std::string_view subprotocol = {},
                                         std::span<const header> extra = {}) {
        if (state_ != status::ready || answered_) return errc::invalid_state;
        if (!subprotocol.empty() && !request_.offers(subprotocol)) return errc::invalid_argument;
        std::string head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";
        detail::append_field(head, "Sec-WebSocket-Accept", accept_);
        if (!subprotocol.empty()) detail::append_field(head, "Sec-WebSocket-Protocol", subprotocol);
        bool extensions_seen = false;
        for (const auto& field : extra) {
            const bool extensions = iequals(field.name, "Sec-WebSocket-Extensions");
            if (!detail::is_writable(field) || (extensions && std::exchange(extensions_seen, true)) ||
                (extensions ? !may_choose(field.value) : detail::is_reserved(field.name)))
                return errc::invalid_argument;
            detail::append_field(head, field.name, field.value);
        }
        head += "\r\n";
        append(out, as_bytes(head));
        answered_ = true;
        return {};
    }

    /// The time in UTC, for the Date of a refusal: a server with a clock has to send one with 4xx and may with others, and one
    /// without must not (RFC 9110 section 6.6.1). Until this is called there is none.
    void set_date(std::chrono::sys_seconds now) noexcept { date_ = now; }

    /// Appends a refusal with `http_status` (300 to 599), `Connection: close` and `text` as its
    /// plain-text body (at most `max_refusal_body_bytes`; empty: the reason phrase). 405 gets Allow,
    /// 426 gets Upgrade and Sec-WebSocket-Version by themselves.
    /// Errors: as `accept`, and `errc::invalid_argument` for another status. `out` is then unchanged.
    [[nodiscard]] std::error_code reject(byte_vector& out, unsigned http_status, std::string_view text,
                                         std::span<const header> extra = {}) {
        if (answered_) return errc::invalid_state;
        const bool head_method = request_.head.first_line().starts_with("HEAD ");
        const auto ec = detail::write_refusal(out, http_status, text, extra, head_method, date_ ? http_date(*date_) : std::string());
        answered_ = !ec;
        return ec;
    }

    /// Appends the refusal that `failure()` describes. Errors: `errc::invalid_state` unless
    /// `failed` and not answered.
    [[nodiscard]] std::error_code write_failure(byte_vector& out) {
        if (state_ != status::failed) return errc::invalid_state;
        return reject(out, failure_.http_status, failure_.text);
    }

private:
    // Room for a method, two spaces and the version beside the target.
    static constexpr std::size_t request_line_slack = 32;

    [[nodiscard]] status check() {
        if (!request_.head.parse(reader_.take())) return fail(detail::bad_request("malformed header field"));
        if (const auto failure = detail::check_request(request_, limits_, accept_)) return fail(failure);
        return state_ = status::ready;
    }
    [[nodiscard]] upgrade_failure reader_failure() const noexcept {
        using fault = head_reader::fault;
        if (reader_.why() == fault::malformed) return detail::bad_request("malformed HTTP request");
        if (reader_.why() == fault::first_line_too_long || reader_.in_first_line())
            return {errc::target_too_long, 414, "the request target is too long"};
        return {errc::header_too_large, 431, "too many header fields, or too many bytes of them"};
    }
    [[nodiscard]] status fail(const upgrade_failure& why) noexcept {
        failure_ = why;
        return state_ = status::failed;
    }
    [[nodiscard]] bool may_choose(std::string_view value) const {
        std::vector<extension> chosen;
        if (!parse_extensions(value, chosen, limits_.max_list_elements) || chosen.empty()) return false;
        for (const auto& one : chosen)
            if (!has_extension(request_.extension_offers, one.name)) return false;
        return true;
    }

    http_limits limits_;
    head_reader reader_;
    status state_ = status::need_more;
    bool answered_ = false;
    std::optional<std::chrono::sys_seconds> date_;
    upgrade_failure failure_;
    upgrade_request request_;
    std::string accept_;
};

}  // namespace hawser::inline v0::ws
