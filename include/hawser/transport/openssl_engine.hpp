// SPDX-License-Identifier: BSL-1.0
/// \file
/// One connection of TLS as a state machine: ciphertext in and out, plaintext in and out, no stream and no clock.
#pragma once

#include <hawser/transport/openssl_bio.hpp>

#include <cstdint>
#include <string>
#include <system_error>
#include <utility>

namespace hawser::inline v0::detail {

class openssl_engine {
public:
    /// What ended a step.
    enum class stop : std::uint8_t {
        wants_input,  ///< all of `wire().input` is used up
        full,         ///< there may be more, but not for this buffer
        done,         ///< the handshake is complete
        closed,       ///< by the peer's close_notify
        failed,       ///< see `error()`; an alert is in `wire().output` where the peer is to know
    };

    /// `ssl` knows its role. Call `begin` once; it is false when memory is short.
    explicit openssl_engine(ssl_ptr ssl) noexcept : ssl_(std::move(ssl)) {}
    openssl_engine(const openssl_engine&) = delete;
    openssl_engine& operator=(const openssl_engine&) = delete;
    ~openssl_engine() {
        // Without this OpenSSL would hold the session for unsafe where the connection broke, and not resume it.
        if (established_ && !error_) SSL_set_shutdown(ssl_.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    }
    [[nodiscard]] bool begin() noexcept {
        bio_ptr bio = make_ssl_bio(wire_);
        if (!bio) return false;
        SSL_set_bio(ssl_.get(), bio.get(), bio.get());  // takes one reference for both
        (void)bio.release();
        return true;
    }

    [[nodiscard]] ssl_wire& wire() noexcept { return wire_; }
    [[nodiscard]] bool established() const noexcept { return established_; }
    [[nodiscard]] std::error_code error() const noexcept { return error_; }
    /// Whether close_notify was written; nothing can be encrypted after it.
    [[nodiscard]] bool said_goodbye() const noexcept { return said_goodbye_; }

    [[nodiscard]] stop handshake() noexcept {
        ERR_clear_error();
        const int result = SSL_do_handshake(ssl_.get());
        if (result == 1) {
            established_ = true;
            return stop::done;
        }
        return stopped_by(SSL_get_error(ssl_.get(), result));
    }
    /// As many records as there are; sets `filled` to the bytes of `room` that were filled.
    [[nodiscard]] stop decrypt(byte_span room, std::size_t& filled) noexcept {
        ERR_clear_error();
        for (filled = 0; filled < room.size();) {
            std::size_t n = 0;
            if (SSL_read_ex(ssl_.get(), room.data() + filled, room.size() - filled, &n) != 1)
                return stopped_by(SSL_get_error(ssl_.get(), 0));
            filled += n;
        }
        return stop::full;
    }
    /// One record for up to 16 KiB. False when TLS has failed.
    [[nodiscard]] bool encrypt(byte_view plain) noexcept {
        ERR_clear_error();
        while (!plain.empty()) {
            std::size_t n = 0;
            if (SSL_write_ex(ssl_.get(), plain.data(), plain.size(), &n) != 1) {
                fail();
                return false;
            }
            plain = plain.subspan(n);
        }
        return true;
    }
    /// Writes close_notify, once.
    void say_goodbye() noexcept {
        if (!established_ || error_ || std::exchange(said_goodbye_, true)) return;
        ERR_clear_error();
        (void)SSL_shutdown(ssl_.get());
        ERR_clear_error();
    }
    /// The session as far as it is known now, if it can be resumed.
    [[nodiscard]] ssl_session_ptr session() const noexcept {
        ssl_session_ptr found(SSL_get1_session(ssl_.get()));
        if (found && SSL_SESSION_is_resumable(found.get()) != 1) found.reset();
        return found;
    }

private:
    [[nodiscard]] stop stopped_by(int ssl_error) noexcept {
        if (ssl_error == SSL_ERROR_WANT_READ) return stop::wants_input;
        if (ssl_error == SSL_ERROR_ZERO_RETURN) return stop::closed;
        fail();
        return stop::failed;
    }
    // Nothing more is asked of OpenSSL.
    void fail() noexcept {
        error_ = wire_.out_of_memory ? make_error_code(errc::out_of_memory) : take_ssl_error(ssl_.get());
    }

    ssl_wire wire_;  // before what refers to it
    ssl_ptr ssl_;
    std::error_code error_;
    bool established_ = false;
    bool said_goodbye_ = false;
};

}  // namespace hawser::inline v0::detail
