// SPDX-License-Identifier: BSL-1.0
/// \file
/// What a simulated store writes to a simulated disk: a log of its transactions, of which a loss of power may tear the end.
#pragma once

#include <hawser/core/bytes.hpp>
#include <hawser/core/message.hpp>
#include <hawser/core/xxh3.hpp>
#include <hawser/protocol/session/journal.hpp>
#include <hawser/testing/disk.hpp>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace hawser::inline v0::testing {

/// \cond internal

// Numbers and texts, one after the other.
class log_writer {
public:
    void number(std::uint64_t n) { append(bytes, std::as_bytes(std::span(&n, 1))); }
    void text(std::string_view t) {
        number(t.size());
        append(bytes, as_bytes(t));
    }
    void record(const session::record& r) {
        // All members by name, so that a new one is not forgotten; an effect is in the log by its rows.
        const auto& [kind, has_position, result, counter, seq, from, total, body, key, coalesce_key, ttl, priority, epoch, state, exceptions, effect] = r;
        for (const std::uint64_t n : {static_cast<std::uint64_t>(kind), static_cast<std::uint64_t>(has_position), static_cast<std::uint64_t>(result),
                                      counter, seq, from, total, static_cast<std::uint64_t>(ttl.count()), static_cast<std::uint64_t>(priority),
                                      static_cast<std::uint64_t>(body.kind())})
            number(n);
        for (const std::string_view t : {as_text(body.bytes()), std::string_view(key), std::string_view(coalesce_key), as_text(epoch),
                                         std::string_view(state), std::string_view(exceptions)})
            text(t);
    }
    byte_vector bytes;
};
// What the checksum found whole.
class log_reader {
public:
    explicit log_reader(byte_view bytes) noexcept : left_(bytes) {}
    [[nodiscard]] std::uint64_t number() noexcept {
        std::uint64_t n = 0;
        std::memcpy(&n, take(sizeof n).data(), sizeof n);
        return n;
    }
    [[nodiscard]] std::string text() { return std::string(as_text(take(static_cast<std::size_t>(number())))); }
    [[nodiscard]] session::record record() {
        session::record r;
        r.kind = static_cast<session::record_kind>(number());
        r.has_position = number() != 0;
        r.result = static_cast<outcome>(number());
        r.counter = number();
        r.seq = number();
        r.from = number();
        r.bytes = number();
        r.ttl = milliseconds(static_cast<milliseconds::rep>(number()));
        r.priority = static_cast<message_priority>(number());
        const auto kind = static_cast<message_kind>(number());
        r.body = message::copy(take(static_cast<std::size_t>(number())), kind);
        r.key = text();
        r.coalesce_key = text();
        const std::string epoch = text();
        std::memcpy(r.epoch.data(), epoch.data(), r.epoch.size());
        r.state = text();
        r.exceptions = text();
        return r;
    }

private:
    [[nodiscard]] byte_view take(std::size_t n) noexcept {
        const byte_view taken = left_.first(n);
        left_ = left_.subspan(n);
        return taken;
    }
    byte_view left_;
};

// A file of entries: length, checksum, bytes. Those behind the first that is not whole were never synchronised.
class stored_log {
public:
    stored_log(disk& where, std::string file) : disk_(where), file_(std::move(file)) {}

    // Written, and not durable yet. Errors: no_space_on_device; io_error after a `sync` that failed. Nothing is written then.
    [[nodiscard]] std::error_code append(byte_view entry) {
        if (broken_) return std::make_error_code(std::errc::io_error);
        byte_vector bytes(head_size);
        const std::uint64_t head[] = {entry.size(), xxh3_64(entry)};
        std::memcpy(bytes.data(), head, head_size);
        hawser::append(bytes, entry);
        const std::size_t begin = disk_.read(file_).size();
        std::error_code ec;
        for (std::size_t done = 0; done < bytes.size() && !ec;)
            done += disk_.write(file_, begin + done, byte_view(bytes).subspan(done), ec);
        if (ec) disk_.truncate(file_, begin);
        return ec;
    }
    // All that was appended. After an error nothing of it is there, and nothing more is taken before the next `replay`.
    [[nodiscard]] std::error_code sync() {
        if (broken_) return std::make_error_code(std::errc::io_error);
        if (const auto ec = disk_.sync(file_)) {
            broken_ = true;
            disk_.truncate(file_, synced_);
            return ec;
        }
        synced_ = disk_.read(file_).size();
        return {};
    }
    // Calls `visit(entry)` for each, after a start of the machine or the process. Returns whether the end was torn, and is cut off now.
    template <class Visit>
    bool replay(Visit&& visit) {
        const byte_view all = disk_.read(file_);
        std::size_t at = 0;
        while (all.size() - at > head_size) {
            std::uint64_t head[2];
            std::memcpy(head, all.data() + at, head_size);
            if (head[0] > all.size() - at - head_size) break;
            const byte_view entry = all.subspan(at + head_size, static_cast<std::size_t>(head[0]));
            if (entry.empty() || xxh3_64(entry) != head[1]) break;
            visit(entry);
            at += head_size + entry.size();
        }
        const bool torn = at != all.size();
        if (torn) disk_.truncate(file_, at);
        broken_ = static_cast<bool>(disk_.sync(file_));
        synced_ = at;
        return torn;
    }

private:
    static constexpr std::size_t head_size = 2 * sizeof(std::uint64_t);
    disk& disk_;
    std::string file_;
    std::size_t synced_ = 0;
    bool broken_ = false;
};
/// \endcond

}  // namespace hawser::inline v0::testing
