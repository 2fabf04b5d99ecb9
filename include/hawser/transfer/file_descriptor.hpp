// SPDX-License-Identifier: BSL-1.0
/// \file
/// System calls on files. POSIX.
#pragma once

#include <hawser/core/bytes.hpp>

#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <system_error>
#include <utility>

namespace hawser::inline v0::detail {

[[nodiscard]] inline std::error_code last_error() noexcept { return {errno, std::generic_category()}; }

/// Owns an open file.
class file_descriptor {
public:
    file_descriptor() noexcept = default;
    explicit file_descriptor(int fd) noexcept : fd_(fd) {}
    file_descriptor(file_descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    file_descriptor& operator=(file_descriptor&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    ~file_descriptor() {
        if (fd_ >= 0) (void)::close(fd_);
    }
    [[nodiscard]] explicit operator bool() const noexcept { return fd_ >= 0; }
    [[nodiscard]] int get() const noexcept { return fd_; }
    void reset() noexcept { const file_descriptor gone(std::move(*this)); }

private:
    int fd_ = -1;
};

/// Some bytes from `offset` on; none at the end.
[[nodiscard]] inline std::size_t read_at(int fd, byte_span into, std::uint64_t offset, std::error_code& ec) noexcept {
    for (;;) {
        const auto n = ::pread(fd, into.data(), into.size(), static_cast<off_t>(offset));
        if (n >= 0) return static_cast<std::size_t>(n);
        if (errno == EINTR) continue;
        ec = last_error();
        return 0;
    }
}
/// All bytes, from `offset` on.
[[nodiscard]] inline std::error_code write_at(int fd, byte_view bytes, std::uint64_t offset) noexcept {
    while (!bytes.empty()) {
        const auto n = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return last_error();
        bytes = bytes.subspan(static_cast<std::size_t>(n));
        offset += static_cast<std::uint64_t>(n);
    }
    return {};
}

}  // namespace hawser::inline v0::detail
