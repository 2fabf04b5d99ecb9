// SPDX-License-Identifier: BSL-1.0
/// \file
/// The members of `listener` that need what it is made of. The compiled library has them for its own policies.
#pragma once

#include <hawser/link/socket_members.hpp>
#include <hawser/server/listener.hpp>
#include <hawser/server/listener_admission.hpp>
#include <hawser/server/listener_core.hpp>
#include <hawser/server/listener_drain.hpp>
#include <hawser/server/listener_sessions.hpp>
#include <hawser/server/listener_store.hpp>
#include <hawser/server/listener_upkeep.hpp>

#include <memory>
#include <string>
#include <system_error>
#include <utility>

namespace hawser::inline v0 {

template <socket_policies P>
listener<P>::listener(asio::io_context& context, const listen_endpoint& where, listener_options settings, policy_objects<P> objects) {
    if (auto problems = settings.problems(); !problems.empty()) throw option_error(std::move(problems));
    core_ = std::make_shared<core_type>(use_driver(context), std::move(settings), std::move(objects));
    if (const auto ec = core_->listen(where))
        throw std::system_error(ec, "cannot listen on " + (where.path.empty() ? where.address + " port " + std::to_string(where.port) : where.path));
}
template <socket_policies P>
listener<P>::listener(asio::io_context& context, const listen_endpoint& where, hawser::options socket, policy_objects<P> objects)
    : listener(context, where, listener_options{.socket = std::move(socket)}, std::move(objects)) {}
template <socket_policies P>
void listener<P>::let_go() noexcept {
    if (!core_->runtime().alive()) return;
    core_type& target = *core_;
    target.orphan_on_strand(std::move(core_));
}
template <socket_policies P>
void listener<P>::start_accept(const core_ptr& core, detail::operation<accept_completion> op) {
    detail::start_on_strand(core, std::move(op), [](core_type& target, std::uint64_t serial, accept_completion done) {
        target.accept(serial, std::move(done));
    });
}
template <socket_policies P>
void listener<P>::start_close(const core_ptr& core, detail::operation<detail::plain_completion> op) {
    detail::start_on_strand(core, std::move(op), [](core_type& target, std::uint64_t serial, detail::plain_completion done) {
        target.close(serial, std::move(done));
    });
}
template <socket_policies P>
void listener<P>::start_drain(const core_ptr& core, detail::operation<detail::plain_completion> op, drain_options how) {
    detail::start_on_strand(core, std::move(op),
                            [how = std::move(how)](core_type& target, std::uint64_t serial, detail::plain_completion done) {
                                target.drain(serial, how, std::move(done));
                            });
}
template <socket_policies P>
std::uint16_t listener<P>::port() const {
    return core_->port();
}
template <socket_policies P>
std::size_t listener<P>::connections() const noexcept {
    return core_->connections();
}
template <socket_policies P>
typename listener<P>::executor_type listener<P>::get_executor() const noexcept {
    return core_->runtime().executor();
}

#if defined(HAWSER_SEPARATE_COMPILATION)
// Compiled in src/hawser.cpp.
extern template class detail::listener_core<default_policies>;
#endif

}  // namespace hawser::inline v0
