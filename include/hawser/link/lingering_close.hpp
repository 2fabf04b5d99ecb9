// SPDX-License-Identifier: BSL-1.0
/// \file
/// Ends a connection without losing its last bytes.
#pragma once

#include <hawser/driver/driver.hpp>
#include <hawser/link/write_queue.hpp>

namespace hawser::inline v0::detail {

/// Takes over a stream whose connection is done with it: writes what is left, sends FIN, and
/// discards input until the peer has ended its side or a deadline comes. Closing at once
/// would reset the connection where input is unread, and the peer might never see the close
/// frame. Owns itself.
class lingering_close final : stream_sink, abandonable {
public:
    /// With `peer_first` FIN waits for the peer's (RFC 6455 section 7.1.1: the server closes first).
    static void start(driver& d, stream_ptr taken, write_queue&& rest, bool peer_first, duration limit) {
        auto* self = new lingering_close(d, std::move(taken), std::move(rest), peer_first);
        d.enlist(*self);
        d.arm(self->deadline_, add_saturated(d.now(), limit));
        self->stream_->set_sink(*self);
        self->stream_->resume_reading();
        self->flush();
    }

private:
    // Bytes of input that are discarded before the connection is closed the hard way.
    static constexpr std::size_t max_discarded = 16 * 1024 * 1024;

    lingering_close(driver& d, stream_ptr taken, write_queue&& rest, bool peer_first) noexcept
        : driver_(d), stream_(std::move(taken)), rest_(std::move(rest)), peer_first_(peer_first) {}

    void flush() {
        while (!rest_.empty()) {
            std::array<byte_view, write_queue::max_buffers> list;
            const std::size_t n = rest_.gather(list);
            const write_result r = stream_->write_some(std::span(list).first(n));
            if (r.error) return finish();
            if (r.bytes == 0) return;
            rest_.consume(r.bytes);
        }
        if (!peer_first_) stream_->shutdown();
    }
    void on_connected(std::error_code) override {}
    void on_bytes(byte_span chunk) override {
        discarded_ += chunk.size();
        if (discarded_ > max_discarded) finish();
    }
    void on_writable() override { flush(); }
    void on_closed(std::error_code) override { finish(); }
    void on_deadline(time_point) { finish(); }
    void abandon() noexcept override { delete this; }
    void finish() {
        driver_.delist(*this);
        delete this;
    }

    driver& driver_;
    stream_ptr stream_;
    write_queue rest_;
    bool peer_first_;
    std::size_t discarded_ = 0;
    timer_node deadline_{this, on_timer<&lingering_close::on_deadline>};
};

}  // namespace hawser::inline v0::detail
