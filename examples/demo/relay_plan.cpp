// SPDX-License-Identifier: BSL-1.0
// Where a connection through the proxy is cut: what is known of it against what is planned.
#include "relay.hpp"

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/redirect_error.hpp>
#include <asio/use_awaitable.hpp>

#include <algorithm>

namespace demo {

using asio::redirect_error;
using asio::use_awaitable;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t everything = SIZE_MAX;
// An aim that finds no target for so long is given up, and the link is cut as it is.
constexpr auto patience = 500ms;

}  // namespace

std::size_t relay::allowed(int index, const piece& p) {
    if (decided_ || cut_ || board_.calm.load() != 0) return everything;
    return open_ ? allowed_of_frame(index, p) : allowed_of_handshake(index, p);
}

std::size_t relay::allowed_of_handshake(int index, const piece& p) {
    const bool starts = p.what == piece::kind::frame_start;
    const auto some = static_cast<std::size_t>(static_cast<double>(p.size) * plan_.share);
    if (index == 0 && starts && p.frame.type == frame_type::resume && plan_.at != plan::aim::handshake)
        plan_ = plans_.for_resume();
    if (index == 1 && starts && p.frame.type == frame_type::resumed && plan_.at == plan::aim::resume) return some;
    if (plan_.at != plan::aim::handshake) return everything;
    switch (plan_.point) {
        case handshake_point::in_request:
            return index == 0 ? some : everything;
        case handshake_point::before_response:
            return index == 1 ? 0 : everything;
        case handshake_point::before_hello:
            return index == 0 && starts ? 0 : everything;
        case handshake_point::before_answer:
            if (index == 1 && starts && p.frame.type == frame_type::welcome) return some;
            return index == 0 && starts && p.frame.type == frame_type::resume ? 0 : everything;
        default:
            return everything;
    }
}

std::size_t relay::allowed_of_frame(int index, const piece& p) {
    lane& l = lanes_[static_cast<std::size_t>(index)];
    const lane& other = lanes_[static_cast<std::size_t>(1 - index)];
    // The acknowledgement of DATA that has passed: a cut here is one between the two.
    const bool answers = p.frame.accepted && *p.frame.accepted > l.accepted && other.data > l.accepted;
    const bool starts = p.what == piece::kind::frame_start;
    if (answers && plans_.missing(cut_class::between_data_and_ack))
        take_up(plan::aim::data_and_ack, index);
    else if (starts && plans_.missing(cut_class::in_frame))
        take_up(plan::aim::frame, index);
    if (!armed_) return everything;
    if (plan_.at == plan::aim::data_and_ack && answers) return 0;
    if (plan_.at != plan::aim::frame || index != plan_.lane) return everything;
    if (starts) l.cut_in = 1 + static_cast<std::uint64_t>(static_cast<double>(p.frame.size - 2) * plan_.share);
    if (l.cut_in == 0) return everything;  // armed in the middle of a frame
    if (p.size >= l.cut_in) return static_cast<std::size_t>(l.cut_in);
    l.cut_in -= p.size;
    return everything;
}

// A class that did not happen yet is taken at the first opportunity, whatever the plan was.
void relay::take_up(plan::aim at, int index) {
    if (cut_) return;
    plan_.at = at;
    plan_.lane = index;
    armed_ = true;
}

void relay::passed(int index, const piece& p, std::size_t bytes) {
    lane& l = lanes_[static_cast<std::size_t>(index)];
    if (p.what == piece::kind::head) return;
    if (p.what == piece::kind::frame_start) l.frame = p.frame.type;
    if (p.what == piece::kind::frame_start && bytes > 0) {
        // A number counts from its first byte on: a cut in the middle is one in the frame.
        if (p.frame.sequence) l.data = std::max(l.data, *p.frame.sequence);
        if (p.frame.accepted) l.accepted = std::max(l.accepted, *p.frame.accepted);
    }
    l.partial = bytes < p.size ? l.partial || bytes > 0 : !p.ends;
    if (bytes < p.size || !p.ends || open_) return;
    if (l.frame == frame_type::resume) resume_passed_ = true;
    if (l.frame == frame_type::resume_failed) resume_passed_ = false;
    if (l.frame == frame_type::welcome || l.frame == frame_type::resumed) opened();
}

void relay::opened() {
    open_ = true;
    plan_ = plans_.for_open_link();
    asio::co_spawn(client_.get_executor(), [self = shared_from_this()] { return self->arm(); }, asio::detached);
}

asio::awaitable<void> relay::arm() {
    for (;;) {
        std::error_code ec;
        timer_.expires_after(plan_.wait);
        co_await timer_.async_wait(redirect_error(use_awaitable, ec));
        if (decided_ || cut_ || mode_ != mode::relaying || board_.calm.load() != 0) co_return;
        if (plan_.at != plan::aim::pause) break;
        ++board_.stalls;
        mode_ = mode::stalled;
        stall_.expires_after(plan_.pause);
        co_await stall_.async_wait(redirect_error(use_awaitable, ec));
        if (mode_ != mode::stalled) co_return;
        mode_ = mode::relaying;
        plan_ = plans_.for_open_link();
    }
    armed_ = true;
    if (plan_.at == plan::aim::anything || (plan_.at == plan::aim::quiet && quiet())) {
        cut();
        co_return;
    }
    std::error_code ec;
    timer_.expires_after(patience);
    co_await timer_.async_wait(redirect_error(use_awaitable, ec));
    if (!decided_ && !cut_ && mode_ == mode::relaying && board_.calm.load() == 0) cut();
}

cut_class relay::classify() const noexcept {
    if (!open_) return resume_passed_ ? cut_class::during_resume : cut_class::in_handshake;
    if (lanes_[0].partial || lanes_[1].partial) return cut_class::in_frame;
    return quiet() ? cut_class::other : cut_class::between_data_and_ack;
}

bool relay::quiet() const noexcept {
    return open_ && !lanes_[0].partial && !lanes_[1].partial && lanes_[0].data <= lanes_[1].accepted &&
           lanes_[1].data <= lanes_[0].accepted;
}

}  // namespace demo
