// SPDX-License-Identifier: BSL-1.0
/// \file
/// An outbox goes on from what an earlier process left.
#pragma once

#include <hawser/protocol/session/outbox.hpp>

namespace hawser::inline v0 {
namespace session {

inline std::error_code outbox::restore(store_image& image, std::uint64_t id_base, time_point now) {
    begin_epoch(id_base, 0, 0);
    intake_.begin_after((planted(bug::ids_used_again) ? image.outbox.size() + 1 : image.next_counter) - 1);
    // The window in its order, then what was in an earlier one, then the rest as it came.
    std::sort(image.outbox.begin(), image.outbox.end(), [](const stored_message& x, const stored_message& y) {
        if ((x.seq == 0) != (y.seq == 0)) return x.seq != 0;
        if (x.seq != y.seq) return x.seq < y.seq;
        return x.written != y.written ? x.written : x.counter < y.counter;
    });
    std::uint64_t last = 0;
    for (stored_message& m : image.outbox) {
        if (m.counter == 0 || m.counter >= intake_.next_counter() || (m.seq != 0 && last != 0 && m.seq != last + 1))
            return errc::store_corrupt;
        if (m.seq != 0) last = m.seq;
        restore_one(m, now);
    }
    if (last != 0 && last != image.assigned) return errc::store_corrupt;
    next_seq_ = image.assigned + 1;
    written_ = image.assigned;
    assigned_bytes_ = image.assigned_bytes;
    acked_ = image.assigned - window_.size();
    std::uint64_t in_window = 0;
    for (std::size_t i = 0; i < window_.size(); ++i) in_window += window_[i].body.size();
    if (in_window > assigned_bytes_) return errc::store_corrupt;
    acked_bytes_ = cursor_bytes_ = assigned_bytes_ - in_window;
    cursor_ = acked_ + 1;
    return {};
}

// What had a number in any epoch goes before what never had one.
inline void outbox::restore_one(stored_message& m, time_point now) {
    const send_options how{m.priority, m.ttl, std::move(m.coalesce_key), std::move(m.key)};
    if (m.seq == 0 && !m.written) return intake_.restore(std::move(m.body), how, m.counter, now);
    entry e = intake_.make_entry(std::move(m.body), how, now);
    e.counter = m.counter;
    e.written = m.written;
    e.numbered = true;
    e.order = next_order_;
    flight_.add(window_, e, e.order);
    if (m.seq != 0) (void)window_.push_back(std::move(e));
    else queue_.push_returned(std::move(e));
    ++next_order_;
}

}  // namespace session
}  // namespace hawser::inline v0
