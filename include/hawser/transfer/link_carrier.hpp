// SPDX-License-Identifier: BSL-1.0
/// \file
/// The transfers of a socket find their link.
#pragma once

#include <hawser/link/initiate.hpp>
#include <hawser/resilient_socket.hpp>
#include <hawser/transfer/core.hpp>

#include <cstdint>
#include <memory>
#include <utility>

namespace hawser::inline v0 {
namespace detail {

template <class P>
class link_carrier final : public transfer_carrier {
public:
    // The transfers drop it when the link ends.
    explicit link_carrier(link<P>& l) noexcept : link_(l) {}
    [[nodiscard]] std::uint64_t send(message body) override { return link_.send_transfer(std::move(body)); }
    [[nodiscard]] std::uint64_t max_message_size() const override { return link_.state_machine().peer_max_message_size(); }
    void callback_threw() noexcept override { link_.transfer_callback_threw(); }

private:
    link<P>& link_;
};

template <class P>
void attach_transfers(const std::shared_ptr<link<P>>& to, std::shared_ptr<transfer_core> core) {
    on_strand(to, [core = std::move(core)](link<P>& l) {
        core->attach(std::make_unique<link_carrier<P>>(l));
        l.attach_transfers(core);
    });
}

#if defined(HAWSER_SEPARATE_COMPILATION)
// Compiled in src/hawser.cpp.
extern template void attach_transfers(const std::shared_ptr<link<default_policies>>&, std::shared_ptr<transfer_core>);
#endif

}  // namespace detail
}  // namespace hawser::inline v0
