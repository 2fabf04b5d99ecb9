// SPDX-License-Identifier: BSL-1.0
/// \file
/// Tells a damaged write-ahead log of SQLite from one whose end a loss of power cut off.
#pragma once

#include <hawser/store/sqlite_handle.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

namespace hawser::inline v0::detail {

/// SQLite takes a frame with a wrong checksum for the end of its log and drops what follows without a word. With
/// `synchronous=FULL` only the last transaction can be torn: so frames of this log behind a transaction that is not
/// whole mean damage. (The format: sqlite.org/fileformat2.html, section 4.)
class sqlite_log_check {
public:
    /// `log`: of an open connection, or null. Throws `errc::store_corrupt`.
    explicit sqlite_log_check(sqlite3_file* log) : log_(log) {}

    void run() {
        sqlite3_int64 size = 0;
        if (!log_ || !log_->pMethods || log_->pMethods->xFileSize(log_, &size) != SQLITE_OK) return;
        if (size < header_size) return;
        std::array<std::byte, header_size> header{};
        read(header, 0);
        if (!take_header(header)) throw_store_error(errc::store_corrupt);
        bool whole = true, ended = false;
        for (sqlite3_int64 at = header_size; at + frame_size() <= size; at += frame_size()) {
            read(frame_, at);
            if (!ours()) {
                whole = false;
                continue;
            }
            if (ended) throw_store_error(errc::store_corrupt);
            whole = whole && matches();
            ended = !whole && word(frame_, 4) != 0;  // a transaction's last frame
        }
    }

private:
    static constexpr int header_size = 32, frame_header = 24;
    [[nodiscard]] sqlite3_int64 frame_size() const noexcept { return static_cast<sqlite3_int64>(frame_.size()); }

    void read(std::span<std::byte> to, sqlite3_int64 at) const {
        check_sqlite(log_->pMethods->xRead(log_, to.data(), static_cast<int>(to.size()), at));
    }
    static std::uint32_t word(std::span<const std::byte> b, std::size_t at, bool big = true) noexcept {
        std::uint32_t value = 0;
        for (std::size_t i = 0; i < 4; ++i) value = value << 8 | std::to_integer<std::uint32_t>(b[at + (big ? i : 3 - i)]);
        return value;
    }
    bool take_header(std::span<const std::byte> h) {
        big_ = (word(h, 0) & 1) != 0;
        if ((word(h, 0) & ~1U) != 0x377f0682) return false;
        std::memcpy(salts_.data(), h.data() + 16, salts_.size());
        add(h.first(24));
        const std::uint32_t page = word(h, 8);
        if (page < 512 || page > 65536 || s1_ != word(h, 24) || s2_ != word(h, 28)) return false;
        frame_.resize(frame_header + page);
        return true;
    }
    // Frames of an earlier use of the log's file have other salts.
    [[nodiscard]] bool ours() const noexcept { return std::memcmp(frame_.data() + 8, salts_.data(), salts_.size()) == 0; }
    // Checksums go on from frame to frame.
    [[nodiscard]] bool matches() noexcept {
        const std::span<const std::byte> frame(frame_);
        add(frame.first(8));
        add(frame.subspan(frame_header));
        return s1_ == word(frame, 16) && s2_ == word(frame, 20);
    }
    void add(std::span<const std::byte> bytes) noexcept {
        for (std::size_t i = 0; i < bytes.size(); i += 8) {
            s1_ += word(bytes, i, big_) + s2_;
            s2_ += word(bytes, i + 4, big_) + s1_;
        }
    }

    sqlite3_file* log_;
    std::vector<std::byte> frame_;
    std::array<std::byte, 8> salts_{};
    std::uint32_t s1_ = 0, s2_ = 0;
    bool big_ = false;
};

/// Checks the log of an open connection. Throws `errc::store_corrupt`.
inline void check_sqlite_log(sqlite3* db) {
    sqlite3_file* log = nullptr;
    check_sqlite(sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log));
    sqlite_log_check(log).run();
}

}  // namespace hawser::inline v0::detail
