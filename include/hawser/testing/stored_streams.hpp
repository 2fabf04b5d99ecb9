// SPDX-License-Identifier: BSL-1.0
/// \file
/// What a simulated machine keeps of its sessions, and of what applications did together with them.
#pragma once

#include <hawser/core/planted.hpp>
#include <hawser/store/store.hpp>
#include <hawser/testing/stored_log.hpp>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <functional>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace hawser::inline v0::testing {

/// What an application does in a simulated store's transaction: it appends rows to a table of its own.
class transaction final : public store_transaction {
public:
    /// Internal: made by the store.
    explicit transaction(std::vector<std::string>& rows) noexcept : rows_(rows) {}
    /// Appends a row.
    void append(std::string row) { rows_.push_back(std::move(row)); }

private:
    std::vector<std::string>& rows_;
};

/// What happens to an operation of a simulated store.
enum class store_fault : std::uint8_t {
    none,         ///< it is done
    fails,        ///< it is not, and its client is told
    lost_before,  ///< it is not, and nobody is told: its process dies first
    lost_after,   ///< it is, and nobody is told
};

/// The streams of one machine, and a table of its application. In memory nothing is lost. On a disk each transaction is
/// appended to a file and synchronised before it is told; a loss of power meanwhile may leave a part of it, which
/// `recover` cuts off. One that nobody waits for any more goes with the next that is synchronised, as it is in the file before
/// that one. Thread safety: none.
class stored_streams {
public:
    /// In memory.
    stored_streams() = default;
    /// In a file of `where`, such as `host::storage()`, which must outlive this.
    explicit stored_streams(disk& where, std::string file = "sessions") : log_(std::in_place, where, std::move(file)) {}

    /// To be called first by each process: from now on there is what the disk has, and nothing is open. Without a disk: nothing.
    void recover() {
        if (!log_) return;
        streams_.clear();
        rows_.clear();
        on_their_way_.clear();
        if (log_->replay([this](byte_view entry) { redo(log_reader(entry)); })) ++torn_tails;
    }

    duration delay = milliseconds{3};         ///< of each operation
    std::function<store_fault()> on_operation{};  ///< asked before each operation; empty: nothing goes wrong
    std::uint64_t operations = 0;             ///< so far
    std::uint64_t commits = 0;                ///< so far, of those that were done
    std::uint64_t records = 0;                ///< so far, in those
    std::uint64_t torn_tails = 0;             ///< so far, cut off by `recover`

    /// What effects appended, in the order of their transactions.
    [[nodiscard]] const std::vector<std::string>& rows() const noexcept { return rows_; }
    /// A stream, made if it is new.
    [[nodiscard]] const store_image& image(const std::string& name) { return streams_[name].image; }
    /// Streams there are.
    [[nodiscard]] std::size_t size() const noexcept { return streams_.size(); }

    /// The name of the stream. Precondition: there is one.
    [[nodiscard]] std::string only_name() const { return streams_.begin()->first; }

