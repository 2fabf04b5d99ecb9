// SPDX-License-Identifier: BSL-1.0
/// \file
/// Ends a connection without losing its last bytes.
#pragma once

#include <hawser/driver/driver.hpp>
#include <hawser/link/write_queue.hpp>

#include <array>
#include <cstddef>
#include <memory>
#include <new>

namespace hawser::inline v0::detail {

/// Takes over a stream whose connection is done with it: writes what is left, sends FIN, and
/// discards input until the peer has ended its side or a deadline comes. Closing at once
/// would reset the connection where input is unread, and the peer might never see the close
/// frame. Owns itself. Where memory is short the connection is closed at once.
class lingering_close final : stream_sink, abandonable {
public:
    struct limits {
        duration timeout;
        std::size_t max_discarded;  // bytes of input, before the connection is closed the hard way
        bool peer_first;            // FIN waits for the peer's (RFC 6455 section 7.1.1: the server closes first)
    };
    /// `count`, where there is one, is one higher as long as it lasts.
    static void start(driver& d, stream_ptr taken, write_queue&& rest, const limits& l,
                      std::shared_ptr<std::size_t> count) noexcept {
        auto* self = new (std::nothrow) lingering_close(d, std::move(taken), std::move(rest), l, std::move(count));
        if (!self) return;
        d.enlist(*self);
        try {
            d.arm(self->deadline_, add_saturated(d.now(), l.timeout));
            self->stream_->set_sink(*self);
            self->stream_->resume_reading();
            self->flush();
        } catch (...) {
            self->finish();
        }
    }

private:
    lingering_close(driver& d, stream_ptr taken, write_queue&& rest, const limits& l,
                    std::shared_ptr<std::size_t> count) noexcept
        : driver_(d), stream_(std::move(taken)), rest_(std::move(rest)), limits_(l), count_(std::move(count)) {
        if (count_) ++*count_;
    }
    ~lingering_close() {
        if (count_) --*count_;
    }

    void flush() {
        while (!rest_.empty()) {
            std::array<byte_view, write_queue::max_buffers> list;
            const std::size_t n = rest_.gather(list);
            const write_result r = stream_->write_some(std::span(list).first(n));
            if (r.error) return finish();
            if (r.bytes == 0) return;
            rest_.consume(r.bytes);
        }
        if (!limits_.peer_first) stream_->shutdown();
    }
    void on_connected(std::error_code) override {}
    void on_bytes(byte_span chunk) override {
        discarded_ += chunk.size();
        if (discarded_ > limits_.max_discarded) finish();
    }
    void on_writable() override { flush(); }
    void on_closed(std::error_code) override { finish(); }
    void on_deadline(time_point) { finish(); }
    void abandon() noexcept override { delete this; }
    void finish() {
        if (is_listed()) driver_.delist(*this);
        delete this;
    }

    driver& driver_;
    stream_ptr stream_;
    write_queue rest_;
    limits limits_;
    std::shared_ptr<std::size_t> count_;
    std::size_t discarded_ = 0;
    timer_node deadline_{this, on_timer<&lingering_close::on_deadline>};
};

}  // namespace hawser::inline v0::detail
