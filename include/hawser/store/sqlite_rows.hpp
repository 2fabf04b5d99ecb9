// SPDX-License-Identifier: BSL-1.0
/// \file
/// The rows of a store, each with a checksum over its content.
#pragma once

#include <hawser/core/xxh3.hpp>
#include <hawser/store/sqlite_handle.hpp>
#include <hawser/store/store.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace hawser::inline v0::detail {

/// A row of hawser_stream.
struct sqlite_stream_row {
    std::int64_t id = 0;
    store_image image{};  // its outbox is empty
};

/// XXH3-64 over numbers, and over bytes with that as the seed.
template <class... N>
[[nodiscard]] std::uint64_t row_sum(std::uint64_t seed, N... numbers) noexcept {
    const std::array<std::uint64_t, sizeof...(N)> values{static_cast<std::uint64_t>(numbers)...};
    return xxh3_64(std::as_bytes(std::span(values)), seed);
}
/// The columns of hawser_message, in their order, without the checksum.
struct sqlite_message_row {
    std::int64_t stream = 0;
    std::uint64_t counter = 0;
    std::uint64_t kind = 0;
    byte_view key{};
    byte_view body{};
    std::uint64_t priority = 0;
    std::int64_t ttl = 0;  // milliseconds
    byte_view coalesce_key{};

    [[nodiscard]] std::uint64_t sum() const noexcept {
        const std::uint64_t numbers = row_sum(1, stream, counter, kind, key.size(), priority, ttl, coalesce_key.size());
        return xxh3_64(body, xxh3_64(coalesce_key, xxh3_64(key, numbers)));
    }
};
[[nodiscard]] inline std::uint64_t number_sum(std::int64_t stream, std::uint64_t counter, std::uint64_t seq, std::uint64_t bytes) noexcept {
    return row_sum(2, stream, counter, seq, bytes);
}
[[nodiscard]] inline std::uint64_t stream_sum(std::string_view name, const sqlite_stream_row& r) noexcept {
    const store_image& i = r.image;
    const std::uint64_t numbers = row_sum(3, r.id, i.boot, i.next_counter, i.phase, i.accepted, i.accepted_bytes, i.assigned,
                                          i.assigned_bytes, i.has_position, name.size(), i.state.size());
    const std::uint64_t sum = xxh3_64(as_bytes(i.state), xxh3_64(i.epoch, xxh3_64(i.origin, xxh3_64(as_bytes(name), numbers))));
    // Without exceptions it is the sum of version 1, which had no such column.
    return i.exceptions.empty() ? sum : xxh3_64(as_bytes(i.exceptions), sum);
}

/// Statements over the tables. Used inside a transaction, on the store's thread; all throw std::system_error.
class sqlite_rows {
public:
    explicit sqlite_rows(sqlite3* db)
        : db_(db), find_(db, select_stream + std::string(" WHERE name=?1")),
          put_(db, "INSERT OR REPLACE INTO hawser_stream VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15)"),
          add_message_(db, "INSERT INTO hawser_message VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9)"),
          add_number_(db, "INSERT OR REPLACE INTO hawser_number VALUES(?1,?2,?3,?4,?5)"),
          drop_message_(db, "DELETE FROM hawser_message WHERE stream=?1 AND counter=?2"),
          drop_number_(db, "DELETE FROM hawser_number WHERE stream=?1 AND counter=?2"),
          next_id_(sqlite_number(db, "SELECT max(id) FROM hawser_stream") + 1) {}

    [[nodiscard]] std::optional<sqlite_stream_row> find(std::string_view name) {
        find_.bind(1, name);
        std::optional<sqlite_stream_row> row;
        if (find_.step()) row = stream_of(find_);
        find_.reset();
        return row;
    }
    [[nodiscard]] sqlite_stream_row make() noexcept { return {.id = next_id_++, .image = {.boot = 0}}; }
    void put(std::string_view name, const sqlite_stream_row& r) {
        const store_image& i = r.image;
        put_.bind(1, name).bind(2, r.id).bind(3, byte_view(i.origin)).bind(4, std::uint64_t{i.boot}).bind(5, i.next_counter);
        put_.bind(6, static_cast<std::int64_t>(i.phase)).bind(7, byte_view(i.epoch)).bind(8, as_bytes(i.state));
        put_.bind(9, i.accepted).bind(10, i.accepted_bytes).bind(11, i.assigned).bind(12, i.assigned_bytes);
        put_.bind(13, std::int64_t{i.has_position}).bind(14, stream_sum(name, r)).bind(15, as_bytes(i.exceptions)).run();
    }
    void add_message(std::int64_t stream, const session::record& r) {
        const sqlite_message_row m{stream, r.counter, static_cast<std::uint64_t>(r.body.kind()), as_bytes(r.key), r.body.bytes(),
                                   static_cast<std::uint64_t>(r.priority), r.ttl.count(), as_bytes(r.coalesce_key)};
        add_message_.bind(1, m.stream).bind(2, m.counter).bind(3, m.kind).bind(4, m.key).bind(5, m.body);
        add_message_.bind(6, m.priority).bind(7, m.ttl).bind(8, m.coalesce_key).bind(9, m.sum()).run();
    }
    void add_number(std::int64_t stream, std::uint64_t counter, std::uint64_t seq, std::uint64_t bytes) {
        add_number_.bind(1, stream).bind(2, counter).bind(3, seq).bind(4, bytes);
        add_number_.bind(5, number_sum(stream, counter, seq, bytes)).run();
    }
    void drop_message(std::int64_t stream, std::uint64_t counter) {
        drop_message_.bind(1, stream).bind(2, counter).run();
        drop_number_.bind(1, stream).bind(2, counter).run();
    }
    /// The epoch is over: what had a number keeps only that it was written.
    void clear_numbers(std::int64_t stream) {
        sqlite_statement numbered(db_, "SELECT counter FROM hawser_number WHERE stream=?1 AND seq<>0");
        std::vector<std::uint64_t> counters;
        for (numbered.bind(1, stream); numbered.step();) counters.push_back(numbered.unsigned_number(0));
        for (const auto counter : counters) add_number(stream, counter, 0, 0);
    }
    void erase(std::string_view name) {
        const auto row = find(name);
        if (!row) return;
        for (const char* sql : {"DELETE FROM hawser_message WHERE stream=?1", "DELETE FROM hawser_number WHERE stream=?1",
                                "DELETE FROM hawser_stream WHERE id=?1"})
            sqlite_statement(db_, sql).bind(1, row->id).run();
    }

