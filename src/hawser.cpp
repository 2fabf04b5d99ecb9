// SPDX-License-Identifier: BSL-1.0
// The source file of hawser::hawser, for HAWSER_SEPARATE_COMPILATION: the templates with the default
// policies, compiled once for all users. A socket with policies of its own is compiled where it
// is used, as in header-only mode.
#include <hawser/custom_policies.hpp>
#include <hawser/driver/driver_members.hpp>
#include <hawser/driver/make_driver.hpp>
#include <hawser/link/completion_members.hpp>
#include <hawser/transfer/link_carrier.hpp>

#if !defined(HAWSER_SEPARATE_COMPILATION)
#error "src/hawser.cpp is compiled for HAWSER_SEPARATE_COMPILATION only: configure with that option"
#endif

#if defined(__ELF__) && defined(__GNUC__)
// See core/mode.hpp; both in this file, so that who needs the one gets the other.
extern "C" {
__attribute__((used)) const char hawser_v0_separate_compilation = 0;
__attribute__((used)) const char hawser_v0_mixes_header_only_with_separate_compilation = 0;
}
#endif

namespace hawser::inline v0 {

driver& use_driver(asio::io_context& context) { return detail::find_or_make_driver(context); }

template class detail::link<default_policies>;
template struct detail::operation_target<detail::link<default_policies>>;
template void detail::operation_target<detail::link<default_policies>>::cancel_taking(
    std::shared_ptr<detail::link<default_policies>>, std::uint64_t, asio::cancellation_type, std::shared_ptr<detail::parcel<message>>);
template class resilient_socket<default_policies>;

template class detail::listener_core<default_policies>;
template struct detail::operation_target<detail::listener_core<default_policies>>;
template void detail::operation_target<detail::listener_core<default_policies>>::cancel_taking(
    std::shared_ptr<detail::listener_core<default_policies>>, std::uint64_t, asio::cancellation_type,
    std::shared_ptr<detail::parcel<resilient_socket<default_policies>>>);
template class listener<default_policies>;

template void detail::attach_transfers(const std::shared_ptr<detail::link<default_policies>>&, std::shared_ptr<detail::transfer_core>);

}  // namespace hawser::inline v0
