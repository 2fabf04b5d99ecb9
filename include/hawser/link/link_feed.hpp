// SPDX-License-Identifier: BSL-1.0
/// \file
/// What `options::feed` asks of a plain connection: a confirmed subscription, no copies, no silence.
#pragma once

#include <hawser/link/link.hpp>

namespace hawser::inline v0::detail {

// Whether the connection waits for the peer's answer before it counts as open.
template <class P>
bool link<P>::await_subscription() {
    if (!feed_on_ || !options_->feed.confirm) return false;
    attach_deadline_ = never;
    dial_->feed->answer.start(driver_.now());
    rearm();
    driver_.defer(*this);
    return true;
}

// A function of `options::feed`; `otherwise` where it throws.
template <class P>
template <class F, class R>
R link<P>::ask_feed(const F& f, const message_view& view, R otherwise) {
    try {
        return f(view);
    } catch (...) {
        handler_threw("feed_function_threw");
        return otherwise;
    }
}

template <class P>
HAWSER_OUT_OF_LINE void link<P>::deliver_feed(const message_view& view) noexcept {
    try {
        if (admit_from_feed(view)) hand_over(view);
    } catch (...) {
        failed();
    }
}

template <class P>
void link<P>::hand_over(const message_view& view) {
    if (on_message_ && !held_ && ready_.empty()) return call_handler(view);
    keep_plain(view.bytes, view.kind);
}

// Whether the message goes on to the application.
template <class P>
bool link<P>::admit_from_feed(const message_view& view) {
    feed_state<P>& feed = *dial_->feed;
    if (feed.answer.pending()) {
        judge_subscription(view);
        return false;
    }
    const feed_options& o = options_->feed;
    std::optional<message_id> key;
    if (o.id) {
        const auto id = ask_feed(o.id, view, std::string_view());
        if (!id.empty()) key = key_of_id(id, feed.seed);
    } else if (o.by_digest) {
        key = key_of_content(view.bytes, view.is_text(), feed.seed);
    }
    if (key && feed.seen_before(*key, driver_.now())) {
        count(counter::duplicates_dropped);
        return false;
    }
    if (feed.watch.on() && (!o.useful || ask_feed(o.useful, view, true))) feed.watch.on_useful(driver_.now());
    return !orphaned && !is_final();
}

template <class P>
void link<P>::judge_subscription(const message_view& view) {
    feed_state<P>& feed = *dial_->feed;
    const auto answer = ask_feed(options_->feed.confirm, view, subscription_answer::failed);
    if (orphaned || is_final() || !feed.answer.pending()) return;
    switch (feed.answer.judge(answer)) {
    case subscription_step::consume: return;
    case subscription_step::fail: return feed_failed(errc::subscription_failed);
    case subscription_step::open: return subscription_confirmed();
    case subscription_step::keep: break;
    }
    const message body = message::copy(view.bytes, view.kind);
    feed.early_bytes += body.footprint();
    // What nobody takes is bounded; an answer that comes behind so much is none.
    if (feed.early_bytes > options_->receive_buffer_bytes) return feed_failed(errc::subscription_timeout);
    (void)feed.early.push_back(body);
}

template <class P>
void link<P>::subscription_confirmed() {
    auto early = std::exchange(dial_->feed->early, {});
    dial_->feed->early_bytes = 0;
    announce_open(false);
    while (!early.empty() && !orphaned && !is_final()) {
        const message m = early.pop_front();
        deliver_feed({.bytes = m.bytes(), .kind = m.kind()});
    }
}

template <class P>
void link<P>::feed_failed(errc why) {
    const bool stale = why == errc::feed_stale;
    count(stale ? counter::feeds_stale : counter::subscriptions_failed);
    const std::error_code error = why;
    wire_->drop(close_code::going_away, error.message());
    const auto gone = std::move(wire_);
    if (stale || options_->feed.subscription != handler_criticality::critical)
        return link_lost(error, {close_code::going_away, {}, false}, {});
    attempt_failed(error);
    finish(connection_state::failed, error, {});
}

template <class P>
void link<P>::expire_feed(time_point now) {
    feed_state<P>& feed = *dial_->feed;
    if (close_sent_) return feed.stop();
    if (feed.answer.deadline() <= now) return feed_failed(errc::subscription_timeout);
    if (feed.watch.stale(now)) feed_failed(errc::feed_stale);
}

}  // namespace hawser::inline v0::detail