    [[nodiscard]] std::vector<stored_message> outbox(std::int64_t stream) {
        sqlite_statement s(db_, "SELECT m.counter,kind,key,body,seq,bytes,priority,ttl,coalesce_key FROM hawser_message m LEFT JOIN"
                                " hawser_number n ON n.stream=m.stream AND n.counter=m.counter WHERE m.stream=?1 ORDER BY m.counter");
        std::vector<stored_message> found;
        for (s.bind(1, stream); s.step();) {
            expect(s.unsigned_number(6) < priority_classes && s.number(7) >= 0);
            found.push_back({.counter = s.unsigned_number(0), .seq = s.unsigned_number(4), .bytes = s.unsigned_number(5),
                             .written = !s.is_null(4), .body = message::copy(s.blob(3), static_cast<message_kind>(s.number(1))),
                             .key = std::string(s.text(2)), .coalesce_key = std::string(s.text(8)), .ttl = milliseconds{s.number(7)},
                             .priority = static_cast<message_priority>(s.number(6))});
        }
        return found;
    }
    /// Streams whose names begin with `prefix`. Precondition: it has no character that LIKE or GLOB interprets.
    [[nodiscard]] std::vector<stored_session> list(std::string_view prefix) {
        sqlite_statement s(db_, select_stream + std::string(" WHERE name GLOB ?1 ORDER BY name"));
        sqlite_statement count(db_, "SELECT count(*) FROM hawser_message WHERE stream=?1");
        std::vector<stored_session> found;
        const std::string pattern = std::string(prefix) + "*";
        for (s.bind(1, std::string_view(pattern)); s.step();) {
            auto row = stream_of(s);
            count.bind(1, row.id);
            (void)count.step();
            store_image& i = row.image;
            found.push_back({.name = std::string(s.text(0)), .phase = i.phase, .epoch = i.epoch, .state = std::move(i.state),
                             .accepted = i.accepted, .has_position = i.has_position, .messages = count.unsigned_number(0), .exceptions = std::move(i.exceptions)});
            count.reset();
        }
        return found;
    }
    /// Compares all checksums. Throws `errc::store_corrupt`.
    static void verify(sqlite3* db) {
        sqlite_statement streams(db, select_stream);
        while (streams.step()) {
            const auto row = stream_of(streams);
            expect(streams.unsigned_number(13) == stream_sum(streams.text(0), row));
        }
        sqlite_statement messages(db, "SELECT stream,counter,kind,key,body,priority,ttl,coalesce_key,sum FROM hawser_message");
        for (sqlite_statement& m = messages; m.step();)
            expect(m.unsigned_number(8) == sqlite_message_row{m.number(0), m.unsigned_number(1), m.unsigned_number(2), m.blob(3), m.blob(4),
                                                              m.unsigned_number(5), m.number(6), m.blob(7)}.sum());
        sqlite_statement numbers(db, "SELECT stream,counter,seq,bytes,sum FROM hawser_number");
        for (sqlite_statement& n = numbers; n.step();)
            expect(n.unsigned_number(4) == number_sum(n.number(0), n.unsigned_number(1), n.unsigned_number(2), n.unsigned_number(3)));
    }

private:
    static constexpr const char* select_stream =
        "SELECT name,id,origin,boot,next_counter,phase,epoch,state,accepted,accepted_bytes,assigned,assigned_bytes,has_position,sum,exceptions"
        " FROM hawser_stream";

    static void expect(bool good) {
        if (!good) throw_store_error(errc::store_corrupt);
    }
    template <class Id>
    static void take(Id& to, byte_view from) {
        expect(from.size() == to.size());
        std::copy(from.begin(), from.end(), to.begin());
    }
    static sqlite_stream_row stream_of(const sqlite_statement& s) {
        sqlite_stream_row row{.id = s.number(1)};
        store_image& i = row.image;
        take(i.origin, s.blob(2));
        i.boot = static_cast<std::uint32_t>(s.number(3));
        i.next_counter = s.unsigned_number(4);
        i.phase = static_cast<epoch_phase>(s.number(5));
        take(i.epoch, s.blob(6));
        i.state = s.text(7);
        i.accepted = s.unsigned_number(8);
        i.accepted_bytes = s.unsigned_number(9);
        i.assigned = s.unsigned_number(10);
        i.assigned_bytes = s.unsigned_number(11);
        i.has_position = s.number(12) != 0;
        i.exceptions = s.text(14);
        return row;
    }

    sqlite3* db_;
    sqlite_statement find_, put_, add_message_, add_number_, drop_message_, drop_number_;
    std::int64_t next_id_;
};

}  // namespace hawser::inline v0::detail
