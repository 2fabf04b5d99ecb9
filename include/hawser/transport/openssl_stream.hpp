// SPDX-License-Identifier: BSL-1.0
/// \file
/// TLS on any stream, by OpenSSL: ciphertext comes in from below, plaintext goes out to the sink.
#pragma once

#include <hawser/core/destruction_mark.hpp>
#include <hawser/transport/openssl_engine.hpp>
#include <hawser/transport/openssl_records.hpp>
#include <hawser/transport/openssl_sessions.hpp>
#include <hawser/transport/stream_layer.hpp>

#include <memory>
#include <new>
#include <optional>
#include <string>
#include <utility>

namespace hawser::inline v0::detail {

/// What one stream needs of its layer, kept as long as it lives.
struct ssl_origin {
    std::shared_ptr<void> context;                // the SSL_CTX and what its callbacks refer to
    std::shared_ptr<ssl_session_cache> sessions;  // dialling side only
    std::string server;                           // the key in there
};

/// Inside of a call from below the sink is called at once; what the sink's own calls bring about is told at the
/// end of the turn, so that no call of the sink's is entered while it is still inside of one of ours.
class openssl_stream final : public stream_layer, stream_sink, deferred_task {
public:
    /// Dialling side with a sink, accepting side without one yet.
    openssl_stream(driver& d, ssl_ptr ssl, ssl_origin origin, stream_sink* sink)
        : driver_(d), origin_(std::move(origin)), tls_(std::move(ssl)), sink_(sink), dialled_(sink != nullptr) {}
    /// Once, before anything else; false when memory is short.
    [[nodiscard]] bool begin() noexcept { return tls_.begin(); }
    ~openssl_stream() override {
        if (inner_ && !aborted_ && driver_.alive()) {
            tls_.say_goodbye();
            try {
                (void)flush();
            } catch (const std::bad_alloc&) {
                // The peer sees an end without close_notify.
            }
        }
        driver_.give_buffer(std::move(tls_.wire().output));
    }

    // ---- stream_layer ----------------------------------------------------------------------

    [[nodiscard]] stream_sink& below() noexcept override { return *this; }
    void set_inner(stream_ptr inner) override { inner_ = std::move(inner); }

    // What is below takes little: then the rest waits as plaintext, and at most one batch as ciphertext.
    [[nodiscard]] write_result write_some(std::span<const byte_view> buffers) override {
        if (error_) return {0, error_};
        if (!tls_.established() || tls_.said_goodbye()) return {0, errc::not_connected};
        byte_vector& output = tls_.wire().output;
        record_cutter records(buffers);
        std::size_t taken = 0;
        while (records.left() > 0 && output.empty()) {
            borrow_output();
            while (records.left() > 0 && output.size() < write_batch) {
                const byte_view record = records.next();
                if (!tls_.encrypt(record)) return {0, error_ = tls_.error()};
                taken += record.size();
            }
            if (const auto ec = flush()) return {0, ec};
        }
        wants_write_ = records.left() > 0;
        return {taken, {}};
    }
    void pause_reading() override {
        paused_ = true;
        inner_->pause_reading();
    }
    void resume_reading() override {
        if (!std::exchange(paused_, false)) return;
        resume_due_ = true;
        driver_.defer(*this);
    }
    void shutdown() override {
        shutdown_due_ = true;
        tls_.say_goodbye();
        (void)flush();
    }
    void abort() override {
        aborted_ = true;
        if (!alerted_) inner_->abort();  // a reset would overtake the alert
    }
    [[nodiscard]] std::string remote_address() const override { return inner_->remote_address(); }
    void set_sink(stream_sink& sink) override {
        if (!std::exchange(sink_, &sink) && !dialled_) inner_->set_sink(*this);
    }

private:
    // Ciphertext gathered before the stream below gets it.
    static constexpr std::size_t write_batch = 64 * 1024;

    // ---- stream_sink: from below -----------------------------------------------------------

    void on_connected(std::error_code ec) override {
        if (ec) return end(ec);
        guarded([this] { pump(); });
    }
    void on_bytes(byte_span chunk) override {
        if (ended_) return;
        guarded([this, chunk] {
            if (paused_ || !held_.empty()) return append(held_, chunk);
            tls_.wire().input = chunk;
            pump();
        });
    }
    void on_writable() override {
        if (ended_) return;
        if (const auto ec = flush()) return end(ec);
        if (tls_.wire().output.empty() && std::exchange(wants_write_, false)) sink_->on_writable();
    }
    void on_closed(std::error_code ec) override {
        // Before the end comes what arrived before it; a broken connection has lost it anyway.
        if (!ec && paused_) inner_ended_ = true;
        else end_from_below(ec);
    }
    void end_from_below(std::error_code ec) {
        if (!ec) ec = tls_.established() ? errc::tls_truncated : errc::connection_lost;
        end(ec);
    }
    void run() override {
        if (ended_ || !std::exchange(resume_due_, false) || paused_) return;
        guarded([this] { resume(); });
    }

