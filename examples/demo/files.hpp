// SPDX-License-Identifier: BSL-1.0
// The files of a run. Everything is written with write(2) at once: what a process wrote is
// there also when it is killed in the next moment.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace demo {

using bytes_view = std::span<const std::byte>;

/// An open file descriptor.
class descriptor {
public:
    descriptor() = default;
    explicit descriptor(int fd) noexcept : fd_(fd) {}
    descriptor(descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    descriptor& operator=(descriptor&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    ~descriptor();
    [[nodiscard]] int get() const noexcept { return fd_; }

private:
    int fd_ = -1;
};

/// A file that only grows. Throws std::system_error.
class appending_file {
public:
    /// Opens or makes it; what follows after its first `keep` bytes is cut off.
    explicit appending_file(const std::string& path, std::size_t keep = SIZE_MAX);
    void append(bytes_view head, bytes_view body = {});

private:
    descriptor file_;
    std::string path_;
};

/// The whole content of a file; empty if it does not exist. Throws std::system_error.
[[nodiscard]] std::vector<std::byte> read_file(const std::string& path);
/// Replaces a file in one step.
void write_file(const std::string& path, bytes_view content);

// ---- the ledger of a sender -----------------------------------------------------------------

/// Before a message is handed to the socket there is a line `handed`; when its outcome is known,
/// one with the number of hawser::outcome.
struct ledger_line {
    static constexpr std::uint32_t handed = 0;
    std::uint32_t number = 0;
    std::uint32_t what = handed;
};
[[nodiscard]] std::vector<ledger_line> read_ledger(const std::string& path);

class ledger {
public:
    explicit ledger(const std::string& path);
    void add(std::uint32_t number, std::uint32_t what);

private:
    appending_file file_;
};

// ---- what a receiver got --------------------------------------------------------------------

/// Each record is a length and the message as it came.
class received_file {
public:
    explicit received_file(const std::string& path);
    void add(bytes_view message);

private:
    appending_file file_;
};

/// The next record in front of `rest`, which is shortened by it; false when no whole one is left.
[[nodiscard]] inline bool next_record(bytes_view& rest, bytes_view& message) noexcept {
    std::uint32_t size = 0;
    if (rest.size() < sizeof size) return false;
    std::memcpy(&size, rest.data(), sizeof size);
    if (rest.size() - sizeof size < size) return false;
    message = rest.subspan(sizeof size, size);
    rest = rest.subspan(sizeof size + size);
    return true;
}

template <class T>
[[nodiscard]] bytes_view bytes_of(const T& value) noexcept {
    return std::as_bytes(std::span(&value, 1));
}

}  // namespace demo
