// SPDX-License-Identifier: BSL-1.0
// One connection of the load: connects, upgrades, keeps its depth of messages in flight.
#pragma once

#include "reply_parser.hpp"
#include "tape.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace load {

class connection {
public:
    connection() = default;
    connection(const connection&) = delete;
    connection& operator=(const connection&) = delete;
    ~connection();

    /// Blocks until the upgrade is done; throws std::runtime_error.
    void open(std::uint16_t port, const std::string& path, std::size_t depth);
    [[nodiscard]] int descriptor() const noexcept { return fd_; }

    /// One more message is to be sent; `now` in nanoseconds.
    void enqueue(const tape& what, std::uint64_t now) noexcept {
        sent_at_[sent_++ % sent_at_.size()] = now;
        owed_ += what.frame_size();
    }
    /// Writes as much as the system takes; returns whether something is left. Throws.
    [[nodiscard]] bool flush(const tape& what);
    /// Reads once into `buffer`; returns the number of echoes that are complete now. Throws.
    [[nodiscard]] std::uint64_t receive(const tape& what, std::vector<unsigned char>& buffer, std::uint64_t verify_every);
    /// When the message was sent whose echo is the next, or with `back` an earlier, one.
    [[nodiscard]] std::uint64_t sent_at(std::uint64_t back) const noexcept {
        return sent_at_[(replies_.messages() - back) % sent_at_.size()];
    }

    bool waits_for_room = false;  // EPOLLOUT is asked for

private:
    int fd_ = -1;
    std::size_t owed_ = 0;  // bytes not written yet
    std::size_t at_ = 0;    // the next of them, on the tape
    std::uint64_t sent_ = 0;
    std::vector<std::uint64_t> sent_at_;
    reply_parser replies_;
};

}  // namespace load
