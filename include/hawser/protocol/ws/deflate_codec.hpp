// SPDX-License-Identifier: BSL-1.0
/// \file
/// permessage-deflate (RFC 7692) on zlib.
#pragma once

#include <hawser/protocol/ws/compression.hpp>
#include <hawser/protocol/ws/deflate_terms.hpp>
#include <hawser/protocol/ws/detail/deflate_shared.hpp>
#include <hawser/protocol/ws/shrink_history.hpp>

#include <cstddef>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <utility>

namespace hawser::inline v0 {
namespace ws {

/// The codec of one connection. Memory is allocated when the first message needs it. Without takeover
/// none is held between messages: the compressor is borrowed, the inflater lives as long as its message.
class deflate_codec final : public message_codec {
public:
    deflate_codec(std::shared_ptr<detail::deflate_shared> shared, const deflate_agreement& agreed,
                  compression_reservation reserved) noexcept
        : shared_(std::move(shared)), agreed_(agreed), reserved_(std::move(reserved)) {}

    [[nodiscard]] bool compress(gather_buffer& out, bool text, byte_view first, byte_view second) noexcept override {
        const std::size_t size = first.size() + second.size();
        if (agreed_.own_window_bits < 9 || size < shared_->settings.min_size) return false;
        shrink_history& history = text ? text_ : binary_;
        if (!history.attempt()) return false;
        auto used = compressor_ ? std::move(compressor_) : make_compressor();
        if (!used) return false;
        const bool smaller = used->run(out, first, second);
        history.note(size, smaller ? out.size() : size);
        // The peer does not get to see what this context has seen.
        if (!smaller && agreed_.own_takeover) used->reset();
        if (agreed_.own_takeover)
            compressor_ = std::move(used);
        else
            shared_->pool.give_back(agreed_.own_window_bits, std::move(used));
        return smaller;
    }
    void discard() noexcept override {
        if (compressor_) compressor_->reset();
    }

    [[nodiscard]] errc inflate(gather_buffer& out, byte_view in, bool last, std::size_t limit) noexcept override {
        if (!inflater_) inflater_.reset(new (std::nothrow) detail::inflater(agreed_.peer_window_bits));
        if (!inflater_ || !inflater_->ready()) {
            inflater_.reset();
            return errc::out_of_memory;
        }
        errc failure = inflater_->run(out, in, limit);
        if (failure == errc{} && last) failure = inflater_->finish(out, limit);
        if (failure != errc{} || (last && !agreed_.peer_takeover)) inflater_.reset();
        return failure;
    }

    [[nodiscard]] std::size_t held_bytes() const noexcept override {
        return sizeof *this + (compressor_ ? sizeof *compressor_ + compressor_->held_bytes() : 0) +
               (inflater_ ? sizeof *inflater_ + inflater_->held_bytes() : 0);
    }
    [[nodiscard]] std::size_t reserved_bytes() const noexcept override { return reserved_.bytes(); }
    [[nodiscard]] const deflate_agreement& agreed() const noexcept { return agreed_; }

    /// What a connection on these terms may hold at most, in bytes.
    [[nodiscard]] static std::size_t worst_case(const detail::zlib_costs& costs, const deflate_agreement& a) noexcept {
        return sizeof(deflate_codec) + costs.inflating(a.peer_window_bits) +
               (a.own_takeover && a.own_window_bits >= 9 ? costs.compressing(a.own_window_bits) : 0);
    }

private:
    [[nodiscard]] std::unique_ptr<detail::deflater> make_compressor() noexcept {
        return agreed_.own_takeover ? shared_->pool.make(agreed_.own_window_bits)
                                    : shared_->pool.borrow(agreed_.own_window_bits);
    }

    std::shared_ptr<detail::deflate_shared> shared_;
    deflate_agreement agreed_;
    compression_reservation reserved_;
    std::unique_ptr<detail::deflater> compressor_;  // with takeover
    std::unique_ptr<detail::inflater> inflater_;    // with takeover, or within a message
    shrink_history text_;
    shrink_history binary_;
};

/// Agrees on permessage-deflate and makes the codecs.
class deflate_compression final : public compression {
public:
    explicit deflate_compression(const deflate_options& settings)
        : shared_(std::make_shared<detail::deflate_shared>(settings)) {}

    [[nodiscard]] std::string offer() const override { return offered_terms(shared_->settings).text(); }

    [[nodiscard]] errc confirm(std::span<const extension> chosen,
                               std::unique_ptr<message_codec>& codec) const override {
        for (const auto& one : chosen) {
            if (one.name != deflate_name || codec) return errc::bad_extension;
            const auto answer = parse_deflate_terms(one, false);
            const auto agreed = answer ? confirm_terms(*answer, shared_->settings) : std::nullopt;
            if (!agreed) return errc::bad_extension;
            codec = std::make_unique<deflate_codec>(shared_, *agreed, compression_reservation());
        }
        return {};
    }

    [[nodiscard]] std::string accept(std::span<const extension> offers,
                                     const std::shared_ptr<compression_budget>& budget,
                                     std::unique_ptr<message_codec>& codec) const override {
        for (const auto& one : offers) {
            const auto offer = one.name == deflate_name ? parse_deflate_terms(one, true) : std::nullopt;
            if (!offer) continue;
            for (const bool frugal : {false, true}) {
                const auto answer = answer_terms(*offer, shared_->settings, frugal);
                if (!answer || !make(agreement_of(*answer), budget, codec)) continue;
                return answer->text();
            }
        }
        return {};
    }

    /// What a connection on these terms reserves of the budget, in bytes.
    [[nodiscard]] std::size_t cost(const deflate_agreement& a) const noexcept {
        return deflate_codec::worst_case(shared_->costs, a);
    }

private:
    // Takeover only in the first half of the budget, so that there is room for many without it.
    [[nodiscard]] bool make(const deflate_agreement& a, const std::shared_ptr<compression_budget>& budget,
                            std::unique_ptr<message_codec>& codec) const {
        compression_reservation reserved;
        if (budget) {
            const std::size_t bytes = cost(a);
            const bool takeover = a.own_takeover || a.peer_takeover;
            if (!(takeover ? budget->reserve_in_first_half(bytes) : budget->reserve(bytes))) return false;
            reserved = {budget, bytes};
        }
        codec = std::make_unique<deflate_codec>(shared_, a, std::move(reserved));
        return true;
    }

    std::shared_ptr<detail::deflate_shared> shared_;
};

}  // namespace ws
}  // namespace hawser::inline v0
