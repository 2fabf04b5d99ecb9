// SPDX-License-Identifier: BSL-1.0
/// \file
/// Sessions that a client may resume.
#pragma once

#include <hawser/transport/openssl_handles.hpp>

#include <cstddef>
#include <deque>
#include <mutex>
#include <string>
#include <utility>

namespace hawser::inline v0::detail {

/// The latest session of each server, the oldest forgotten first. Each is used once, so that
/// connections cannot be linked by their tickets (RFC 8446 appendix C.4). Thread safety: all of it.
class ssl_session_cache {
public:
    explicit ssl_session_cache(std::size_t most) : most_(most) {}

    [[nodiscard]] ssl_session_ptr take(const std::string& server) noexcept {
        const std::lock_guard lock(mutex_);
        for (auto it = entries_.begin(); it != entries_.end(); ++it) {
            if (it->server != server) continue;
            ssl_session_ptr found = std::move(it->session);
            entries_.erase(it);
            return found;
        }
        return nullptr;
    }
    void put(const std::string& server, ssl_session_ptr session) {
        if (most_ == 0) return;
        const std::lock_guard lock(mutex_);
        for (auto& e : entries_)
            if (e.server == server) return void(e.session = std::move(session));
        if (entries_.size() >= most_) entries_.pop_front();
        entries_.push_back({server, std::move(session)});
    }
    void clear() noexcept {
        const std::lock_guard lock(mutex_);
        entries_.clear();
    }

private:
    struct entry {
        std::string server;
        ssl_session_ptr session;
    };
    std::size_t most_;
    std::mutex mutex_;
    std::deque<entry> entries_;
};

}  // namespace hawser::inline v0::detail
