// SPDX-License-Identifier: BSL-1.0
/// \file
/// What records do to the rows of one stream.
#pragma once

#include <hawser/store/sqlite_job.hpp>
#include <hawser/store/sqlite_rows.hpp>
#include <hawser/store/sqlite_transaction.hpp>

#include <string_view>
#include <vector>

namespace hawser::inline v0::detail {

/// One stream inside one transaction. The row is written once, at the end.
class sqlite_stream {
public:
    sqlite_stream(sqlite_rows& rows, std::string_view name) : rows_(rows), name_(name) {
        auto found = rows_.find(name_);
        row_ = found ? std::move(*found) : rows_.make();
        is_new_ = !found;
    }
    /// Everything, with the boot counter raised.
    [[nodiscard]] store_image load(const session::origin_id& fresh) {
        if (is_new_) row_.image.origin = fresh;
        ++row_.image.boot;
        rows_.put(name_, row_);
        store_image image = row_.image;
        image.outbox = rows_.outbox(row_.id);
        return image;
    }
    /// Throws std::system_error, and `sqlite_refusal` with the error of an effect.
    void apply(const std::vector<session::record>& records, sqlite_transaction& t) {
        for (const auto& r : records) apply(r, t);
        rows_.put(name_, row_);
    }

private:
    void apply(const session::record& r, sqlite_transaction& t) {
        using kind = session::record_kind;
        store_image& i = row_.image;
        switch (r.kind) {
        case kind::enqueued:
            rows_.add_message(row_.id, r);
            i.next_counter = std::max(i.next_counter, r.counter + 1);
            return;
        case kind::assigned:
            rows_.add_number(row_.id, r.counter, r.seq, r.bytes);
            i.assigned = r.seq;
            i.assigned_bytes = r.bytes;
            return;
        case kind::finished: return rows_.drop_message(row_.id, r.counter);
        case kind::accepted: return accept(r, t);
        case kind::epoch_begun: return begin(r);
        case kind::epoch_ended:
            rows_.clear_numbers(row_.id);
            i.phase = epoch_phase::ended;
            i.has_position = r.has_position;
            if (r.has_position) i.accepted = r.seq;
            return;
        }
    }
    // The application's part and the position, or neither.
    void accept(const session::record& r, sqlite_transaction& t) {
        store_image& i = row_.image;
        const bool ours = i.phase == epoch_phase::alive && i.epoch == r.epoch && i.accepted == r.from;
        if (!ours) throw sqlite_refusal{errc::store_failed};
        i.accepted = r.seq;
        i.accepted_bytes = r.bytes;
        i.exceptions = r.exceptions;
        if (!r.effect) return;
        const std::error_code ec = run(r.effect, t);
        // SQLite ended the transaction by itself, for want of space for instance, or the effect did.
        if (sqlite3_get_autocommit(t.database())) throw_store_error(ec == errc::store_full ? errc::store_full : errc::store_failed);
        if (ec) throw sqlite_refusal{ec};
    }
    static std::error_code run(const store_effect& effect, sqlite_transaction& t) noexcept {
        try {
            return effect(t);
        } catch (...) {
            return store_error_of_exception();
        }
    }
    void begin(const session::record& r) {
        store_image& i = row_.image;
        if (i.phase != epoch_phase::alive || i.epoch != r.epoch) {
            rows_.clear_numbers(row_.id);
            i.accepted = i.accepted_bytes = i.assigned = i.assigned_bytes = 0;
            i.exceptions.clear();
            i.has_position = false;
        }
        i.phase = epoch_phase::alive;
        i.epoch = r.epoch;
        i.state = r.state;
    }

    sqlite_rows& rows_;
    std::string_view name_;
    sqlite_stream_row row_;
    bool is_new_ = false;
};

}  // namespace hawser::inline v0::detail
