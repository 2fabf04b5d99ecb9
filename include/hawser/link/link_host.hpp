// SPDX-License-Identifier: BSL-1.0
/// \file
/// Between a link of the accepting side and its listener.
#pragma once

#include <hawser/core/time.hpp>
#include <hawser/protocol/session/frame.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <system_error>

namespace hawser::inline v0::detail {

/// What the end of a link means to its session.
enum class link_end : std::uint8_t {
    over,      ///< it is over
    settling,  ///< it is over, and the store will say so soon
    stored,    ///< it stays in the store
};

/// What a link of the accepting side tells its listener.
class link_host {
public:
    /// The session's client confirmed the attach; `resumed` if it was not the first.
    virtual void on_link_confirmed(void* link, bool resumed) = 0;
    virtual void on_link_detached(void* link) = 0;
    /// The link is over. It is not to be used by the host any more, unless it is `settling`.
    virtual void on_link_ended(void* link, std::optional<std::uint64_t> accepted, link_end how) = 0;
    /// A link that was `settling` is done with: its tombstone is durable, or will never be.
    virtual void on_link_settled(void* link, bool durable) = 0;
    /// A session was loaded from the store, or could not be.
    virtual void on_link_restored(void* link, std::error_code ec) = 0;
    /// What a lingering close of the link's connection counts in.
    [[nodiscard]] virtual std::shared_ptr<std::size_t> linger_count() const noexcept = 0;
    /// The link is destroyed without having ended, with its io_context.
    virtual void on_link_gone(void* link) noexcept = 0;

protected:
    ~link_host() = default;
};

/// What a listener that drains tells one of its links.
struct departure_plan {
    session::goaway_reason reason = session::goaway_reason::restart;
    milliseconds delay{0};
    milliseconds window{0};
    std::string_view target;
};

}  // namespace hawser::inline v0::detail
