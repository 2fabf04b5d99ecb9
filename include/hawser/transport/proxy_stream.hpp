// SPDX-License-Identifier: BSL-1.0
/// \file
/// A connection through an HTTP proxy, by CONNECT (RFC 9110 section 9.3.6).
#pragma once

#include <hawser/core/destruction_mark.hpp>
#include <hawser/core/errc.hpp>
#include <hawser/options.hpp>
#include <hawser/protocol/ws/base64.hpp>
#include <hawser/protocol/ws/http_reader.hpp>
#include <hawser/transport/stream_layer.hpp>

#include <new>
#include <string>
#include <string_view>
#include <utility>

namespace hawser::inline v0::detail {

/// Asks the proxy for a tunnel and is transparent from then on.
class proxy_stream final : public stream_layer, stream_sink {
public:
    /// `authority` is the server's, always with its port.
    proxy_stream(const proxy_options& proxy, const std::string& authority, const ws::http_limits& limits, stream_sink& sink)
        : sink_(&sink), head_(limits, limits.max_head_bytes) {
        request_ = "CONNECT " + authority + " HTTP/1.1\r\nHost: " + authority + "\r\n";
        if (!proxy.username.empty())
            request_ += "Proxy-Authorization: Basic " + ws::base64_encode(as_bytes(proxy.username + ':' + proxy.password)) + "\r\n";
        request_ += "\r\n";
    }

    [[nodiscard]] stream_sink& below() noexcept override { return *this; }
    void set_inner(stream_ptr inner) override { inner_ = std::move(inner); }
    [[nodiscard]] write_result write_some(std::span<const byte_view> buffers) override { return inner_->write_some(buffers); }
    void pause_reading() override { inner_->pause_reading(); }
    void resume_reading() override { inner_->resume_reading(); }
    void shutdown() override { inner_->shutdown(); }
    void abort() override { inner_->abort(); }
    [[nodiscard]] std::string remote_address() const override { return inner_->remote_address(); }
    void set_sink(stream_sink& sink) override { sink_ = &sink; }

private:
    void on_connected(std::error_code ec) override {
        if (ec) return end(ec);
        send_request();
    }
    void send_request() {
        const byte_view piece[] = {as_bytes(request_)};
        const write_result r = inner_->write_some(piece);
        if (r.error) return end(r.error);
        request_.erase(0, r.bytes);
    }
    void on_bytes(byte_span chunk) override {
        if (through_) return sink_->on_bytes(chunk);
        if (ended_) return;
        std::size_t used = 0;
        errc why{};
        try {
            const auto status = head_.feed(chunk, used);
            if (status == ws::head_reader::status::need_more) return;
            why = status == ws::head_reader::status::complete ? verdict() : errc::proxy_failed;
        } catch (const std::bad_alloc&) {
            why = errc::out_of_memory;
        }
        if (why != errc{}) return end(why);
        through_ = true;
        tell(chunk.subspan(used));
    }
    // A server does not speak first, but nothing says that it must not.
    void tell(byte_span more) {
        bool gone = false;
        const destruction_mark::watch guard(mark_, gone);
        sink_->on_connected({});
        if (!gone && !more.empty()) sink_->on_bytes(more);
    }
    void on_writable() override {
        if (through_) sink_->on_writable();
        else if (!request_.empty()) send_request();
    }
    void on_closed(std::error_code ec) override {
        if (through_) sink_->on_closed(ec);
        else end(ec ? ec : make_error_code(errc::proxy_failed));
    }
    [[nodiscard]] errc verdict() const noexcept {
        const std::string_view line(head_.text());
        if (!line.starts_with("HTTP/1.") || line.size() < 12 || line[8] != ' ') return errc::proxy_failed;
        const std::string_view status = line.substr(9, 3);
        if (status == "407") return errc::proxy_unauthorized;
        return status[0] == '2' ? errc{} : errc::proxy_failed;
    }
    void end(std::error_code ec) {
        if (!std::exchange(ended_, true)) sink_->on_connected(ec);
    }

    stream_ptr inner_;
    stream_sink* sink_;
    std::string request_;
    ws::head_reader head_;
    destruction_mark mark_;
    bool through_ = false;
    bool ended_ = false;
};

}  // namespace hawser::inline v0::detail