    /// \cond internal
    [[nodiscard]] store_fault next_fault() {
        ++operations;
        return on_operation ? on_operation() : store_fault::none;
    }
    [[nodiscard]] bool open(const std::string& name, const void* who) {
        const void*& user = streams_[name].user;
        if (user && user != who) return false;
        user = who;
        return true;
    }
    void close(const std::string& name, const void* who) noexcept {
        const auto s = streams_.find(name);
        if (s != streams_.end() && s->second.user == who) s->second.user = nullptr;
    }
    // Where the disk is full the stream comes back, as the concept allows.
    void erase(const std::string& name) {
        streams_.erase(name);
        for (auto& each : on_their_way_)
            if (each.name == name) each.erased = true;
        if (log_) (void)log_->append(entry(entry_kind::erased, name).bytes);
    }
    [[nodiscard]] std::error_code begin_process(const std::string& name, const session::origin_id& fresh) {
        stream& s = streams_[name];
        const session::origin_id origin = s.known ? s.image.origin : fresh;
        if (log_) {
            log_writer w = entry(entry_kind::loaded, name);
            w.text(as_text(origin));
            w.number(s.boots + 1);
            std::error_code ec = log_->append(w.bytes);
            if (!ec) ec = sync();
            if (ec) return ec;
        }
        begin_process(s, origin, s.boots + 1);
        return {};
    }
    [[nodiscard]] std::vector<stored_session> sessions() {
        if (log_ && !on_their_way_.empty()) (void)sync();  // without it nothing is told of them
        std::vector<stored_session> all;
        for (const auto& [name, s] : streams_) {
            if (!name.starts_with(session_stream_prefix)) continue;
            const store_image& i = s.image;
            all.push_back({name, i.phase, i.epoch, i.state, i.accepted, i.has_position, i.outbox.size(), i.exceptions});
        }
        return all;
    }
    // All or none, with what effects do: written, and neither durable nor told. `ticket` is what `finish` and `withdraw` ask for.
    [[nodiscard]] std::error_code stage(const std::string& name, const std::vector<session::record>& list, std::uint64_t& ticket) {
        staged next{++last_ticket_, name, latest(name), {}, list.size()};
        transaction tx(next.rows);
        for (const session::record& r : list)
            if (auto ec = apply(next.image, r, tx)) {
                if (hawser::detail::planted(hawser::detail::bug::effect_apart)) append(next.rows);
                return ec;
            }
        if (log_) {
            log_writer w = entry(entry_kind::committed, name);
            w.number(list.size());
            for (const session::record& r : list) w.record(r);
            w.number(next.rows.size());
            for (const std::string& row : next.rows) w.text(row);
            if (const auto ec = log_->append(w.bytes)) return ec;
        }
        ticket = next.ticket;
        on_their_way_.push_back(std::move(next));
        return {};
    }
    [[nodiscard]] std::error_code finish(std::uint64_t ticket) {
        if (log_ && !hawser::detail::planted(hawser::detail::bug::sync_skipped)) return sync();
        settle([&](const staged& each) { return log_ || each.ticket == ticket; });
        return {};
    }
    // Nobody waits for it any more. What is in the log already stays on its way.
    void withdraw(std::uint64_t ticket) noexcept {
        if (!log_) std::erase_if(on_their_way_, [ticket](const staged& each) { return each.ticket == ticket; });
    }
    [[nodiscard]] std::error_code apply(const std::string& name, const std::vector<session::record>& list) {
        std::uint64_t ticket = 0;
        const auto ec = stage(name, list, ticket);
        return ec ? ec : finish(ticket);
    }
    /// \endcond

private:
    struct stream {
        store_image image;
        bool known = false;
        std::uint32_t boots = 0;
        const void* user = nullptr;
    };
    // A transaction between `stage` and `finish`.
    struct staged {
        std::uint64_t ticket = 0;
        std::string name;
        store_image image;
        std::vector<std::string> rows;
        std::size_t records = 0;
        bool erased = false;  // its stream, meanwhile
    };
    [[nodiscard]] store_image latest(const std::string& name) {
        for (auto each = on_their_way_.rbegin(); each != on_their_way_.rend(); ++each)
            if (each->name == name && !each->erased) return each->image;
        return streams_[name].image;
    }
    // The disk makes all durable that is in the file, whoever asks, or nothing: the memory follows, in the order of the file.
    [[nodiscard]] std::error_code sync() {
        const auto ec = log_->sync();
        if (!ec) settle([](const staged&) { return true; });
        else on_their_way_.clear();
        return ec;
    }
    template <class Which>
    void settle(Which which) {
        for (staged& each : on_their_way_) {
            if (!which(each)) continue;
            ++commits;
            records += each.records;
            append(each.rows);
            if (!each.erased) streams_[each.name].image = std::move(each.image);
        }
        std::erase_if(on_their_way_, which);
    }
    enum class entry_kind : std::uint8_t { loaded, committed, erased };
    [[nodiscard]] static log_writer entry(entry_kind kind, const std::string& name) {
        log_writer w;
        w.number(static_cast<std::uint64_t>(kind));
        w.text(name);
        return w;
    }
    static void begin_process(stream& s, const session::origin_id& origin, std::uint32_t boot) {
        s.known = true;
        s.image.origin = origin;
        s.image.boot = s.boots = boot;
    }
    // What an entry of the log says, once more. Effects are in it by the rows that they appended.
    void redo(log_reader in) {
        const auto kind = static_cast<entry_kind>(in.number());
        const std::string name = in.text();
        if (kind == entry_kind::erased) return void(streams_.erase(name));
        stream& s = streams_[name];
        if (kind == entry_kind::loaded) {
            session::origin_id origin;
            std::memcpy(origin.data(), in.text().data(), origin.size());
            return begin_process(s, origin, static_cast<std::uint32_t>(in.number()));
        }
        std::vector<std::string> rows;
        transaction none(rows);
        for (std::uint64_t n = in.number(); n > 0; --n) (void)apply(s.image, in.record(), none);
        for (std::uint64_t n = in.number(); n > 0; --n) rows_.push_back(in.text());
    }
    void append(std::vector<std::string>& added) { std::move(added.begin(), added.end(), std::back_inserter(rows_)); }
    [[nodiscard]] static stored_message* find(store_image& i, std::uint64_t counter) {
        const auto m = std::find_if(i.outbox.begin(), i.outbox.end(), [&](auto& each) { return each.counter == counter; });
        return m == i.outbox.end() ? nullptr : &*m;
    }
    [[nodiscard]] static std::error_code apply(store_image& i, const session::record& r, transaction& tx) {
        using kind = session::record_kind;
        switch (r.kind) {
        case kind::enqueued:
            if (r.counter < i.next_counter) return errc::store_corrupt;
            i.next_counter = r.counter + 1;
            i.outbox.push_back({.counter = r.counter, .body = r.body, .key = r.key, .coalesce_key = r.coalesce_key, .ttl = r.ttl, .priority = r.priority});
            return {};
        case kind::assigned: return assign(i, r);
        case kind::finished: {
            const auto count = std::erase_if(i.outbox, [&](auto& m) { return m.counter == r.counter; });
            return count == 1 ? std::error_code{} : make_error_code(errc::store_corrupt);
        }
        case kind::accepted: return accept(i, r, tx);
        case kind::epoch_begun: begin_epoch(i, r); return {};
        case kind::epoch_ended: return end_epoch(i, r);
        }
        return errc::store_corrupt;
    }
    [[nodiscard]] static std::error_code assign(store_image& i, const session::record& r) {
        stored_message* m = find(i, r.counter);
        if (!m || m->seq != 0 || r.seq != i.assigned + 1 || i.phase != epoch_phase::alive) return errc::store_corrupt;
        m->seq = i.assigned = r.seq;
        m->bytes = i.assigned_bytes = r.bytes;
        m->written = true;
        return {};
    }
    [[nodiscard]] static std::error_code accept(store_image& i, const session::record& r, transaction& tx) {
        const bool ours = i.phase == epoch_phase::alive && i.epoch == r.epoch && i.accepted == r.from;
        if (!ours) return errc::store_corrupt;
        i.accepted = r.seq;
        i.accepted_bytes = r.bytes;
        i.exceptions = r.exceptions;
        try {
            return r.effect ? r.effect(tx) : std::error_code{};
        } catch (...) {
            return errc::handler_failed;
        }
    }
    static void begin_epoch(store_image& i, const session::record& r) {
        if (i.phase != epoch_phase::alive || i.epoch != r.epoch) {
            i.accepted = i.accepted_bytes = i.assigned = i.assigned_bytes = 0;
            i.exceptions.clear();
        }
        i.phase = epoch_phase::alive;
        i.epoch = r.epoch;
        i.state = r.state;
        i.has_position = false;
    }
    [[nodiscard]] static std::error_code end_epoch(store_image& i, const session::record& r) {
        if (i.phase != epoch_phase::alive || i.epoch != r.epoch) return errc::store_corrupt;
        if (r.has_position && r.seq != i.accepted) return errc::store_corrupt;
        i.phase = epoch_phase::ended;
        i.has_position = r.has_position;
        for (stored_message& m : i.outbox) m.seq = m.bytes = 0;
        return {};
    }

    std::map<std::string, stream> streams_;
    std::vector<std::string> rows_;
    std::vector<staged> on_their_way_;  // in the order of the file
    std::uint64_t last_ticket_ = 0;
    std::optional<stored_log> log_;
};

}  // namespace hawser::inline v0::testing