    // ---- reading ---------------------------------------------------------------------------

    // First what came in before, then what comes now.
    void resume() {
        if (held_end_) return end(*held_end_);
        const byte_vector earlier = std::exchange(held_, {});
        tls_.wire().input = earlier;
        bool gone = false;
        const destruction_mark::watch guard(mark_, gone);
        pump();
        if (gone || ended_ || paused_) return;
        if (inner_ended_) return end_from_below({});
        inner_->resume_reading();
    }
    // Decrypts and hands over until there is nothing more or nobody wants more. The input is the
    // memory of the caller: what is left of it is kept.
    void pump() {
        bool gone = false;
        const destruction_mark::watch guard(mark_, gone);
        for (bool more = true; more && !paused_;) {
            more = tls_.established() ? deliver() : handshake();
            if (gone) return;
        }
        const byte_view rest = std::exchange(tls_.wire().input, {});
        if (!ended_) append(held_, rest);
    }
    // Returns whether there may be something to read; this may be gone.
    [[nodiscard]] bool handshake() {
        borrow_output();
        const auto why = tls_.handshake();
        std::error_code ec = tls_.error();
        alerted_ = ec && !tls_.wire().unwritten().empty();
        if (const auto broken = flush(); broken && !ec) ec = broken;
        if (ec || why == openssl_engine::stop::closed) end(ec ? ec : make_error_code(errc::connection_lost));
        else if (why == openssl_engine::stop::done && dialled_) sink_->on_connected({});
        return !ec && why == openssl_engine::stop::done;
    }
    // All records of one read together, so that what their messages cause is written together. Returns
    // whether there may be more; this may be gone.
    [[nodiscard]] bool deliver() {
        const plain_buffer plain;
        std::size_t filled = 0;
        const auto why = tls_.decrypt(plain.all(), filled);
        std::error_code ec = tls_.error();
        alerted_ = ec && !tls_.wire().unwritten().empty();
        if (const auto broken = flush(); broken && !ec) ec = broken;
        if (filled > 0) {
            save_session();
            bool gone = false;
            const destruction_mark::watch guard(mark_, gone);
            sink_->on_bytes(plain.all().first(filled));
            if (gone || ended_) return false;
        }
        if (!ec && why != openssl_engine::stop::closed) return why == openssl_engine::stop::full;
        if (paused_) held_end_ = ec;
        else end(ec);
        return false;
    }
    // A server of TLS 1.3 sends its ticket after the handshake, and so before the first data.
    void save_session() {
        if (std::exchange(session_saved_, true) || !origin_.sessions) return;
        if (auto session = tls_.session()) origin_.sessions->put(origin_.server, std::move(session));
    }

    // ---- writing ---------------------------------------------------------------------------

    void borrow_output() noexcept {
        if (tls_.wire().output.capacity() == 0) (tls_.wire().output = driver_.take_buffer()).clear();
    }
    [[nodiscard]] std::error_code flush() {
        ssl_wire& wire = tls_.wire();
        while (!wire.unwritten().empty()) {
            const byte_view piece[] = {wire.unwritten()};
            const write_result r = inner_->write_some(piece);
            if (r.error) return error_ = r.error;
            if (r.bytes == 0) return {};
            wire.written += r.bytes;
        }
        wire.written = 0;
        if (wire.output.capacity() > 0) driver_.give_buffer(std::exchange(wire.output, {}));
        if (std::exchange(shutdown_due_, false)) inner_->shutdown();
        return {};
    }

    // ---- the end ---------------------------------------------------------------------------

    // An orderly end has no error. May destroy this.
    void end(std::error_code ec) {
        if (std::exchange(ended_, true)) return;
        if (ec) error_ = ec;
        if (dialled_ && !tls_.established()) sink_->on_connected(ec);
        else sink_->on_closed(ec);
    }
    // Memory that ran out costs the connection and not more; an exception of the sink is the sink's.
    template <class F>
    void guarded(F&& f) {
        bool gone = false;
        const destruction_mark::watch guard(mark_, gone);
        try {
            f();
        } catch (const std::bad_alloc&) {
            if (gone) throw;
            tls_.wire().input = {};
            end(errc::out_of_memory);
        } catch (...) {
            if (!gone) tls_.wire().input = {};
            throw;
        }
    }
    driver& driver_;
    ssl_origin origin_;
    openssl_engine tls_;
    stream_ptr inner_;
    stream_sink* sink_;
    byte_vector held_;  // ciphertext that came while nobody wanted it
    std::error_code error_;  // nothing can be written any more
    std::optional<std::error_code> held_end_;  // the peer's, while nobody wanted it
    destruction_mark mark_;
    bool dialled_;
    bool session_saved_ = false;
    bool paused_ = false;
    bool resume_due_ = false;
    bool wants_write_ = false;
    bool shutdown_due_ = false;
    bool alerted_ = false;
    bool aborted_ = false;
    bool inner_ended_ = false;
    bool ended_ = false;
};

}  // namespace hawser::inline v0::detail
