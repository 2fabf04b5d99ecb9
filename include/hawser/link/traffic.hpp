// SPDX-License-Identifier: BSL-1.0
/// \file
/// What a link has sent and received in the present turn, to be counted at its end.
#pragma once

#include <hawser/policy/metrics.hpp>

#include <cstddef>
#include <cstdint>
#include <utility>

namespace hawser::inline v0::detail {

/// A sink is shared by threads, and its atomic additions cost as much as a small message itself does: here they are
/// done once for all messages of a turn. Empty where the metrics are off.
template <class Metrics>
class traffic {
public:
    /// Returns whether this is the first since `count`.
    bool sent(std::size_t bytes) noexcept { return sent_.add(bytes) && received_.messages == 0; }
    bool received(std::size_t bytes) noexcept { return received_.add(bytes) && sent_.messages == 0; }
    void count(const Metrics& sink) noexcept {
        put(sink, counter::messages_sent, counter::bytes_sent, sent_);
        put(sink, counter::messages_received, counter::bytes_received, received_);
    }

private:
    struct sum {
        std::uint64_t messages = 0, bytes = 0;
        bool add(std::size_t n) noexcept {
            bytes += n;
            return messages++ == 0;
        }
    };
    static void put(const Metrics& sink, counter messages, counter bytes, sum& s) noexcept {
        if (s.messages == 0) return;
        sink.add(messages, std::exchange(s.messages, 0));
        sink.add(bytes, std::exchange(s.bytes, 0));
    }
    sum sent_, received_;
};
template <class Metrics>
    requires(!Metrics::enabled)
class traffic<Metrics> {
public:
    static bool sent(std::size_t) noexcept { return false; }
    static bool received(std::size_t) noexcept { return false; }
    static void count(const Metrics&) noexcept {}
};

}  // namespace hawser::inline v0::detail
