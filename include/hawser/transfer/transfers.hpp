// SPDX-License-Identifier: BSL-1.0
/// \file
/// Files and streams over a socket with hawser.v1.
#pragma once

#include <hawser/core/option_error.hpp>
#include <hawser/link/initiate.hpp>
#include <hawser/resilient_socket.hpp>
#include <hawser/transfer/core.hpp>
#include <hawser/transfer/link_carrier.hpp>
#if !defined(_WIN32)
#include <hawser/transfer/file_sink.hpp>
#include <hawser/transfer/file_source.hpp>
#endif

#include <filesystem>
#include <memory>
#include <string>
#include <utility>

namespace hawser::inline v0 {
namespace detail {

[[nodiscard]] inline transfer::key_type key_of_path(const std::filesystem::path& path) {
    xxh3_128_stream hash;
    hash.update(as_bytes(std::filesystem::absolute(path).lexically_normal().string()));
    return hash.digest();
}

}  // namespace detail

/// Sends files and streams of unknown length over a socket, and receives them; several at once, beside the
/// application's messages. Both sides need `options::transfers` and a session (hawser.v1).
///
/// A transfer goes on over reconnects; where the session itself is lost (a process was restarted), it goes on from what
/// the receiver has, after both sides have compared a digest of that. It completes when the receiver has all of it, with the
/// right digest, durably and under its name.
///
/// Chunks of all transfers together take at most `max_bytes_in_flight` in the socket's queue and window, one
/// transfer after the other: a message of the application waits for no more than these.
///
/// Thread safety, executors and completion tokens as `resilient_socket`. It may be destroyed at any moment, also inside
/// its callbacks, before or after the socket: transfers that are sent complete with `operation_aborted`, those received
/// are given up, and callbacks are not called any more. It must not outlive its io_context. One per socket: a later one
/// takes the place of an earlier one, whose transfers end `closed`.
template <socket_policies P = default_policies>
class transfers {
public:
    /// Throws `option_error` if an option is wrong, or the socket's `options::transfers` is off.
    explicit transfers(resilient_socket<P>& socket, transfer_options settings = {}) {
        auto problems = settings.problems();
        if (!socket.options().transfers) problems.emplace_back("transfers is false, but must be true in the options of the socket");
        if (!problems.empty()) throw option_error(std::move(problems));
        const auto& link = detail::link_access::of(socket);
        core_ = std::make_shared<detail::transfer_core>(detail::operation_target<detail::link<P>>::runtime(*link), std::move(settings));
        detail::attach_transfers(link, core_);
    }
    /// The transfers of the other go on with this one.
    transfers(transfers&&) noexcept = default;
    /// The same; what this one was before is destroyed.
    transfers& operator=(transfers&& other) noexcept {
        transfers moved(std::move(other));
        std::swap(core_, moved.core_);
        return *this;
    }
    ~transfers() {
        if (!core_) return;
        core_->let_go();
        detail::on_strand(core_, [](detail::transfer_core& c) { c.stop(); });
    }

#if !defined(_WIN32)
    /// Sends a file, from where the receiver has it already. Signature: `void(std::error_code, transfer_result)`. Completes
    /// when the receiver has all of it. Errors: `transfer_...`, those of opening and reading the file, `operation_in_progress`
    /// (the same file is being sent), `too_many_waiters`, `closed`, the reason of the socket's end. Cancelling, of any kind:
    /// `operation_aborted`, and the receiver is told.
    template <class Token>
    auto async_send_file(const std::filesystem::path& path, Token&& token) {
        return async_send_file(path, transfer_description{}, std::forward<Token>(token));
    }
    /// The same with another name, with bytes for the receiving application, or with a key of your own.
    template <class Token>
    auto async_send_file(const std::filesystem::path& path, transfer_description what, Token&& token) {
        if (what.name.empty()) what.name = path.filename().string();
        if (!what.key) what.key = detail::key_of_path(path);
        return async_send_stream(std::make_unique<file_source>(path.string()), std::move(what), std::forward<Token>(token));
    }
#endif
    /// Sends what a source gives, until its end. Signature, errors and cancelling as `async_send_file`; also
    /// `transfer_interrupted`: the session was lost and the source cannot be read again.
    template <class Token>
    auto async_send_stream(std::unique_ptr<transfer_source> source, transfer_description what, Token&& token) {
        return asio::async_initiate<Token, void(std::error_code, transfer_result)>(
            [](auto handler, std::shared_ptr<detail::transfer_core> core, std::unique_ptr<transfer_source> s,
               transfer_description w) {
                detail::begin_operation<detail::transfer_completion>(
                    core, std::move(handler),
                    [s = std::make_shared<std::unique_ptr<transfer_source>>(std::move(s)), w = std::move(w)](
                        detail::transfer_core& c, std::uint64_t serial, auto done) mutable {
                        c.send(serial, std::move(*s), std::move(w), std::move(done));
                    });
            },
            token, core_, std::move(source), std::move(what));
    }
    /// Ends a transfer that is being received; its sender is told, with the text. False if there is none such, or it is
    /// complete but for its synchronisation.
    bool cancel(std::uint64_t id, std::string_view text = {}) { return core_->cancel_incoming(id, text); }

    /// Transfers that are sent, or wait for that.
    [[nodiscard]] std::size_t sending() const noexcept { return core_->sending(); }
    /// Transfers that are received.
    [[nodiscard]] std::size_t receiving() const noexcept { return core_->receiving(); }
    /// Bytes of chunks in the socket's queue, or not yet acknowledged: `max_bytes_in_flight` at most.
    [[nodiscard]] std::size_t bytes_in_flight() const noexcept { return core_->bytes_in_flight(); }

private:
    std::shared_ptr<detail::transfer_core> core_;
};

}  // namespace hawser::inline v0
